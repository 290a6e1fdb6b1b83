"""The compiled loops that choose a list item by item, each choice depending on those before it.

item: int32 (B, n), best first, -1 = no more. relevance: float32 (B, n), 0..1. chosen: int32 (B, places), written: the
columns of `item`, each once, as they are chosen; where there are fewer items than places, columns without an item at
the end. Equal values go to the earlier column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def mmr_rows(
    start: int, stop: int, lam: float, vectors: bool, width: int, item: Any, relevance: Any, indptr: Any, indices: Any,
    data: Any, chosen: Any,
) -> None:  # fmt: skip
    """Next comes the largest (1 - lam) * relevance - lam * the largest similarity to an item that was chosen before
    (Carbonell & Goldstein, SIGIR 1998).

    indptr, indices, data: csr. vectors: its rows, (n_items, width), are vectors whose dot products are similarities; or
    else it is (n_items, n_items) and holds the similarities, 0 where it has none.
    """
    n = item.shape[1]
    dense = np.zeros(width, np.float64)  # the row of the item that was chosen last
    nearest, left = np.empty(n, np.float64), np.empty(n, np.bool_)
    for b in range(start, stop):
        m = begin(item[b], left, chosen[b])
        nearest[:] = 0.0
        for step in range(min(m, chosen.shape[1])):
            best, most = -1, -np.inf
            for i in range(m):
                value = (1.0 - lam) * relevance[b, i] - lam * nearest[i]
                if left[i] and value > most:
                    best, most = i, value
            left[best] = False
            chosen[b, step] = best
            first, last = indptr[item[b, best]], indptr[item[b, best] + 1]
            for p in range(first, last):
                dense[indices[p]] = data[p]
            for i in range(m):
                if left[i] and vectors:
                    alike = 0.0
                    for p in range(indptr[item[b, i]], indptr[item[b, i] + 1]):
                        alike += data[p] * dense[indices[p]]
                    nearest[i] = max(nearest[i], alike)
                elif left[i]:
                    nearest[i] = max(nearest[i], dense[item[b, i]])
            for p in range(first, last):
                dense[indices[p]] = 0.0


@njit(nogil=True, cache=True)
def calibrated_rows(
    start: int, stop: int, lam: float, alpha: float, item: Any, relevance: Any, target: Any, indptr: Any, indices: Any,
    data: Any, chosen: Any,
) -> None:  # fmt: skip
    """Next comes the item with which (1 - lam) * the sum of relevance - lam * KL(p || q) is largest (Steck, RecSys
    2018, eq. 6); q is the mean share of each value in the list, of which alpha is p.

    target: float64 (B, values), p: shares of the history, 0 where nothing is known. indptr, indices, data: csr
    (n_items, values), the shares of each item; an item without any leaves q as it is.
    """
    n, width = item.shape[1], target.shape[1]
    left, total, log_q = np.empty(n, np.bool_), np.empty(width, np.float64), np.empty(width, np.float64)
    for b in range(start, stop):
        m, p_of = begin(item[b], left, chosen[b]), target[b]
        total[:] = 0.0
        listed = 0  # items with shares
        for step in range(min(m, chosen.shape[1])):
            # -KL without its constant part, sum p log q~: as the list is, and with one more item that has no value of p
            same, other = 0.0, 0.0
            for g in range(width):
                if p_of[g] > 0.0:
                    same += p_of[g] * np.log((1.0 - alpha) * total[g] / max(listed, 1) + alpha * p_of[g])
                    log_q[g] = np.log((1.0 - alpha) * total[g] / (listed + 1) + alpha * p_of[g])
                    other += p_of[g] * log_q[g]
            best, most = -1, -np.inf
            for i in range(m):
                if not left[i]:
                    continue
                first, last = indptr[item[b, i]], indptr[item[b, i] + 1]
                fit = same if first == last else other
                for p in range(first, last):
                    g = indices[p]
                    if p_of[g] > 0.0:
                        share = (total[g] + data[p]) / (listed + 1)
                        fit += p_of[g] * (np.log((1.0 - alpha) * share + alpha * p_of[g]) - log_q[g])
                value = (1.0 - lam) * relevance[b, i] + lam * fit
                if value > most:
                    best, most = i, value
            left[best] = False
            chosen[b, step] = best
            first, last = indptr[item[b, best]], indptr[item[b, best] + 1]
            listed += first < last
            for p in range(first, last):
                total[indices[p]] += data[p]


@njit(nogil=True, cache=True)
def begin(item: Any, left: Any, chosen: Any) -> int:
    """The number of items of a row; all of them are left, and the first are chosen until others are."""
    m = 0
    for i in range(len(item)):
        left[i] = item[i] >= 0
        m += item[i] >= 0
    for i in range(len(chosen)):
        chosen[i] = i
    return m
