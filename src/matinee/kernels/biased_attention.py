"""The compiled loops of attention within histories, biased by how far apart events lie. A row is a history here.

Tensors would hold weights, biases, places and times as rectangles (histories, heads, length, length), and compute the
masked half too: ten times the time and the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.arithmetic import LOG2E, SUMS, power_of_two
from matinee.kernels.field_attention import fours

HOUR = np.float32(1.0 / 3_600.0)


@njit(nogil=True, cache=True)
def transposed(X: Any, first: int, n: int, column: int, d: int, wide: int, out: Any) -> None:
    """out[c * wide + j] = X[first + j, column + c] for j < n, c < d."""
    for c in range(d):
        row = out[c * wide : c * wide + n]
        for j in range(n):
            row[j] = X[first + j, column + c]


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def products(s: Any, q: Any, K: Any, wide: int, d: int) -> None:
    """s (m,) = sum_c q[c] K[c * wide :][:m], for c < d, a multiple of 4: four channels in one pass over s."""
    m = len(s)
    s[:] = np.float32(0.0)
    for c in range(0, d, 4):
        a0, a1, a2, a3 = q[c], q[c + 1], q[c + 2], q[c + 3]
        k0, k1 = K[c * wide : c * wide + m], K[(c + 1) * wide : (c + 1) * wide + m]
        k2, k3 = K[(c + 2) * wide : (c + 2) * wide + m], K[(c + 3) * wide : (c + 3) * wide + m]
        for j in range(m):
            s[j] += a0 * k0[j] + a1 * k1[j] + a2 * k2[j] + a3 * k3[j]


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def weighted_sum(out: Any, s: Any, X: Any, first: int, column: int) -> None:
    """out (d,) = sum_j s[j] X[first + j, column :][:d], four events in one pass over out."""
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


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def steps_apart(seconds: Any, i: int, most: int, scratch: Any, step: Any) -> None:
    """step[j] = floor(log2(1 + hours between events i and j)), at most `most`. scratch: float32, and step the same
    memory as int32, because the exponent bits of a float are the floor of its logarithm."""
    mine = seconds[i]
    for j in range(len(step)):
        scratch[j] = np.float32(1.0) + np.float32(abs(mine - seconds[j])) * HOUR
    for j in range(len(step)):
        step[j] = min((step[j] >> np.int32(23)) - np.int32(127), most)


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def softmax(s: Any, power: Any, scale: Any) -> None:
    """s (m,) -> its softmax, in place. power: int32 (m,), and scale the same memory as float32."""
    m = len(s)
    top = s[0]  # taken off before exp, so that nothing overflows
    for j in range(m):
        top = max(top, s[j])
    for j in range(m):  # exp(x) = 2^(x log2 e)
        power[j], s[j] = power_of_two((s[j] - top) * LOG2E)
    total = np.float32(0.0)
    for j in range(m):
        s[j] *= scale[j]
        total += s[j]
    share = np.float32(1.0) / total
    for j in range(m):
        s[j] *= share


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def softmax_gradients(a: Any, slopes: Any) -> None:
    """The gradient (m,) of the weights a becomes that of the logits, in place: a_j (g_j - sum_k a_k g_k)."""
    mean = np.float32(0.0)
    for j in range(len(a)):
        mean += a[j] * slopes[j]
    for j in range(len(a)):
        slopes[j] = a[j] * (slopes[j] - mean)


@njit(nogil=True, cache=True)
def place_biases(places: Any, longest: int, out: Any) -> None:
    """out[longest - 1 + j - i] = the bias of event i for event j, for histories of up to `longest` events. places:
    that of i - j = 0 in the middle; events farther apart than its ends get the value of the end."""
    middle = len(places) // 2
    for k in range(2 * longest - 1):
        out[k] = places[min(max(longest - 1 - k, -middle), middle) + middle]


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def attention_weights(
    s: Any, q: Any, K: Any, wide: int, root: Any, places: Any, times: Any, step: Any, power: Any, scale: Any
) -> None:
    """s (m,) = softmax_j(q . k_j * root + places_j + times[step_j]). times may be empty: no bias by time."""
    m = len(s)
    products(s, q, K, wide, len(q))
    for j in range(m):
        s[j] = s[j] * root + places[j]
    if len(times):
        for j in range(m):
            s[j] += times[step[j]]
    softmax(s, power, scale)


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def add_by_step(total: Any, step: Any, x: Any) -> None:
    """total[step[j]] += x[j]. Neighbours mostly share a step, so a run of them is summed first."""
    last, run = step[0], np.float32(0.0)
    for j in range(len(x)):
        if step[j] != last:
            total[last] += run
            last, run = step[j], np.float32(0.0)
        run += x[j]
    total[last] += run


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def add_outer(X: Any, first: int, column: int, d: int, m: int, s: Any, q: Any) -> None:
    """X[first + j, column + c] += sum over t < 4 of s[t, j] q[t, c], for j < m, c < d."""
    q0, q1, q2, q3 = q[0, :d], q[1, :d], q[2, :d], q[3, :d]
    for j in range(m):
        x = X[first + j, column : column + d]
        a0, a1, a2, a3 = s[0, j], s[1, j], s[2, j], s[3, j]
        for c in range(d):
            x[c] += a0 * q0[c] + a1 * q1[c] + a2 * q2[c] + a3 * q3[c]


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
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
    heads, width = len(places), X.shape[1] // 3
    d = width // heads
    deep, most = fours(d), times.shape[1] - 1
    root = np.float32(1.0 / np.sqrt(d))
    longest = max(1, length[start:stop].max()) if stop > start else 1
    # keys of one head lie channel by channel, with channels of zeros up to a multiple of four
    K, q = np.zeros(deep * longest, np.float32), np.zeros(deep, np.float32)
    s, power = np.zeros(longest, np.float32), np.zeros(longest, np.int32)
    step, wide = np.zeros(longest, np.int32), np.zeros((heads, 2 * longest - 1), np.float32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    for h in range(heads):
        place_biases(places[h], longest, wide[h])
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            transposed(X, at, n, width + h * d, d, n, K)
            K[d * n : deep * n] = np.float32(0.0)
            for i in range(n):
                m = i + 1 if causal else n  # the events that event i sees
                q[:d] = X[at + i, h * d : (h + 1) * d]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                attention_weights(s[:m], q, K, n, root, wide[h, longest - 1 - i :], times[h], step, power, scale)
                weighted_sum(out[at + i, h * d : (h + 1) * d], s[:m], X, at, 2 * width + h * d)


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def attend_gradients(
    start: int, stop: int, X: Any, first: Any, length: Any, seconds: Any, places: Any, times: Any, causal: bool,
    grad_out: Any, grad_X: Any, grad_places: Any, grad_times: Any
) -> None:  # fmt: skip
    """The gradients of attend, added to zeros: grad_X, as X; grad_places (histories, heads, 2 L - 1) and grad_times
    (histories, heads, steps), each history's share. grad_out: as out. Weights are computed again, not kept."""
    heads, width = len(places), X.shape[1] // 3
    d = width // heads
    deep, most, middle = fours(d), times.shape[1] - 1, places.shape[1] // 2
    root = np.float32(1.0 / np.sqrt(d))
    longest = max(1, length[start:stop].max()) if stop > start else 1
    K, V = np.zeros(deep * longest, np.float32), np.zeros(deep * longest, np.float32)
    q, g = np.zeros((4, deep), np.float32), np.zeros((4, deep), np.float32)  # four events at a time
    a, grad_s = np.zeros((4, longest), np.float32), np.zeros((4, longest), np.float32)
    step, power = np.zeros(longest, np.int32), np.zeros(longest, np.int32)
    scale, scratch = power.view(np.float32), step.view(np.float32)
    wide, grad_bias = np.zeros((heads, 2 * longest - 1), np.float32), np.zeros(2 * longest - 1, np.float32)
    for h in range(heads):
        place_biases(places[h], longest, wide[h])
    for r in range(start, stop):
        n, at = length[r], first[r]
        when = seconds[at : at + n] if most >= 0 else seconds
        for h in range(heads):
            transposed(X, at, n, width + h * d, d, n, K)
            transposed(X, at, n, 2 * width + h * d, d, n, V)
            K[d * n : deep * n] = np.float32(0.0)
            V[d * n : deep * n] = np.float32(0.0)
            grad_bias[:] = np.float32(0.0)
            for i in range(n):
                m, t = i + 1 if causal else n, i % 4
                if t == 0:
                    a[:, :n] = np.float32(0.0)
                    grad_s[:, :n] = np.float32(0.0)
                q[t, :d] = X[at + i, h * d : (h + 1) * d]
                g[t, :d] = grad_out[at + i, h * d : (h + 1) * d]
                weights, slopes = a[t, :m], grad_s[t, :m]
                if most >= 0:
                    steps_apart(when, i, most, scratch, step[:m])
                attention_weights(weights, q[t], K, n, root, wide[h, longest - 1 - i :], times[h], step, power, scale)
                products(slopes, g[t], V, n, deep)  # the gradient of the weights
                softmax_gradients(weights, slopes)
                # a logit is q . k * root + both biases, so the biases' gradients are the logits'
                near = grad_bias[longest - 1 - i : longest - 1 - i + m]
                for j in range(m):
                    near[j] += slopes[j]
                if most >= 0:
                    add_by_step(grad_times[r, h], step, slopes)
                for j in range(m):
                    slopes[j] *= root
                # q's gradient is a sum over keys; those of k and v are outer products, four events in one pass
                weighted_sum(grad_X[at + i, h * d : (h + 1) * d], slopes, X, at, width + h * d)
                if t == 3 or i == n - 1:  # fewer than four: weights and slopes of the rest are 0
                    add_outer(grad_X, at, width + h * d, d, m, grad_s, q)
                    add_outer(grad_X, at, 2 * width + h * d, d, m, a, g)
            for k in range(2 * longest - 1):
                grad_places[r, h, min(max(longest - 1 - k, -middle), middle) + middle] += grad_bias[k]
