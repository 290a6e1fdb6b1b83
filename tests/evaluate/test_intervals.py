"""Intervals below 30 queries: against scipy and by simulation, within 0 and 1; from 30 on nothing has moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from matinee.evaluate.intervals import FEW, Mean, bootstrap, clusters_of, mean_of, method_of, wilson

counts = st.integers(2, FEW - 1).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_few_zeros_and_ones_have_the_interval_of_scipy(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    value = np.array([1.0] * hits + [0.0] * (n - hits) + [np.nan] * 3)
    found = mean_of(value, None, None)
    truth = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert method_of(value, None, None) == "wilson"
    assert found == pytest.approx((hits / n, truth.low, truth.high, n))


def test_one_hit_in_ten_by_hand() -> None:
    """(p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n) with z² = 3.8415."""
    assert wilson(0.1, 10) == pytest.approx((0.01787621, 0.40415002), abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=FEW - 1))
def test_intervals_of_shares_stay_within_0_and_1_and_around_the_mean(values: list[float]) -> None:
    found = mean_of(np.array(values), None, None)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(st.lists(st.floats(0, 1), min_size=FEW, max_size=80))
def test_from_30_values_it_is_the_normal_approximation(values: list[float]) -> None:
    value = np.array(values)
    found = mean_of(value, None, None)
    error = float(np.sqrt(len(value) / (len(value) - 1) * ((value - value.mean()) ** 2).sum()) / len(value))
    assert method_of(value, None, None) == "normal"
    assert found.value == pytest.approx(value.mean())
    assert found.half == pytest.approx(1.959963984540054 * error)


@pytest.mark.parametrize("n", [5, 10, 25])
def test_the_bootstrap_covers_the_mean_of_skewed_values(n: int) -> None:
    """As ndcg of one hidden item: mostly 0, else 1 / log2(rank + 1). The normal interval of the same samples covers
    less often."""
    rng = np.random.default_rng(n)
    levels = np.append(0, 1 / np.log2(np.arange(2, 12)))
    weight = np.array([0.5] + [0.05] * 10)
    truth = float(levels @ weight)
    kept = normal = 0
    for _ in range(300):
        value = rng.choice(levels, n, p=weight)
        found = mean_of(value, None, None)
        error = value.std(ddof=1) / np.sqrt(n)
        kept += found.low <= truth <= found.high
        normal += abs(value.mean() - truth) <= 1.96 * error
    assert kept / 300 > 0.91
    assert kept >= normal


def test_the_bootstrap_agrees_with_students_t_where_values_are_normal() -> None:
    value = stats.norm.ppf((np.arange(25) + 0.5) / 25)
    low, high = bootstrap(value, None, None)
    half = stats.t.ppf(0.975, 24) * value.std(ddof=1) / 5
    assert (low, high) == pytest.approx((-half, half), rel=0.05)


def test_clusters_are_drawn_whole() -> None:
    """Two users of five equal queries each: nothing is known beyond the two means; one user alone says nothing."""
    user = np.repeat([0, 1], 5).astype(np.int32)
    value = np.repeat([0.2, 0.6], 5)
    found = mean_of(value, None, clusters_of(user))
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))
    alone = mean_of(np.array([0.2, 0.6]), None, np.zeros(2, np.int64))
    assert np.isnan([alone.low, alone.high]).all()
    assert np.isnan(mean_of(np.array([1.0]), None, None).low), "one query is one user"


def test_equal_ends_count_users_and_not_queries() -> None:
    """Nobody hit anything: the upper end is that of 4 trials where 4 users asked 12 times."""
    user = np.repeat(np.arange(4), 3).astype(np.int32)
    value = np.zeros(12)
    assert method_of(value, None, clusters_of(user)) == "wilson"
    assert mean_of(value, None, clusters_of(user))[:3] == pytest.approx((0, 0, wilson(0, 4)[1]))
    some = np.array([0.0] * 11 + [1.0])
    assert method_of(some, None, clusters_of(user)) == "bootstrap", "queries of one user are no independent trials"


def test_errors_have_no_upper_bound() -> None:
    value = np.array([0.0, 1, 1, 9])
    found = mean_of(value, None, None, bounded=False)
    assert found.high > 1
    assert method_of(np.ones(4), None, None, bounded=False) == "bootstrap", "an error of 1 is no success"


def test_weights_move_the_mean_and_its_interval() -> None:
    value, weight = np.array([1.0, 0, 0.5]), np.array([8.0, 1, 1])
    found = mean_of(value, weight, None)
    assert found.value == pytest.approx(0.85)
    assert (found.low, found.high) == pytest.approx((0, 1)), "three values: the percentiles are the extremes"


def test_how_a_mean_reads() -> None:
    assert str(Mean(0.1146, 0.0992, 0.13, 900)) == "0.1146 ± 0.0154"
    assert str(Mean(0.9, 0.5958, 0.9821, 10)) == "0.9000 (0.5958 to 0.9821)"
    assert str(Mean(0.5, np.nan, np.nan, 2)) == "0.5000"
