"""The compiled loops of attention between fields: many tiny softmaxes, which tensors take ten times as long for.

As in kernels.py each kernel works on a range of rows, here blocks of LANES rows, and releases the GIL. A block's rows
stand side by side in the last axis, so that one instruction serves them all; what a row gets does not depend on its
neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LANES = 64
"""Rows that are worked on together: enough to hide what a short loop costs, few enough for a core's own cache."""

FAST = {"contract", "nsz"}
_LOG2E = np.float32(1.4426950408889634)
# 2^f for |f| <= 1/2, to 2e-7: the series of exp(f ln 2)
_C1, _C2, _C3 = np.float32(0.6931471805599453), np.float32(0.2402265069591007), np.float32(0.0555041086648216)
_C4, _C5, _C6 = np.float32(0.0096181291076285), np.float32(0.0013333558146428), np.float32(0.0001540353039338)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def softmax_over_fields(S: Any, power: Any, scale: Any, total: Any) -> None:
    """S (fields, LANES) float32 -> its softmax over the first axis, in place. power: int32 (LANES,), and scale the same
    memory as float32; total: float32 (LANES,), what the exponentials add up to."""
    one, half, least = np.float32(1.0), np.float32(0.5), np.float32(-126.0)
    top = S[0].copy()
    for j in range(1, S.shape[0]):
        for lane in range(LANES):
            top[lane] = max(top[lane], S[j, lane])
    total[:] = 0.0
    for j in range(S.shape[0]):
        row = S[j]
        for lane in range(LANES):
            y = max((row[lane] - top[lane]) * _LOG2E, least)
            whole = np.floor(y + half)
            f = y - whole
            power[lane] = (np.int32(whole) + np.int32(127)) << np.int32(23)
            row[lane] = one + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
        for lane in range(LANES):
            row[lane] *= scale[lane]
            total[lane] += row[lane]
    for lane in range(LANES):
        total[lane] = one / total[lane]
    for j in range(S.shape[0]):
        for lane in range(LANES):
            S[j, lane] *= total[lane]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def gathered(P: Any, first: int, n: int, head: int, X: Any) -> None:
    """X[part, field, c, lane] = P[first + lane, field, part, head, c], for the first parts and n rows."""
    for field in range(P.shape[1]):
        for part in range(X.shape[0]):
            for c in range(P.shape[4]):
                row = X[part, field, c]
                for lane in range(n):
                    row[lane] = P[first + lane, field, part, head, c]


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def passed(out: Any, outer: Any, first: int, n: int, head: int, G: Any) -> None:
    """G[field, c, lane] = outer[first + lane, field, head, c] where the relu let out through, else 0."""
    for field in range(G.shape[0]):
        for c in range(G.shape[1]):
            for lane in range(n):
                through = out[first + lane, field, head, c] > 0
                G[field, c, lane] = outer[first + lane, field, head, c] if through else np.float32(0.0)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend(start: int, stop: int, P: Any, weights: Any, out: Any) -> None:
    """out[r, i, h] = relu(sum_j a_ij v_j + w_i), a_i = softmax_j(q_i . k_j), over the fields j of row r, for each head.

    P: float32 (rows, fields, parts, heads, d), its parts q, k, v and w, or without w where it is 0. weights: (blocks,
    heads, fields, fields, LANES), where a is kept. out: (rows, fields, heads, d). start, stop: blocks of LANES rows.
    """
    rows, fields, parts, heads, d = P.shape
    none = np.float32(0.0)
    X = np.zeros((3, fields, d, LANES), np.float32)
    power = np.zeros(LANES, np.int32)
    scale = power.view(np.float32)
    total, mixed = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        first = block * LANES
        n = min(LANES, rows - first)
        for head in range(heads):
            gathered(P, first, n, head, X)
            for i in range(fields):
                A = weights[block, head, i]
                A[:] = 0.0
                for j in range(fields):
                    score = A[j]
                    for c in range(d):
                        for lane in range(LANES):
                            score[lane] += X[0, i, c, lane] * X[1, j, c, lane]
                softmax_over_fields(A, power, scale, total)
                for c in range(d):
                    mixed[:] = 0.0
                    for j in range(fields):
                        for lane in range(LANES):
                            mixed[lane] += A[j, lane] * X[2, j, c, lane]
                    for lane in range(n):
                        own = P[first + lane, i, 3, head, c] if parts > 3 else none
                        out[first + lane, i, head, c] = max(mixed[lane] + own, none)


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def attend_gradients(start: int, stop: int, P: Any, weights: Any, out: Any, outer: Any, of_P: Any) -> None:
    """of_P, the gradient of P, from outer, that of out; the rest as in `attend`."""
    rows, fields, parts, heads, d = P.shape
    X = np.zeros((3, fields, d, LANES), np.float32)
    G = np.zeros((fields, d, LANES), np.float32)
    of_X = np.empty((3, fields, d, LANES), np.float32)
    of_A, mean = np.empty((fields, LANES), np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        first = block * LANES
        n = min(LANES, rows - first)
        for head in range(heads):
            gathered(P, first, n, head, X)
            passed(out, outer, first, n, head, G)
            of_X[:] = 0.0
            for i in range(fields):
                A = weights[block, head, i]
                of_A[:] = 0.0
                mean[:] = 0.0
                for j in range(fields):
                    for c in range(d):
                        for lane in range(LANES):
                            of_A[j, lane] += G[i, c, lane] * X[2, j, c, lane]
                        for lane in range(LANES):
                            of_X[2, j, c, lane] += A[j, lane] * G[i, c, lane]
                    for lane in range(LANES):
                        mean[lane] += A[j, lane] * of_A[j, lane]
                for j in range(fields):
                    for lane in range(LANES):
                        of_A[j, lane] = A[j, lane] * (of_A[j, lane] - mean[lane])
                    for c in range(d):
                        for lane in range(LANES):
                            of_X[0, i, c, lane] += of_A[j, lane] * X[1, j, c, lane]
                        for lane in range(LANES):
                            of_X[1, j, c, lane] += of_A[j, lane] * X[0, i, c, lane]
            for field in range(fields):
                for c in range(d):
                    for lane in range(n):
                        for part in range(3):
                            of_P[first + lane, field, part, head, c] = of_X[part, field, c, lane]
                        if parts > 3:
                            of_P[first + lane, field, 3, head, c] = G[field, c, lane]
