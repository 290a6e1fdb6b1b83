"""Hyper-parameters and learned arrays, as people read them."""

from __future__ import annotations

import pytest

import matinee as mt
from contract.logs import groups
from matinee.errors import MatineeError
from matinee.models.hyper_parameters import HyperParameter, LearnedArray
from matinee.models.registry import model_class, names


def test_a_name_a_class_and_a_model_are_described_alike() -> None:
    by_name, by_class = mt.describe("item_knn"), mt.describe(mt.models.ItemKNN)
    given = {each.name: each for each in mt.describe(mt.models.ItemKNN(k=20, half_life=3))}
    assert by_name == by_class
    assert [each.name for each in by_name] == list(given) == list(mt.models.ItemKNN.model_fields)
    assert [each.value for each in by_name] == [None] * len(by_name)
    assert (given["k"].value, given["half_life"].value, given["weighting"].value) == (20, 3.0, "tfidf")


def test_types_defaults_and_ranges_are_as_a_command_line_takes_them() -> None:
    found = {each.name: each for each in mt.describe("item_knn")}
    assert (found["weighting"].type, found["weighting"].range) == ("none | tfidf | bm25", "none, tfidf, bm25")
    half_life = found["half_life"]
    assert half_life == HyperParameter("half_life", "float | none", None, "", half_life.meaning)
    assert (found["k"].type, found["k"].range, found["shrinkage"].range) == ("int", "10 to 1000 (log)", "0 to 100")
    members = {each.name: (each.type, each.default) for each in mt.describe("ensemble")}["members"]
    assert members == ("[Model, ...]", "required")


@pytest.mark.parametrize("name", names())
def test_every_hyper_parameter_has_a_meaning(name: str) -> None:
    assert [each.name for each in mt.describe(name) if not each.meaning] == []
    assert [each.name for each in mt.describe(name)] == list(model_class(name).model_fields)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(MatineeError, match="ease"):
        mt.describe("eese")


def test_learned_arrays_of_a_model_and_of_members() -> None:
    data = groups()
    knn = mt.models.ItemKNN(k=2).fit(data)
    (array,) = mt.learned_arrays(knn)
    assert array == LearnedArray("W", (data.n_items, data.n_items), "float32, sparse", knn.fitted.learned.W.nnz)
    pair = mt.models.Ensemble(members=["ease", "popularity"], weights=[1, 1]).fit(data)
    found = {array.name: array for array in mt.learned_arrays(pair)}
    assert found["members/0/W"] == LearnedArray(
        "members/0/W", (data.n_items, data.n_items), "float32, dense", data.n_items**2
    )
    assert set(found) == {"members/0/W", "members/1/counts", "weights"}
    with pytest.raises(MatineeError, match="not fitted"):
        mt.learned_arrays(mt.models.EASE())
