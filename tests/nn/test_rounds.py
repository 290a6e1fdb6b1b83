"""The rounds that every fit shares: the best one, patience, looks, hooks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from matinee.nn.rounds import Rounds


def run(rounds: Rounds, measured: Sequence[float]) -> list[int]:
    """The rounds that were the best when they were added."""
    return [number for number in rounds if rounds.add(0.5, lambda: measured[number])]  # noqa: B023 - called at once


def test_the_best_is_the_first_of_equals() -> None:
    assert run(Rounds(5), [0.1, 0.3, 0.3, 0.2, 0.4]) == [0, 1, 4]


def test_without_measurements_the_last_round_is_the_best() -> None:
    rounds = Rounds(3)
    assert [rounds.add(1.0) for _ in rounds] == [True] * 3
    assert np.isnan(rounds.curve[:, 2]).all()


def test_patience_counts_measurements_without_a_gain() -> None:
    rounds = Rounds(9, patience=2)
    assert run(rounds, [0.1, 0.5, 0.4, 0.3, 0.9]) == [0, 1]
    assert len(rounds) == 4


@pytest.mark.parametrize(("total", "every", "looks"), [(6, 2, [1, 3, 5]), (7, 3, [0, 3, 6]), (5, 1, [0, 1, 2, 3, 4])])
def test_the_last_round_is_always_measured(total: int, every: int, looks: list[int]) -> None:
    rounds = Rounds(total, every=every)
    run(rounds, [0.1] * total)
    assert np.flatnonzero(~np.isnan(rounds.curve[:, 2])).tolist() == looks


def test_patience_is_of_looks_where_only_some_rounds_are_measured() -> None:
    rounds = Rounds(12, patience=2, every=3)
    assert run(rounds, [0.9, 0.9, 0.5, 0.9, 0.9, 0.4, 0.9, 0.9, 0.3, 0.9, 0.9, 0.9]) == [0, 1, 2]
    assert len(rounds) == 9


def test_a_curve_of_nan_never_ends_a_fit() -> None:
    rounds = Rounds(8, patience=1)
    assert run(rounds, [math.nan] * 8) == list(range(8))


def test_hooks_are_told_and_may_end_the_fit() -> None:
    seen: list[Any] = []

    def hook(number: int, loss: float, measured: float) -> bool:
        seen.append((number, loss, measured))
        return number == 2

    run(Rounds(9, hooks=[hook]), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert seen == [(0, 0.5, 0.1), (1, 0.5, 0.2), (2, 0.5, 0.3)]
