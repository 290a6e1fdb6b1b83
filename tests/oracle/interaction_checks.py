"""The pointwise nets once more, slowly: each logit from a pair's list of field vectors, by loops over fields.

What a model says of an event is checked from its saved weights and from codes read off the tables by `context_rows`,
which tests/data/test_context.py holds against tables read by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Pairs
from matinee.data.features.context import ContextFields
from matinee.data.features.requests import ContextTables, EncodedFields
from matinee.data.ids import IdMap
from matinee.models import registry
from matinee.models.families.pointwise import Pointwise

Array = NDArray[np.float64]
Weights = Mapping[str, Array]

USER_FIELDS = ("user", "user.sex", "user.age:numeric", "user.likes")
MOMENT_FIELDS = ("time.month",)
ITEM_FIELDS = ("item", "item.genres", "item.length:numeric")
FIELDS = (*USER_FIELDS, *MOMENT_FIELDS, *ITEM_FIELDS, "time.age")


@lru_cache(maxsize=1)
def data() -> Dataset:
    """17 users and 23 items, two of them never watched; lists of 0 to 4 values, numbers with gaps, three years."""
    rng = np.random.default_rng(4)
    n_users, n_items, n = 17, 23, 150

    def lists(words: str, rows: int) -> list[list[str]]:
        return [rng.permutation(list(words))[: rng.integers(0, 5)].tolist() for _ in range(rows)]

    users = pl.DataFrame(
        {
            "sex": rng.choice(["f", "m"], n_users),
            "age": [None if rng.random() < 0.2 else int(x) for x in rng.integers(15, 80, n_users)],
            "likes": lists("abcde", n_users),
        }
    )
    items = pl.DataFrame(
        {
            "year": [None if rng.random() < 0.2 else int(x) for x in rng.integers(1950, 2000, n_items)],
            "genres": lists("pqrstu", n_items),
            "length": rng.uniform(60.0, 200.0, n_items),
        }
    )
    return Dataset(
        IdMap(np.arange(n_users), what="user"),
        IdMap(np.arange(n_items), what="item"),
        rng.integers(0, n_users, n).astype(np.int32),
        rng.integers(0, n_items - 2, n).astype(np.int32),
        timestamp=rng.integers(10**9, 10**9 + 10**8, n),
        user_features=users,
        item_features=items,
    )


# --- field vectors ----------------------------------------------------------------------------------------------------


def vectors_of(table: Array, part: EncodedFields, pooling: str, query: Array | None = None) -> list[list[Array]]:
    """Rows of field vectors: single-valued fields, numbers weighing theirs, then lists pooled."""
    rows = []
    for r in range(len(part)):
        vectors = [table[code].copy() for code in part.single[r]]
        for at, column in enumerate(part.numeric):
            vectors[column] *= part.number[r, at]
        rows.append([*vectors, *(pooled([table[code] for code in bag[r]], pooling, query) for bag in part.bags)])
    return rows


def pooled(vectors: list[Array], pooling: str, query: Array | None) -> Array:
    weights = [1.0 if pooling == "sum" else 1.0 / len(vectors)] * len(vectors)
    if pooling == "attention":
        assert query is not None
        weights = softmax([float(v @ query) for v in vectors])
    total = np.zeros(len(vectors[0]))
    for weight, vector in zip(weights, vectors, strict=True):
        total = total + weight * vector
    return total


def softmax(scores: list[float]) -> list[float]:
    powers = [float(np.exp(score)) for score in scores]
    return [power / sum(powers) for power in powers]


# --- logits of one pair -----------------------------------------------------------------------------------------------

Truth = Callable[[Weights, list[Array], list[Array]], float]


def relu_layers(w: Weights, name: str, request: list[Array], item: list[Array]) -> Array:
    """A net of linear layers, a ReLU behind each, on the request's numbers and then the item's."""
    first = np.concatenate([w[f"{name}.weight_request"], w[f"{name}.weight_item"]], axis=1)
    x = np.maximum(first @ np.concatenate([*request, *item]) + w[f"{name}.bias"], 0.0)
    for key in sorted((k for k in w if k.startswith(f"{name}.rest.") and k.endswith("weight")), key=number):
        x = np.maximum(w[key] @ x + w[key.replace("weight", "bias")], 0.0)
    return np.asarray(x)


def number(key: str) -> int:
    return int(key.split(".")[-2])


def gmf(w: Weights, request: list[Array], item: list[Array]) -> float:
    """Eq. 9 and a bias of the item: the last place of the vectors of its side."""
    p, q = sum(request), sum(item)
    k = len(w["h"])
    return float(sum(w["h"][f] * p[f] * q[f] for f in range(k)) + q[-1] + w["bias"][0])  # type: ignore[index]


def mlp(w: Weights, request: list[Array], item: list[Array]) -> float:
    """Eq. 10, likewise."""
    p, q = np.sum(request, axis=0), np.sum(item, axis=0)
    k = len(w["h"])
    deep = relu_layers(w, "layers", [p[k:-1]], [q[k:-1]])
    return float(w["last.weight"][0] @ deep + w["last.bias"][0] + q[-1] + w["bias"][0])


def neumf(w: Weights, request: list[Array], item: list[Array]) -> float:
    """Eq. 12: both parts under one output, with one bias."""
    p, q = np.sum(request, axis=0), np.sum(item, axis=0)
    k = len(w["h"])
    deep = relu_layers(w, "layers", [p[k:-1]], [q[k:-1]])
    both = np.concatenate([p[:k] * q[:k], deep])
    out = np.concatenate([w["h"], w["last.weight"][0]])
    return float(out @ both + w["last.bias"][0] + q[-1] + w["bias"][0])


def logistic(w: Weights, request: list[Array], item: list[Array]) -> float:
    return float(w["bias"][0] + sum(v[0] for v in [*request, *item]))


def fm(w: Weights, request: list[Array], item: list[Array]) -> float:
    """Rendle's eq. 1, by the double sum."""
    fields = [*request, *item]
    total = logistic(w, request, item)
    for one in range(len(fields)):
        for other in range(one + 1, len(fields)):
            total += sum(a * b for a, b in zip(fields[one][1:].tolist(), fields[other][1:].tolist(), strict=True))
    return total


def deepfm(w: Weights, request: list[Array], item: list[Array]) -> float:
    deep = relu_layers(w, "layers", [v[1:] for v in request], [v[1:] for v in item])
    return fm(w, request, item) + float(w["last.weight"][0] @ deep + w["last.bias"][0])


def attention(W: Array, fields: list[Array], heads: int, *, residual: bool) -> list[Array]:
    """Song et al., eq. 5 to 8. W: Q, K, V and W_res, one below the other, each of all heads."""
    Q, K, V, *res = np.split(W, 4 if residual else 3)
    d = len(Q) // heads
    out = []
    for m in fields:
        ends = []
        for h in range(heads):
            rows = slice(h * d, (h + 1) * d)
            psi = [float((Q[rows] @ m) @ (K[rows] @ k)) for k in fields]  # eq. 5: not scaled
            alpha = softmax(psi)
            ends.append(sum(a * (V[rows] @ k) for a, k in zip(alpha, fields, strict=True)))  # eq. 6
        e = np.concatenate(ends)  # eq. 7
        out.append(np.maximum(e + res[0] @ m if residual else e, 0.0))  # eq. 8
    return out


def autoint(w: Weights, request: list[Array], item: list[Array], *, heads: int = 2, residual: bool = True) -> float:
    """Eq. 9; with layers beside the attention, AutoInt+."""
    fields = [*request, *item]
    for key in sorted((k for k in w if k.startswith("attention.")), key=lambda k: int(k.split(".")[1])):
        fields = attention(w[key], fields, heads, residual=residual)
    ends = [np.transpose(fields).ravel()]  # our weights read field after field of each channel
    if any(k.startswith("deep.") for k in w):
        ends.append(relu_layers(w, "deep", request, item))
    return float(w["last.weight"][0] @ np.concatenate(ends) + w["last.bias"][0])


TRUTHS: dict[str, Truth] = {
    "gmf": gmf,
    "mlp": mlp,
    "neumf": neumf,
    "logistic": logistic,
    "fm": fm,
    "deepfm": deepfm,
    "autoint": autoint,
    "autoint_plus": autoint,
}

# --- models -----------------------------------------------------------------------------------------------------------

SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 50, "init_std": 0.3, "learning_rate": 0.01, "fields": FIELDS}
HYPER: dict[str, dict[str, Any]] = {
    "logistic": {},
    "gmf": {"dim": 5},
    "fm": {"dim": 5},
    **{name: {"dim": 5, "layers": (7, 3), "dropout": 0.3} for name in ("mlp", "neumf", "deepfm")},
    "autoint": {"dim": 5, "n_blocks": 2, "attention": 3},
    "autoint_plus": {"dim": 5, "n_blocks": 2, "attention": 3, "layers": (7, 3)},
}


def fitted(name: str, pooling: str = "mean") -> Pointwise:
    model = registry.create(name, {**SHORT, **HYPER[name], "pooling": pooling})
    assert isinstance(model, Pointwise)
    return model.fit(data(), seed=3)


def check_model(name: str) -> None:
    """`predict` of events of the log at their times, and `score` of some users for all items at their last events."""
    for pooling in ("mean", "sum", "attention") if name == "fm" else ("attention",):
        model, log = fitted(name, pooling), data()
        assert log.timestamp is not None
        w = {key: value.astype(np.float64) for key, value in model.fitted.learned.weights.items()}
        user, item, time = log.user[:40], log.item[:40], log.timestamp[:40]
        found = np.log(p := model.predict(Pairs(user, item, np.zeros(40, np.int32), time)).astype(np.float64))
        wanted = logits(name, w, user, item, time, pooling)
        scale = max(np.abs(wanted).max(), 1.0)
        np.testing.assert_allclose(found - np.log1p(-p), wanted, rtol=1e-4, atol=1e-5 * scale)
        users = np.flatnonzero(log.user_counts())[::4]
        last = np.array([log.timestamp[log.user == u].max() for u in users])
        scores = model.score(log.queries_of(users.astype(np.int32)))
        for code in range(log.n_items):
            wanted = logits(name, w, users, np.full(len(users), code), last, pooling)
            np.testing.assert_allclose(scores[:, code], wanted, rtol=1e-4, atol=1e-5 * scale)


@lru_cache(maxsize=1)
def coded() -> ContextTables:
    return ContextTables(ContextFields.fit(data(), FIELDS), data())


def logits(
    name: str, w: Weights, user: NDArray[Any], item: NDArray[Any], time: NDArray[np.int64], pooling: str
) -> Array:
    tables = coded()
    asked = tables.encode_requests(user, time)
    request = vectors_of(w["vectors.table.weight"], asked.part, pooling, w.get("vectors.query"))
    ages = EncodedFields(tables.ages(asked, item[:, None]), np.empty((len(item), 0), np.float32))
    of_item = tables.items.take(item).join(ages)
    items = vectors_of(w["vectors.table.weight"], of_item, pooling, w.get("vectors.query"))
    return np.array([TRUTHS[name](w, *pair) for pair in zip(request, items, strict=True)])


def _check(name: str) -> Callable[[], None]:
    def check_field_by_field() -> None:
        check_model(name)

    return check_field_by_field


def check_what_was_watched_is_no_negative() -> None:
    """Of users who watched 8 items of 10: drawn as negatives too, these would be unlikely for each event there is."""
    user, item = np.nonzero((np.arange(10) - np.arange(20)[:, None]) % 10 < 8)
    maps = IdMap(np.arange(20), what="user"), IdMap(np.arange(10), what="item")
    log = Dataset(*maps, user.astype(np.int32), item.astype(np.int32))
    hyper = {"dim": 8, "epochs": 30, "batch_size": 20, "learning_rate": 0.02, "fields": ("user", "item")}
    model = registry.create("gmf", hyper).fit(log, seed=3)
    found = model.predict(Pairs(log.user, log.item, np.zeros(len(log), np.int32)))
    assert found.mean() > 0.5


CHECKS: dict[str, list[Callable[[], None]]] = {name: [_check(name)] for name in TRUTHS}
CHECKS["gmf"].append(check_what_was_watched_is_no_negative)
