"""The compiled loops of negative sampling: membership tests and alias tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def rows_contain(start: int, stop: int, offsets: Any, values: Any, rows: Any, wanted: Any, out: Any) -> None:
    """out[p] = wanted[p] is in row rows[p], for p in start..stop; values ascend within a row. Row -1 holds nothing."""
    for p in range(start, stop):
        out[p] = False
        if rows[p] < 0:
            continue
        low = offsets[rows[p]]
        left = offsets[rows[p] + 1] - low
        while left > 1:  # binary search without a branch to mispredict: half the textbook's time
            half = left >> 1
            low += half if values[low + half] <= wanted[p] else 0
            left -= half
        out[p] = left == 1 and values[low] == wanted[p]


@njit(nogil=True, cache=True)
def alias_table(p: Any, keep: Any, other: Any) -> None:
    """Vose's alias table (IEEE Trans. Software Eng., 1991) of probabilities p: a draw picks j uniformly among the
    len(p) places and stays there with probability keep[j], else goes to other[j]. keep: float64, other: int64."""
    n = len(p)
    left = p * n  # the mean is 1, the size of a place
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small, n_large = 0, 0
    for j in range(n):
        keep[j], other[j] = 1.0, j
        if left[j] < 1.0:
            small[n_small] = j
            n_small += 1
        else:
            large[n_large] = j
            n_large += 1
    # fill up each small place by a part of a large one; each place is done once, so the time is linear
    while n_small and n_large:
        n_small -= 1
        a, b = small[n_small], large[n_large - 1]
        keep[a], other[a] = left[a], b
        left[b] -= 1.0 - left[a]
        if left[b] < 1.0:
            n_large -= 1
            small[n_small] = b
            n_small += 1
