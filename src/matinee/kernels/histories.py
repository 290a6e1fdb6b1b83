"""The compiled loops over histories: which events count, and sums of the rows of item-item weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def last_occurrence(offsets: Any, values: Any, n_items: int) -> Any:
    """True where an item occurs for the last time in its row."""
    keep = np.ones(len(values), np.bool_)
    stamp = np.full(n_items, -1, np.int64)
    for b in range(len(offsets) - 1):
        for p in range(offsets[b + 1] - 1, offsets[b] - 1, -1):
            if stamp[values[p]] == b:
                keep[p] = False
            stamp[values[p]] = b
    return keep


@njit(nogil=True, cache=True, fastmath={"contract"})
def history_times_dense(start: int, stop: int, offsets: Any, items: Any, weights: Any, W: Any, out: Any) -> None:
    """out[b] = sum_p weights[p] W[items[p]] over the history of query b, for b in start..stop."""
    n = W.shape[1]
    for b in range(start, stop):
        acc = out[b]
        acc[:] = 0.0
        for p in range(offsets[b], offsets[b + 1]):
            row = W[items[p]]
            w = weights[p]
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
