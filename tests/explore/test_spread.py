"""Quartiles, Gini and shares, against double loops."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from matinee.data.arrays import gini
from matinee.explore.spread import Quartiles, Shares


@pytest.mark.parametrize("seed", range(5))
def test_quartiles(seed: int) -> None:
    numbers = np.random.default_rng(seed).gamma(1.5, 20, 37)
    found = Quartiles.of(numbers)
    quarters = statistics.quantiles(numbers.tolist(), n=4, method="inclusive")
    assert [found.lower, found.median, found.upper] == pytest.approx(quarters)
    assert (found.n, found.smallest, found.largest) == (37, min(numbers), max(numbers))
    assert found.mean == pytest.approx(statistics.fmean(numbers))
    assert found.std == pytest.approx(statistics.pstdev(numbers.tolist()))


@pytest.mark.parametrize("seed", range(5))
def test_shares(seed: int) -> None:
    counts = np.random.default_rng(seed).zipf(1.5, 143).clip(1, 900)
    found, falling, total = Shares.of(counts), sorted(counts.tolist(), reverse=True), int(counts.sum())
    apart = sum(abs(a - b) for a in falling for b in falling) / len(falling) ** 2
    assert found.gini == pytest.approx(apart / 2 / statistics.fmean(falling))
    assert found.top_1 == pytest.approx(sum(falling[:2]) / total)  # a hundredth of 143, rounded up
    assert found.top_10 == pytest.approx(sum(falling[:15]) / total)
    needed = next(n for n in range(1, 144) if 2 * sum(falling[:n]) >= total)
    assert found.half == pytest.approx(needed / 143)
    assert found.once == pytest.approx(falling.count(1) / 143)
    for x, y in found.curve.tolist():
        assert y == pytest.approx(sum(falling[: round(x * 143)]) / total)
    assert found.median == statistics.median(falling)


def test_equal_and_single_counts() -> None:
    assert gini(np.array([4, 4, 4])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 12])) == pytest.approx(0.75)
    one = Shares.of(np.array([7]))
    assert (one.gini, one.top_1, one.half, one.std) == (0, 1, 1, 0)


def test_of_nothing() -> None:
    none = Shares.of(np.zeros(0, np.int64))
    assert (none.n, none.mean, none.gini, none.top_10, none.half, none.once) == (0, 0, 0, 0, 0, 0)
