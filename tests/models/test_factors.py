"""What the factor family promises beyond the contract: whose vector answers, what is refused, what predict sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from matinee import split as splits
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.biased_mf import BiasedMF
from matinee.models.families.factors import Factors, RatingFactors
from matinee.models.families.user_vectors import hash_rows

RATING = ["biased_mf", "bayesian_mf"]
ALL = ["ials", "bpr", *RATING]


def log() -> Dataset:
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.permutation(40 * 30)[:500], 30)
    value = rng.integers(1, 6, 500).astype(np.float32)
    return Dataset(IdMap(np.arange(40)), IdMap(np.arange(30)), user.astype(np.int32), item.astype(np.int32), value)


def fit(name: str) -> Factors:
    model = registry.create(name).fit(log(), seed=1)
    assert isinstance(model, Factors)
    return model


@pytest.mark.parametrize("name", ALL)
def test_a_kept_vector_answers_only_the_history_it_belongs_to(name: str) -> None:
    model = fit(name)
    learned = model.fitted.learned
    model.restore(replace(model.fitted, learned=replace(learned, U=learned.U + 1.0)))
    queries = model.data.queries()
    np.testing.assert_array_equal(model.vectors(queries), learned.U + 1.0)
    shorter = Queries(queries.user, queries.history.keep(np.arange(len(model.data)) > 0), queries.exclude)
    shorter = replace(shorter, history_ratings=None if queries.history_ratings is None else queries.history_ratings[1:])
    found = model.vectors(shorter)
    np.testing.assert_array_equal(found[1:], learned.U[1:] + 1.0)
    assert not np.allclose(found[0], learned.U[0] + 1.0)
    nobody = replace(queries, user=np.full(len(queries), -1, np.int32))
    np.testing.assert_array_equal(model.vectors(nobody), learned.U)


@pytest.mark.parametrize("name", RATING)
def test_another_rating_is_another_history(name: str) -> None:
    model = fit(name)
    queries = model.data.queries()
    assert queries.history_ratings is not None
    changed = queries.history_ratings.copy()
    changed[0] = 6 - changed[0] if changed[0] != 3 else 1
    found = model.vectors(replace(queries, history_ratings=changed))
    assert (found[0] != model.fitted.learned.U[0]).any()
    assert (found[1:] == model.fitted.learned.U[1:]).all()


@pytest.mark.parametrize("name", RATING)
def test_a_rating_model_says_that_it_needs_ratings(name: str) -> None:
    with pytest.raises(MatineeError, match="no ratings"):
        registry.create(name).fit(replace(log(), value=None))


@pytest.mark.parametrize("name", RATING)
def test_predictions_are_ratings_and_see_the_history_asked_for(name: str) -> None:
    model = fit(name)
    data = model.data
    pairs = Pairs(data.user, data.item, data.user)
    found = model.predict(pairs)
    assert found.dtype == np.float32
    assert found.min() >= 1
    assert found.max() <= 5
    np.testing.assert_array_equal(found, model.predict(pairs, data.queries()))
    other = Queries(np.full(40, -1, np.int32), Ragged.empty(40), Ragged.empty(40))
    assert (model.predict(pairs, other) != found).any()
    unseen = replace(pairs, user=np.where(data.user == 0, -1, data.user).astype(np.int32))
    np.testing.assert_array_equal(model.predict(unseen)[data.user != 0], found[data.user != 0])
    np.testing.assert_allclose(model.predict(unseen)[data.user == 0], model.predict(pairs, other)[data.user == 0])
    for wrong in (
        replace(pairs, item=pairs.item + 1),
        replace(pairs, user=pairs.user + 1),
        replace(pairs, query=pairs.query[1:]),
    ):
        with pytest.raises(MatineeError):
            model.predict(wrong)
    with pytest.raises(MatineeError, match="query row"):
        model.predict(replace(pairs, query=pairs.query + 1), data.queries())


@pytest.mark.parametrize("name", RATING)
def test_equal_ratings_are_no_trouble(name: str) -> None:
    data = log()
    hyper = [{}, {"loss": "bce"}] if name == "biased_mf" else [{}]
    for settings in hyper:
        model = registry.create(name, settings).fit(replace(data, value=np.full(len(data), 4, np.float32)))
        assert isinstance(model, RatingFactors)
        np.testing.assert_allclose(model.predict(Pairs(data.user, data.item, data.user)), 4, atol=1e-5)


def test_a_rate_that_diverges_is_named() -> None:
    with pytest.raises(MatineeError, match=r"epoch [0-9]+ at learning rate 1e"):
        registry.create("bpr", {"learning_rate": 1e20}).fit(log())


def test_hashes_know_items_and_ratings_and_not_their_order() -> None:
    rows = Ragged.from_lists([[1, 2, 3], [3, 1, 2], [1, 2], [1, 2, 2], [2, 1], []])
    plain = hash_rows(rows, None)
    assert plain[0] == plain[1]
    assert plain[2] == plain[4]
    assert len(set(plain.tolist())) == 4
    ratings = np.arange(len(rows.values), dtype=np.float32)
    assert len(set(hash_rows(rows, ratings).tolist())) == 6


@pytest.mark.parametrize("loss", ["squared", "bce"])
def test_equal_ratings_and_a_holdout_without_any_are_ordinary(loss: Literal["squared", "bce"]) -> None:
    """Cross-entropy of a scale without length has no meaning, so nothing is measured, and nothing fails."""
    data = replace(log(), value=np.full(500, 3.0, np.float32))
    unrated = replace(splits.random(data, seed=3).valid, pairs=None)
    model = BiasedMF(n_factors=2, loss=loss, epochs=2).fit(data, valid=unrated)
    assert [epoch["valid_metric"] for epoch in model.curve] == [None, None]
    assert all((epoch["train_loss"] is None) == (loss == "bce") for epoch in model.curve)
    assert model.for_refit() is model
