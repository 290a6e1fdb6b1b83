"""Paired tests and corrections, against scipy, full enumeration and plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, ttest_1samp
from scipy.stats import wilcoxon as signed_ranks

from matinee.errors import MatineeError
from matinee.evaluate.paired import (
    CORRECTIONS,
    NAMES,
    TESTS,
    benjamini_hochberg,
    bootstrap,
    check_names,
    holm,
    t_test,
    wilcoxon,
)

Values = NDArray[np.float64]


def draw(seed: int, n: int = 60, shift: float = 0.0) -> Values:
    return np.random.default_rng(seed).exponential(1.0, n) - 1 + shift


@pytest.mark.parametrize("shift", [0.0, 0.3, -0.2])
@pytest.mark.parametrize("n", [12, 90])
def test_the_rank_test_and_the_t_test_are_scipys(n: int, shift: float) -> None:
    d = draw(1, n, shift)
    assert wilcoxon(d) == pytest.approx(signed_ranks(d).pvalue, rel=1e-12)
    assert t_test(d) == pytest.approx(ttest_1samp(d, 0).pvalue, rel=1e-12)


def test_ranks_by_hand() -> None:
    """Without ties, all sign patterns are equally likely: W is the sum of the ranks of the positive differences."""
    d = np.array([0.9, -0.1, 0.4, 0.7, -0.3, 0.5, 1.1])
    ranks = [6, 1, 3, 5, 2, 4, 7]
    middle = sum(ranks) / 2
    found = abs(sum(r for r, x in zip(ranks, d, strict=True) if x > 0) - middle)
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product([0, 1], repeat=7)]
    assert wilcoxon(d) == pytest.approx(np.mean([abs(w - middle) >= found for w in sums]))


def test_ranks_leave_out_zeros_and_see_ties_through_rounding() -> None:
    d = draw(3, 30, 0.3)
    assert wilcoxon(np.r_[d, np.zeros(11)]) == wilcoxon(d)
    tied = np.repeat([0.5, -0.5, 0.25, 0.75], [9, 3, 8, 2])
    noise = np.random.default_rng(0).choice([-1e-16, 0, 1e-16], len(tied))  # as 0.63 - 0.13 differs from 0.5
    assert wilcoxon(tied + noise) == wilcoxon(tied)


@pytest.mark.parametrize("shift", [0.0, 0.6, -1.2])
def test_the_bootstrap_approaches_all_samples(shift: float) -> None:
    """Of five differences there are 3,125 samples with replacement."""
    d = np.array([0.3, -0.2, 0.9, 0.45, -0.1]) + shift
    n, shifted = len(d), d - d.mean()
    observed = abs(d.mean()) / d.std(ddof=1)
    extreme = 0
    for at in itertools.product(range(n), repeat=n):
        sample = [shifted[i] for i in at]
        mean = sum(sample) / n
        spread = (sum((x - mean) ** 2 for x in sample) / (n - 1)) ** 0.5
        extreme += abs(mean) > 1e-12 and abs(mean) >= observed * spread * (1 - 1e-9)
    draws = 20_000
    bound = 4 * np.sqrt(0.25 / draws)
    assert bootstrap(d, draws=draws, seed=1) == pytest.approx(extreme / n**n, abs=bound)


def test_the_bootstrap_agrees_with_the_t_test_and_repeats_itself() -> None:
    d = np.random.default_rng(4).normal(0.15, 1, 200)
    assert bootstrap(d, seed=2) == pytest.approx(t_test(d), abs=0.02)
    assert bootstrap(d, draws=3_000, seed=2) == bootstrap(d, draws=3_000, seed=2)
    assert bootstrap(d, draws=3_000, seed=2) != bootstrap(d, draws=3_000, seed=3)


@pytest.mark.parametrize("name", TESTS)
def test_nothing_and_the_same_everywhere(name: str) -> None:
    test = TESTS[name]  # type: ignore[index]
    assert test(np.zeros(9)) == 1
    assert test(np.full(40, 0.1)) < 0.001


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.filterwarnings("ignore")
def test_one_user_alone_shows_nothing(name: str) -> None:
    p = TESTS[name](np.array([0.4]))  # type: ignore[index]
    assert np.isnan(p) or p == 1


@pytest.mark.parametrize("name", ["t", "wilcoxon", "bootstrap"])
def test_p_values_are_fair_where_nothing_differs(name: str) -> None:
    """Symmetric differences: p < .1 in about a tenth of 300 trials, bounds four standard errors wide."""
    draws = (np.random.default_rng(s).normal(0, 1, 25) for s in range(300))
    p = np.array([TESTS[name](d, draws=400, seed=s) for s, d in enumerate(draws)])  # type: ignore[index]
    assert 0.1 - 4 * 0.0174 < np.mean(p < 0.1) < 0.1 + 4 * 0.0174


def slow_benjamini_hochberg(p: list[float]) -> list[float]:
    """The least of p_j m / rank_j over all j that are as large."""
    m = len(p)
    rank = {i: 1 + sum((q, j) < (p[i], i) for j, q in enumerate(p)) for i in range(m)}
    return [min(1.0, min(p[j] * m / rank[j] for j in range(m) if rank[j] >= rank[i])) for i in range(m)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_false_discoveries_by_a_loop_and_scipy(p: list[float]) -> None:
    found = benjamini_hochberg(np.array(p)).tolist()
    assert found == pytest.approx(slow_benjamini_hochberg(p))
    assert found == pytest.approx(false_discovery_control(p).tolist())


def test_a_test_that_could_not_be_made_is_not_counted() -> None:
    p = np.array([np.nan, 0.01, 0.02, np.nan, 0.5])
    assert holm(p).tolist() == pytest.approx([np.nan, 0.03, 0.04, np.nan, 0.5], nan_ok=True)
    assert benjamini_hochberg(p).tolist() == pytest.approx([np.nan, 0.03, 0.03, np.nan, 0.5], nan_ok=True)
    assert CORRECTIONS["none"](p) is p
    assert benjamini_hochberg(np.array([])).tolist() == []


def test_names_are_checked() -> None:
    for test in TESTS:
        for correction in CORRECTIONS:
            check_names(test, correction)
            assert NAMES[test]
            assert NAMES[correction]
    with pytest.raises(MatineeError, match=r"no paired test is called 'wilcoxn'\n  hint: did you mean wilcoxon\?"):
        check_names("wilcoxn", "holm")
    with pytest.raises(MatineeError, match="no correction is called 'bonferroni'"):
        check_names("t", "bonferroni")
