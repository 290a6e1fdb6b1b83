"""The compiled loops of attention between fields: many tiny softmaxes, for which tensors take ten times as long.

A range counts blocks of LANES rows. Rows lie side by side in the last axis of every array, so that one instruction
serves many, and a row's result does not depend on its neighbours. A block goes through the whole layer without leaving
a core's cache.

Nearly all work is `add_products`: four sums of products at once, of one row of factors with four others. The first is
stored term by term, the four interleaved; both have zeros up to a multiple of four terms and of four sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.arithmetic import FUSED, LOG2E, SUMS, power_of_two

LANES = 64
"""Rows of a block: enough to hide the cost of a short loop, few enough for a core's own cache."""


@njit(nogil=True, cache=True)
def fours(n: int) -> int:
    """n, or the next multiple of 4."""
    return (n + 3) // 4 * 4


@njit(nogil=True, cache=True)
def row_of(A: Any, row: int) -> Any:
    """The LANES numbers of a row of a flat array."""
    return A[row * LANES : (row + 1) * LANES]


@njit(nogil=True, cache=True)
def copied(x: Any, y: Any) -> None:
    """x (LANES,) = y: as a loop of a length that the compiler knows, several times as fast as a slice's."""
    for lane in range(LANES):
        x[lane] = y[lane]


@njit(nogil=True, cache=True)
def in_fours(W: Any) -> Any:
    """W (n, m) with rows of zeros up to a multiple of 4."""
    out = np.zeros((fours(W.shape[0]), W.shape[1]), np.float32)
    out[: W.shape[0]] = W
    return out


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def project(W: Any, X: Any, out: Any) -> None:
    """out (n_out, m) = W (n_out, n_in) @ X (n_in, m); n_out is a multiple of 4."""
    n_out, n_in = W.shape
    whole = n_in // 4 * 4
    for o in range(0, n_out, 4):
        out[o : o + 4] = np.float32(0.0)
        y0, y1, y2, y3 = out[o], out[o + 1], out[o + 2], out[o + 3]
        for i in range(0, whole, 4):
            x0, x1, x2, x3 = X[i], X[i + 1], X[i + 2], X[i + 3]
            a0, a1, a2, a3 = W[o, i], W[o, i + 1], W[o, i + 2], W[o, i + 3]
            b0, b1, b2, b3 = W[o + 1, i], W[o + 1, i + 1], W[o + 1, i + 2], W[o + 1, i + 3]
            c0, c1, c2, c3 = W[o + 2, i], W[o + 2, i + 1], W[o + 2, i + 2], W[o + 2, i + 3]
            d0, d1, d2, d3 = W[o + 3, i], W[o + 3, i + 1], W[o + 3, i + 2], W[o + 3, i + 3]
            for j in range(X.shape[1]):
                e, f, g, h = x0[j], x1[j], x2[j], x3[j]
                y0[j] += a0 * e + a1 * f + a2 * g + a3 * h
                y1[j] += b0 * e + b1 * f + b2 * g + b3 * h
                y2[j] += c0 * e + c1 * f + c2 * g + c3 * h
                y3[j] += d0 * e + d1 * f + d2 * g + d3 * h
        for i in range(whole, n_in):
            a, b, c, d, x = W[o, i], W[o + 1, i], W[o + 2, i], W[o + 3, i], X[i]
            for j in range(X.shape[1]):
                y0[j] += a * x[j]
                y1[j] += b * x[j]
                y2[j] += c * x[j]
                y3[j] += d * x[j]


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def inner_products(Y: Any, X: Any, out: Any) -> None:
    """out (n_out, n_in) = Y (n_out, m) @ X (n_in, m) transposed, in tiles of 2 x 4 sums. At an edge a tile's last row
    stands in for those that are missing, and its sums are dropped."""
    (n_out, n_in), m = out.shape, X.shape[1]
    for o in range(0, n_out, 2):
        y, z = Y[o], Y[min(o + 1, n_out - 1)]
        for i in range(0, n_in, 4):
            x0, x1 = X[i], X[min(i + 1, n_in - 1)]
            x2, x3 = X[min(i + 2, n_in - 1)], X[min(i + 3, n_in - 1)]
            y0 = y1 = y2 = y3 = z0 = z1 = z2 = z3 = np.float32(0.0)
            for j in range(m):
                y0 += y[j] * x0[j]
                y1 += y[j] * x1[j]
                y2 += y[j] * x2[j]
                y3 += y[j] * x3[j]
                z0 += z[j] * x0[j]
                z1 += z[j] * x1[j]
                z2 += z[j] * x2[j]
                z3 += z[j] * x3[j]
            of_y, of_z = (y0, y1, y2, y3), (z0, z1, z2, z3)
            for e in range(min(4, n_in - i)):
                out[o, i + e] = of_y[e]
                if o + 1 < n_out:
                    out[o + 1, i + e] = of_z[e]


@njit(nogil=True, cache=True)
def by_field(P: Any, first: int, d: int, deep: int, out: Any) -> None:
    """Row field * deep + c of out = channel first + c of P at this field, c < d: the single factor of `add_products`.
    P: (channels, fields * LANES)."""
    for c in range(d):
        for field in range(P.shape[1] // LANES):
            copied(row_of(out, field * deep + c), row_of(P[first + c], field))


@njit(nogil=True, cache=True)
def fields_in_fours(P: Any, first: int, d: int, deep: int, out: Any) -> None:
    """The same as four factors, a sum for each field, over channels."""
    for c in range(d):
        for field in range(P.shape[1] // LANES):
            copied(row_of(out, (field // 4 * deep + c) * 4 + field % 4), row_of(P[first + c], field))


@njit(nogil=True, cache=True)
def channels_in_fours(P: Any, first: int, d: int, wide: int, out: Any) -> None:
    """The same as four factors, a sum for each channel, over fields."""
    for c in range(d):
        for field in range(P.shape[1] // LANES):
            copied(row_of(out, (c // 4 * wide + field) * 4 + c % 4), row_of(P[first + c], field))


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def add_products(out: Any, A: Any, a: int, B: Any, b: int, n: int) -> None:
    """Row o < 4 of out += sum over t < n of row a + t of A times row (b + t) * 4 + o of B. n is a multiple of 4. Slices
    show the compiler that no index is negative; sums of indices do not."""
    for t in range(0, n, 4):
        p, q = A[(a + t) * LANES : (a + t + 4) * LANES], B[(b + t) * 4 * LANES : (b + t + 4) * 4 * LANES]
        for at in range(LANES):
            e, f, g, h = p[at], p[LANES + at], p[2 * LANES + at], p[3 * LANES + at]
            for o in range(4):
                out[o * LANES + at] += (
                    e * q[o * LANES + at]
                    + f * q[(4 + o) * LANES + at]
                    + g * q[(8 + o) * LANES + at]
                    + h * q[(12 + o) * LANES + at]
                )


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def mix(A: Any, a: int, B: Any, wide: int, out: Any, first: int, d: int, field: int, four: Any) -> None:
    """Channel first + c of out (channels, fields * LANES) at this field = sum over t < wide of row a + t of A times B's
    for channel c < d. four (4 * LANES,): work space."""
    for c in range(0, d, 4):
        four[:] = np.float32(0.0)
        add_products(four, A, a, B, c // 4 * wide, wide)
        for e in range(min(4, d - c)):
            copied(row_of(out[first + c + e], field), row_of(four, e))


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def softmax_over_fields(S: Any, fields: int, power: Any, scale: Any, top: Any, total: Any) -> None:
    """S (at least fields * LANES,) float32 -> its softmax over fields, in place. Work space (LANES,): power, int32, and
    scale, the same memory as float32; top and total, float32, for maxima and sums."""
    copied(top, row_of(S, 0))
    for j in range(1, fields):
        row = row_of(S, j)
        for lane in range(LANES):
            top[lane] = max(top[lane], row[lane])
    total[:] = np.float32(0.0)
    for j in range(fields):
        row = row_of(S, j)
        for lane in range(LANES):
            power[lane], row[lane] = power_of_two((row[lane] - top[lane]) * LOG2E)
        for lane in range(LANES):
            row[lane] *= scale[lane]
            total[lane] += row[lane]
    for lane in range(LANES):
        total[lane] = np.float32(1.0) / total[lane]
    for j in range(fields):
        row = row_of(S, j)
        for lane in range(LANES):
            row[lane] *= total[lane]


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def products_with_fields(i: int, Q: Any, K: Any, deep: int, out: Any) -> None:
    """Row j of out = q_i . k_j: Q by field, K its fields in fours."""
    out[:] = np.float32(0.0)
    for j in range(0, len(out) // LANES, 4):
        add_products(out[j * LANES : (j + 4) * LANES], Q, i * deep, K, j // 4 * deep, deep)


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def attend(start: int, stop: int, X: Any, W: Any, out: Any) -> None:
    """out_i = relu(sum_j a_ij v_j + w_i), a_i = softmax_j(q_i . k_j), over the fields j of each row, for each head.

    X: float32 (blocks, n_in, fields * LANES). W: (parts, heads, d, n_in), its parts project X to q, k, v and w, or
    to the first three where w is 0. out: (blocks, heads * d, fields * LANES).
    """
    parts, heads, d, n_in = W.shape
    fields = X.shape[2] // LANES
    deep, wide, nothing = fours(d), fours(fields), np.float32(0.0)
    weights = in_fours(W.reshape((parts * heads * d, n_in)))
    P = np.empty((len(weights), fields * LANES), np.float32)
    Q, K = np.zeros(fields * deep * LANES, np.float32), np.zeros(wide * deep * LANES, np.float32)
    V, A = np.zeros(deep * wide * LANES, np.float32), np.zeros(wide * LANES, np.float32)
    power, four = np.zeros(LANES, np.int32), np.empty(4 * LANES, np.float32)
    top, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        # eq. 5 to 7 of Song et al.: project all fields, then weights and mixtures field by field
        project(weights, X[block], P)
        for head in range(heads):
            by_field(P, head * d, d, deep, Q)
            fields_in_fours(P, (heads + head) * d, d, deep, K)
            channels_in_fours(P, (2 * heads + head) * d, d, wide, V)
            for i in range(fields):
                products_with_fields(i, Q, K, deep, A)
                softmax_over_fields(A, fields, power, power.view(np.float32), top, total)
                mix(A, 0, V, wide, out[block], head * d, d, i, four)
        # eq. 8: add the residual and cut off what is negative
        for c in range(heads * d):
            result, own = out[block, c], P[(parts - 1) * heads * d + c]
            for at in range(fields * LANES):
                result[at] = max(result[at] + own[at] if parts > 3 else result[at], nothing)


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def attend_gradients(start: int, stop: int, X: Any, W: Any, out: Any, grad_out: Any, grad_X: Any, grad_W: Any) -> None:
    """grad_X, as X, and grad_W (blocks, n_out, n_in), each block's share of it, from grad_out, as out. The rest as in
    `attend`. Projections and weights are computed again, which is faster than keeping them."""
    parts, heads, d, n_in = W.shape
    fields, n_out = X.shape[2] // LANES, parts * heads * d
    deep, wide = fours(d), fours(fields)
    weights = in_fours(W.reshape((n_out, n_in)))
    transposed = in_fours(W.reshape((n_out, n_in)).T)
    P, grad_P = np.empty((len(weights), fields * LANES), np.float32), np.empty((n_out, fields * LANES), np.float32)
    grad_relu = np.empty((heads * d, fields * LANES), np.float32)
    inputs = np.empty((len(transposed), fields * LANES), np.float32)
    Q, G = np.zeros(fields * deep * LANES, np.float32), np.zeros(fields * deep * LANES, np.float32)
    K, V = np.zeros(wide * deep * LANES, np.float32), np.zeros(wide * deep * LANES, np.float32)
    Q_c, K_c = np.zeros(deep * wide * LANES, np.float32), np.zeros(deep * wide * LANES, np.float32)
    G_c = np.zeros(deep * wide * LANES, np.float32)
    A, grad_S = np.zeros(wide * LANES, np.float32), np.zeros(wide * LANES, np.float32)
    A_by_key, S_by_key = np.zeros(fields * wide * LANES, np.float32), np.zeros(fields * wide * LANES, np.float32)
    power, four = np.zeros(LANES, np.int32), np.empty(4 * LANES, np.float32)
    top, total, mean = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for block in range(start, stop):
        project(weights, X[block], P)
        relu_gradients(grad_out[block], out[block], grad_relu)
        if parts > 3:
            grad_P[3 * heads * d :] = grad_relu
        for head in range(heads):
            q, k, v = head * d, (heads + head) * d, (2 * heads + head) * d
            by_field(P, q, d, deep, Q)
            by_field(grad_relu, q, d, deep, G)
            fields_in_fours(P, k, d, deep, K)
            fields_in_fours(P, v, d, deep, V)
            channels_in_fours(P, q, d, wide, Q_c)
            channels_in_fours(P, k, d, wide, K_c)
            channels_in_fours(grad_relu, q, d, wide, G_c)
            for i in range(fields):
                products_with_fields(i, Q, K, deep, A)
                softmax_over_fields(A, fields, power, power.view(np.float32), top, total)
                # g . v_j is the gradient of weight j; through the softmax it becomes that of the logits
                products_with_fields(i, G, V, deep, grad_S)
                softmax_gradients(A, grad_S, fields, mean)
                for j in range(fields):
                    copied(row_of(A_by_key, j * wide + i), row_of(A, j))
                    copied(row_of(S_by_key, j * wide + i), row_of(grad_S, j))
                mix(grad_S, 0, K_c, wide, grad_P, q, d, i, four)
            # k_j and v_j get sums over the fields i that looked at them, so weights are needed by j
            for j in range(fields):
                mix(S_by_key, j * wide, Q_c, wide, grad_P, k, d, j, four)
                mix(A_by_key, j * wide, G_c, wide, grad_P, v, d, j, four)
        # back through the projection: W' grad_P for the inputs, grad_P X' for the weights
        project(transposed, grad_P, inputs)
        grad_X[block] = inputs[:n_in]
        inner_products(grad_P, X[block], grad_W[block])


@njit(nogil=True, cache=True)
def relu_gradients(grad_out: Any, out: Any, grad_relu: Any) -> None:
    """grad_relu = grad_out where the relu's output `out` is positive, else 0; all (channels, fields * LANES)."""
    for c in range(len(out)):
        given, result, found = grad_out[c], out[c], grad_relu[c]
        for at in range(out.shape[1]):
            found[at] = given[at] if result[at] > 0 else np.float32(0.0)


@njit(nogil=True, cache=True, fastmath=FUSED, error_model="numpy")
def softmax_gradients(A: Any, grad_A: Any, fields: int, mean: Any) -> None:
    """grad_A, the gradient of the weights A, becomes that of the softmax's input, in place: a_j (g_j - sum_k a_k g_k).
    mean (LANES,): work space."""
    mean[:] = np.float32(0.0)
    for j in range(fields):
        a, s = row_of(A, j), row_of(grad_A, j)
        for lane in range(LANES):
            mean[lane] += a[lane] * s[lane]
    for j in range(fields):
        a, s = row_of(A, j), row_of(grad_A, j)
        for lane in range(LANES):
            s[lane] = a[lane] * (s[lane] - mean[lane])
