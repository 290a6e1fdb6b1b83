"""The compiled loop of skip-gram with negative sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from matinee.kernels.arithmetic import SUMS, random_bits


@njit(nogil=True, cache=True)
def alias_draw(key: Any, counter: Any, items: Any, keep: Any, other: Any) -> int:
    """An item drawn from an alias table (nn.sampling.Sampler), a pure function of key and counter."""
    bits = random_bits(key, counter)
    # the upper bits choose a place, the lower 32 whether to stay there
    place = np.int64((bits >> np.uint64(33)) % np.uint64(len(items)))
    chance = np.float64(bits & np.uint64(0xFFFFFFFF)) * 2.0**-32
    return int(items[place] if chance < keep[place] else other[place])


@njit(nogil=True, cache=True, fastmath=SUMS, error_model="numpy")
def skip_gram_rows(
    offsets: Any, values: Any, window: int, both: bool, negatives: int, items: Any, keep: Any, other: Any,
    key: Any, rate: float, slope: float, left: Any, right: Any,
) -> float:  # fmt: skip
    """One pass of stochastic gradient over all histories; the mean loss of a pair, NaN without one.

    A pair is an event and one at most d events before it (with `both`, or after it), d uniform in 1..window for each
    event. Descends -ln sigmoid(x.y) - sum over the drawn j of ln sigmoid(-x.y_j), x = left[the neighbour], y =
    right[the event], y_j = right[j]; a draw that is the event itself is skipped. left, right: float32 (n_items, f),
    changed in place. The learning rate starts at `rate` and falls by `slope` an event.
    """
    f = left.shape[1]
    one, zero = np.float32(1.0), np.float32(0.0)
    grad_x = np.empty(f, np.float32)
    loss, pairs, counter = 0.0, 0, np.uint64(0)
    for row in range(len(offsets) - 1):
        low, high = offsets[row], offsets[row + 1]
        for p in range(low, high):
            event = values[p]
            step = np.float32(rate - slope * p)
            # word2vec's random window: near neighbours count more often than far ones
            d = 1 + np.int64((random_bits(~key, np.uint64(p)) >> np.uint64(33)) % np.uint64(window))
            for q in range(max(low, p - d), min(high, p + d + 1) if both else p):
                if q == p:
                    continue
                x = left[values[q]]
                grad_x[:] = zero
                for n in range(negatives + 1):  # first the event itself, then its negatives
                    j = event
                    if n:
                        j = alias_draw(key, counter, items, keep, other)
                        counter += np.uint64(1)
                        if j == event:
                            continue
                    y = right[j]
                    dot = zero
                    for a in range(f):
                        dot += x[a] * y[a]
                    if n:  # a negative has -x.y
                        dot = -dot
                    away = np.exp(-max(min(dot, np.float32(30.0)), np.float32(-30.0)))  # so that exp stays finite
                    loss += np.log(one + away)
                    e = step * away / (one + away)  # the rate times sigmoid(-dot)
                    if n:
                        e = -e
                    for a in range(f):
                        ya = y[a]
                        grad_x[a] += e * ya
                        y[a] = ya + e * x[a]
                # x moves once, after the event and its negatives, as in word2vec
                for a in range(f):
                    x[a] += grad_x[a]
                pairs += 1
    return loss / pairs if pairs else np.nan
