"""The compiled loops over histories: the last event of each item, and sums of rows of item-item weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def last_occurrence(offsets: NDArray[np.int64], values: NDArray[Any], n_items: int) -> NDArray[np.bool_]:
    """bool, in parallel with values: true where an item occurs for the last time in its row."""
    keep = np.empty(len(values), np.bool_)
    mark_last(offsets, values, np.full(n_items, -1), keep)
    return keep


@njit(nogil=True, cache=True)
def mark_last(offsets: Any, values: Any, stamp: Any, keep: Any) -> None:
    """last_occurrence with arrays made outside, for numba takes most of a second to compile numpy's own functions.

    stamp: int64 (n_items,), -1: the last row in which each item was met, so that it need not be emptied between rows.
    """
    for b in range(len(offsets) - 1):
        for p in range(offsets[b + 1] - 1, offsets[b] - 1, -1):  # from the newest back: the first met is the last
            keep[p] = stamp[values[p]] != b
            stamp[values[p]] = b


@njit(nogil=True, cache=True, fastmath={"contract"})
def history_times_dense(start: int, stop: int, offsets: Any, items: Any, weights: Any, W: Any, out: Any) -> None:
    """out[b] = sum_p weights[p] W[items[p]] over the history of query b, for b in start..stop. out: float32 (B, n)."""
    n = W.shape[1]
    for b in range(start, stop):
        acc = out[b]
        acc[:] = 0.0
        for p in range(offsets[b], offsets[b + 1]):
            w, row = weights[p], W[items[p]]
            for j in range(n):
                acc[j] += w * row[j]


@njit(nogil=True, cache=True)
def history_times_sparse(
    start: int, stop: int, offsets: Any, items: Any, weights: Any, indptr: Any, indices: Any, data: Any, out: Any
) -> None:
    """out[b] = sum_p weights[p] W[items[p]] with W in csr (row = history item, column = scored item)."""
    for b in range(start, stop):
        acc = out[b]
        acc[:] = 0.0
        for p in range(offsets[b], offsets[b + 1]):
            w = weights[p]
            for q in range(indptr[items[p]], indptr[items[p] + 1]):
                acc[indices[q]] += w * data[q]
