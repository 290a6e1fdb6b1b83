"""How numbers are spread: quartiles, and how unequally events are shared among users or items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import gini


@dataclass(frozen=True)
class Quartiles:
    """Of n numbers: mean, standard deviation (divided by n), least, quarters, greatest. All 0 where there are none."""

    n: int
    mean: float
    std: float
    smallest: float
    lower: float  # a quarter is at most this
    median: float
    upper: float  # three quarters are at most this
    largest: float

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> Quartiles:
        """Of (n,) numbers."""
        return cls(**_quartiles(numbers))


@dataclass(frozen=True)
class Shares(Quartiles):
    """Events per user, or per item, of those that have one; and how unequally events are shared.

    gini: 0 where all have the same number, near 1 where one has nearly all. top_1, top_10: the share of events of the
    most active hundredth and tenth (rounded up). half: the smallest share of them that together has half of the events.
    once: the share with a single event. curve: float64 (m, 2), the share x of them, most events first, has the share y.
    """

    gini: float
    top_1: float
    top_10: float
    half: float
    once: float
    curve: NDArray[np.float64]

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> Shares:
        """Of (n,) counts above 0."""
        counts = np.sort(numbers)[::-1].astype(np.int64)
        held = np.cumsum(counts)
        n, total = len(counts), max(int(counts.sum()), 1)
        return cls(
            **_quartiles(counts),
            gini=gini(counts),
            top_1=float(counts[: -(-n // 100)].sum() / total),
            top_10=float(counts[: -(-n // 10)].sum() / total),
            half=(int(np.searchsorted(2 * held, total)) + 1) / n if n else 0.0,
            once=float(np.mean(counts == 1)) if n else 0.0,
            curve=held_curve(counts),
        )


def held_curve(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (m, 2): at most 101 points from (0, 0) to (1, 1). counts: int64 (n,), descending."""
    n = len(counts)
    held = np.concatenate([[0], np.cumsum(counts)])
    at = np.unique(np.linspace(0, n, min(n, 100) + 1).round().astype(np.int64))
    return np.column_stack([at / max(n, 1), held[at] / max(int(held[-1]), 1)])


def _quartiles(numbers: NDArray[Any]) -> dict[str, Any]:
    if not len(numbers):
        return dict.fromkeys(("n", "mean", "std", "smallest", "lower", "median", "upper", "largest"), 0)
    exact = numbers.astype(np.float64)
    names = ("smallest", "lower", "median", "upper", "largest")
    levels = np.quantile(exact, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"n": len(exact), "mean": float(exact.mean()), "std": float(exact.std())} | dict(
        zip(names, levels, strict=True)
    )
