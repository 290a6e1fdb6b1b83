"""What one model promises beyond the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, log, one_query
from matinee import split as splits
from matinee.data.dataset import Pairs, Split
from matinee.errors import MatineeError
from matinee.evaluate import evaluate
from matinee.models.biased_mf import BiasedMF
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.item_knn import ItemKNN
from matinee.models.logistic import Logistic
from matinee.models.popularity import Popularity
from matinee.models.user_knn import UserKNN
from matinee.rank import recommend


class TestPopularity:
    def test_decay_needs_times(self) -> None:
        with pytest.raises(MatineeError, match="no timestamps"):
            Popularity(half_life_days=7.0).fit(replace(groups(), timestamp=None))

    def test_a_day_of_age_halves_at_a_half_life_of_a_day(self) -> None:
        day = 86_400
        data = log(["a", "b", "c", "a"], ["old", "old", "mid", "new"], [day, 2 * day, 3 * day, 4 * day])
        scores = Popularity(half_life_days=1.0).fit(data).score(one_query([]))
        assert dict(zip(data.items.decode(range(3)), scores[0].tolist(), strict=True)) == {
            "old": 0.125 + 0.25,
            "mid": 0.5,
            "new": 1.0,
        }

    def test_ages_beyond_any_half_life_count_nothing_but_stay_known(self) -> None:
        data = log(["a", "b"], ["old", "new"], [0, 10**12])
        recs = recommend(Popularity(half_life_days=1e-9).fit(data), one_query([]), 2)
        assert data.items.decode(recs.item[0]) == ["new", "old"]
        assert recs.score[0].tolist() == [1.0, 0.0]

    def test_a_repeated_event_counts_again(self) -> None:
        data = log(["a", "a", "b"], ["x", "x", "y"], [1, 2, 3])
        assert Popularity().fit(data).score(one_query([]))[0].tolist() == [2.0, 1.0]


class TestEASE:
    def test_weights_are_one_float32_buffer_with_an_empty_diagonal(self) -> None:
        W = EASE().fit(groups()).fitted.learned.W
        assert W.dtype == np.float32
        assert W.flags.c_contiguous
        assert (np.diagonal(W) == 0.0).all()

    def test_repeats_in_the_log_do_not_count(self) -> None:
        data = groups()
        twice = data.rows(np.concatenate([np.arange(len(data)), np.arange(0, len(data), 3)]))
        assert EASE().fit(twice).fitted.learned.W.tobytes() == EASE().fit(data).fitted.learned.W.tobytes()

    def test_a_log_too_singular_for_its_ridge_is_solved_in_float64(self) -> None:
        users = [f"u{u}" for u in range(300) for _ in range(2)]
        data = log(users, ["a", "b"] * 300)  # two columns that are the same
        W = EASE(l2=1e-3).fit(data).fitted.learned.W
        exact = 300 / (300 + 1e-3)  # <a, b> / (<a, a> + l2)
        np.testing.assert_allclose(W, [[0, exact], [exact, 0]], rtol=1e-6)


class TestNeighbours:
    def test_item_knn_keeps_at_most_k_of_each_column(self) -> None:
        W = ItemKNN(k=3).fit(groups()).fitted.learned.W
        assert np.diff(W.tocsc().indptr).max() == 3
        assert np.diff(W.indptr).max() > 3, "a popular item is a neighbour of many"
        assert (W.diagonal() == 0).all()

    def test_user_knn_asks_others_only(self) -> None:
        data = log(["a", "a", "b"], ["x", "y", "z"], [1, 2, 3])
        model = UserKNN().fit(data)
        known, nobody = (model.score(one_query([0, 1], exclude=[], user=u))[0].tolist() for u in (0, -1))
        assert known == [0.0, 0.0, 0.0]
        np.testing.assert_allclose(nobody, [1.0, 1.0, 0.0], rtol=1e-6)


def test_ranking_models_predict_no_ratings() -> None:
    codes = np.zeros(1, np.int32)
    with pytest.raises(MatineeError, match="predicts no ratings"):
        EASE().fit(groups()).predict(Pairs(codes, codes, codes))


def test_a_failed_fit_leaves_the_earlier_one() -> None:
    model = Popularity(half_life_days=2.0).fit(groups())
    before = model.score(one_query([]))
    with pytest.raises(MatineeError, match="no timestamps"):
        model.fit(replace(groups(), timestamp=None))
    assert model.score(one_query([])).tobytes() == before.tobytes()


def test_a_curve_without_a_loss_is_no_sign_of_an_empty_log() -> None:
    """Of ratings that are all alike biased MF's error has no meaning; what it learned answers all the same."""
    alike = replace(groups(), value=np.ones(len(groups()), np.float32))
    model = BiasedMF(loss="bce", epochs=2).fit(alike)
    assert all(epoch["train_loss"] is None for epoch in model.curve)
    assert model.fallback(alike.queries()).tolist() == (alike.user_counts() == 0).tolist()


def test_a_fitted_member_needs_nothing_of_the_log() -> None:
    """It answers from its own tables, which a log's fingerprint leaves out."""
    data = groups()
    ages = pl.DataFrame({"age": np.arange(data.n_users)})
    member = Logistic(fields=("user", "item", "user.age"), epochs=1).fit(replace(data, user_features=ages))
    with pytest.raises(MatineeError, match=r"no field 'user\.age'"):
        Logistic(fields=("user", "item", "user.age")).fit(data)
    assert Ensemble(members=(member, "popularity"), weights=(1.0, 1.0)).fit(data).is_fitted


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda split: EASE().fit(split), "pass split.train"),
        (lambda split: recommend(EASE().fit(split.train), split.test), "split.test.queries"),
        (lambda split: recommend(EASE().fit(split.train), split.train), "data.queries"),
        (lambda split: evaluate(recommend(EASE().fit(split.train), split.test.queries), split), "pass split.test"),
    ],
)
def test_what_is_not_of_the_right_kind_says_which_is(wrong: Callable[[Split], Any], hint: str) -> None:
    with pytest.raises(MatineeError) as caught:
        wrong(splits.random(groups(), seed=1))
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_a_look_at_a_split_is_a_line() -> None:
    split = splits.random(groups(), seed=1)
    recs = recommend(EASE().fit(split.train), split.test.queries, 3)
    for one in (split, split.test, split.test.queries, split.test.truth, recs):
        assert len(repr(one)) < 1_000
        assert "array" not in repr(one)
    assert repr(recs) == f"Recommendations(3 items for each of {len(split.test)} queries)"
