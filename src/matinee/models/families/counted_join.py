"""Two answers joined with weights that depend on how many items a list holds: the title's share of the whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Holdout, Queries

KNOTS = np.array([0, 1, 2, 5, 10, 25, 50, 100])
"""Numbers of items at which a share is kept; between them it is linear in log(1 + n), beyond the last it stays."""
GRID = np.linspace(0.0, 1.0, 11)
Shares = NDArray[np.float64]


def by_rule() -> Shares:
    """float64 (len(KNOTS),): 1 / (1 + n), the title counting as much as one item (MMCF's authors)."""
    return 1.0 / (1.0 + KNOTS)


def share_of(n: NDArray[np.integer], shares: Shares, titled: NDArray[np.bool_]) -> Shares:
    """float64 (B,): what the title's answer weighs, the other weighing the rest: 0 without a title, 1 for a list that
    holds nothing that is known. n: (B,), known items of each list. titled: bool (B,), where a title says something."""
    between = np.interp(np.log1p(n), np.log1p(KNOTS), shares)
    return np.where(titled, np.where(n == 0, 1.0, between), 0.0)


def learned(
    valid: Holdout, n: NDArray[np.integer], titled: NDArray[np.bool_], measured: Callable[[Holdout, Shares], float]
) -> Shares:
    """float64 (len(KNOTS),): at each knot the share of GRID that measures best on the titled lists of valid nearest to
    it; of equal ones that nearest to the rule, which also stands where valid has no such list. measured(lists, shares):
    more is better."""
    found = by_rule()
    nearest = np.abs(np.log1p(n)[:, None] - np.log1p(KNOTS)).argmin(axis=1)
    for knot in range(1, len(KNOTS)):
        rows = np.flatnonzero(titled & (nearest == knot))
        if not len(rows):
            continue
        part = part_of(valid, rows)
        tried = sorted(GRID.tolist(), key=lambda share: abs(share - by_rule()[knot]))
        values = [measured(part, np.full(len(KNOTS), share)) for share in tried]
        if not np.isnan(values).any():
            found[knot] = tried[int(np.argmax(values))]
    return found


def part_of(holdout: Holdout, rows: NDArray[np.integer]) -> Holdout:
    """The holdout of these queries alone, without pairs."""
    queries: Queries = holdout.queries.take(rows)
    dislikes = None if holdout.dislikes is None else holdout.dislikes.take(rows)
    return Holdout(queries, holdout.truth.take(rows), holdout.protocol, dislikes=dislikes)
