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


# --- Gram matrices ------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def gram_rows(
    start: int, stop: int, indptr: Any, indices: Any, data: Any, t_indptr: Any, t_rows: Any, t_position: Any, out: Any
) -> None:
    """out[i - start, j] += sum_u X[u, i] X[u, j] for items start <= i < stop and j >= i, by row scatter.

    X is csr (indptr, indices sorted, data); its transpose lists for each item i the users (t_rows) and where (u, i)
    lies in X's arrays (t_position), so the scan of u's row starts at i itself: only the upper triangle is touched.
    """
    for i in range(start, stop):
        row = out[i - start]
        for p in range(t_indptr[i], t_indptr[i + 1]):
            position = t_position[p]
            weight = data[position]
            for q in range(position, indptr[t_rows[p] + 1]):
                row[indices[q]] += weight * data[q]


@njit(nogil=True, cache=True)
def gram_rows_full(
    start: int, stop: int, indptr: Any, indices: Any, data: Any, t_indptr: Any, t_rows: Any, t_data: Any, out: Any
) -> None:
    """out[i - start, j] += sum_u X[u, i] X[u, j] for items start <= i < stop and every j; t_* is X's transpose."""
    for i in range(start, stop):
        row = out[i - start]
        for p in range(t_indptr[i], t_indptr[i + 1]):
            weight = t_data[p]
            for q in range(indptr[t_rows[p]], indptr[t_rows[p] + 1]):
                row[indices[q]] += weight * data[q]


@njit(nogil=True, cache=True)
def ridge_weights_rows(start: int, stop: int, P: Any, diagonal: Any) -> None:
    """In place, rows start..stop: P[i, j] -> -P[i, j] / P[j, j], zero on the diagonal (EASE, eq. 8)."""
    for i in range(start, stop):
        for j in range(P.shape[1]):
            P[i, j] = -P[i, j] / diagonal[j]
        P[i, i] = 0.0


@njit(nogil=True, cache=True)
def mirror_upper(start: int, stop: int, A: Any) -> None:
    """Copy the upper triangle's block rows start..stop onto the lower triangle, tile by tile."""
    n = A.shape[0]
    tile = 64
    for i0 in range(start, stop, tile):
        for j0 in range(i0, n, tile):
            for i in range(i0, min(i0 + tile, stop)):
                for j in range(max(j0, i + 1), min(j0 + tile, n)):
                    A[j, i] = A[i, j]


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


# --- sparse linear models --------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def shrunk(x: float, threshold: float, nonnegative: bool) -> float:
    """x moved towards zero by threshold; what is negative is cut off where only positive weights are allowed."""
    if x > threshold:
        return x - threshold
    if x < -threshold and not nonnegative:
        return x + threshold
    return 0.0 * x


@njit(nogil=True, cache=True)
def admm_rows(
    start: int, stop: int, first: int, P: Any, PM: Any, t: Any, rho: Any, threshold: Any, nonnegative: bool,
    A: Any, M: Any,
) -> None:  # fmt: skip
    """One ADMM step of rows start..stop of a block of columns, first..first + width (see AdmmSLIM).

    A = B + U - C in, with B = rho P M - P diag(t) off the diagonal and 0 on it, then M = 2 C - A, C = A shrunk.
    """
    width = A.shape[1]
    for i in range(start, stop):
        a, m, pm, p = A[i], M[i], PM[i], P[i]
        for j in range(width):
            step = rho * pm[j] - p[first + j] * t[j]
            if i == first + j:
                step = np.float32(0.0)
            # M = 2 C - A of the step before, so A - C = (A - M) / 2
            moved = step + np.float32(0.5) * (a[j] - m[j])
            a[j] = moved
            m[j] = np.float32(2.0) * shrunk(moved, threshold, nonnegative) - moved


@njit(nogil=True, cache=True)
def elastic_net_columns(
    start: int, stop: int, G: Any, l1: float, l2: float, nonnegative: bool, tolerance: float, max_sweeps: int, out: Any
) -> int:
    """Row j - start of out: the w that minimises |x_j - X w|^2 / 2 + l1 |w|_1 + l2 |w|^2 / 2 with w_j = 0, G = X'X.

    Coordinate descent: sweeps over all items, and between them sweeps over the items in use on their own small Gram
    matrix, until no weight moves by more than tolerance times the largest. Returns how many columns did not get there.
    """
    n = G.shape[0]
    unfinished = 0
    q = np.empty(n, np.float64)  # G w
    w = np.empty(n, np.float64)
    for j in range(start, stop):
        g = G[j]
        q[:] = 0.0
        w[:] = 0.0
        moved = True
        for _ in range(max_sweeps):
            largest, change = 0.0, 0.0
            for k in range(n):
                # with no negative weights nor counts, an item of G_kj <= l1 can never enter
                if k == j or G[k, k] <= 0.0 or (nonnegative and g[k] <= l1):
                    continue
                new = shrunk(g[k] - q[k] + G[k, k] * w[k], l1, nonnegative) / (G[k, k] + l2)
                step = new - w[k]
                if step != 0.0:
                    w[k] = new
                    change = max(change, abs(step))
                    row = G[k]
                    for i in range(n):
                        q[i] += step * row[i]
                largest = max(largest, abs(new))
            moved = change > tolerance * largest
            if not moved:
                break
            sweep_in_use(G, g, l1, l2, nonnegative, tolerance, max_sweeps, w, q)
        unfinished += moved
        for k in range(n):
            out[j - start, k] = w[k]
    return unfinished


@njit(nogil=True, cache=True)
def sweep_in_use(
    G: Any, g: Any, l1: float, l2: float, nonnegative: bool, tolerance: float, max_sweeps: int, w: Any, q: Any
) -> None:
    """Coordinate descent of elastic_net_columns among the items whose weight is not zero; w and q = G w in place."""
    n = G.shape[0]
    items = np.flatnonzero(w)
    size = len(items)
    small = np.empty((size, size), np.float64)
    at = np.empty(size, np.float64)
    before = np.empty(size, np.float64)
    for a in range(size):
        at[a] = q[items[a]]
        before[a] = w[items[a]]
        for b in range(size):
            small[a, b] = G[items[a], items[b]]
    weight = before.copy()
    for _ in range(max_sweeps):
        largest, change = 0.0, 0.0
        for a in range(size):
            new = shrunk(g[items[a]] - at[a] + small[a, a] * weight[a], l1, nonnegative) / (small[a, a] + l2)
            step = new - weight[a]
            if step != 0.0:
                weight[a] = new
                change = max(change, abs(step))
                for b in range(size):
                    at[b] += step * small[a, b]
            largest = max(largest, abs(new))
        if change <= tolerance * largest:
            break
    for a in range(size):
        step = weight[a] - before[a]
        if step != 0.0:
            w[items[a]] = weight[a]
            row = G[items[a]]
            for i in range(n):
                q[i] += step * row[i]


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
