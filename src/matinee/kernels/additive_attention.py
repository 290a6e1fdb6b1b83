"""The compiled loops of causal additive attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.arithmetic import SUMS


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def additive_weights(start: int, stop: int, q: Any, k: Any, v: Any, out: Any) -> None:
    """out[r, t, j] = sum_a v[a] sigmoid(x[r, t, a] + y[r, j, a]) for j <= t, else 0; q = exp(-x), k = exp(-y).

    q, k: float32 (rows, length, d), v (d,), out (rows, length, length). Because exp(-x - y) = q k, a sigmoid is one
    division: a tenth of the time of computing its own exponential.
    """
    length, d = q.shape[1], q.shape[2]
    one = np.float32(1.0)
    for r in range(start, stop):
        for t in range(length):
            mine, row = q[r, t], out[r, t]
            for j in range(t + 1):  # causal: events up to t
                other = k[r, j]
                s = np.float32(0.0)
                for a in range(d):
                    s += v[a] / (one + mine[a] * other[a])
                row[j] = s
            row[t + 1 :] = 0.0


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def additive_gradients(
    start: int, stop: int, q: Any, k: Any, v: Any, grad_out: Any, weights: Any, grad_x: Any, grad_y: Any, grad_v: Any
) -> None:
    """The gradients of additive_weights, added to grad_x, grad_y (rows, length, d), both still to be multiplied by v,
    and to grad_v (rows, d), each row's share. grad_out: (rows, length, length). weights: out, computed again."""
    length, d = q.shape[1], q.shape[2]
    one = np.float32(1.0)
    for r in range(start, stop):
        total = grad_v[r]
        for t in range(length):
            mine, grad_mine = q[r, t], grad_x[r, t]
            for j in range(t + 1):
                other, grad_other, w = k[r, j], grad_y[r, j], grad_out[r, t, j]
                s = np.float32(0.0)
                for a in range(d):
                    sigmoid = one / (one + mine[a] * other[a])
                    s += v[a] * sigmoid
                    share = w * sigmoid
                    slope = share - share * sigmoid  # the sigmoid's derivative is s (1 - s); v comes later, once
                    total[a] += share
                    grad_mine[a] += slope
                    grad_other[a] += slope
                weights[r, t, j] = s
            weights[r, t, t + 1 :] = 0.0
