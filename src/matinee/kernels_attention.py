"""The compiled loops of attention between fields: many tiny softmaxes, which tensors take ten times as long for.

As in kernels.py each kernel works on a range of rows, here blocks of LANES rows, and releases the GIL. Rows stand side
by side in the last axis of every array, so that one instruction serves many; what a row gets does not depend on its
neighbours.

Every sum of products over fields or channels is `add_products`. It reads its terms one behind the other, in flat
arrays and in fours, so what is summed over fields is laid out (channel, field) and what is summed over channels
(field, channel), each with zeros up to a multiple of four.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LANES = 64
"""Rows that are worked on together: enough to hide what a short loop costs, few enough for a core's own cache."""

FAST = {"contract", "nsz"}
LOG2E = np.float32(1.4426950408889634)
# 2^f for |f| <= 1/2, to 2e-7: the series of exp(f ln 2)
_C1, _C2, _C3 = np.float32(0.6931471805599453), np.float32(0.2402265069591007), np.float32(0.0555041086648216)
_C4, _C5, _C6 = np.float32(0.0096181291076285), np.float32(0.0013333558146428), np.float32(0.0001540353039338)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def fraction(f: Any) -> Any:
    """2^f for |f| <= 1/2."""
    return np.float32(1.0) + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))


@njit(nogil=True, cache=True)
def fours(n: int) -> int:
    """n, or the next multiple of 4."""
    return (n + 3) // 4 * 4


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def add_products(out: Any, A: Any, a: int, B: Any, b: int, n: int) -> None:
    """out (LANES,) += sum over t < n of A's LANES numbers from (a + t) * LANES on times B's from (b + t) * LANES on.

    n is a multiple of 4. Slices, unlike sums of places, let the compiler see that no place is below 0.
    """
    for t in range(0, n, 4):
        p, q = A[(a + t) * LANES : (a + t + 4) * LANES], B[(b + t) * LANES : (b + t + 4) * LANES]
        for lane in range(LANES):
            out[lane] += (
                p[lane] * q[lane]
                + p[LANES + lane] * q[LANES + lane]
                + p[2 * LANES + lane] * q[2 * LANES + lane]
                + p[3 * LANES + lane] * q[3 * LANES + lane]
            )


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def softmax_over_fields(S: Any, fields: int, power: Any, scale: Any, top: Any, total: Any) -> None:
    """S (fields * LANES,) float32 -> its softmax over fields, in place. Room to work in, (LANES,): power, int32, and
    scale, the same memory as float32; top and total, float32, for maxima and sums."""
    one, half, least = np.float32(1.0), np.float32(0.5), np.float32(-126.0)
    top[:] = S[:LANES]
    for j in range(1, fields):
        row = S[j * LANES : (j + 1) * LANES]
        for lane in range(LANES):
            top[lane] = max(top[lane], row[lane])
    total[:] = 0.0
    for j in range(fields):
        row = S[j * LANES : (j + 1) * LANES]
        for lane in range(LANES):
            y = max((row[lane] - top[lane]) * LOG2E, least)
            whole = np.floor(y + half)
            f = y - whole
            power[lane] = (np.int32(whole) + np.int32(127)) << np.int32(23)
            row[lane] = fraction(f)
        for lane in range(LANES):
            row[lane] *= scale[lane]
            total[lane] += row[lane]
    for lane in range(LANES):
        total[lane] = one / total[lane]
    for j in range(fields):
        row = S[j * LANES : (j + 1) * LANES]
        for lane in range(LANES):
            row[lane] *= total[lane]


@njit(nogil=True, cache=True)
def laid(P: Any, first: int, n: int, by_field: int, by_channel: int, X: Any) -> None:
    """X[(field * by_field + c * by_channel) * LANES + lane] = P[c, field, first + lane] for n rows. P: (d, fields,
    rows)."""
    for c in range(P.shape[0]):
        for field in range(P.shape[1]):
            at = (field * by_field + c * by_channel) * LANES
            X[at : at + n] = P[c, field, first : first + n]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def weigh(i: int, Q: Any, K: Any, fields: int, deep: int, A: Any, power: Any, top: Any, total: Any) -> None:
    """A (fields * LANES,) = softmax_j(q_i . k_j), Q and K by field, each `deep` channels wide."""
    A[:] = 0.0
    for j in range(fields):
        add_products(A[j * LANES : (j + 1) * LANES], Q, i * deep, K, j * deep, deep)
    softmax_over_fields(A[: fields * LANES], fields, power, power.view(np.float32), top, total)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend(start: int, stop: int, P: Any, out: Any) -> None:
    """out[h, :, i] = relu(sum_j a_ij v_j + w_i), a_i = softmax_j(q_i . k_j), over the fields j of each row, for head h.

    P: float32 (parts, heads, d, fields, rows), its parts q, k, v and w, or without w where it is 0. out: (heads, d,
    fields, rows). start, stop: blocks of LANES rows.
    """
    parts, heads, d, fields, rows = P.shape
    deep, wide = fours(d), fours(fields)
    Q, K = np.zeros(fields * deep * LANES, np.float32), np.zeros(fields * deep * LANES, np.float32)
    V, A = np.zeros(d * wide * LANES, np.float32), np.zeros(wide * LANES, np.float32)
    power = np.zeros(LANES, np.int32)
    top, total, mixed = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        first = block * LANES
        n = min(LANES, rows - first)
        for head in range(heads):
            laid(P[0, head], first, n, deep, 1, Q)
            laid(P[1, head], first, n, deep, 1, K)
            laid(P[2, head], first, n, 1, wide, V)
            for i in range(fields):
                weigh(i, Q, K, fields, deep, A, power, top, total)
                for c in range(d):
                    mixed[:] = 0.0
                    add_products(mixed, A, 0, V, c * wide, wide)
                    told = out[head, c, i, first : first + n]
                    if parts > 3:
                        own = P[3, head, c, i, first : first + n]
                        for lane in range(n):
                            told[lane] = max(mixed[lane] + own[lane], np.float32(0.0))
                    else:
                        for lane in range(n):
                            told[lane] = max(mixed[lane], np.float32(0.0))


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend_gradients(start: int, stop: int, P: Any, outer: Any, of_P: Any) -> None:
    """of_P, the gradient of P, from outer, that of out where the relu let out through, else 0; the rest as in `attend`.

    The weights a are made again: that is faster than to keep them. of_P's part w, where there is one, is left to the
    caller: it is `outer` itself.
    """
    _, heads, d, fields, rows = P.shape
    deep, wide = fours(d), fours(fields)
    Q, K = np.zeros(fields * deep * LANES, np.float32), np.zeros(fields * deep * LANES, np.float32)
    V, G = np.zeros(fields * deep * LANES, np.float32), np.zeros(fields * deep * LANES, np.float32)
    Q_c, K_c = np.zeros(d * wide * LANES, np.float32), np.zeros(d * wide * LANES, np.float32)
    G_c = np.zeros(d * wide * LANES, np.float32)
    A, of_S = np.zeros(wide * LANES, np.float32), np.zeros(wide * LANES, np.float32)
    turned_A, turned_S = np.zeros(fields * wide * LANES, np.float32), np.zeros(fields * wide * LANES, np.float32)
    power = np.zeros(LANES, np.int32)
    top, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    mean, found = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        first = block * LANES
        n = min(LANES, rows - first)
        for head in range(heads):
            laid(P[0, head], first, n, deep, 1, Q)
            laid(P[1, head], first, n, deep, 1, K)
            laid(P[2, head], first, n, deep, 1, V)
            laid(outer[head], first, n, deep, 1, G)
            laid(P[0, head], first, n, 1, wide, Q_c)
            laid(P[1, head], first, n, 1, wide, K_c)
            laid(outer[head], first, n, 1, wide, G_c)
            for i in range(fields):
                weigh(i, Q, K, fields, deep, A, power, top, total)
                of_S[:] = 0.0
                mean[:] = 0.0
                for j in range(fields):
                    a, s = A[j * LANES : (j + 1) * LANES], of_S[j * LANES : (j + 1) * LANES]
                    add_products(s, G, i * deep, V, j * deep, deep)
                    for lane in range(LANES):
                        mean[lane] += a[lane] * s[lane]
                for j in range(fields):
                    a, s = A[j * LANES : (j + 1) * LANES], of_S[j * LANES : (j + 1) * LANES]
                    at = (j * wide + i) * LANES
                    a_ji, s_ji = turned_A[at : at + LANES], turned_S[at : at + LANES]
                    for lane in range(LANES):
                        s[lane] = a[lane] * (s[lane] - mean[lane])
                        s_ji[lane] = s[lane]
                        a_ji[lane] = a[lane]
                for c in range(d):
                    found[:] = 0.0
                    add_products(found, of_S, 0, K_c, c * wide, wide)
                    of_P[0, head, c, i, first : first + n] = found[:n]
            for j in range(fields):
                for c in range(d):
                    found[:] = 0.0
                    add_products(found, turned_S, j * wide, Q_c, c * wide, wide)
                    of_P[1, head, c, j, first : first + n] = found[:n]
                    found[:] = 0.0
                    add_products(found, turned_A, j * wide, G_c, c * wide, wide)
                    of_P[2, head, c, j, first : first + n] = found[:n]
