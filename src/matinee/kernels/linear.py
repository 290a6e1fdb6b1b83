"""The compiled loops of the linear models: Gram matrices, and SLIM's coordinate and ADMM steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

TILE = 64  # rows that are mirrored at a time: their cache lines stay in a core's own cache


@njit(nogil=True, cache=True)
def gram_rows(
    start: int, stop: int, indptr: Any, indices: Any, data: Any, t_indptr: Any, t_rows: Any, t_position: Any, out: Any
) -> None:
    """out[i - start, j] += sum_u X[u, i] X[u, j] for items start <= i < stop and j >= i, by row scatter. X is csr
    (indptr, indices sorted, data); its transpose lists for each item i the users (t_rows) and where (u, i) lies in X's
    arrays (t_position), so the scan of u's row starts at i itself: only the upper triangle is touched."""
    for i in range(start, stop):
        row = out[i - start]
        for p in range(t_indptr[i], t_indptr[i + 1]):  # the users of item i, always in the same order
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


def mirror_upper(start: int, stop: int, A: NDArray[Any]) -> None:
    """Copy the upper triangle's block rows start..stop onto the lower triangle. numpy is as fast here as a compiled
    loop, which takes .3 s to compile in a fresh process."""
    for i in range(start, stop, TILE):
        j = min(i + TILE, stop)
        corner = A[i:j, i:j]
        below = np.tril_indices(j - i, -1)
        corner[below] = corner.T[below]
        A[j:, i:j] = A[i:j, j:].T


@njit(nogil=True, cache=True)
def soft_threshold(x: float, threshold: float, nonnegative: bool) -> float:
    """x moved towards zero by threshold, and 0 for a negative x where weights may not be negative."""
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

    From A = B + U - C, with B = rho P M - P diag(t) off the diagonal and 0 on it, then M = 2 C - A, C = A shrunk.
    """
    width = A.shape[1]
    for i in range(start, stop):
        a, m, pm, p = A[i], M[i], PM[i], P[i]
        for j in range(width):
            # B of this step; t is such that its diagonal is 0, which rounding would miss
            step = rho * pm[j] - p[first + j] * t[j]
            if i == first + j:
                step = np.float32(0.0)
            # the dual U = A - C; M = 2 C - A of the step before, so A - C = (A - M) / 2
            moved = step + np.float32(0.5) * (a[j] - m[j])
            a[j] = moved
            # C, the minimiser of the L1 term, is A shrunk by l1 / rho
            m[j] = np.float32(2.0) * soft_threshold(moved, threshold, nonnegative) - moved


@njit(nogil=True, cache=True)
def elastic_net_columns(
    start: int, stop: int, G: Any, l1: float, l2: float, nonnegative: bool, tolerance: float, max_sweeps: int, out: Any
) -> int:
    """Row j - start of out: the w that minimises |x_j - X w|^2 / 2 + l1 |w|_1 + l2 |w|^2 / 2 with w_j = 0, G = X'X.

    Coordinate descent: sweeps over all items, and between them sweeps over the items in use on their own small Gram
    matrix, until no weight moves by more than tolerance times the largest. Returns how many columns did not converge.
    G: (n, n), both triangles. out: float32 (stop - start, n).
    """
    n = G.shape[0]
    unfinished = 0
    w, q = np.empty(n, np.float64), np.empty(n, np.float64)  # q = G w, kept up to date: a gradient is one number
    for j in range(start, stop):
        g = G[j]
        w[:], q[:] = 0.0, 0.0
        moved = True
        for _ in range(max_sweeps):
            largest, change = 0.0, 0.0
            for k in range(n):
                # with no negative weights nor counts, an item of G_kj <= l1 can never enter
                if k == j or G[k, k] <= 0.0 or (nonnegative and g[k] <= l1):
                    continue
                # the minimum along w_k: the residual's correlation with x_k, w_k's own share put back, thresholded
                new = soft_threshold(g[k] - q[k] + G[k, k] * w[k], l1, nonnegative) / (G[k, k] + l2)
                step = new - w[k]
                if step != 0.0:
                    w[k] = new
                    change = max(change, abs(step))
                    row = G[k]
                    for i in range(n):
                        q[i] += step * row[i]
                largest = max(largest, abs(new))
            # only a sweep over all items may end the search: items out of use may enter
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
    """Coordinate descent of elastic_net_columns among the items whose weight is not zero; w and q = G w in place.

    On a copy of their rows and columns, which fits into a cache: a step costs `size`, not n.
    """
    n = G.shape[0]
    items = np.flatnonzero(w)
    size = len(items)
    small = np.empty((size, size), np.float64)
    at, before = np.empty(size, np.float64), np.empty(size, np.float64)
    for a in range(size):
        at[a], before[a] = q[items[a]], w[items[a]]
        for b in range(size):
            small[a, b] = G[items[a], items[b]]
    weight = before.copy()
    for _ in range(max_sweeps):
        largest, change = 0.0, 0.0
        for a in range(size):
            new = soft_threshold(g[items[a]] - at[a] + small[a, a] * weight[a], l1, nonnegative) / (small[a, a] + l2)
            step = new - weight[a]
            if step != 0.0:
                weight[a] = new
                change = max(change, abs(step))
                for b in range(size):
                    at[b] += step * small[a, b]
            largest = max(largest, abs(new))
        if change <= tolerance * largest:
            break
    # bring q up to date once for each weight that moved
    for a in range(size):
        step = weight[a] - before[a]
        if step != 0.0:
            w[items[a]] = weight[a]
            row = G[items[a]]
            for i in range(n):
                q[i] += step * row[i]
