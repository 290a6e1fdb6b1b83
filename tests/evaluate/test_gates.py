"""Non-inferiority: against scipy's one-sided tests, and by how often it errs at the margin itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluate_models import evaluation
from numpy.typing import NDArray
from scipy.stats import ttest_1samp

from matinee.errors import MatineeError
from matinee.evaluate import gates
from matinee.evaluate.gates import Gate, GateResult, try_gate


def tried(gate: str, new: NDArray[np.float64], old: NDArray[np.float64], confidence: float = 0.95) -> GateResult:
    wanted = Gate.parse(gate)
    models = evaluation(None, wanted.metric, wanted.k, new=new, old=old)
    return try_gate(models, "new", "old", wanted, confidence)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ndcg@10=-0.5%", Gate("ndcg", 10, -0.005, True)),
        (" recall@20 = -0.002 ", Gate("recall", 20, -0.002, False)),
        ("rmse=+1%", Gate("rmse", 0, 0.01, True)),
        ("hit_rate@5=0", Gate("hit_rate", 5, 0.0, False)),
        ("mrr@3=-1e-3", Gate("mrr", 3, -0.001, False)),
        ("mrr@3=-.5 %", Gate("mrr", 3, -0.005, True)),
    ],
)
def test_a_gate_is_read(text: str, expected: Gate) -> None:
    found = Gate.parse(text)
    assert (found.metric, found.k, found.relative) == (expected.metric, expected.k, expected.relative)
    assert found.margin == pytest.approx(expected.margin)
    assert Gate.parse(str(found)) == found


@pytest.mark.parametrize("text", ["ndcg@10", "ndcg@10=", "ndcg@=-1", "=-1%", "ndcg@10=-1%%", "ndcg@10=-nan", "a b=1"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(MatineeError, match=r"is no gate\n  hint: write METRIC@K=MARGIN"):
        Gate.parse(text)


def test_a_margin_that_lets_everything_pass_is_refused() -> None:
    with pytest.raises(MatineeError, match="lets everything pass"):
        Gate.parse("ndcg@10=-100%")


@pytest.mark.parametrize("gate", ["ndcg@10=-2%", "ndcg@10=-0.02", "ndcg@10=+0.01", "ndcg@10=0"])
@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_bound_and_p_are_scipys(gate: str, confidence: float) -> None:
    rng = np.random.default_rng(1)
    old = rng.random(70)
    new = old + rng.normal(0.01, 0.08, 70)
    found = tried(gate, new, old, confidence)
    wanted = Gate.parse(gate)
    margin = wanted.margin * (old.mean() if wanted.relative else 1)
    expected = ttest_1samp(new - old, margin, alternative="greater")
    assert found.margin == pytest.approx(margin)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.bound == pytest.approx(expected.confidence_interval(confidence).low)
    assert found.passed == (expected.pvalue <= 1 - confidence)
    assert (found.new, found.old) == pytest.approx((new.mean(), old.mean()))
    assert (found.n_queries, found.n_users) == (70, 70)


def test_of_an_error_less_is_better() -> None:
    """mae: the upper bound must stay below the margin."""
    rng = np.random.default_rng(2)
    old = rng.random(90)
    new = old + rng.normal(0.01, 0.05, 90)
    for gate, passes in (("mae=+10%", True), ("mae=+0.5%", False), ("mae=-0.001", False)):
        found = tried(gate, new, old)
        expected = ttest_1samp(new - old, found.margin, alternative="less")
        assert found.bound == pytest.approx(expected.confidence_interval(0.95).high)
        assert found.p == pytest.approx(expected.pvalue)
        assert found.passed == passes
    assert "mae may rise by 10 % at most" in tried("mae=+10%", new, old).sentence
    assert "mae must fall by 0.001 or more" in tried("mae=-0.001", new, old).sentence


def test_the_root_of_a_squared_error_is_judged_as_a_root() -> None:
    rng = np.random.default_rng(3)
    old = rng.random(200)
    new = old * 1.01
    found = tried("rmse=+1%", new, old)
    assert found.difference == pytest.approx(np.sqrt(new.mean()) - np.sqrt(old.mean()))
    assert found.margin == pytest.approx(0.01 * np.sqrt(old.mean()))


@pytest.mark.parametrize("gate", ["ndcg@10=-10%", "ndcg@10=-0.05", "ndcg@10=+0.02"])
def test_a_model_at_the_margin_passes_in_one_of_twenty_trials(gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 trials, four standard errors: the error that the confidence allows."""
    monkeypatch.setattr(gates, "users_needed", lambda *given, **options: None)  # takes most of the time
    rng = np.random.default_rng(4)
    wanted, passed, trials = Gate.parse(gate), 0, 1_000
    for _ in range(trials):
        old = rng.normal(0.5, 0.02, 40)
        margin = wanted.margin * (0.5 if wanted.relative else 1)
        passed += tried(gate, old + margin + rng.normal(0, 0.1, 40), old).passed
    assert passed / trials == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / trials))


def test_queries_of_one_user_count_once() -> None:
    rng = np.random.default_rng(5)
    old, new = rng.random(12), rng.random(12)
    user = [u for u in range(12) for _ in range(6)]
    gate = Gate.parse("ndcg@10=-5%")
    often = evaluation(user, "ndcg", 10, new=np.repeat(new, 6), old=np.repeat(old, 6))
    found, once = try_gate(often, "new", "old", gate), tried("ndcg@10=-5%", new, old)
    assert (found.n_queries, found.n_users) == (72, 12)
    assert (found.bound, found.p) == pytest.approx((once.bound, once.p))


def test_the_same_model_may_replace_itself_but_is_not_better() -> None:
    same = np.random.default_rng(6).random(30)
    assert tried("ndcg@10=0", same, same.copy()).passed
    assert tried("ndcg@10=-1%", same, same.copy()).passed
    better = tried("ndcg@10=+1%", same, same.copy())
    assert (better.passed, better.users_needed) == (False, None)
    assert "ndcg@10 must rise by 1 % or more" in better.sentence


def test_one_user_shows_nothing() -> None:
    found = tried("ndcg@10=-50%", np.array([0.5]), np.array([0.5]))
    assert not found.passed
    assert np.isnan(found.bound)
    assert "1 user, from whom no interval can be had: not shown" in found.sentence


def test_so_many_users_would_show_it() -> None:
    """With the number that is named, simulated tests pass in 80 % of the trials."""
    rng = np.random.default_rng(7)
    old = rng.random(40)
    new = old + rng.permutation(np.linspace(-0.3, 0.3, 40))
    found = tried("ndcg@10=-0.04", new, old)
    assert not found.passed
    assert found.users_needed is not None
    assert f"about {found.users_needed} users would show it" in found.sentence
    d = rng.normal(found.difference, np.std(new - old, ddof=1), (6_000, found.users_needed))
    passes = np.mean(ttest_1samp(d, -0.04, axis=1, alternative="greater").pvalue <= 0.05)
    assert passes == pytest.approx(0.8, abs=0.03)


def test_what_cannot_be_tried_is_refused() -> None:
    models = evaluation(None, "ndcg", 10, new=np.ones(9), old=np.ones(9))
    with pytest.raises(MatineeError, match=r"ndcg@5 was not measured\n  hint: measured: ndcg@10"):
        try_gate(models, "new", "old", Gate("ndcg", 5, -0.1, True))
    for confidence in (0.5, 1.0, 95.0):
        with pytest.raises(MatineeError, match=r"between 0\.5 and 1"):
            try_gate(models, "new", "old", Gate("ndcg", 10, -0.1, True), confidence)
    bare = replace(models, values={key: value for key, value in models.values.items() if key[0] == "new"})
    with pytest.raises(MatineeError, match="no model 'old'"):
        try_gate(bare, "new", "old", Gate("ndcg", 10, -0.1, True))
