"""Items added to a fitted model: it answers as one that had them in its table, and what it answered before stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from contract.cases import SMALL_LOG
from contract.logs import described
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.base import Model
from matinee.rank import recommend
from matinee.store import load_model, save_model

DATA = described()
assert DATA.item_features is not None
NEW = pl.DataFrame(
    {
        "item_id": [4_000, 12, 9_999],
        "tags": [["film", "1a", "1c"], ["film", "never seen", "3b"], None],
        "year": [1993, 1996, None],
        "vector": [DATA.item_features["vector"][30], DATA.item_features["vector"][2], None],
    }
)
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("content", {"k": 5}),
    ("content", {"how": "ridge", "l2": 20.0}),
    ("content", {"how": "ridge", "l2": 20.0, "own": False}),
    ("mmcf", {**SMALL_LOG["mmcf"], "epochs": 6}),
    ("ials", {"n_factors": 7, "item_features": ("tags", "vector"), "feature_l2": 1.0}),
    ("deepfm", {**SMALL_LOG["deepfm"], "fields": ("user", "item", "item.tags", "item.vector")}),
    ("autoint_plus", {**SMALL_LOG["autoint_plus"], "fields": ("user", "item.tags", "item"), "epochs": 30}),
]


def fitted(name: str, hyper: dict[str, Any], data: Dataset = DATA) -> Model:
    return registry.create(name, hyper).fit(data, seed=1)


@pytest.mark.parametrize(("name", "hyper"), MODELS, ids=str)
def test_old_items_keep_their_scores_and_new_ones_get_some(name: str, hyper: dict[str, Any], tmp_path: Path) -> None:
    model = fitted(name, hyper)
    before = model.score(DATA.queries()).copy()
    wider = model.with_items(NEW)
    assert model.items == DATA.items
    assert wider.items.ids.tolist() == sorted([*DATA.items.ids.tolist(), 12, 4_000, 9_999])
    old = wider.items.encode(DATA.items.series)
    found = wider.score(wider.data.queries())
    if "k" not in hyper:  # new items are among the neighbours of old ones
        np.testing.assert_allclose(found[:90][:, old], before[:90], rtol=1e-5, atol=1e-6)
    codes = [wider.items.code(item) for item in (4_000, 12, 9_999)]
    assert np.isfinite(found[:90][:, codes[:2]]).all()
    if name in ("content", "mmcf", "ials"):  # to a context model a missing value is a value
        assert (found[:90][:, codes[2]] == -np.inf).all()  # nothing is known of it
    # 4000 is of group 1: its people like it more than the others do
    scores = found[:90, codes[0]]
    group = np.arange(90) % 4
    assert scores[group == 1].mean() > scores[group != 1].mean()
    again = load_model(save_model(wider, tmp_path / "model"))
    assert again.score(wider.data.queries()).tobytes() == found.tobytes()
    assert (recommend(wider, wider.data.queries(), 5).item >= 0).all()
    assert model.score(DATA.queries()).tobytes() == before.tobytes()


def test_context_models_need_a_field_of_items() -> None:
    model = fitted("fm", {**SMALL_LOG["fm"], "fields": ("user", "item"), "epochs": 1})
    with pytest.raises(MatineeError, match="FM knows an item by its events alone"):
        model.with_items(NEW)


@pytest.mark.parametrize(("name", "hyper"), MODELS[:2], ids=str)
def test_it_is_as_if_they_had_been_in_the_table(name: str, hyper: dict[str, Any]) -> None:
    """With values whose numbers stay: of vectors alone, which have no vocabulary."""
    hyper = {**hyper, "attributes": ("vector",)}
    assert DATA.item_features is not None
    first = DATA.item_features.with_columns(item_id=DATA.items.series)
    table = pl.concat([first, NEW.select(first.columns)]).sort("item_id")
    items = IdMap.from_series(table["item_id"], what="item")
    moved = items.encode(DATA.items.series)
    whole = replace(DATA, items=items, item=moved[DATA.item], item_features=table.drop("item_id"))
    one, other = fitted(name, hyper).with_items(NEW), fitted(name, hyper, whole)
    np.testing.assert_allclose(one.score(whole.queries()), other.score(whole.queries()), rtol=1e-4, atol=1e-5)


def test_the_log_moves_its_codes() -> None:
    data = replace(DATA, dislikes=Dislikes(np.array([3], np.int32), np.array([7], np.int32)))
    wider = fitted("content", {}, data).with_items(NEW.drop("year").to_dict(as_series=False)).data
    assert wider.items.decode(wider.item) == data.items.decode(data.item)
    assert wider.dislikes is not None
    assert wider.items.decode(wider.dislikes.item) == data.items.decode([7])
    assert wider.item_features is not None
    assert wider.item_features.row(wider.items.code(12), named=True) == {
        "tags": ["film", "never seen", "3b"], "year": None, "vector": NEW["vector"][1].to_list(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"item_id": [DATA.items.ids[3]], "year": [1990]}, "known already"),
        ({"item_id": [12, 12], "year": [1990, 1991]}, "a second row describes 12"),
        ({"item_id": ["twelve"], "year": [1990]}, "no id as those of the log"),
        ({"item_id": [12], "tags": [7]}, "another kind"),
        ({"item_id": pl.Series([], dtype=pl.Int64)}, "no new item"),
    ],
)
def test_what_does_not_fit_is_said(table: Any, said: str) -> None:
    with pytest.raises(MatineeError, match=said):
        fitted("content", {}).with_items(pl.DataFrame(table))


@pytest.mark.parametrize("name", ["ease", "popularity", "item_knn", "title_match", "ials"])
def test_models_of_events_alone_say_so(name: str) -> None:
    with pytest.raises(MatineeError, match="by its events alone"):
        fitted(name, {}).with_items(NEW)
    with pytest.raises(MatineeError, match="not fitted"):
        registry.create(name).with_items(NEW)


def test_models_that_learn_features_in_a_fit_say_so() -> None:
    with pytest.raises(MatineeError, match="SASRec learns what items are like in a fit, so it cannot take new ones"):
        fitted("sasrec", {**SMALL_LOG["sasrec"], "item_features": ("tags",), "epochs": 1}).with_items(NEW)
