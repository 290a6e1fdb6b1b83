"""The probabilities that are recorded are those with which items are shown: counted, and by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from matinee.errors import MatineeError
from matinee.serve.exploration import Arm, explored, probabilities

A = Arm(np.array([7, 3, 9]), np.array([3, 5, 7, 9]), weight=3.0)
B = Arm(np.array([3, 7]), np.array([3, 7, 11, 12, 13]), weight=1.0)
EMPTY = Arm(np.array([5, 3, 7]), np.array([], np.int32), weight=1.0)


def test_by_hand() -> None:
    """share 0.2; of two arms with weights 3 and 1. The second arm has two items of its own, and five candidates."""
    found = probabilities(np.array([7, 7, 9]), [A, B], 0.2, k=3)
    first = 0.75 * (0.8 + 0.2 / 4) + 0.25 * (0.2 / 5)
    second = 0.75 * (0.2 / 4) + 0.25 * (0.8 + 0.2 / 5)
    third = 0.75 * (0.8 + 0.2 / 4)  # 9 is no candidate of the second arm
    np.testing.assert_allclose(found, [first, second, third], rtol=1e-12)


def test_a_list_that_is_not_randomised_is_certain() -> None:
    shown, found = explored(A.items, A.candidates, 0.0, np.random.default_rng(0))
    assert shown.tolist() == [7, 3, 9]
    assert found.tolist() == [1.0, 1.0, 1.0]
    shown, found = explored(A.items, A.candidates, 0.0, np.random.default_rng(0), weight=3.0, others=[B])
    assert found.tolist() == [0.75, 0.75, 0.75]


def test_an_arm_without_candidates_is_never_randomised() -> None:
    for seed in range(20):
        shown, found = explored(EMPTY.items, EMPTY.candidates, 0.9, np.random.default_rng(seed))
        assert (shown.tolist(), found.tolist()) == ([5, 3, 7], [1.0, 1.0, 1.0])


def test_fewer_candidates_than_asked_for_make_a_shorter_list() -> None:
    shown, found = explored(A.items, A.candidates, 1.0, np.random.default_rng(0), k=6)
    assert sorted(shown.tolist()) == [3, 5, 7, 9]
    assert found.tolist() == [0.25] * 4
    assert probabilities(np.array([3, 5, 7, 9, 3]), [A], 1.0, k=6)[4] == 0  # nothing is drawn for a fifth place
    shown, found = explored(A.items, A.candidates, 0.0, np.random.default_rng(0), k=2)
    assert shown.tolist() == [7, 3]


@pytest.mark.parametrize("k", [2, 4])
def test_the_frequencies_are_the_probabilities(k: int) -> None:
    """Each (position, item) that is shown in 2,000 answers, over routing and draws, beside what was recorded."""
    rng, n, share, arms = np.random.default_rng(k), 2_000, 0.3, [A, B, EMPTY]
    weights = np.array([arm.weight for arm in arms]) / sum(arm.weight for arm in arms)
    seen: Counter[tuple[int, int]] = Counter()
    recorded: dict[tuple[int, int], float] = {}
    for _ in range(n):
        chosen = int(rng.choice(len(arms), p=weights))
        own, others = arms[chosen], [arm for a, arm in enumerate(arms) if a != chosen]
        shown, found = explored(own.items, own.candidates, share, rng, k=k, weight=own.weight, others=others)
        for place, (item, probability) in enumerate(zip(shown.tolist(), found.tolist(), strict=True)):
            seen[place, item] += 1
            assert recorded.setdefault((place, item), probability) == pytest.approx(probability, rel=1e-12)
    for key, probability in recorded.items():
        spread = np.sqrt(probability * (1 - probability) / n)
        assert abs(seen[key] / n - probability) < 4.5 * spread, (key, seen[key] / n, probability)
    for place in range(min(2, k)):  # every arm fills the first two places: something always stands there
        assert sum(p for (at, _), p in recorded.items() if at == place) == pytest.approx(1.0)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(MatineeError, match="share of randomised answers"):
        explored(A.items, A.candidates, share, np.random.default_rng(0))
