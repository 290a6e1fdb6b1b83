"""The compiled loops of the factor models: ridge and logistic regressions of many rows, conjugate gradients, BPR.

Draws are a hash of counters, so that neither the order of rows nor the number of threads matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.arithmetic import SUMS, random_bits


@njit(nogil=True, cache=True, fastmath=SUMS)
def regress_rows(
    start: int, stop: int, indptr: Any, indices: Any, target: Any, own: Any, F: Any, offset: Any, A0: Any, b0: Any,
    penalty: Any, weight: float, logistic: bool, steps: int, noise: Any, out: Any,
) -> None:  # fmt: skip
    """Newton steps on x = out[r] from its present value, float64, for the rows start..stop of a csr matrix of targets:

        minimise  weight/2 sum_j own_j (target_j - z_j)^2 + x'A0 x/2 - b0'x + sum_a penalty[r, a] x_a^2/2,

    z = offset + F x,

    over the row's observed columns j, or with the cross-entropy of target_j (0..1) and sigmoid(z_j) where `logistic`
    (then without weights). own: float32, as target, or of length 1 for all.
    One step solves the squares exactly. noise (rows, f), or no rows: the solution is moved by L^-T noise[r] with LL'
    the Hessian, so that standard normal noise draws from N(solution, Hessian^-1). out: float64 (rows, f).
    """
    f = F.shape[1]
    A, x, g = np.empty((f, f)), np.empty(f), np.empty(f)
    v, w = np.zeros((4, f)), np.zeros((4, f))
    for r in range(start, stop):
        x[:] = out[r]
        for _ in range(steps):
            # the gradient (its negative, g) and the Hessian A of the prior
            for a in range(f):
                s = b0[a] - penalty[r, a] * x[a]
                for b in range(f):
                    s -= A0[a, b] * x[b]
                    A[a, b] = A0[a, b]
                A[a, a] += penalty[r, a]
                g[a] = s
            for q in range(indptr[r], indptr[r + 1], 4):
                add_observations(q, indptr[r + 1], indices, target, own, F, offset, x, weight, logistic, v, w, A, g)
            # the Newton step is A^-1 g
            factor_and_solve(A, g, noise, r)
            for a in range(f):
                x[a] += g[a]
        out[r] = x


@njit(nogil=True, cache=True, fastmath=SUMS, inline="always")  # as a call it would cost 8 % of a regression
def add_observations(
    first: int, end: int, indices: Any, target: Any, own: Any, F: Any, offset: Any, x: Any, weight: float,
    logistic: bool, v: Any, w: Any, A: Any, g: Any,
) -> None:  # fmt: skip
    """Add up to four observations of a row, from `first` on, to g and to A's lower triangle. v, w (4, f): work space.

    Four together, because a pass over A costs more than the products: with one at a time A is read four times.
    """
    f = len(x)
    for i in range(4):
        q = first + i
        if q >= end:
            v[i], w[i] = 0.0, 0.0
            continue
        j = indices[q]
        z = np.float64(offset[j])
        for a in range(f):
            v[i, a] = F[j, a]
            z += v[i, a] * x[a]
        # first and second derivative of the loss with respect to z
        if logistic:
            p = 1.0 / (1.0 + np.exp(-z))
            error, curve = target[q] - p, p * (1.0 - p)
        else:
            scale = weight * own[q if len(own) > 1 else 0]
            error, curve = scale * (target[q] - z), scale
        for a in range(f):
            g[a] += error * v[i, a]
            w[i, a] = curve * v[i, a]
    for a in range(f):
        w0, w1, w2, w3 = w[0, a], w[1, a], w[2, a], w[3, a]
        for b in range(a + 1):
            A[a, b] += w0 * v[0, b] + w1 * v[1, b] + w2 * v[2, b] + w3 * v[3, b]


@njit(nogil=True, cache=True, fastmath=SUMS)
def factor_and_solve(A: Any, g: Any, noise: Any, row: int) -> None:
    """In place: A's lower triangle -> its Cholesky factor L, g -> L^-T (L^-1 g + noise[row])."""
    f = len(g)
    # Cholesky, row by row: A = L L'
    for a in range(f):
        for b in range(a + 1):
            s = A[a, b]
            for c in range(b):
                s -= A[a, c] * A[b, c]
            A[a, b] = np.sqrt(s) if a == b else s / A[b, b]
    # forward substitution: L^-1 g
    for a in range(f):
        s = g[a]
        for b in range(a):
            s -= A[a, b] * g[b]
        g[a] = s / A[a, a]
    # between the two solves: L^-T times standard normal noise has covariance A^-1
    if len(noise):
        for a in range(f):
            g[a] += noise[row, a]
    # back substitution, by columns of L', because L lies in rows
    for a in range(f - 1, -1, -1):
        g[a] /= A[a, a]
        for b in range(a):
            g[b] -= A[a, b] * g[a]


@njit(nogil=True, cache=True, fastmath=SUMS, inline="always")
def multiply(G: Any, ridge: Any, F: Any, columns: Any, weights: Any, p: Any, out: Any) -> None:
    """out = (G + ridge I + sum_j w_j F_j F_j') p over these columns j, without building the matrix."""
    f = len(p)
    for a in range(f):
        s = np.float32(0.0)
        for b in range(f):
            s += G[a, b] * p[b]
        out[a] = s + ridge * p[a]
    for q in range(len(columns)):
        v = F[columns[q]]
        d = np.float32(0.0)
        for a in range(f):
            d += v[a] * p[a]
        d *= weights[q]
        for a in range(f):
            out[a] += d * v[a]


@njit(nogil=True, cache=True, fastmath=SUMS)
def conjugate_gradient_rows(
    start: int, stop: int, indptr: Any, indices: Any, weights: Any, F: Any, G: Any, ridge: Any, steps: int, out: Any
) -> None:
    """Steps of conjugate gradients, float32, from out[r] towards (G + ridge[r] I + sum_j w_j F_j F_j') x =
    sum_j w_j F_j, j the columns of row r, w_j float32. The matrix is never built: a step costs (columns of the row + f)
    * f. out: (rows, f)."""
    f = F.shape[1]
    x, r, p, Ap = np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32), np.empty(f, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for u in range(start, stop):
        low, high = indptr[u], indptr[u + 1]
        if low == high:  # the right side is 0
            out[u] = zero
            continue
        x[:] = out[u]
        # residual r = right side - A x; F_j's share of it is w_j (1 - F_j'x) F_j
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
            d = weights[q] * (one - d)
            for a in range(f):
                r[a] += d * v[a]
        # the first direction p is the residual
        square = zero
        for a in range(f):
            p[a] = r[a]
            square += r[a] * r[a]
        for _ in range(steps):
            if square < 1e-20:  # solved; the next step would divide 0 by 0
                break
            multiply(G, ridge[u], F, indices[low:high], weights[low:high], p, Ap)
            # step length |r|^2 / p'Ap: the minimum along p
            curve = zero
            for a in range(f):
                curve += p[a] * Ap[a]
            step = square / curve
            new = zero
            for a in range(f):
                x[a] += step * p[a]
                r[a] -= step * Ap[a]
                new += r[a] * r[a]
            # the next direction: the residual, made conjugate to p
            for a in range(f):
                p[a] = r[a] + new / square * p[a]
            square = new
        out[u] = x


@njit(nogil=True, cache=True)
def negative(key: Any, counter: Any, pool: Any, indices: Any, low: int, high: int) -> int:
    """An item of `pool`, uniform among those not in indices[low:high] (sorted); -1 after 64 draws of items in it."""
    for attempt in range(64):
        bits = random_bits(key, counter * np.uint64(64) + np.uint64(attempt))
        j = pool[np.int64((bits >> np.uint64(33)) % np.uint64(len(pool)))]
        p = low + np.searchsorted(indices[low:high], j)
        if p == high or indices[p] != j:
            return int(j)
    return -1


@njit(nogil=True, cache=True, fastmath=SUMS)
def bpr_epoch(
    order: Any, users: Any, indptr: Any, indices: Any, pool: Any, key: Any, rate: float, l2: float, U: Any, V: Any,
    pairs: Any, said_no: Any, disliked: Any, share: float,
) -> float:  # fmt: skip
    """One pass of stochastic gradient over the positives pairs[order], each against one negative; the mean loss. With
    probability `share` the negative is one of disliked[said_no[user] : said_no[user + 1]], where there is any.
    Descends -ln sigmoid(u (v_i - v_j)) + l2/2 (|u|^2 + |v_i|^2 + |v_j|^2). The last column of U stays as it is: where
    it is 1, the last column of V is the items' bias. U, V: float32 (n_users, f) and (n_items, f), changed in place."""
    f = U.shape[1]
    step, shrink = np.float32(rate), np.float32(rate * l2)
    loss = 0.0
    for n in range(len(order)):
        q = pairs[order[n]]
        user, i = users[q], indices[q]
        j = negative(key, np.uint64(order[n]), pool, indices, indptr[user], indptr[user + 1])
        many = said_no[user + 1] - said_no[user]
        if many > 0 and share > 0.0:
            bits = random_bits(key ^ np.uint64(0x9E3779B97F4A7C15), np.uint64(order[n]))
            if np.float64(bits >> np.uint64(11)) < share * 9007199254740992.0:  # 2^53
                bits = random_bits(key ^ np.uint64(0xD1B54A32D192ED03), np.uint64(order[n]))
                j = disliked[said_no[user] + np.int64((bits >> np.uint64(33)) % np.uint64(many))]
        if j < 0:
            continue
        u, x, y = U[user], V[i], V[j]
        d = np.float32(0.0)
        for a in range(f):
            d += u[a] * (x[a] - y[a])
        # the gradient of -ln sigmoid(d) is -sigmoid(-d) = -1 / (1 + exp(d))
        e = step / (np.float32(1.0) + np.exp(d))
        loss += np.log1p(np.exp(-np.float64(d)))
        # all three move by the values before the step
        for a in range(f - 1):
            ua, xa, ya = u[a], x[a], y[a]
            u[a] += e * (xa - ya) - shrink * ua
            x[a] += e * ua - shrink * xa
            y[a] -= e * ua + shrink * ya
        x[f - 1] += e * u[f - 1] - shrink * x[f - 1]
        y[f - 1] -= e * u[f - 1] + shrink * y[f - 1]
    return loss / max(len(order), 1)


@njit(nogil=True, cache=True, fastmath=SUMS)
def bpr_fold_rows(
    start: int, stop: int, indptr: Any, indices: Any, weights: Any, pool: Any, epochs: int, rate: float, l2: float,
    V: Any, out: Any,
) -> None:  # fmt: skip
    """bpr_epoch on the vectors out[r] alone, `epochs` times with a rate that falls to 0; draws depend on the row's
    items only, not on where the row stands. weights: float32, what each positive's gradient is multiplied by."""
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
                e = weights[q] * step / (np.float32(1.0) + np.exp(d))
                for a in range(f - 1):
                    u[a] += e * (x[a] - y[a]) - shrink * u[a]
