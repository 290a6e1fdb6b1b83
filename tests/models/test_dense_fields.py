"""Dense vectors of items as fields of context models: logits from the vectors by hand, new items, trees, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import matinee as mt
from contract.logs import described
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.data.features.context import ContextFields
from matinee.data.features.requests import ContextTables
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.families.boosted_features import FeatureBuilder, LogState
from matinee.models.families.pointwise import Pointwise
from oracle.interaction_checks import TRUTHS

N_USERS, N_ITEMS = 6, 5
VECTORS: list[list[float] | None] = [[3.0, 4.0, 0.0], None, [0.0, -2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]
UNIT = {0: [0.6, 0.8, 0.0], 2: [0.0, -1.0, 0.0], 3: [0.0] * 3, 4: [1 / 3, 2 / 3, 2 / 3]}
GENRES = [["a"], ["b"], [], ["a", "b"], ["b"]]
FIELDS = ("user", "item", "item.shape", "item.genres")
SMALL: dict[str, Any] = {"fields": FIELDS, "dim": 4, "epochs": 2, "batch_size": 4, "init_std": 0.3}
HYPER: dict[str, dict[str, Any]] = {
    "fm": {},
    "deepfm": {"layers": (5,), "dropout": 0.0},
    "autoint_plus": {"layers": (5,), "n_blocks": 1, "attention": 3, "dropout": 0.0},
}


def log(vectors: list[list[float] | None] = VECTORS) -> Dataset:
    """Nobody watched item 4."""
    user, item = np.nonzero((np.arange(N_USERS)[:, None] * 3 + np.arange(4) * 2) % 5 < 2)
    table = pl.DataFrame({"shape": vectors, "genres": GENRES}, schema_overrides={"genres": pl.List(pl.String)})
    maps = IdMap(np.arange(N_USERS), what="user"), IdMap(np.arange(N_ITEMS), what="item")
    return Dataset(*maps, user.astype(np.int32), item.astype(np.int32), item_features=table)


def fitted(name: str, data: Dataset | None = None, **hyper: Any) -> Pointwise:
    model = registry.create(name, {**SMALL, **HYPER[name], **hyper}).fit(data or log(), seed=3)
    assert isinstance(model, Pointwise)
    return model


def slow_logit(name: str, w: dict[str, NDArray[np.float64]], user: int, item: int) -> float:
    """From the table's rows: 2 + 6 of users, 2 + 5 of items, 2 + 3 of the vectors, 2 + 2 of genres; of each the first
    is for what is missing."""
    table = w["vectors.table.weight"]
    items, shape, genres = 8, 15, 20
    own = table[items + 1 if item == 4 else items + 2 + item]
    mapped = sum((x * table[shape + 2 + j] for j, x in enumerate(UNIT[item])), np.zeros(table.shape[1])) if (
        item in UNIT
    ) else table[shape]  # fmt: skip
    named = [table[genres + 2 + "ab".index(g)] for g in GENRES[item]] or [table[genres]]
    return TRUTHS[name](w, [table[2 + user]], [own, np.mean(named, axis=0), mapped])


@pytest.mark.parametrize("name", HYPER)
def test_a_vector_is_a_field_of_a_linear_map(name: str) -> None:
    model = fitted(name)
    w = {key: value.astype(np.float64) for key, value in model.fitted.learned.weights.items()}
    scores = model.score(model.data.queries())
    wanted = [[slow_logit(name, w, u, i) for i in range(N_ITEMS)] for u in range(N_USERS)]
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    pairs = Pairs(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32)[::-1].copy(), np.zeros(5, np.int32))
    logit = np.array([wanted[u][4 - u] for u in range(5)])
    np.testing.assert_allclose(model.predict(pairs), 1.0 / (1.0 + np.exp(-logit)), rtol=1e-4)


def test_they_are_fields_by_default_and_saved(tmp_path: Path) -> None:
    model = fitted("fm", fields=None)
    assert [field.name for field in model.net.tables.fields.fields] == ["user", "item", "item.genres", "item.shape"]
    mt.save_model(model, tmp_path / "model")
    again = mt.load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.score(model.data.queries()), model.score(model.data.queries()))


def test_the_map_learns_what_is_watched() -> None:
    """Items without an event are told apart by their vectors alone."""
    data = described()
    new = np.arange(0, data.n_items - 2, 6)
    train = data.rows(~np.isin(data.item, new))
    hyper = {"fields": ("user", "item.vector"), "dim": 8, "epochs": 40, "batch_size": 64, "learning_rate": 0.03}
    model = registry.create("fm", hyper).fit(train, seed=1)
    assert model.scores_unknown_items()
    watched = data.matrix().toarray()[:90][:, new] > 0
    scores = model.score(train.queries())[:90][:, new]
    assert (scores.argsort(axis=1).argsort(axis=1) / (len(new) - 1))[watched].mean() > 0.7  # 0.5 by chance


def test_vectors_of_users_may_come_with_the_request() -> None:
    rng = np.random.default_rng(2)
    known: list[list[float] | None] = [*rng.normal(size=(N_USERS - 1, 2)).tolist(), None]
    data = replace(log(), user_features=pl.DataFrame({"taste": known}))
    model = fitted("fm", data, fields=("user.taste", "item"))
    history = Ragged.from_lists([[], [], []])
    kind = pl.List(pl.Float64)

    def scores(users: list[int], tastes: list[list[float] | None]) -> NDArray[np.float32]:
        given = pl.DataFrame({"taste": tastes}, schema={"taste": kind})
        return model.score(Queries(np.array(users, np.int32), history, history, user_features=given))

    at_home = model.score(data.queries().take(np.array([0, 1, 2])))
    np.testing.assert_allclose(scores([0, 1, 2], [None] * 3), at_home, rtol=1e-5)
    np.testing.assert_allclose(scores([-1, 4, 2], [known[0], known[1], None]), at_home, rtol=1e-5)
    missing = Queries(np.array([-1, 5, 0], np.int32), history, history)
    assert model.fallback(missing).tolist() == [True, True, False]


def test_trees_have_a_column_for_each_number() -> None:
    data = log()
    tables = ContextTables(ContextFields.fit(data, ("item.genres", "item.shape")), data)
    rows = FeatureBuilder(LogState.of(data, np.zeros((N_ITEMS, N_ITEMS), np.float32)), tables)
    found = rows.of(data.queries(), np.zeros(5, np.int64), np.arange(5))
    at = rows.names.index("item.shape 0")
    assert rows.names[at : at + 3] == ("item.shape 0", "item.shape 1", "item.shape 2")
    assert found.shape == (5, len(rows.names))
    wanted = [UNIT.get(item, [np.nan] * 3) for item in range(5)]
    np.testing.assert_allclose(found[:, at : at + 3], wanted, rtol=1e-6)


def test_vectors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MatineeError, match="the vector has not 3 numbers") as error:
        fitted("fm", log([*VECTORS[:4], [1.0]]))
    assert error.value.where == "row 5, column 'shape'"
    with pytest.raises(MatineeError, match="not finite"):
        fitted("fm", log([*VECTORS[:4], [1.0, float("nan"), 0.0]]))
    with pytest.raises(MatineeError, match=r"'genres' has the type .*, not vectors") as error:
        fitted("fm", fields=("user", "item.genres:vector"))
    assert "without :vector" in str(error.value)
    with pytest.raises(MatineeError, match="'shape' has no vector of a row that has an event"):
        fitted("fm", log([None, None, None, None, [1.0]]))
    fields = ContextFields.fit(log(), FIELDS)
    with pytest.raises(MatineeError, match="have 2 numbers, not 3 as in training"):
        ContextTables(fields, log([[1.0, 2.0]] * 5))
    assert not ContextTables(fields, log([None] * 5)).items.dense[0].weight[:, 1:].any()
