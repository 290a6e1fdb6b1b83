"""The compiled loops of lists: how alike their items are, and what popularity would have listed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sum_squares(
    start: int, stop: int, item: Any, offsets: Any, column: Any, value: Any, n_columns: int, square: Any, known: Any
) -> None:
    """For queries start..stop: square[b] = |sum of the rows of the listed items|^2, known[b] = how many have a row.

    item: int32 (B, K), negative = none. offsets, column, value: csr (n_items, n_columns). square: float64 (B,). known:
    int64 (B,). The time is that of the items' rows; one row of n_columns is held a thread.
    """
    total = np.zeros(n_columns, np.float64)
    for b in range(start, stop):
        touched = 0
        for r in range(item.shape[1]):
            i = item[b, r]
            if i >= 0 and offsets[i] < offsets[i + 1]:
                known[b] += 1
                touched += offsets[i + 1] - offsets[i]
                for p in range(offsets[i], offsets[i + 1]):
                    total[column[p]] += value[p]
        length = 0.0
        if touched > n_columns:  # one pass over the row is shorter
            for c in range(n_columns):
                length += total[c] * total[c]
                total[c] = 0.0
        else:
            for r in range(item.shape[1]):
                i = item[b, r]
                if i >= 0:
                    for p in range(offsets[i], offsets[i + 1]):
                        length += total[column[p]] * total[column[p]]
                        total[column[p]] = 0.0  # so that it counts once
        square[b] = length


@njit(nogil=True, cache=True)
def first_allowed(start: int, stop: int, order: Any, offsets: Any, excluded: Any, n_items: int, item: Any) -> None:
    """item[b] = the first codes of `order` that query b does not exclude. item: int32 (B, k), -1 before."""
    stamp = np.full(n_items, -1, np.int64)  # the last query that excludes each item
    for b in range(start, stop):
        for p in range(offsets[b], offsets[b + 1]):
            stamp[excluded[p]] = b
        filled = 0
        for i in order:
            if filled == item.shape[1]:
                break
            if stamp[i] != b:
                item[b, filled] = i
                filled += 1
