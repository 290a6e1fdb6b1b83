"""The compiled loops of the sequence models: additive attention, and skip-gram with negatives.

As in kernels.py each kernel works on a range of rows, releases the GIL, and computes a row in one fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels_factors import mixed

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; NaN and infinity keep their meaning


# --- causal additive attention ----------------------------------------------------------------------------------------
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


# --- skip-gram with negative sampling ---------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def drawn(key: Any, counter: Any, items: Any, keep: Any, other: Any) -> int:
    """An item of an alias table (nn.sampling.Sampler), a function of key and counter."""
    bits = mixed(key, counter)
    place = np.int64((bits >> np.uint64(33)) % np.uint64(len(items)))
    chance = np.float64(bits & np.uint64(0xFFFFFFFF)) * 2.0**-32
    return int(items[place] if chance < keep[place] else other[place])


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def skip_gram_rows(
    offsets: Any,
    values: Any,
    window: int,
    both: bool,
    negatives: int,
    items: Any,
    keep: Any,
    other: Any,
    key: Any,
    rate: float,
    slope: float,
    left: Any,
    right: Any,
) -> float:
    """One pass of stochastic gradient over all histories; the mean loss of a pair, NaN without one.

    A pair is an event and one at most d events before it (where `both`, or after), d uniform in 1..window for each
    event. Descends -ln sigmoid(x.y) - sum over the drawn j of ln sigmoid(-x.y_j), x = left[the neighbour], y =
    right[the event], y_j = right[j]; a draw that is the event itself counts for nothing. left, right: float32 (n_items,
    f). The learning rate is `rate` at first and falls by `slope` an event.
    """
    f = left.shape[1]
    one, zero = np.float32(1.0), np.float32(0.0)
    of_x = np.empty(f, np.float32)
    loss, pairs, counter = 0.0, 0, np.uint64(0)
    for row in range(len(offsets) - 1):
        low, high = offsets[row], offsets[row + 1]
        for p in range(low, high):
            event = values[p]
            step = np.float32(rate - slope * p)
            d = 1 + np.int64((mixed(~key, np.uint64(p)) >> np.uint64(33)) % np.uint64(window))
            for q in range(max(low, p - d), min(high, p + d + 1) if both else p):
                if q == p:
                    continue
                x = left[values[q]]
                of_x[:] = zero
                for n in range(negatives + 1):
                    j = event
                    if n:
                        j = drawn(key, counter, items, keep, other)
                        counter += np.uint64(1)
                        if j == event:
                            continue
                    y = right[j]
                    dot = zero
                    for a in range(f):
                        dot += x[a] * y[a]
                    if n:
                        dot = -dot
                    away = np.exp(-max(min(dot, np.float32(30.0)), np.float32(-30.0)))
                    loss += np.log(one + away)
                    e = step * away / (one + away)
                    if n:
                        e = -e
                    for a in range(f):
                        ya = y[a]
                        of_x[a] += e * ya
                        y[a] = ya + e * x[a]
                for a in range(f):
                    x[a] += of_x[a]
                pairs += 1
    return loss / pairs if pairs else np.nan
