"""Paired tests against scipy, Holm by hand, and what may not share a table."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import permutation_test, ttest_rel

from matinee.data.dataset import Protocol
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import Evaluation, compare, paired_test
from matinee.evaluate.paired import holm, randomisation

PROTOCOL = Protocol(data="toy", split="by hand", part="test", history="train", exclude="train")
Values = NDArray[np.float64]


def evaluation(user: list[int] | None = None, queries: str = "q", **models: Values) -> Evaluation:
    n = len(next(iter(models.values())))
    users = IdMap(np.arange(n), what="user")
    codes = np.array(range(n) if user is None else user, np.int32)
    values = {(label, "recall", 10): np.asarray(value, np.float64) for label, value in models.items()}
    return Evaluation(values, codes, users, PROTOCOL, queries)


def draw(seed: int, n: int = 60, shift: float = 0.0) -> Values:
    return np.random.default_rng(seed).random(n) + shift


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.3])
def test_the_t_test_is_scipys(shift: float) -> None:
    a, b = draw(1, shift=shift), draw(2)
    a[7] = b[7] = np.nan
    result = paired_test(evaluation(a=a, b=b), "a", "b")
    there = ~np.isnan(a)
    expected = ttest_rel(a[there], b[there])
    interval = expected.confidence_interval(0.95)
    assert result.difference == pytest.approx(np.nanmean(a - b))
    assert result.p_t == pytest.approx(expected.pvalue, rel=1e-9)
    assert (result.ci_low, result.ci_high) == pytest.approx((interval.low, interval.high))
    assert result.n_queries == result.n_users == 59


@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=9))
def test_randomisation_approaches_all_sign_flips(difference: list[float]) -> None:
    """Up to nine differences: every one of the 2**n sign patterns is counted."""
    d = np.array(difference)
    sums = [abs(np.dot(signs, d)) for signs in itertools.product([1, -1], repeat=len(d))]
    exact = np.mean([s >= abs(d.sum()) - 1e-9 for s in sums])
    assert randomisation(d, draws=4_000, seed=1) == pytest.approx(exact, abs=0.035)  # over four standard errors


def test_randomisation_agrees_with_scipy_and_repeats_itself() -> None:
    a, b = draw(1, 80), draw(2, 80, shift=-0.08)
    ours = randomisation(a - b, draws=20_000, seed=5)
    theirs = permutation_test(
        (a, b),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(3),
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.01)
    assert ours == randomisation(a - b, draws=20_000, seed=5)
    assert ours != randomisation(a - b, draws=20_000, seed=6)


def test_equal_models_do_not_differ() -> None:
    a = draw(1)
    result = paired_test(evaluation(a=a, b=a.copy()), "a", "b")
    assert (result.difference, result.p_t, result.p) == (0, 1, 1)


def test_p_values_are_fair_where_nothing_differs() -> None:
    """Under the null hypothesis p < .1 in about a tenth of the trials: 200 trials, bounds four standard errors wide."""
    p = [randomisation(draw(s, 30) - draw(s + 10_000, 30), draws=500, seed=s) for s in range(200)]
    assert 0.1 - 4 * 0.0213 < np.mean(np.array(p) < 0.1) < 0.1 + 4 * 0.0213


def test_queries_of_one_user_flip_together() -> None:
    """Ten copies of each of six users' queries say no more than six users do."""
    a, b = draw(1, 6), draw(2, 6)
    once = paired_test(evaluation(a=a, b=b), "a", "b")
    user = [u for u in range(6) for _ in range(10)]
    often = paired_test(evaluation(user, a=np.repeat(a, 10), b=np.repeat(b, 10)), "a", "b")
    assert (often.n_queries, often.n_users) == (60, 6)
    for field in ("difference", "ci_low", "ci_high", "p_t", "p"):
        assert getattr(often, field) == pytest.approx(getattr(once, field), rel=1e-9)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


def test_compare_tests_every_pair_and_corrects_for_them() -> None:
    models = evaluation(a=draw(1, shift=0.3), b=draw(2), c=draw(3, shift=0.05))
    result = compare(models, metric="recall", k=10, draws=2_000)
    assert [(t.a, t.b) for t in result.tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    corrected = holm(np.array([t.p for t in result.tests]))
    assert [t.p_corrected for t in result.tests] == corrected.tolist()
    assert all(t.p_corrected >= t.p for t in result.tests)
    frame = result.to_frame()
    assert frame["protocol"].unique().to_list() == [PROTOCOL.fingerprint]
    assert len(frame) == 3
    assert "a - b: recall@10 +0." in str(result)


def test_compare_joins_evaluations_of_the_same_queries() -> None:
    result = compare(evaluation(a=draw(1)), evaluation(b=draw(2)), draws=100)
    assert result.evaluation.labels == ["a", "b"]
    assert len(result.tests) == 1
    assert compare(evaluation(a=draw(1))).to_frame().is_empty()


def test_compare_refuses_what_does_not_compare() -> None:
    a, b = evaluation(a=draw(1)), evaluation(b=draw(2))
    other = replace(b, protocol=replace(PROTOCOL, exclude="train + valid", metrics="rectools"))
    with pytest.raises(MatineeError, match=r"different protocols \(exclude: 'train' and 'train \+ valid'; metrics: "):
        compare(a, other)
    with pytest.raises(MatineeError, match="did not answer the same queries"):
        compare(a, replace(b, queries="another seed"))
    with pytest.raises(MatineeError, match="two models have the label a"):
        compare(a, a)
    with pytest.raises(MatineeError, match="not both measured by ndcg@5, recall@10"):
        compare(a, replace(b, values={("b", "ndcg", 5): draw(2)}))
    with pytest.raises(MatineeError, match="nothing to compare"):
        compare()
    with pytest.raises(MatineeError, match="recall@5 was not measured"):
        compare(a, b, metric="recall", k=5)
    with pytest.raises(MatineeError, match="no model 'c'"):
        paired_test(a, "a", "c")
