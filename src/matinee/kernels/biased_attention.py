"""The compiled loops of attention within histories, biased by how far apart events lie.

Tensors would hold weights, biases, places and times of a rectangle each, (histories, heads, length, length), many times
over, and know nothing of the half that is masked: ten times the time and the memory. A row is a history here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.field_attention import LOG2E, fours, fraction

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


@njit(nogil=True, cache=True)
def widened(places: Any, longest: int, out: Any) -> None:
    """out[longest - 1 + j - i] = the bias of event i for event j, for histories of up to `longest` events. places:
    that of i - j = 0 in the middle; what is farther apart than its ends counts as they do."""
    middle = len(places) // 2
    for k in range(2 * longest - 1):
        out[k] = places[min(max(longest - 1 - k, -middle), middle) + middle]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def weigh(
    s: Any, q: Any, K: Any, wide: int, root: Any, places: Any, times: Any, step: Any, power: Any, scale: Any
) -> None:
    """s (m,) = softmax_j(q . k_j * root + places_j + times[step_j]). times: none where empty."""
    m = len(s)
    products(s, q, K, wide, len(q))
    for j in range(m):
        s[j] = s[j] * root + places[j]
    if len(times):
        for j in range(m):
            s[j] += times[step[j]]
    softmax(s, power, scale)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def add_by_step(total: Any, step: Any, x: Any) -> None:
    """total[step[j]] += x[j]. Neighbours mostly share a step: they are added up before."""
    last, run = step[0], np.float32(0.0)
    for j in range(len(x)):
        if step[j] != last:
            total[last] += run
            last, run = step[j], np.float32(0.0)
        run += x[j]
    total[last] += run


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def add_outer(X: Any, first: int, column: int, d: int, m: int, s: Any, q: Any) -> None:
    """X[first + j, column + c] += sum over t < 4 of s[t, j] q[t, c], for j < m, c < d."""
    q0, q1, q2, q3 = q[0, :d], q[1, :d], q[2, :d], q[3, :d]
    for j in range(m):
        x = X[first + j, column : column + d]
        a0, a1, a2, a3 = s[0, j], s[1, j], s[2, j], s[3, j]
        for c in range(d):
            x[c] += a0 * q0[c] + a1 * q1[c] + a2 * q2[c] + a3 * q3[c]


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
    step, wide = np.zeros(longest, np.int32), np.zeros((heads, 2 * longest - 1), np.float32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    for h in range(heads):
        widened(places[h], longest, wide[h])
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            turned(X, at, n, width + h * d, d, n, K)
            K[d * n : deep * n] = np.float32(0.0)
            for i in range(n):
                m = i + 1 if causal else n
                q[:d] = X[at + i, h * d : (h + 1) * d]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                weigh(s[:m], q, K, n, root, wide[h, longest - 1 - i :], times[h], step, power, scale)
                mixed(out[at + i, h * d : (h + 1) * d], s[:m], X, at, 2 * width + h * d)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend_gradients(
    start: int, stop: int, X: Any, first: Any, length: Any, seconds: Any, places: Any, times: Any, causal: bool,
    outer: Any, of_X: Any, of_places: Any, of_times: Any
) -> None:  # fmt: skip
    """The gradients of attend: of_X, zeros, as X; of_places (histories, heads, 2 L - 1) and of_times (histories, heads,
    steps), zeros, each history's share. outer: that of out. Weights are made again, not kept."""
    heads = len(places)
    width = X.shape[1] // 3
    d = width // heads
    deep, most, middle = fours(d), times.shape[1] - 1, places.shape[1] // 2
    root = np.float32(1.0 / np.sqrt(d))
    longest = max(1, length[start:stop].max()) if stop > start else 1
    K, V = np.zeros(deep * longest, np.float32), np.zeros(deep * longest, np.float32)
    q, g = np.zeros((4, deep), np.float32), np.zeros((4, deep), np.float32)  # four events at a time
    a, of_s = np.zeros((4, longest), np.float32), np.zeros((4, longest), np.float32)
    step, power = np.zeros(longest, np.int32), np.zeros(longest, np.int32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    wide, by_place = np.zeros((heads, 2 * longest - 1), np.float32), np.zeros(2 * longest - 1, np.float32)
    for h in range(heads):
        widened(places[h], longest, wide[h])
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            turned(X, at, n, width + h * d, d, n, K)
            turned(X, at, n, 2 * width + h * d, d, n, V)
            K[d * n : deep * n] = np.float32(0.0)
            V[d * n : deep * n] = np.float32(0.0)
            by_place[:] = np.float32(0.0)
            for i in range(n):
                m, t = i + 1 if causal else n, i % 4
                if t == 0:
                    a[:, :n] = np.float32(0.0)
                    of_s[:, :n] = np.float32(0.0)
                q[t, :d] = X[at + i, h * d : (h + 1) * d]
                g[t, :d] = outer[at + i, h * d : (h + 1) * d]
                weights, slopes = a[t, :m], of_s[t, :m]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                weigh(weights, q[t], K, n, root, wide[h, longest - 1 - i :], times[h], step, power, scale)
                products(slopes, g[t], V, n, deep)
                mean = np.float32(0.0)
                for j in range(m):
                    mean += weights[j] * slopes[j]
                for j in range(m):
                    slopes[j] = weights[j] * (slopes[j] - mean)
                near = by_place[longest - 1 - i : longest - 1 - i + m]
                for j in range(m):
                    near[j] += slopes[j]
                if most >= 0:
                    add_by_step(of_times[r, h], step, slopes)
                for j in range(m):
                    slopes[j] *= root
                mixed(of_X[at + i, h * d : (h + 1) * d], slopes, X, at, width + h * d)
                if t == 3 or i == n - 1:  # what is left over from the four before has weights and slopes 0
                    add_outer(of_X, at, width + h * d, d, m, of_s, q)
                    add_outer(of_X, at, 2 * width + h * d, d, m, a, g)
            for k in range(2 * longest - 1):
                of_places[r, h, min(max(longest - 1 - k, -middle), middle) + middle] += by_place[k]
