"""MMCF from its saved weights, hide-and-seek, letters, the loss and the join, entry by entry in plain Python."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.families import counted_join
from matinee.models.families.autoencoder import rows_of
from matinee.models.mmcf import MMCF
from matinee.nn import multimodal
from matinee.nn.text import Characters
from oracle import truths

N_USERS, N_ITEMS = 31, 19
HELD = [seen - {4, 11, 17} for seen in truths.random_log(8, N_USERS, N_ITEMS)]
WATCHED = set().union(*HELD)
TITLES = [["Rock & Roll", "비 오는 날", "🎄🎄", None, "", "ﬁnal RUN"][u % 6] for u in range(N_USERS)]
GENRES = [[["jazz"], ["soul", "jazz"], None, [], ["punk", f"only {i}"]][i % 5] for i in range(N_ITEMS)]
ARTISTS = [None if i == 17 else f"a{i % 4}" for i in range(N_ITEMS)]
SMALL: dict[str, Any] = {
    "hidden": 5,
    "filters": 3,
    "letter_dim": 4,
    "batch_size": 9,
    "learning_rate": 0.01,
    "epochs": 4,
}
ASKED = [
    ([], "rock"),
    ([3], None),
    ([5, 9, 5], "비"),
    ([4], "💿"),
    ([11, 2], "run run run run"),
    ([17], "🎄 x"),
    ([], ""),
]


def described() -> Dataset:
    """Items 4, 11 and 17 have no event; 17 has no artist either. Users 3, 4, 9, 10 ... have no title."""
    data = truths.as_dataset(HELD, N_ITEMS)
    users = pl.DataFrame({"title": TITLES[: data.n_users]})
    return replace(data, user_features=users, item_features=pl.DataFrame({"genres": GENRES, "artist": ARTISTS}))


DATA = described()


def queries() -> Queries:
    history = Ragged.from_lists([items for items, _ in ASKED])
    titles = tuple(title for _, title in ASKED)
    return Queries(np.full(len(ASKED), -1, np.int32), history, Ragged.empty(len(ASKED)), title=titles)


def values_of(item: int) -> list[str]:
    artist = [] if ARTISTS[item] is None else [f"artist {ARTISTS[item]}"]
    return [f"genres {name}" for name in GENRES[item] or []] + artist


def known_values(min_lists: int) -> list[str]:
    """Values of two items or more, on min_lists lists or more; genres before artists, as the table has them."""
    every = sorted({value for item in range(N_ITEMS) for value in values_of(item)}, key=lambda v: (v[0] != "g", v))
    items = {value: [i for i in range(N_ITEMS) if value in values_of(i)] for value in every}
    on = {value: sum(bool(seen & set(items[value])) for seen in HELD) for value in every}
    return [value for value in every if on[value] >= min_lists and len(items[value]) > 1]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


def letters(title: str | None) -> list[str]:
    return list(" ".join(unicodedata.normalize("NFKC", title or "").casefold().split()))


Texts = list[str | None]


def texts_of(names: list[str], *, value_lists: bool) -> Texts:
    """What titles are learned from: those of lists that hold something, then the values of attributes."""
    titles = [title for title, seen in zip(TITLES, HELD, strict=True) if seen and letters(title)]
    return [*titles, *(name.split(" ", 1)[1] for name in names if value_lists)]


def codes_of(title: str | None, texts: Texts) -> list[int]:
    known = sorted({char for said in texts for char in letters(said)})
    return [known.index(char) + 2 if char in known else 1 for char in letters(title)][:25]


def says_something(title: str | None, texts: Texts) -> bool:
    known = {char for said in texts for char in letters(said)} - {" "}
    return any(char in known for char in letters(title)[:25])


def pieces_of(title: str | None) -> set[str]:
    words = [f" {word} " for word in "".join(letters(title)).split()]
    return {word[a : a + n] for word in words for n in (2, 3, 4) for a in range(len(word)) if a + n <= len(word)}


def tf_idf(title: str | None, texts: Texts) -> dict[int, float]:
    known = sorted(set().union(*map(pieces_of, texts)))
    found = {}
    for piece in pieces_of(title) & set(known):
        holders = sum(piece in pieces_of(text) for text in texts)
        found[known.index(piece)] = 1.0 + math.log((1.0 + len(texts)) / (1.0 + holders))
    length = math.sqrt(sum(x * x for x in found.values()))
    return {place: x / length for place, x in found.items()}


def convolved(w: dict[str, Any], title: str | None, texts: Texts) -> NDArray[np.float64]:
    """The largest value of each filter over all characters of a title."""
    vectors = [w["title.letters.vectors.weight"][code] for code in codes_of(title, texts)]
    length, found = len(vectors), []
    for at, width in enumerate((3, 5, 7, 9)):
        weight, bias = w[f"title.letters.filters.{at}"], w["title.letters.bias"][at]
        for f in range(3):
            sums = [
                sum(
                    float(weight[k, :, f] @ vectors[p - width // 2 + k])
                    for k in range(width)
                    if 0 <= p - width // 2 + k < length
                )
                for p in range(length)
            ]
            found.append(max(0.0, max(sums) + float(bias[f])))
    return np.array(found)


def slow_title(w: dict[str, Any], title: str | None, texts: Texts) -> NDArray[np.float64]:
    """Log odds by a title."""
    mixed = w["title.code.weight"] @ convolved(w, title, texts) + w["title.code.bias"]
    if "title.pieces.weight" in w:
        said = [x * w["title.pieces.weight"][place] for place, x in tf_idf(title, texts).items()]
        mixed = mixed + sum(said, w["title.pieces.bias"])
    own = w["rows.encoder.weight"] if w["rows.tied"] else w["rows.decoder.weight"]
    return np.asarray(w.get("title.decoder.weight", own) @ np.tanh(mixed) + w["title.decoder.bias"])


def slow_probabilities(
    w: dict[str, Any], names: list[str], items: list[int], title: str | None, texts: Texts
) -> NDArray[np.float64]:
    x = np.zeros(N_ITEMS + len(names))
    for item in items:
        if item in WATCHED:
            x[item] = 1.0
        for value in values_of(item):
            if value in names:
                x[N_ITEMS + names.index(value)] = 1.0
    x /= max(math.sqrt(float((x**2).sum())), 1e-6)
    code = np.tanh(x @ w["rows.encoder.weight"] + w["rows.encoder.bias"])
    vectors = w["rows.encoder.weight"] if w["rows.tied"] else w["rows.decoder.weight"]
    seen = vectors @ code + w["rows.decoder.bias"]
    if not says_something(title, texts):
        return sigmoid(seen)
    said = slow_title(w, title, texts)
    useful = {i for i in items if i in WATCHED or any(value in names for value in values_of(i))}
    share = 1.0 / (1.0 + len(useful))  # the rule, at counts that are knots
    return sigmoid(share * said + (1 - share) * seen)


def check_scores(tied_epochs: int = 2, **hyper: Any) -> None:
    model = MMCF(**{**SMALL, "tied_epochs": tied_epochs, **hyper}).fit(DATA)
    w = {name: np.asarray(value, np.float64) for name, value in model.fitted.learned.weights.items()}
    assert bool(w["rows.tied"]) == (tied_epochs >= SMALL["epochs"])
    names = known_values(3)
    texts = texts_of(names, value_lists=model.value_lists)
    assert len(w["rows.decoder.bias"]) == N_ITEMS + len(names)
    w = with_new_outputs(w, names, l2=model.feature_l2)
    scores = model.score(queries())
    artists = [name for name in names if name.startswith("artist")]
    labels, likely = model.score_attributes(queries(), "artist")
    assert [f"artist {label}" for label in labels] == artists
    for row, (items, title) in enumerate(ASKED):
        if not says_something(title, texts) and not items:
            np.testing.assert_array_equal(np.argsort(-scores[row])[0], np.bincount(DATA.item).argmax())
            continue
        p = slow_probabilities(w, names, items, title, texts)
        np.testing.assert_allclose(likely[row], [p[N_ITEMS + names.index(name)] for name in artists], rtol=2e-4)
        for item in range(N_ITEMS):
            known = item in WATCHED or set(values_of(item)) & set(names)
            np.testing.assert_allclose(scores[row, item], p[item] if known else -math.inf, rtol=5e-4)


def with_new_outputs(w: dict[str, Any], names: list[str], l2: float) -> dict[str, Any]:
    """The weights, in which the outputs of items that nobody watched are regressed on their attributes by least squares
    with l2 further rows."""
    features = np.array([[float(name in values_of(item)) for name in names] for item in range(N_ITEMS)])
    known = sorted(WATCHED)
    penalised = np.vstack([features[known], math.sqrt(l2) * np.eye(len(names))])
    found = dict(w)
    for name in ("rows.decoder.weight", "rows.decoder.bias", "title.decoder.weight", "title.decoder.bias"):
        if name not in w:
            continue
        if w["rows.tied"] and name == "rows.decoder.weight":
            name = "rows.encoder.weight"
        found[name] = w[name].copy()
        outputs = w[name][known].reshape(len(known), -1)
        beside = np.vstack([outputs - outputs.mean(axis=0), np.zeros((len(names), outputs.shape[1]))])
        slopes = np.linalg.lstsq(penalised, beside, rcond=None)[0]
        for item in set(range(N_ITEMS)) - WATCHED:
            found[name][item] = (outputs.mean(axis=0) + features[item] @ slopes).reshape(w[name].shape[1:])
    return found


def check_tied() -> None:
    check_scores(tied_epochs=99)


def check_authors() -> None:
    check_scores(title_decoder="own", taught=0.0, pieces=False, value_lists=False)


def check_titles_of_values() -> None:
    """A value is called a list of its most frequent items, no more than the longest list has, and of itself."""
    net: Any = MMCF(**SMALL).build(DATA)
    names = known_values(3)
    count = [sum(item in seen for seen in HELD) for item in range(N_ITEMS)]
    for most in (2, 99):
        labels, rows = net.columns.named(DATA.item_counts(), most)
        assert list(labels) == [name.split(" ", 1)[1] for name in names]
        for place, name in enumerate(names):
            mine = sorted(
                (i for i in range(N_ITEMS) if name in values_of(i) and count[i]), key=lambda i: (-count[i], i)
            )
            assert rows[place].tolist() == sorted([*mine[:most], N_ITEMS + place])
    _, examples = MMCF(**SMALL).pass_of_titles(net, DATA)
    assert examples == len(texts_of(names, value_lists=True))
    n_lists = sum(bool(seen) for seen in HELD)
    several = sum(sum(name in values_of(i) and count[i] > 0 for i in range(N_ITEMS)) > 1 for name in names)
    assert several > 1
    assert MMCF(**SMALL).passes(net, DATA)[1] == n_lists + several
    assert MMCF(**SMALL, value_lists=False).passes(net, DATA)[1] == n_lists


def check_taught() -> None:
    """The loss against targets that a teacher softens, its gradients, and a teacher that is left as it is."""
    rng, rows = np.random.default_rng(6), [[0, 3, 7], [3], [], [1, 9]]
    code, bias = (torch.tensor(rng.normal(size=n), requires_grad=True) for n in ((4, 3), 10))
    vectors, other = (torch.tensor(rng.normal(size=n)) for n in ((10, 3), (4, 3)))
    teacher = multimodal.Teacher(other, vectors, torch.tensor(rng.normal(size=10)), 0.3)
    at, weight = torch.tensor([0, 1, 3, 5, 7, 9]), torch.tensor([1.0, 1, 1, 2.5, 1, 1], dtype=torch.float64)
    target = multimodal.Target(batch(rows), at, weight, 0.4)

    def loss(code: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return multimodal.logistic(code, vectors[at], bias[at], target, teacher.of(at))

    wanted = 0.0
    for b, row in enumerate(rows):
        for column, counts in zip(at.tolist(), weight.tolist(), strict=True):
            taught = 1 / (1 + math.exp(-float(other[b] @ vectors[column] + teacher.bias[column])))
            y = 0.3 * taught + 0.7 * (column in row)
            p = 1 / (1 + math.exp(-float((code[b] @ vectors[column] + bias[column]).detach())))
            wanted -= counts * (y * math.log(p) + 0.4 * (1 - y) * math.log(1 - p))
    assert abs(float(loss(code, bias).detach()) - wanted) < 1e-9
    torch.autograd.gradcheck(loss, (code, bias))


def check_the_autoencoder_stays() -> None:
    """Titles are learned after it, and change nothing of it."""
    without: Any = MMCF(**SMALL).fit(replace(DATA, user_features=None)).fitted.learned
    learned: Any = MMCF(**SMALL, title_epochs=3).fit(DATA).fitted.learned
    for name in without.weights:
        np.testing.assert_array_equal(learned.weights[name], without.weights[name])
    assert learned.title_curve.shape == (3, 3)
    assert learned.title_curve[2, 1] < learned.title_curve[0, 1]


def batch(rows: list[list[int]]) -> Any:
    ragged = Ragged.from_lists(rows)
    return rows_of(ragged, np.ones(len(ragged.values), np.float32), np.full(len(ragged), -1))


def check_hide_and_seek() -> None:
    """Each draw in its order: which rows hide, which side, how much stays; then entry by entry."""
    rows = [[0, 3, 7, 8], [2, 5], [6, 9], [], [1, 6, 7, 8, 9], [4, 8]] * 40
    n_items, keep = 6, (0.3, 0.9)
    found = multimodal.hide_and_seek(
        batch(rows), n_items, hidden_share=0.4, keep=keep, rng=np.random.default_rng(3)
    ).value.tolist()
    rng = np.random.default_rng(3)
    hide, which, kept = rng.random(len(rows)), rng.random(len(rows)), rng.uniform(*keep, len(rows))
    draws, expected, sides = iter(rng.random(sum(map(len, rows))).tolist()), [], set()
    for b, row in enumerate(rows):
        both = any(c < n_items for c in row) and any(c >= n_items for c in row)
        hidden = ("items" if which[b] < 0.5 else "attributes") if both and hide[b] < 0.4 else ""
        sides.add(hidden)
        for column in row:
            side = "items" if column < n_items else "attributes"
            expected.append(float(next(draws) < kept[b] and side != hidden))
    assert found == expected
    assert sides == {"", "items", "attributes"}
    everything = multimodal.hide_and_seek(
        batch(rows), n_items, hidden_share=0.0, keep=(1.0, 1.0), rng=np.random.default_rng(0)
    )
    assert everything.value.tolist() == [1.0] * sum(map(len, rows))


def check_characters() -> None:
    found = Characters.fit(TITLES)
    known = sorted({char for title in TITLES for char in letters(title)})
    assert [chr(point) for point in found.points.tolist()] == known
    assert {"비", "🎄", "f", "&", " "} <= set(known)  # NFKC makes two letters of a ligature
    assert "R" not in known
    assert "ﬁ" not in known
    for title in [*TITLES, "ROCK  rock\t", "unbekannt ß", "💿", " ", "x" * 90]:
        assert found.encode([title], longest=25)[0].tolist() == (codes_of(title, [*TITLES]) or [0])
        assert found.readable([title], longest=25)[0] == says_something(title, [*TITLES])
    table = found.encode(["run", "", None, "비 오는 날 run"], longest=5)
    assert table.shape == (4, 5)
    assert [int((row > 0).sum()) for row in table] == [3, 0, 0, 5]
    assert [chr(p) for p in Characters.fit(["ab", "bb", "c"], min_count=2).points.tolist()] == ["b"]


def slow_loss(z: NDArray[np.float64], rows: list[list[int]], weight: dict[int, float], alpha: float) -> float:
    total = 0.0
    for b, row in enumerate(rows):
        for column, counts in weight.items():
            p = 1 / (1 + math.exp(-z[b, column]))
            total -= math.log(p) if column in row else alpha * counts * math.log(1 - p)
    return total


def check_loss() -> None:
    """Over all columns, over some that are weighted up, with its gradients; and the sample has the whole's mean."""
    rng, rows = np.random.default_rng(5), [[0, 3, 7], [3], [], [1, 9]]
    code, vectors, bias = (torch.tensor(rng.normal(size=n), requires_grad=True) for n in ((4, 3), (10, 3), 10))
    z = (code @ vectors.T + bias).detach().numpy()
    own = np.unique([c for row in rows for c in row])
    for n_sampled in (2, 99):
        columns, weight = multimodal.sampled_columns(own, np.arange(10), n_sampled, np.random.default_rng(1))
        others = 10 - len(own)
        counts = {int(c): 1.0 if c in own else others / min(n_sampled, others) for c in columns}
        np.testing.assert_allclose(weight, list(counts.values()))
        assert list(counts) == sorted(counts)
        at = torch.from_numpy(columns)
        target = multimodal.Target(batch(rows), at, torch.from_numpy(weight.astype(np.float64)), 0.4)
        loss = multimodal.logistic(code, vectors[at], bias[at], target)
        assert abs(loss.item() - slow_loss(z, rows, counts, 0.4)) < 1e-9
        torch.autograd.gradcheck(
            lambda c, v, b, a=at, t=target: multimodal.logistic(c, v[a], b[a], t), (code, vectors, bias)
        )
    whole = slow_loss(z, rows, dict.fromkeys(range(10), 1.0), 0.4)
    sampled = []
    for seed in range(400):
        columns, weight = multimodal.sampled_columns(own, np.arange(10), 2, np.random.default_rng(seed))
        sampled.append(slow_loss(z, rows, dict(zip(columns.tolist(), weight.tolist(), strict=True)), 0.4))
    assert abs(np.mean(sampled) - whole) < 4 * np.std(sampled) / 20


def check_join() -> None:
    """By the rule, between knots, beyond the last; and learned where a title says much of short lists."""
    rule = counted_join.by_rule()
    assert rule.tolist() == [1 / (1 + n) for n in (0, 1, 2, 5, 10, 25, 50, 100)]
    n, titled = np.array([0, 0, 1, 3, 300, 7]), np.array([True, False, True, True, True, False])
    log = math.log
    between = (1 / 3) + (1 / 6 - 1 / 3) * (log(4) - log(3)) / (log(6) - log(3))
    np.testing.assert_allclose(counted_join.share_of(n, rule, titled), [1.0, 0.0, 0.5, between, 1 / 101, 0.0])
    # Short lists are best with a large share, long ones with a small one, and one list of two wants the contrary.
    n = np.array([1, 1, 2, 2, 30, 60, 60])
    best = np.array([0.9, 0.8, 0.7, 0.0, 0.1, 0.05, 0.2])
    quality = -np.abs(counted_join.GRID - best[:, None])
    quality = np.vstack([quality, np.full(len(counted_join.GRID), np.nan)])
    found = counted_join.learned(np.append(n, 5), quality)

    def slow(half: float, slope: float) -> float:
        at = [1 / (1 + (knot / half) ** slope) for knot in counted_join.KNOTS]
        shares = [np.interp(math.log(1 + m), np.log1p(counted_join.KNOTS), at) for m in n]
        return float(np.mean([np.interp(s, counted_join.GRID, q) for s, q in zip(shares, quality, strict=False)]))

    tried = {(h, s): slow(h, s) for h in counted_join.HALVES for s in counted_join.SLOPES}
    half, slope = max(tried, key=lambda key: tried[key])
    np.testing.assert_allclose(found, [1 / (1 + (knot / half) ** slope) for knot in (0, 1, 2, 5, 10, 25, 50, 100)])
    assert found[1] > 0.6 > 0.25 > found[-1], "it falls, and not as the rule does"
    assert (np.diff(found) < 0).all()
    nothing = np.full((2, len(counted_join.GRID)), np.nan)
    assert counted_join.learned(np.array([1, 2]), nothing).tolist() == rule.tolist()


CHECKS: dict[str, list[Callable[[], None]]] = {
    "mmcf": [
        check_scores, check_tied, check_authors, check_titles_of_values, check_taught, check_the_autoencoder_stays,
        check_hide_and_seek, check_characters, check_loss, check_join,
    ],
}  # fmt: skip
