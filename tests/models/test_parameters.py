"""get_params, set_params and scikit-learn's clone, on every model."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from contract.logs import groups
from matinee import split
from matinee.errors import MatineeError
from matinee.evaluate import evaluate
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.item_knn import ItemKNN
from matinee.models.rerank import Rerank
from matinee.models.user_knn import UserKNN
from matinee.rank import recommend

NEEDED: dict[str, dict[str, Any]] = {
    "ensemble": {"members": ["ease", "item_knn"]},
    "stacking": {"members": ["ease", "item_knn"]},
    "rerank": {"first": "ease", "second": "item_knn"},
    **{name: {"base": "ease"} for name in ("mmr", "calibrated", "popularity_discount")},
}


def made(name: str) -> Model:
    return registry.create(name, NEEDED.get(name))


@pytest.mark.parametrize("name", registry.names())
def test_every_model_is_cloned_and_takes_its_own_parameters(name: str) -> None:
    model = made(name)
    params = model.get_params(deep=False)
    assert list(params) == list(type(model).model_fields)
    twin = clone(model)
    assert twin is not model
    assert type(twin) is type(model)
    assert twin == model
    assert not twin.is_fitted
    again = made(name).set_params(**params)
    assert again.get_params(deep=False) == params
    for field, value in params.items():
        if isinstance(value, float) and field != "half_life":
            assert model.set_params(**{field: value}) is model
            assert getattr(model, field) == value


def test_a_fitted_model_is_cloned_without_what_it_learned() -> None:
    model = EASE(l2=7.0).fit(groups())
    twin = clone(model)
    assert (twin.l2, twin.is_fitted, model.is_fitted) == (7.0, False, True)


def test_setting_changes_in_place_and_forgets_what_was_learned() -> None:
    data = groups()
    model = EASE().fit(data)
    assert model.set_params() is model
    assert model.is_fitted
    assert model.set_params(l2=20) is model
    assert repr(model) == "EASE(l2=20.0) [not fitted]"
    assert model.model_dump() == EASE(l2=20.0).model_dump()
    assert model.model_fields_set >= {"l2"}
    queries = data.queries()
    assert np.array_equal(model.fit(data).score(queries), EASE(l2=20.0).fit(data).score(queries))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"l3": 1}, "no hyper-parameter 'l3'"),
        ({"l2": -1.0}, "l2 = -1.0"),
        ({"l2__x": 1}, r"EASE has no hyper-parameter 'l2__x'(.|\n)*members of models"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(params: dict[str, float], words: str) -> None:
    model = EASE(l2=5.0).fit(groups())
    with pytest.raises(MatineeError, match=words):
        model.set_params(**({"dropout": 0.25} | params))
    assert model.is_fitted
    assert model == EASE(l2=5.0)


class TestMembers:
    def test_are_named_as_scikit_learn_does(self) -> None:
        model = Ensemble(members=[EASE(l2=3.0), ItemKNN(k=9)])
        params = model.get_params()
        assert (params["members__0"], params["members__0__l2"], params["members__1__k"]) == (EASE(l2=3.0), 3.0, 9)
        assert set(model.get_params(deep=False)) == set(Ensemble.model_fields) > {"members", "weights", "method"}
        inner = Rerank(first="ease", second=model).get_params()
        assert inner["first__l2"] == 300.0
        assert inner["second__members__1__k"] == 9

    def test_are_set_by_these_names_without_touching_the_objects_given(self) -> None:
        ease, data = EASE(l2=3.0).fit(groups()), groups()
        model = Ensemble(members=[ease, "item_knn"], weights=[1.0, 1.0]).fit(data)
        model.set_params(members__0__l2=4.0, members__1="user_knn", members__1__k=5, method="zscore")
        assert model.members == (EASE(l2=4.0), UserKNN(k=5))
        assert (model.method, model.is_fitted, ease.l2, ease.is_fitted) == ("zscore", False, 3.0, True)
        deep = Rerank(first="ease", second=model).set_params(second__members__1__k=6, first="item_knn", n=50)
        assert (deep.first, deep.n) == (ItemKNN(), 50)
        assert deep.get_params()["second__members__1__k"] == 6
        assert model.members[1] == UserKNN(k=5)

    def test_more_members_than_before_and_theirs_in_one_call(self) -> None:
        model = Ensemble(members=["ease"])
        model.set_params(members=["ease", "item_knn", "user_knn"], members__2__k=4)
        assert model.members == (EASE(), ItemKNN(), UserKNN(k=4))

    def test_unknown_places_are_refused(self) -> None:
        model = Ensemble(members=["ease"])
        with pytest.raises(MatineeError, match=r"no hyper-parameter 'members__1__k'(.|\n)*members__0"):
            model.set_params(members__1__k=4)
        with pytest.raises(MatineeError, match="no hyper-parameter 'l3'"):
            model.set_params(members__0__l3=4)

    def test_clones_are_not_fitted_either(self) -> None:
        ease = EASE(l2=3.0).fit(groups())
        twin = clone(Ensemble(members=[ease, "item_knn"]))
        assert twin.members == (EASE(l2=3.0), ItemKNN())
        assert not any(member.is_fitted for member in twin.members)
        assert ease.is_fitted


def test_a_loop_over_a_grid_finds_what_fits_of_each_alone_find() -> None:
    parts = split.random(groups(), seed=2)

    def measured(model: Model) -> float:
        recs = recommend(model.fit(parts.train), parts.valid.queries, 10)
        return evaluate(recs, parts.valid, k=10, metrics=["ndcg"]).mean("ndcg", 10).value

    base = EASE()
    grid = ParameterGrid({"l2": [1.0, 3000.0], "dropout": [0.0, 0.5]})
    found = [measured(clone(base).set_params(**params)) for params in grid]
    assert found == [measured(EASE(**params)) for params in grid]
    assert len(set(found)) > 1


def test_the_signatures_are_scikit_learns() -> None:
    assert list(inspect.signature(Model.get_params).parameters) == ["self", "deep"]
    assert inspect.signature(Model.get_params).parameters["deep"].default is True
