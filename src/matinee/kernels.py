"""The compiled loops: what scipy and BLAS have no fast form for. Pure functions on arrays; nothing here knows a model.

Each kernel works on a range of rows and releases the GIL; `parallel` spreads ranges over plain threads. (Numba's own
threading layers may not be entered from two threads at once, as a server would.) Every row is computed by one thread in
one fixed order, so results do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Offsets = NDArray[np.int64]


def n_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(run: Callable[[int, int], Any], n: int, *, chunk: int) -> None:
    """Call run(start, stop) over 0..n in chunks, on all cores, this thread's among them; small work stays on it."""
    helpers = min(n_threads(), -(-n // chunk)) - 1
    if helpers < 1:
        run(0, n)
        return
    starts = iter(range(0, n, chunk))

    def work() -> None:
        for start in starts:
            run(start, min(start + chunk, n))

    others = [_helpers().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():  # never begun: all helpers are busy, perhaps with what called this, and all is done
                other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: new ones begin on the core that made them, which cost as much as a short kernel gained."""
    return ThreadPoolExecutor(n_threads() - 1, "matinee")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a fork has none of the threads


# --- histories x item-item weights ---------------------------------------------------------------------------------


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


# --- selection ------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def mask_rows(start: int, stop: int, offsets: Any, values: Any, scores: Any) -> None:
    """scores[b, values of row b] = -inf."""
    for b in range(start, stop):
        for p in range(offsets[b], offsets[b + 1]):
            scores[b, values[p]] = -np.inf


@njit(nogil=True, cache=True)
def top_k_rows(start: int, stop: int, scores: Any, item: Any, score: Any, tied: Any, nan: Any) -> None:
    """The k best columns of each row, best first; equal scores by column; -inf never enters.

    tied[b]: a column left out has exactly the k-th score. nan[b]: the row holds a NaN.
    """
    n = scores.shape[1]
    k = item.shape[1]
    wide = 32
    for b in range(start, stop):
        row = scores[b]
        best = score[b]
        code = item[b]
        filled = 0
        threshold = -np.inf
        rejected = -np.inf
        for j0 in range(0, n, wide):
            j1 = min(j0 + wide, n)
            # A run of 32 that cannot enter is passed over by one vectorised test; NaN fails the comparison and is seen.
            interesting = 0
            for j in range(j0, j1):
                interesting |= not (row[j] < threshold)
            if interesting == 0:
                continue
            for j in range(j0, j1):
                s = row[j]
                if s != s:
                    nan[b] = True
                    continue
                if s == -np.inf:
                    continue
                if filled == k:
                    if s <= threshold:
                        if s > rejected:
                            rejected = s
                        continue
                    if best[k - 1] > rejected:
                        rejected = best[k - 1]
                    p = k - 1
                else:
                    p = filled
                    filled += 1
                while p > 0 and best[p - 1] < s:
                    best[p] = best[p - 1]
                    code[p] = code[p - 1]
                    p -= 1
                best[p] = s
                code[p] = j
                if filled == k:
                    threshold = best[k - 1]
        for p in range(filled, k):
            best[p] = -np.inf
            code[p] = -1
        tied[b] = filled == k and k > 0 and rejected == threshold


@njit(nogil=True, cache=True)
def mask_candidates(
    start: int, stop: int, candidates: Any, offsets: Any, excluded: Any, n_items: int, scores: Any
) -> None:
    """scores[b, c] = -inf where candidate c is padding (-1), a repeat, or excluded for query b."""
    stamp = np.full(n_items, -1, np.int64)
    for b in range(start, stop):
        for p in range(offsets[b], offsets[b + 1]):
            stamp[excluded[p]] = b
        for c in range(candidates.shape[1]):
            code = candidates[b, c]
            if code < 0 or stamp[code] == b:
                scores[b, c] = -np.inf
            else:
                stamp[code] = b


# --- sampling ---------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def rows_contain(start: int, stop: int, offsets: Any, values: Any, rows: Any, wanted: Any, out: Any) -> None:
    """out[p] = wanted[p] is in row rows[p], for p in start..stop; values ascend within a row. Row -1 holds nothing."""
    for p in range(start, stop):
        out[p] = False
        if rows[p] < 0:
            continue
        low = offsets[rows[p]]
        left = offsets[rows[p] + 1] - low
        if left == 0:
            continue
        while left > 1:  # no branch to mispredict: half the time of the textbook's search
            half = left >> 1
            low += half if values[low + half] <= wanted[p] else 0
            left -= half
        out[p] = values[low] == wanted[p]


@njit(nogil=True, cache=True)
def alias_table(p: Any, keep: Any, other: Any) -> None:
    """Vose's alias table (IEEE Trans. Software Eng., 1991) of probabilities p: a draw picks j uniformly among the
    len(p) places and stays there with probability keep[j], else goes to other[j]."""
    n = len(p)
    left = p * n
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    n_small, n_large = 0, 0
    for j in range(n):
        keep[j] = 1.0
        other[j] = j
        if left[j] < 1.0:
            small[n_small] = j
            n_small += 1
        else:
            large[n_large] = j
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        a, b = small[n_small], large[n_large - 1]
        keep[a] = left[a]
        other[a] = b
        left[b] -= 1.0 - left[a]
        if left[b] < 1.0:
            n_large -= 1
            small[n_small] = b
            n_small += 1
