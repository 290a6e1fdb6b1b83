"""The compiled loops of the factor models: ridge and logistic regressions of many rows, conjugate gradients, BPR.

Draws are a hash of counters, so that neither the order of rows nor the number of threads matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; NaN and infinity keep their meaning


# --- regressions: one row's vector, the other side fixed ------------------------------------------------------------


@njit(nogil=True, cache=True, fastmath=FAST)
def regress_rows(
    start: int,
    stop: int,
    indptr: Any,
    indices: Any,
    target: Any,
    F: Any,
    offset: Any,
    A0: Any,
    b0: Any,
    penalty: Any,
    weight: float,
    logistic: bool,
    steps: int,
    noise: Any,
    out: Any,
) -> None:
    """Newton steps on x = out[r] from where it stands, float64, for the rows start..stop of a csr matrix of targets:

        minimise  weight/2 sum_j (target_j - z_j)^2 + x'A0 x/2 - b0'x + sum_a penalty[r, a] x_a^2/2,  z = offset + F x

    over the row's observed columns j, or with the cross-entropy of target_j (0..1) and sigmoid(z_j) where `logistic`.
    The squares are solved exactly by one step. noise (rows, f), or no rows: the solution is moved by L^-T noise[r]
    with LL' the Hessian, so that standard normal noise draws from N(solution, Hessian^-1).
    """
    f = F.shape[1]
    A = np.empty((f, f))
    x, g = np.empty(f), np.empty(f)
    wide = 4  # observations per pass over A
    v, w = np.zeros((wide, f)), np.zeros((wide, f))
    for r in range(start, stop):
        x[:] = out[r]
        for _ in range(steps):
            for a in range(f):
                s = b0[a] - penalty[r, a] * x[a]
                for b in range(f):
                    s -= A0[a, b] * x[b]
                    A[a, b] = A0[a, b]
                A[a, a] += penalty[r, a]
                g[a] = s
            for q0 in range(indptr[r], indptr[r + 1], wide):
                for i in range(wide):
                    q = q0 + i
                    if q >= indptr[r + 1]:
                        v[i] = 0.0
                        w[i] = 0.0
                        continue
                    j = indices[q]
                    z = np.float64(offset[j])
                    for a in range(f):
                        v[i, a] = F[j, a]
                        z += v[i, a] * x[a]
                    if logistic:
                        p = 1.0 / (1.0 + np.exp(-z))
                        error, curve = target[q] - p, p * (1.0 - p)
                    else:
                        error, curve = weight * (target[q] - z), weight
                    for a in range(f):
                        g[a] += error * v[i, a]
                        w[i, a] = curve * v[i, a]
                for a in range(f):
                    w0, w1, w2, w3 = w[0, a], w[1, a], w[2, a], w[3, a]
                    for b in range(a + 1):
                        A[a, b] += w0 * v[0, b] + w1 * v[1, b] + w2 * v[2, b] + w3 * v[3, b]
            factor_and_solve(A, g, noise, r)
            for a in range(f):
                x[a] += g[a]
        out[r] = x


@njit(nogil=True, cache=True, fastmath=FAST)
def factor_and_solve(A: Any, g: Any, noise: Any, row: int) -> None:
    """In place: A's lower triangle -> its Cholesky factor L, g -> L^-T (L^-1 g + noise[row])."""
    f = len(g)
    for a in range(f):
        for b in range(a + 1):
            s = A[a, b]
            for c in range(b):
                s -= A[a, c] * A[b, c]
            A[a, b] = np.sqrt(s) if a == b else s / A[b, b]
    for a in range(f):
        s = g[a]
        for b in range(a):
            s -= A[a, b] * g[b]
        g[a] = s / A[a, a]
    if len(noise):
        for a in range(f):
            g[a] += noise[row, a]
    for a in range(f - 1, -1, -1):
        g[a] /= A[a, a]
        for b in range(a):
            g[b] -= A[a, b] * g[a]


@njit(nogil=True, cache=True, fastmath=FAST)
def conjugate_gradient_rows(
    start: int, stop: int, indptr: Any, indices: Any, F: Any, G: Any, ridge: Any, steps: int, out: Any
) -> None:
    """Steps of conjugate gradients, float32, from out[r] towards (G + ridge[r] I + sum_j F_j F_j') x = sum_j F_j,
    j the columns of row r. The matrix is never made: a step costs (columns of the row + f) * f."""
    f = F.shape[1]
    x, r, p, Ap = np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for u in range(start, stop):
        low, high = indptr[u], indptr[u + 1]
        if low == high:
            out[u] = zero
            continue
        x[:] = out[u]
        for a in range(f):
            s = zero
            for b in range(f):
                s += G[a, b] * x[b]
            r[a] = -s - ridge[u] * x[a]
        for q in range(low, high):
            v = F[indices[q]]
            d = zero
            for a in range(f):
                d += v[a] * x[a]
            d = one - d
            for a in range(f):
                r[a] += d * v[a]
        square = zero
        for a in range(f):
            p[a] = r[a]
            square += r[a] * r[a]
        for _ in range(steps):
            if square < 1e-20:
                break
            for a in range(f):
                s = zero
                for b in range(f):
                    s += G[a, b] * p[b]
                Ap[a] = s + ridge[u] * p[a]
            for q in range(low, high):
                v = F[indices[q]]
                d = zero
                for a in range(f):
                    d += v[a] * p[a]
                for a in range(f):
                    Ap[a] += d * v[a]
            curve = zero
            for a in range(f):
                curve += p[a] * Ap[a]
            step = square / curve
            new = zero
            for a in range(f):
                x[a] += step * p[a]
                r[a] -= step * Ap[a]
                new += r[a] * r[a]
            for a in range(f):
                p[a] = r[a] + new / square * p[a]
            square = new
        out[u] = x


# --- BPR ------------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def mixed(key: Any, counter: Any) -> Any:
    """64 random bits, a pure function of two uint64 (the finaliser of splitmix64)."""
    z = key + np.uint64(0x9E3779B97F4A7C15) * (counter + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(nogil=True, cache=True)
def negative(key: Any, counter: Any, pool: Any, indices: Any, low: int, high: int) -> int:
    """An item of `pool`, uniform among those not in indices[low:high] (sorted); -1 after 64 vain draws."""
    for attempt in range(64):
        bits = mixed(key, counter * np.uint64(64) + np.uint64(attempt))
        j = pool[np.int64((bits >> np.uint64(33)) % np.uint64(len(pool)))]
        p = low + np.searchsorted(indices[low:high], j)
        if p == high or indices[p] != j:
            return int(j)
    return -1


@njit(nogil=True, cache=True, fastmath=FAST)
def bpr_epoch(
    order: Any, users: Any, indptr: Any, indices: Any, pool: Any, key: Any, rate: float, l2: float, U: Any, V: Any
) -> float:
    """One pass of stochastic gradient over the positives in `order`, each against one negative; the mean loss.

    Descends -ln sigmoid(u (v_i - v_j)) + l2/2 (|u|^2 + |v_i|^2 + |v_j|^2). The last column of U stays as it is: where
    it is 1, the last column of V is the items' bias.
    """
    f = U.shape[1]
    step, shrink = np.float32(rate), np.float32(rate * l2)
    loss = 0.0
    for n in range(len(order)):
        q = order[n]
        user, i = users[q], indices[q]
        j = negative(key, np.uint64(q), pool, indices, indptr[user], indptr[user + 1])
        if j < 0:
            continue
        u, x, y = U[user], V[i], V[j]
        d = np.float32(0.0)
        for a in range(f):
            d += u[a] * (x[a] - y[a])
        e = step / (np.float32(1.0) + np.exp(d))
        loss += np.log1p(np.exp(-np.float64(d)))
        for a in range(f - 1):
            ua, xa, ya = u[a], x[a], y[a]
            u[a] += e * (xa - ya) - shrink * ua
            x[a] += e * ua - shrink * xa
            y[a] -= e * ua + shrink * ya
        x[f - 1] += e * u[f - 1] - shrink * x[f - 1]
        y[f - 1] -= e * u[f - 1] + shrink * y[f - 1]
    return loss / max(len(order), 1)


@njit(nogil=True, cache=True, fastmath=FAST)
def bpr_fold_rows(
    start: int, stop: int, indptr: Any, indices: Any, pool: Any, epochs: int, rate: float, l2: float, V: Any, out: Any
) -> None:
    """bpr_epoch on the vectors out[r] alone, `epochs` times with a rate that falls to 0; draws depend on the row's
    items only, not on where the row stands."""
    f = V.shape[1]
    for r in range(start, stop):
        u = out[r]
        low, high = indptr[r], indptr[r + 1]
        for epoch in range(epochs):
            step = np.float32(rate * (1.0 - epoch / epochs))
            shrink = np.float32(step * l2)
            for q in range(low, high):
                j = negative(np.uint64(epoch), np.uint64(indices[q]), pool, indices, low, high)
                if j < 0:
                    continue
                x, y = V[indices[q]], V[j]
                d = np.float32(0.0)
                for a in range(f):
                    d += u[a] * (x[a] - y[a])
                e = step / (np.float32(1.0) + np.exp(d))
                for a in range(f - 1):
                    u[a] += e * (x[a] - y[a]) - shrink * u[a]
