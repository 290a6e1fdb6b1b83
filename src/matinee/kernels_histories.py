"""The compiled loops of attention within histories, biased by how far apart events lie.

Tensors would hold weights, biases, places and times of a rectangle each, (histories, heads, length, length), many times
over, and know nothing of the half that is masked: ten times the time and the memory. As in kernels.py each kernel works
on a range of rows, here histories, releases the GIL, and computes a row in one fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels_attention import LOG2E, fours, fraction

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; NaN and infinity keep their meaning
HOUR = np.float32(1.0 / 3_600.0)


@njit(nogil=True, cache=True)
def turned(X: Any, first: int, n: int, column: int, d: int, wide: int, out: Any) -> None:
    """out[c * wide + j] = X[first + j, column + c] for j < n, c < d."""
    for c in range(d):
        row = out[c * wide : c * wide + n]
        for j in range(n):
            row[j] = X[first + j, column + c]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def products(s: Any, q: Any, K: Any, wide: int, d: int) -> None:
    """s (m,) = sum_c q[c] K[c * wide :][:m], for c < d, a multiple of 4."""
    m = len(s)
    s[:] = np.float32(0.0)
    for c in range(0, d, 4):
        a0, a1, a2, a3 = q[c], q[c + 1], q[c + 2], q[c + 3]
        k0, k1 = K[c * wide : c * wide + m], K[(c + 1) * wide : (c + 1) * wide + m]
        k2, k3 = K[(c + 2) * wide : (c + 2) * wide + m], K[(c + 3) * wide : (c + 3) * wide + m]
        for j in range(m):
            s[j] += a0 * k0[j] + a1 * k1[j] + a2 * k2[j] + a3 * k3[j]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def mixed(out: Any, s: Any, X: Any, first: int, column: int) -> None:
    """out (d,) = sum_j s[j] X[first + j, column :][:d]."""
    m, d = len(s), len(out)
    out[:] = np.float32(0.0)
    whole = m // 4 * 4
    for j in range(0, whole, 4):
        a0, a1, a2, a3 = s[j], s[j + 1], s[j + 2], s[j + 3]
        x0, x1 = X[first + j, column : column + d], X[first + j + 1, column : column + d]
        x2, x3 = X[first + j + 2, column : column + d], X[first + j + 3, column : column + d]
        for c in range(d):
            out[c] += a0 * x0[c] + a1 * x1[c] + a2 * x2[c] + a3 * x3[c]
    for j in range(whole, m):
        a, x = s[j], X[first + j, column : column + d]
        for c in range(d):
            out[c] += a * x[c]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def steps_apart(seconds: Any, i: int, most: int, scratch: Any, step: Any) -> None:
    """step[j] = floor(log2(1 + hours between events i and j)), at most `most`. scratch: float32, and step the same
    memory as int32: a float's exponent is the floor of its logarithm."""
    mine = seconds[i]
    for j in range(len(step)):
        scratch[j] = np.float32(1.0) + np.float32(abs(mine - seconds[j])) * HOUR
    for j in range(len(step)):
        step[j] = min((step[j] >> np.int32(23)) - np.int32(127), most)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def softmax(s: Any, power: Any, scale: Any) -> None:
    """s (m,) -> its softmax, in place. power: int32 (m,), and scale the same memory as float32."""
    m = len(s)
    top = s[0]
    for j in range(m):
        top = max(top, s[j])
    for j in range(m):
        y = max((s[j] - top) * LOG2E, np.float32(-126.0))
        whole = np.floor(y + np.float32(0.5))
        power[j] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        s[j] = fraction(y - whole)
    total = np.float32(0.0)
    for j in range(m):
        s[j] *= scale[j]
        total += s[j]
    share = np.float32(1.0) / total
    for j in range(m):
        s[j] *= share


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def weigh(
    s: Any, i: int, q: Any, K: Any, wide: int, root: Any, places: Any, times: Any, step: Any, power: Any, scale: Any
) -> None:
    """s (m,) = softmax_j(q . k_j * root + places[j - i] + times[step_j]). places: middle = 0 apart, what is farther
    than its ends counts as they do. times: none where empty."""
    m, middle = len(s), len(places) // 2
    products(s, q, K, wide, len(q))
    for j in range(m):
        s[j] = s[j] * root + places[min(max(i - j, -middle), middle) + middle]
    if len(times):
        for j in range(m):
            s[j] += times[step[j]]
    softmax(s, power, scale)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend(
    start: int, stop: int, X: Any, first: Any, length: Any, seconds: Any, places: Any, times: Any, causal: bool,
    out: Any
) -> None:  # fmt: skip
    """out[i, h] = sum_j a_ij v_j, a_i = softmax_j(q_i . k_j / sqrt(d) + places[h, i - j] + times[h, steps apart]), over
    the events j of a history, with `causal` over j <= i.

    X: float32 (slots, 3 * heads * d), q, k and v side by side. first, length: (histories,), where each begins in X, and
    its events. seconds: int32 (slots,), or empty with times (heads, 0). places: (heads, 2 L - 1), L - 1 in the middle.
    out: (slots, heads * d).
    """
    heads = len(places)
    width = X.shape[1] // 3
    d = width // heads
    deep, most = fours(d), times.shape[1] - 1
    root = np.float32(1.0 / np.sqrt(d))
    longest = max(1, length[start:stop].max()) if stop > start else 1
    K, q = np.zeros(deep * longest, np.float32), np.zeros(deep, np.float32)
    s, power = np.zeros(longest, np.float32), np.zeros(longest, np.int32)
    step = np.zeros(longest, np.int32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            turned(X, at, n, width + h * d, d, n, K)
            for c in range(d * n, deep * n):
                K[c] = np.float32(0.0)
            for i in range(n):
                m = i + 1 if causal else n
                q[:d] = X[at + i, h * d : (h + 1) * d]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                weigh(s[:m], i, q, K, n, root, places[h], times[h], step, power, scale)
                mixed(out[at + i, h * d : (h + 1) * d], s[:m], X, at, 2 * width + h * d)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend_gradients(
    start: int, stop: int, X: Any, first: Any, length: Any, seconds: Any, places: Any, times: Any, causal: bool,
    outer: Any, of_X: Any, of_places: Any, of_times: Any
) -> None:  # fmt: skip
    """The gradients of attend: of_X, zeros, as X; of_places (histories, heads, 2 L - 1) and of_times
    (histories, heads, steps), zeros, each history's share. outer: that of out. Weights are made again, not kept."""
    heads = len(places)
    width = X.shape[1] // 3
    d = width // heads
    deep, most, middle = fours(d), times.shape[1] - 1, places.shape[1] // 2
    root = np.float32(1.0 / np.sqrt(d))
    longest = max(1, length[start:stop].max()) if stop > start else 1
    K, V = np.zeros(deep * longest, np.float32), np.zeros(deep * longest, np.float32)
    q, g = np.zeros(deep, np.float32), np.zeros(deep, np.float32)
    s, t, power = np.zeros(longest, np.float32), np.zeros(longest, np.float32), np.zeros(longest, np.int32)
    step = np.zeros(longest, np.int32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            turned(X, at, n, width + h * d, d, n, K)
            turned(X, at, n, 2 * width + h * d, d, n, V)
            for c in range(d * n, deep * n):
                K[c] = np.float32(0.0)
                V[c] = np.float32(0.0)
            by_place, by_time = of_places[r, h], of_times[r, h]
            for i in range(n):
                m = i + 1 if causal else n
                q[:d] = X[at + i, h * d : (h + 1) * d]
                g[:d] = outer[at + i, h * d : (h + 1) * d]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                a, of_s = s[:m], t[:m]
                weigh(a, i, q, K, n, root, places[h], times[h], step, power, scale)
                products(of_s, g, V, n, deep)
                mean = np.float32(0.0)
                for j in range(m):
                    mean += a[j] * of_s[j]
                for j in range(m):
                    of_s[j] = a[j] * (of_s[j] - mean)
                for j in range(m):
                    by_place[min(max(i - j, -middle), middle) + middle] += of_s[j]
                if most >= 0:
                    for j in range(m):
                        by_time[step[j]] += of_s[j]
                for j in range(m):
                    of_s[j] *= root
                mixed(of_X[at + i, h * d : (h + 1) * d], of_s, X, at, width + h * d)
                for j in range(m):
                    of_k = of_X[at + j, width + h * d : width + (h + 1) * d]
                    of_v = of_X[at + j, 2 * width + h * d : 2 * width + (h + 1) * d]
                    a_j, s_j = a[j], of_s[j]
                    for c in range(d):
                        of_k[c] += s_j * q[c]
                    for c in range(d):
                        of_v[c] += a_j * g[c]
