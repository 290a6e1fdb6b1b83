"""Negatives against sets and loops, their distribution against the formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from data.samples import real
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.data.read.catalog import load
from matinee.errors import MatineeError
from matinee.nn.sampling import Disliked, Positives, Sampler, hardest, in_batch, negatives

Pairs = list[tuple[int, int]]


def log_of(pairs: Pairs, n_users: int, n_items: int) -> Dataset:
    user, item = (np.array([pair[at] for pair in pairs], np.int32) for at in (0, 1))
    return Dataset(IdMap(np.arange(n_users), what="user"), IdMap(np.arange(n_items), what="item"), user, item)


# Nobody watched item 6. User 0 watched all the others, user 3 all the others but item 4, some of them twice; user 2
# watched nothing
SMALL = log_of(
    [(0, i) for i in range(6)] + [(3, 0), (3, 1), (3, 1), (3, 2), (3, 3), (3, 5), (3, 5)] + [(1, 5), (1, 0), (1, 4)],
    4,
    7,
)


def popular(data: Dataset, alpha: float = 1.0) -> Sampler:
    return Sampler.popularity(data.item_counts(), alpha)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@st.composite
def logs(draw: Callable[..., Any]) -> Dataset:
    n_users, n_items = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    pair = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    return log_of(draw(st.lists(pair, min_size=1, max_size=40)), n_users, n_items)


class TestSampler:
    @pytest.mark.parametrize("alpha", [1.0, 0.75, 0.0, -0.5])
    def test_log_q_is_the_log_of_powers_of_counts(self, alpha: float) -> None:
        counts = [3, 0, 10, 1, 0, 250]
        weights = [c**alpha if c else 0.0 for c in counts]
        log_q = Sampler.popularity(counts, alpha).log_q
        assert log_q.dtype == np.float32
        np.testing.assert_allclose(np.exp(log_q), np.array(weights) / sum(weights), rtol=1e-6)
        assert np.isneginf(log_q[[1, 4]]).all()

    def test_uniform_draws_untrained_items_too(self) -> None:
        sampler = Sampler.of(SMALL)
        np.testing.assert_allclose(np.exp(sampler.log_q), np.full(7, 1 / 7), rtol=1e-6)
        assert set(sampler.draw(500, rng()).tolist()) == set(range(7))

    def test_by_name(self) -> None:
        assert Sampler.of(SMALL, "popularity", 0.3).log_q.tolist() == popular(SMALL, 0.3).log_q.tolist()

    @pytest.mark.parametrize("alpha", [None, 1.0, 0.75, 0.0, 1.5])
    def test_draws_follow_log_q(self, alpha: float | None) -> None:
        counts = np.array([5, 0, 80, 1, 17, 0, 300, 42, 2, 9, 9])
        sampler = Sampler.uniform(11) if alpha is None else Sampler.popularity(counts, alpha)
        drawn = sampler.draw(200_000, rng(7))
        assert drawn.dtype == np.int64
        follows(drawn, np.exp(sampler.log_q.astype(np.float64)))

    def test_a_thousand_uneven_items(self) -> None:
        counts = rng(1).lognormal(3.0, 1.0, 1000).round() + 1
        sampler = Sampler.popularity(counts, 0.75)
        follows(sampler.draw(400_000, rng(2)), counts**0.75 / (counts**0.75).sum())

    @settings(max_examples=60)
    @given(counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any), alpha=st.floats(0.0, 2.0))
    def test_the_table_adds_up_to_log_q(self, counts: list[int], alpha: float) -> None:
        sampler = Sampler.popularity(counts, alpha)
        assert sampler.keep is not None
        assert sampler.other is not None
        p = np.zeros(len(counts))
        for item, other, keep in zip(sampler.items, sampler.other, sampler.keep, strict=True):
            p[item] += keep / len(sampler.items)
            p[other] += (1 - keep) / len(sampler.items)
        weights = np.array([c**alpha if c else 0.0 for c in counts])
        np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(np.exp(sampler.log_q), p, rtol=1e-5, atol=1e-14)

    def test_counts_that_differ_by_ten_orders_are_no_overflow(self) -> None:
        sampler = Sampler.popularity([1, 10**10, 0], 100.0)
        assert sampler.log_q[1] == 0.0
        assert (sampler.draw(1000, rng()) == 1).all()

    @pytest.mark.parametrize("sampler", [Sampler.uniform(20), Sampler.popularity(np.r_[np.arange(1.0, 21.0), 0.0])])
    def test_distinct_draws_are_distinct_and_all_items_take_their_turn(self, sampler: Sampler) -> None:
        rng = np.random.default_rng(0)
        drawn = np.array([sampler.distinct(5, rng) for _ in range(4_000)])
        assert all(len(set(row)) == 5 for row in drawn)
        np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=20), np.full(20, 1_000), rtol=0.15)
        assert sorted(sampler.distinct(50, rng)) == list(range(20)), "all there are"

    def test_same_seed_same_bytes(self) -> None:
        for sampler in (Sampler.uniform(50), Sampler.popularity(np.arange(50))):
            one, other = (sampler.draw(999, rng(3)).tobytes() for _ in range(2))
            assert one == other
            assert sampler.draw(999, rng(4)).tobytes() != one

    @pytest.mark.parametrize("counts", [[0, 0], [], [1, -1], [1.0, np.nan], [1.0, np.inf]])
    def test_counts_that_are_none(self, counts: list[float]) -> None:
        with pytest.raises(MatineeError, match=r"event|not numbers"):
            Sampler.popularity(counts)

    def test_no_items_and_no_number(self) -> None:
        with pytest.raises(MatineeError, match="no items"):
            Sampler.uniform(0)
        with pytest.raises(MatineeError, match="alpha = nan"):
            Sampler.popularity([1, 2], float("nan"))


def follows(drawn: NDArray[np.int64], p: NDArray[np.float64]) -> None:
    """Chi-square at a fixed seed; what is impossible was never drawn."""
    found = np.bincount(drawn, minlength=len(p))
    possible = p > 0
    assert found[~possible].sum() == 0
    wanted = p[possible] / p[possible].sum() * len(drawn)
    assert wanted.min() >= 5, "too few draws for the test to hold"
    assert stats.chisquare(found[possible], wanted).pvalue > 0.001


class TestPositives:
    @settings(max_examples=60)
    @given(data=logs())
    def test_against_a_set(self, data: Dataset) -> None:
        pairs = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
        user, item = (grid.ravel() for grid in np.mgrid[-1 : data.n_users, 0 : data.n_items])
        found = Positives.of(data).contain(user, item)
        assert found.tolist() == [pair in pairs for pair in zip(user.tolist(), item.tolist(), strict=True)]

    def test_threads_do_not_matter(self) -> None:
        data = log_of([(u, (u * i) % 50) for u in range(9) for i in range(20)], 9, 50)
        user, item = rng().integers(-1, 9, 200_000), rng(1).integers(0, 50, 200_000)
        pairs = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
        found = Positives.of(data).contain(user, item)
        assert found.tolist() == [pair in pairs for pair in zip(user.tolist(), item.tolist(), strict=True)]

    def test_codes_of_another_log_are_refused(self) -> None:
        positives = Positives.of(SMALL)
        for users in ([4], [-2]):
            with pytest.raises(MatineeError, match=r"not in -1\.\.3"):
                positives.contain(np.array(users), np.array([0]))
            with pytest.raises(MatineeError, match=r"not in -1\.\.3"):
                in_batch(np.array(users), np.array([0]), positives)
        with pytest.raises(MatineeError, match="not pairs"):
            positives.contain(np.array([0, 1]), np.array([0]))
        with pytest.raises(MatineeError, match=r"not in 0\.\.6"):
            in_batch(np.array([0]), np.array([7]), positives)


class TestNegatives:
    @settings(max_examples=150)
    @given(
        data=logs(), n=st.integers(0, 4), alpha=st.sampled_from([None, 1.0, 0.0, 3.0]), seed=st.integers(0, 2**32 - 1)
    )
    def test_never_what_was_watched(self, data: Dataset, n: int, alpha: float | None, seed: int) -> None:
        sampler = Sampler.uniform(data.n_items) if alpha is None else popular(data, alpha)
        users = np.repeat(np.arange(-1, data.n_users), 3)
        drawn = negatives(users, n, sampler, Positives.of(data), rng(seed))
        assert drawn.shape == (len(users), n)
        assert drawn.dtype == np.int64
        watched = {u: set(data.item[data.user == u].tolist()) for u in range(-1, data.n_users)}
        can = set(np.flatnonzero(np.isfinite(sampler.log_q)).tolist())
        for user, row in zip(users.tolist(), drawn.tolist(), strict=True):
            left = can - watched[user]
            assert set(row) <= (left or {-1})
        assert negatives(users, n, sampler, Positives.of(data), rng(seed)).tobytes() == drawn.tobytes()

    def test_who_watched_nearly_everything(self) -> None:
        positives = Positives.of(SMALL)
        assert (negatives(np.array([0] * 40), 3, Sampler.uniform(7), positives, rng()) == 6).all()
        assert (negatives(np.array([0] * 40), 3, popular(SMALL), positives, rng()) == -1).all()
        assert set(negatives(np.array([2, 2]), 300, popular(SMALL), positives, rng()).ravel().tolist()) == set(range(6))
        assert (negatives(np.array([3, 3]), 5, popular(SMALL), positives, rng()) == 4).all()

    def test_each_user_by_the_distribution_of_what_is_left(self) -> None:
        """User 0 watched the popular items, 99 % of the mass: collisions outlast the redraws and go to the list."""
        counts = np.array([500, 400, 300, 3, 5, 2, 1, 0])
        pairs = [(u, i) for i, n in enumerate(counts.tolist()) for u in range(10, 10 + n)]
        pairs += [(0, 0), (0, 1), (0, 2), (1, 4), (1, 1)]
        data = log_of(pairs, 600, 8)
        sampler, positives = popular(data, 1.0), Positives.of(data)
        drawn = negatives(np.tile([0, 1, 599], 30_000), 2, sampler, positives, rng(5))
        p = data.item_counts() / len(data)
        for user, watched in ((0, [0, 1, 2]), (1, [1, 4]), (2, [])):
            left = p.copy()
            left[watched] = 0.0
            follows(drawn[user::3].ravel(), left)

    def test_new_ones_for_another_seed(self) -> None:
        data = log_of([(u, u) for u in range(30)], 30, 100)
        drawn = [negatives(data.user, 4, Sampler.uniform(100), Positives.of(data), rng(s)) for s in (0, 1)]
        assert (drawn[0] != drawn[1]).mean() > 0.9

    def test_parts_of_different_logs_are_refused(self) -> None:
        with pytest.raises(MatineeError, match="sampler of 9 items and positives of 7"):
            negatives(np.array([0]), 1, Sampler.uniform(9), Positives.of(SMALL), rng())
        with pytest.raises(MatineeError, match="n = -1"):
            negatives(np.array([0]), -1, Sampler.uniform(7), Positives.of(SMALL), rng())

    def test_ml_1m(self) -> None:
        data = load("ml-1m", data_dir=real("ml-1m/ratings.dat").parents[1])
        positives, sampler = Positives.of(data), popular(data, 0.75)
        assert positives.contain(data.user, data.item).all()
        drawn = negatives(data.user, 1, sampler, positives, rng()).ravel()
        pairs = set((data.user.astype(np.int64) * data.n_items + data.item).tolist())
        assert pairs.isdisjoint((data.user.astype(np.int64) * data.n_items + drawn).tolist())
        assert (data.item_counts()[drawn] > 0).all()


class TestHardest:
    def test_the_highest_scored_of_each_group(self) -> None:
        data = log_of([(u, (3 * u) % 40) for u in range(20)], 20, 40)
        sampler, positives = Sampler.uniform(40), Positives.of(data)
        taste = rng(9).normal(size=(20, 40))
        users = np.array([3, 0, 19, 3, 7])
        chosen = hardest(users, 2, 5, lambda items: taste[users[:, None], items], sampler, positives, rng(1))
        candidates = negatives(users, 10, sampler, positives, rng(1)).reshape(5, 2, 5)
        for r, user in enumerate(users.tolist()):
            wanted = [max(group, key=lambda i, u=user: taste[u, i]) for group in candidates[r].tolist()]  # type: ignore[misc]
            assert chosen[r].tolist() == wanted
        assert hardest(users, 2, 1, lambda items: -items, sampler, positives, rng(1)).tolist() == (
            negatives(users, 2, sampler, positives, rng(1)).tolist()
        )

    def test_equal_scores_take_the_first_drawn_and_nothing_is_minus_one(self) -> None:
        positives = Positives.of(SMALL)
        users = np.array([2, 1, 0])
        first = negatives(users, 6, popular(SMALL), positives, rng(2))
        chosen = hardest(users, 2, 3, lambda items: np.zeros(items.shape), popular(SMALL), positives, rng(2))
        assert chosen.tolist() == first[:, ::3].tolist()
        assert (chosen[2] == -1).all()

    def test_scores_that_are_none(self) -> None:
        parts = Sampler.uniform(7), Positives.of(SMALL), rng()
        for wrong in (lambda items: np.full(items.shape, np.nan), lambda items: np.zeros(items.shape[1])):
            with pytest.raises(MatineeError, match="or one is NaN"):
                hardest(np.array([2, 3]), 1, 3, wrong, *parts)
        with pytest.raises(MatineeError, match="highest-scored of 0"):
            hardest(np.array([2]), 1, 0, lambda items: items, *parts)


class TestInBatch:
    @settings(max_examples=80)
    @given(data=logs(), seed=st.integers(0, 1000), size=st.integers(0, 12))
    def test_against_two_loops(self, data: Dataset, seed: int, size: int) -> None:
        users, items = rng(seed).integers(-1, data.n_users, size), rng(seed + 1).integers(0, data.n_items, size)
        pairs = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
        mask = in_batch(users, items, Positives.of(data))
        assert mask.shape == (size, size)
        for r in range(size):
            for c in range(size):
                assert mask[r, c] == (items[c] != items[r] and (users[r], items[c]) not in pairs)


class TestDisliked:
    data = replace(
        Dataset(IdMap(np.arange(4)), IdMap(np.arange(6)), np.array([0, 1, 2, 3], np.int32), np.zeros(4, np.int32)),
        dislikes=Dislikes(np.array([2, 0, 2, 2], np.int32), np.array([5, 3, 4, 5], np.int32)),
    )

    def test_it_puts_dislikes_in_their_share(self) -> None:
        users = np.repeat([0, 1, 2, -1], 1000)
        drawn = np.full((4000, 3), 1)
        disliked = Disliked.of(self.data, 0.25)
        assert disliked is not None
        found = disliked.put(users, drawn, np.random.default_rng(1))
        counts = np.array([np.bincount(found[users == user].ravel(), minlength=6) for user in (0, 1, 2, -1)])
        assert (counts[[1, 3]] == [0, 3000, 0, 0, 0, 0]).all()  # who disliked nothing, and who is unknown
        assert (np.flatnonzero(counts[0]) == [1, 3]).all()
        assert (np.flatnonzero(counts[2]) == [1, 4, 5]).all()
        np.testing.assert_allclose(counts[0, 3] / 3000, 0.25, atol=0.04)
        np.testing.assert_allclose(counts[2, 4:] / 3000, [0.25 / 3, 0.5 / 3], atol=0.03)  # 5 was disliked twice

    def test_all_of_them(self) -> None:
        disliked = Disliked.of(self.data, 1.0)
        assert disliked is not None
        assert (disliked.put(np.array([0, 1]), np.full((2, 2), -1), np.random.default_rng(1)) == [[3], [-1]]).all()

    def test_none(self) -> None:
        assert Disliked.of(self.data, 0.0) is None
        assert Disliked.of(replace(self.data, dislikes=None), 0.5) is None
        assert Disliked.of(self.data, 0.5, among=np.arange(6) < 3) is None
