"""Items added to a fitted model: it answers as one that had them in its table, and what it answered before stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from contract.cases import SMALL_LOG
from contract.logs import described
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.models.base import Model
from matinee.rank import recommend
from matinee.rules.rules import Rules
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
    ("fm", {**SMALL_LOG["fm"], "fields": ("user", "item.tags", "item")}),
]


def fitted(name: str, hyper: dict[str, Any], data: Dataset = DATA) -> Model:
    return registry.create(name, hyper).fit(data, seed=1)


@pytest.mark.parametrize(("name", "hyper"), MODELS, ids=str)
def test_old_items_keep_their_scores_and_new_ones_get_some(name: str, hyper: dict[str, Any], tmp_path: Path) -> None:
    model = fitted(name, hyper)
    before = model.score(DATA.queries()).copy()
    wider = model.with_items(NEW)
    assert model.items == DATA.items
    assert wider.items.ids.tolist() == [*DATA.items.ids.tolist(), 12, 4_000, 9_999], "old codes stay"
    found = wider.score(wider.data.queries())
    np.testing.assert_array_equal(wider.score(DATA.queries()), found)
    strangers = DATA.queries()
    strangers = replace(strangers, user=np.full(len(strangers), -1, np.int32))
    if "k" not in hyper:  # new items are among the neighbours of old ones
        np.testing.assert_allclose(found[:, : DATA.n_items], before, rtol=1e-5, atol=1e-6)
        newcomers = wider.score(strangers)[:, : DATA.n_items]
        np.testing.assert_allclose(newcomers, model.score(strangers), rtol=1e-4, atol=1e-5)
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
    bare = load_model(save_model(model, tmp_path / "bare", histories=False)).with_items(NEW)
    np.testing.assert_allclose(bare.score(DATA.queries()), found, rtol=1e-5, atol=1e-6)
    filtered = recommend(again, again.data.queries(), 3, rules=Rules(allow=[9_999, 12, DATA.items.ids[0]]))
    assert set(filtered.items.decode(filtered.item[filtered.item >= 0])) <= {9_999, 12, DATA.items.ids[0]}


@pytest.mark.parametrize(("name", "hyper"), MODELS, ids=str)
def test_one_after_the_other_is_as_together(name: str, hyper: dict[str, Any]) -> None:
    model = fitted(name, hyper)
    together = model.with_items(NEW[:2])
    apart = model.with_items(NEW[0:1]).with_items(NEW[1:2])
    assert apart.items.ids[-2:].tolist() == [4_000, 12]
    order = apart.items.encode(together.items.series)
    found = apart.score(DATA.queries())[:, order]
    np.testing.assert_allclose(found, together.score(DATA.queries()), rtol=1e-4, atol=1e-5)


def test_codes_of_texts_stay_too() -> None:
    data = mt.read({"user": [1, 1, 2], "item": ["b", "d", "d"]}, items={"item": ["b", "d"], "genres": [["x"], ["x"]]})
    wider = mt.models.Content().fit(data).with_items({"item_id": ["c", "a"], "genres": [["x"], ["y"]]})
    assert wider.items.ids.tolist() == ["b", "d", "a", "c"]
    assert [wider.items.code(name) for name in "abcd"] == [2, 0, 3, 1]
    assert wider.data.item_features is not None
    assert wider.data.item_features["genres"].to_list() == [["x"], ["x"], ["y"], ["x"]]


def test_a_model_that_learned_no_attribute_takes_none() -> None:
    plain = replace(DATA, item_features=None)
    with pytest.raises(MatineeError, match="MMCF knows an item by its events alone"):
        fitted("mmcf", {**SMALL_LOG["mmcf"], "epochs": 1}, plain).with_items(NEW)


def test_a_column_that_the_log_does_not_have_is_told() -> None:
    model = fitted("content", {})
    with pytest.warns(
        MatineeWarning, match="has no column 'tag', so it says nothing of the new items; did you mean tags"
    ):
        model.with_items({"item_id": [12], "tag": [["film"]]})


def test_a_composite_takes_them_through_its_members() -> None:
    members = [fitted(name, hyper) for name, hyper in (MODELS[1], MODELS[-1])]
    whole = mt.models.Ensemble(members=tuple(members), weights=(1.0, 1.0)).fit(DATA)
    with pytest.raises(MatineeError, match="Ensemble takes new items through its members alone"):
        whole.with_items(NEW)
    wider = [model.with_items(NEW) for model in members]
    again = mt.models.Ensemble(members=tuple(wider), weights=(1.0, 1.0)).fit(wider[0].data)
    assert np.isfinite(again.score(DATA.queries())[:90, -2]).all()


def test_context_models_need_a_field_of_items() -> None:
    model = fitted("fm", {**SMALL_LOG["fm"], "fields": ("user", "item"), "epochs": 1})
    with pytest.raises(MatineeError, match="FM knows an item by its events alone"):
        model.with_items(NEW)


@pytest.mark.parametrize(("name", "hyper"), MODELS[:2], ids=str)
def test_it_is_as_if_they_had_been_in_the_table(name: str, hyper: dict[str, Any]) -> None:
    """With values whose numbers stay: of vectors alone, which have no vocabulary."""
    hyper = {**hyper, "attributes": ("vector",), "k": 200}  # no tie lies at a cut
    assert DATA.item_features is not None
    first = DATA.item_features.with_columns(item_id=DATA.items.series)
    table = pl.concat([first, NEW.select(first.columns)]).sort("item_id")
    items = IdMap.from_series(table["item_id"], what="item")
    moved = items.encode(DATA.items.series)
    whole = replace(DATA, items=items, item=moved[DATA.item], item_features=table.drop("item_id"))
    one, other = fitted(name, hyper).with_items(NEW), fitted(name, hyper, whole)
    order = one.items.encode(items.series)
    found = one.score(DATA.queries())[:, order]
    np.testing.assert_allclose(found, other.score(whole.queries()), rtol=1e-4, atol=1e-5)


def test_the_log_stays_as_it_is() -> None:
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
        ({"item_id": [12], "year": ["1999"]}, "the column 'year' holds String"),
        ({"item_id": [12, 12], "year": [1990, 1991]}, "a second row describes 12"),
        ({"item_id": ["twelve"], "year": [1990]}, "no id as those of the log"),
        ({"item_id": [12], "tags": [7]}, "the column 'tags' holds Int64, and in the log's table of items List"),
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
