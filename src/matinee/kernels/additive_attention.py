"""The compiled loops of causal additive attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; NaN and infinity keep their meaning
# error_model numpy: Python's check for a division by zero would keep the innermost loops from being vectorised


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def additive_weights(start: int, stop: int, q: Any, k: Any, v: Any, out: Any) -> None:
    """out[r, t, j] = sum_a v[a] sigmoid(x[r, t, a] + y[r, j, a]) for j <= t, else 0; q = exp(-x), k = exp(-y).

    q, k: float32 (rows, length, d), v (d,), out (rows, length, length). With the exponentials of both sides given, a
    sigmoid is one division: a tenth of the time of computing each.
    """
    length, d = q.shape[1], q.shape[2]
    one = np.float32(1.0)
    for r in range(start, stop):
        for t in range(length):
            mine, row = q[r, t], out[r, t]
            for j in range(t + 1):
                other = k[r, j]
                s = np.float32(0.0)
                for a in range(d):
                    s += v[a] / (one + mine[a] * other[a])
                row[j] = s
            row[t + 1 :] = 0.0


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def additive_gradients(
    start: int, stop: int, q: Any, k: Any, v: Any, outer: Any, weights: Any, of_x: Any, of_y: Any, of_v: Any
) -> None:
    """The gradients of additive_weights, added to of_x, of_y (rows, length, d), both still to be multiplied by v, and
    to of_v (rows, d), each row's share. outer: that of out, (rows, length, length). weights: out itself, once more."""
    length, d = q.shape[1], q.shape[2]
    one = np.float32(1.0)
    for r in range(start, stop):
        total = of_v[r]
        for t in range(length):
            mine, of_mine = q[r, t], of_x[r, t]
            for j in range(t + 1):
                other, of_other, w = k[r, j], of_y[r, j], outer[r, t, j]
                s = np.float32(0.0)
                for a in range(d):
                    sigmoid = one / (one + mine[a] * other[a])
                    s += v[a] * sigmoid
                    share = w * sigmoid
                    slope = share - share * sigmoid
                    total[a] += share
                    of_mine[a] += slope
                    of_other[a] += slope
                weights[r, t, j] = s
            weights[r, t, t + 1 :] = 0.0
