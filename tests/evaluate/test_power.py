"""How many users a difference takes: against simulation, and the definition of the least number."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from evaluate_models import evaluation
from scipy.stats import ttest_1samp, ttest_rel

from matinee.errors import MatineeError
from matinee.evaluate.power import chance_to_see, pair_powers, smallest_difference, users_needed

COLUMN = ("recall", 10)


@pytest.mark.parametrize(("n", "difference", "sd"), [(5, 1.0, 1.0), (8, -0.9, 1.0), (60, 0.1, 0.25), (20, 0.05, 0.5)])
@pytest.mark.parametrize("sides", [1, 2])
def test_the_chance_is_that_of_simulated_tests(n: int, difference: float, sd: float, sides: int) -> None:
    trials = 8_000
    d = np.random.default_rng(n).normal(difference, sd, (trials, n))
    way: Literal["two-sided", "greater", "less"] = (
        "two-sided" if sides == 2 else "greater" if difference > 0 else "less"
    )
    seen = np.mean(ttest_1samp(d, 0, axis=1, alternative=way).pvalue < 0.05)
    expected = chance_to_see(difference, sd, n, sides=sides)
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / trials) + 1e-3)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(("difference", "sd"), [(0.01, 0.25), (-0.5, 0.3), (0.001, 0.3), (3.0, 0.01), (0.2, 1.1)])
@pytest.mark.parametrize(("power", "alpha"), [(0.8, 0.05), (0.9, 0.01)])
def test_one_user_less_is_not_enough(difference: float, sd: float, sides: int, power: float, alpha: float) -> None:
    n = users_needed(difference, sd, power=power, alpha=alpha, sides=sides)
    assert n is not None
    assert chance_to_see(difference, sd, n, alpha=alpha, sides=sides) >= power
    assert n == 2 or chance_to_see(difference, sd, n - 1, alpha=alpha, sides=sides) < power


def test_the_normal_approximation_is_near_for_many_users() -> None:
    """(1.960 + 0.842)**2 (sd / difference)**2."""
    assert users_needed(0.001, 0.3) == pytest.approx(7.8489 * 300**2, rel=1e-4)
    assert smallest_difference(6040, 0.3) == pytest.approx(2.8016 * 0.3 / np.sqrt(6040), rel=1e-3)


def test_no_difference_takes_no_number_of_users() -> None:
    assert users_needed(0.0, 0.3) is None
    assert users_needed(1e-9, 0.3) is None
    assert chance_to_see(0.0, 0.3, 50) == pytest.approx(0.05)


@pytest.mark.parametrize("n", [2, 3, 7, 50, 943, 100_000])
def test_the_smallest_difference_has_the_power(n: int) -> None:
    smallest = smallest_difference(n, 0.4, power=0.7, alpha=0.1)
    assert chance_to_see(smallest, 0.4, n, alpha=0.1) == pytest.approx(0.7, abs=1e-9)


def test_pairs_are_planned_by_their_users() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(80), rng.random(80)
    a[3] = b[3] = np.nan
    (found,) = pair_powers(evaluation(a=a, b=b), COLUMN, [("a", "b")]).pairs
    d = (a - b)[~np.isnan(a)]
    assert found.difference == found.measured == pytest.approx(d.mean())
    assert found.sd == pytest.approx(d.std(ddof=1))
    assert found.n_users == 79
    assert found.power == pytest.approx(chance_to_see(d.mean(), d.std(ddof=1), 79))
    assert found.users_needed == users_needed(d.mean(), d.std(ddof=1))
    assert found.smallest == pytest.approx(smallest_difference(79, d.std(ddof=1)))
    assert ttest_rel(a, b, nan_policy="omit").statistic == pytest.approx(d.mean() / found.sd * np.sqrt(79))


def test_queries_of_one_user_are_one_user() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(12), rng.random(12)
    (once,) = pair_powers(evaluation(a=a, b=b), COLUMN, [("a", "b")]).pairs
    user = [u for u in range(12) for _ in range(5)]
    (often,) = pair_powers(evaluation(user, a=np.repeat(a, 5), b=np.repeat(b, 5)), COLUMN, [("a", "b")]).pairs
    assert (often.n_users, often.users_needed) == (12, once.users_needed)
    assert often.sd == pytest.approx(once.sd)


def test_a_difference_may_be_given_absolute_or_as_a_share() -> None:
    rng = np.random.default_rng(2)
    models = evaluation(a=rng.random(50), b=rng.random(50))
    mean = models.mean("recall", 10, "b").value
    absolute, share = (pair_powers(models, COLUMN, [("a", "b")], difference=d).pairs[0] for d in (0.02 * mean, "2%"))
    assert share.difference == pytest.approx(0.02 * mean)
    assert share.users_needed == absolute.users_needed
    assert "2 % " not in str(share)


def test_models_that_answer_alike_cannot_be_planned() -> None:
    a = np.random.default_rng(3).random(50)
    found = pair_powers(evaluation(a=a, b=a.copy()), COLUMN, [("a", "b")], difference=0.01)
    assert (found.pairs[0].users_needed, found.pairs[0].smallest) == (None, None)
    assert "nothing can be said" in str(found)
    frame = found.to_frame()
    assert frame["users_needed"].to_list() == [None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"power": 1.0}, "power is a share"),
        ({"alpha": 0.0}, "alpha is a share"),
        ({"power": 0.05}, "no more than the level"),
        ({"difference": 0.0}, "no test can see"),
        ({"difference": "two"}, "no test can see"),
        ({"difference": "nan%"}, "no test can see"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, object], words: str) -> None:
    models = evaluation(a=np.random.default_rng(0).random(9), b=np.random.default_rng(1).random(9))
    with pytest.raises(MatineeError, match=words):
        pair_powers(models, COLUMN, [("a", "b")], **options)  # type: ignore[arg-type]
