"""What weights of events do to models: who uses them, what a constant changes, and what is said where they are lost."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from contract.cases import SMALL_LOG
from contract.logs import groups, last_hidden
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeWarning
from matinee.evaluate.stopping import StoppingMetric, measure
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.bpr import BPR, drawn
from matinee.models.cdae import CDAE
from matinee.models.ensemble import Ensemble
from matinee.models.gmf import GMF
from matinee.models.hyper_parameters import weights_used
from matinee.models.multi_dae import MultiDAE
from matinee.models.rerank import Rerank
from matinee.models.svd import SVD
from matinee.rank import recommend

IGNORES = {"auto_rec", "bayesian_mf", "biased_mf", "lightgbm", "mmcf", "prod2vec"}
SHORT = {"epochs": 2, "batch_size": 30}
QUICK: dict[str, dict[str, Any]] = {
    "bpr": {"n_factors": 8, "epochs": 3},
    "gmf": {"dim": 4, **SHORT},
    "multi_dae": {"hidden": 8, **SHORT},
    "dae": {"hidden": 8, **SHORT},
    "sasrec": {"dim": 8, **SHORT},
    "gru4rec": {"dim": 8, "hidden": 8, "loss": "bpr_max", "n_negatives": 8, **SHORT},
}


@cache
def weighed() -> Dataset:
    data = groups()
    weight = np.random.default_rng(2).choice([0.5, 1.0, 2.0, 8.0], len(data)).astype(np.float32)
    return replace(data, weight=weight)


def times(factor: float) -> Dataset:
    weight = weighed().weight
    assert weight is not None
    return replace(weighed(), weight=weight * np.float32(factor))


def test_who_uses_weights() -> None:
    members = {"members": ["ease"]}
    given: dict[str, Any] = {
        "ensemble": members,
        "stacking": members,
        "rerank": {"first": "popularity", "second": "ease"},
    }
    given |= {name: {"base": "ease"} for name in ("mmr", "calibrated", "popularity_discount")}
    found = {name for name in registry.names() if not registry.create(name, given.get(name, {})).uses_weights()}
    assert found == IGNORES
    assert SVD().uses_weights()
    assert not SVD(centred=True).uses_weights(), "there ratings are learned"


def test_what_is_said_of_weights() -> None:
    assert weights_used(registry.model_class("ease")) == "used"
    assert weights_used(registry.model_class("prod2vec")) == "ignored"
    assert weights_used(SVD(centred=True)) == "ignored"
    assert weights_used(Ensemble) == "as its members do"
    assert weights_used(Ensemble(members=["prod2vec", "biased_mf"])) == "ignored"


def test_a_composite_uses_weights_where_a_member_does() -> None:
    assert Ensemble(members=["lightgbm", "ease"]).uses_weights()
    assert not Ensemble(members=["lightgbm", "biased_mf"]).uses_weights()
    assert Rerank(first="popularity", second="lightgbm").uses_weights()


def test_a_model_that_ignores_weights_says_so_once() -> None:
    model = registry.create("prod2vec", {"dim": 4, "epochs": 1})
    with pytest.warns(MatineeWarning) as said:
        model.fit(weighed())
    assert [str(w.message) for w in said] == [
        "log has weights, and Prod2vec does not use them: to it every event counts the same "
        "(`matinee models show NAME` says which models use weights)"
    ]
    with pytest.warns(MatineeWarning, match="Prod2vec does not use them") as said:
        Rerank(first=registry.create("prod2vec", {"dim": 4, "epochs": 1}), second="ease").fit(weighed())
    assert len(said) == 1, "the member says it, the composite does not say it again"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.create("ease").fit(weighed())
        model.fit(groups())


@pytest.mark.parametrize("name", QUICK)
def test_where_rates_of_learning_keep_their_meaning_a_constant_changes_no_byte(name: str) -> None:
    """Weights count over their mean. A power of two times the weights is exact."""
    one, other = (registry.create(name, QUICK[name]).fit(data, seed=1) for data in (weighed(), times(4.0)))
    scores = [model.score(model.data.queries())[:-1] for model in (one, other)]  # but of who watched nothing
    assert scores[0].tobytes() == scores[1].tobytes()


@pytest.mark.parametrize("name", ["popularity", "item_knn", "user_knn", "svd", "svd_ae"])
def test_where_the_theory_has_no_scale_a_constant_changes_no_list(name: str) -> None:
    """Counts, cosines and directions. A ridge, pseudo-events or bm25's saturation has a scale: EASE, SLIM, iALS, Markov
    and PCTM weigh it against the weights."""
    hyper = SMALL_LOG.get(name, {})
    lists = [
        recommend(registry.create(name, hyper).fit(data), data.queries(), 10).item for data in (weighed(), times(8.0))
    ]
    np.testing.assert_array_equal(lists[0], lists[1])


def test_a_ridge_has_a_scale() -> None:
    scores = [registry.create("ease").fit(data).fitted.learned.W for data in (weighed(), times(8.0))]
    assert np.abs(scores[0] - scores[1]).max() > 1e-3


def one_sided() -> Dataset:
    """Events of even items weigh 8, those of odd ones a quarter."""
    data = groups()
    weight = np.where(data.item % 2 == 0, 8.0, 0.25).astype(np.float32)
    return replace(data, weight=weight)


@pytest.mark.parametrize("name", ["bpr", "multi_dae", "pctm", "ials"])
def test_heavier_items_are_recommended_more(name: str) -> None:
    """Events of even items weigh 32 times as much as those of odd ones."""
    hyper: dict[str, Any] = {
        **SMALL_LOG.get(name, {}),
        **({"epochs": 12} if name not in ("pctm", "bpr", "ials") else {}),
    }

    def share(data: Dataset) -> float:
        model = registry.create(name, hyper).fit(data, seed=1)
        item = recommend(model, data.queries(), 10).item[:-1]  # but who watched nothing
        return float((item % 2 == 0).mean())

    assert share(one_sided()) > share(groups()) + 0.1


def test_draws_in_proportion_to_weights() -> None:
    weight = np.array([1, 1, 6, 0.5, 1.5], np.float32)  # over their mean: .5, .5, 3, .25, .75
    counts = np.array([np.bincount(drawn(weight, np.random.default_rng(s)), minlength=5) for s in range(2000)])
    assert (counts.sum(axis=1) == 5).all()
    assert (counts >= np.floor(weight / 2)).all()
    assert (counts <= np.ceil(weight / 2)).all()
    np.testing.assert_allclose(counts.mean(axis=0), weight / 2, atol=5 * 0.5 / np.sqrt(2000))
    even = drawn(np.full(7, 0.1, np.float32), np.random.default_rng(0))
    assert even.tolist() == list(range(7))


def test_newcomers_are_answered_by_their_weights() -> None:
    """A heavy event moves a newcomer's answers towards it, in models that learn a vector of each user too."""
    data = groups()
    group = [data.histories()[u] for u in (0, 1)]  # of two tastes

    def asked(heavy: int) -> Queries:
        history = np.concatenate([group[0][:4], group[1][:4]])
        weight = np.where(np.arange(8) // 4 == heavy, 16.0, 0.5).astype(np.float32)
        return Queries(np.array([-1], np.int32), Ragged.from_lists([history]), Ragged.empty(1), history_weights=weight)

    models: list[Model] = [
        BPR(n_factors=8, epochs=40),
        GMF(dim=8, epochs=5, batch_size=100, learning_rate=0.05),
        MultiDAE(hidden=16, epochs=10, batch_size=20, learning_rate=0.02),
        CDAE(hidden=16, epochs=10, batch_size=20, learning_rate=0.02),
        registry.create("ials"),
    ]
    for model in models:
        model.fit(data, seed=1)

        def lean(heavy: int, model: Model = model) -> float:
            scores: Floats = model.score(asked(heavy))[0]
            return float(scores[group[0][4:]].mean() - scores[group[1][4:]].mean())

        assert lean(0) > lean(1), type(model).__name__


def test_early_stopping_by_dislikes_wants_few() -> None:
    train, valid = last_hidden(groups())
    model = registry.create("popularity").fit(train)
    best = recommend(model, valid.queries, 5).item
    against = replace(valid, dislikes=Ragged.from_lists(best[:, :2]))
    assert measure(model, against, StoppingMetric.parse("disliked@5")) == pytest.approx(-2 / 5)
