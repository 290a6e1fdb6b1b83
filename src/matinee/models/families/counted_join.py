"""Two answers joined with weights that depend on how many items a list holds: the title's share of the log odds.

A mean of log odds lets each answer say no, where a mean of probabilities is that of the surer one (logarithmic opinion
pool: Genest & Zidek, Statistical Science 1986)."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

KNOTS = np.array([0, 1, 2, 5, 10, 25, 50, 100])
"""Numbers of items at which a share is kept; between them it is linear in log(1 + n), beyond the last it stays."""
GRID = np.linspace(0.0, 1.0, 21)
"""Shares that are tried on valid."""
HALVES = tuple(2.0 ** np.arange(-10, 8))
SLOPES = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
Shares = NDArray[np.float64]


def falling(half: float, slope: float) -> Shares:
    """float64 (len(KNOTS),): 1 / (1 + (n / half)^slope), a logistic function of log n: the title counts as much as the
    rest where a list holds `half` items."""
    return 1.0 / (1.0 + (KNOTS / half) ** slope)


def by_rule() -> Shares:
    """float64 (len(KNOTS),): 1 / (1 + n), the title counting as much as one item (MMCF's authors)."""
    return falling(1.0, 1.0)


def share_of(n: NDArray[np.integer], shares: Shares, titled: NDArray[np.bool_]) -> Shares:
    """float64 (B,): what the title's answer weighs, the other weighing the rest: 0 without a title. n: (B,), known
    items of each list. titled: bool (B,), where a title says something."""
    return np.where(titled, np.interp(np.log1p(n), np.log1p(KNOTS), shares), 0.0)


def probability(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32, of the same shape: 1 / (1 + exp(-x)), in place."""
    with np.errstate(over="ignore"):  # exp(-x) of a very negative x is infinite, and the answer 0
        np.exp(np.negative(log_odds, out=log_odds), out=log_odds)
    log_odds += 1.0
    result: NDArray[np.float32] = np.reciprocal(log_odds, out=log_odds)
    return result


def learned(n: NDArray[np.integer], quality: NDArray[np.float64]) -> Shares:
    """float64 (len(KNOTS),): of the shares that fall with n as `falling` says, those with the best mean quality over
    all lists, whatever their lengths, since few of one length say little; of equal ones those nearest to the rule.

    n: (B,), known items of each list, above 0. quality: (B, len(GRID)), how good the answer is where the title's share
    is that of GRID, more is better; linear between them, NaN where nothing is asked for."""
    asked = ~np.isnan(quality).any(axis=1)
    if not asked.any():
        return by_rule()
    n, quality = n[asked], quality[asked]
    tried = [falling(half, slope) for half, slope in product(HALVES, SLOPES)]
    tried.sort(key=lambda shares: float(np.abs(shares - by_rule()).sum()))
    means = [float(_between(quality, share_of(n, shares, np.ones(len(n), np.bool_))).mean()) for shares in tried]
    return tried[int(np.argmax(means))]


def _between(quality: NDArray[np.float64], share: Shares) -> NDArray[np.float64]:
    """float64 (B,): quality, (B, len(GRID)), at each row's share."""
    place = share * (len(GRID) - 1)
    low = np.minimum(place.astype(np.int64), len(GRID) - 2)
    row, part = np.arange(len(share)), place - low
    result: NDArray[np.float64] = (1.0 - part) * quality[row, low] + part * quality[row, low + 1]
    return result
