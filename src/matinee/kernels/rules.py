"""The compiled loops of rules: boosted scores, and lists that keep quotas and pins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def boost_rows(start: int, stop: int, codes: Any, factor: Any, add: Any, scores: Any) -> None:
    """scores[b, j] = factor * s + add in place, s the score from 0 (the least of the row) to 1 (the largest); where
    all are equal, s is 0. -inf and NaN stay.

    codes: int32 (B, columns), the item of each column; (0, 0) where columns are items.
    """
    for b in range(start, stop):
        row = scores[b]
        low, high = np.inf, -np.inf
        for j in range(len(row)):
            if row[j] > -np.inf:
                low, high = min(low, row[j]), max(high, row[j])
        span = high - low
        for j in range(len(row)):
            if row[j] > -np.inf:
                item = codes[b, j] if len(codes) else j
                s = (row[j] - low) / span if span > 0 else 0.0
                row[j] = factor[item] * s + add[item]


@njit(nogil=True, cache=True)
def choose_rows(
    start: int, stop: int, whole: bool, item: Any, score: Any, offsets: Any, counters: Any, most: Any, least: Any,
    pinned: Any, pinned_score: Any, chosen: Any, chosen_score: Any, tied: Any, unmet: Any, short: Any, complete: Any,
) -> None:  # fmt: skip
    """The k best items of each row that keep the quotas, around the pinned ones.

    item, score: int32 and float32 (B, P), best first, -1 = no more; whole: nothing else could be chosen, or else rows
    that would need it are not `complete`, bool (B,). offsets, counters: the quotas that each item code counts for.
    most, least: int64 (C,). pinned: int32 (B, k), -1 = free. chosen, chosen_score: int32 and float32 (B, k), -1 and
    -inf before. tied: bool (B,), an item left out has exactly the least score chosen. unmet: bool (B,), fewer than
    `least`. short: bool (B,), places are left although items are: each would break a quota.

    Place by place the best item is taken that breaks no `most` and after which the places left are as many as what
    `least` still asks for, or more. Where there is none, the best of those that lower that number most. In the end the
    chosen stand in the order of their scores.
    """
    k, pool = chosen.shape[1], item.shape[1]
    count, taken = np.zeros(len(most), np.int64), np.zeros(pool, np.bool_)
    for b in range(start, stop):
        count[:] = 0
        taken[:] = False
        left = k
        for r in range(k):
            if pinned[b, r] >= 0:
                left -= 1
                add_to(count, offsets, counters, pinned[b, r])
                for p in range(pool):
                    taken[p] |= item[b, p] == pinned[b, r]
        was_pinned = taken.copy()
        asked = 0
        for c in range(len(least)):
            asked += max(0, least[c] - count[c])
        ended = False
        while left > 0 and not ended:
            best, gain = -1, -1
            for p in range(pool):
                if item[b, p] < 0:
                    break
                if taken[p]:
                    continue
                found = lowered(count, most, least, offsets, counters, item[b, p])
                if found >= 0 and asked - found <= left - 1:
                    best, gain = p, found
                    break
                if found > gain and whole:
                    best, gain = p, found
            ended = best < 0
            if not ended:
                taken[best] = True
                add_to(count, offsets, counters, item[b, best])
                asked -= gain
                left -= 1
        complete[b] = whole or not ended
        unmet[b] = asked > 0
        lowest = in_order(b, k, item, score, taken, was_pinned, pinned, pinned_score, chosen, chosen_score)
        tied[b], short[b] = False, False
        for p in range(pool):
            if item[b, p] >= 0 and not taken[p]:
                tied[b] |= left == 0 and score[b, p] == lowest
                short[b] |= left > 0


@njit(nogil=True, cache=True)
def add_to(count: Any, offsets: Any, counters: Any, item: int) -> None:
    """Count an item for its quotas."""
    for c in range(offsets[item], offsets[item + 1]):
        count[counters[c]] += 1


@njit(nogil=True, cache=True)
def lowered(count: Any, most: Any, least: Any, offsets: Any, counters: Any, item: int) -> int:
    """For how many quotas that still ask for items this one counts; -1 where it would break one."""
    found = 0
    for p in range(offsets[item], offsets[item + 1]):
        c = counters[p]
        if count[c] >= most[c]:
            return -1
        found += count[c] < least[c]
    return found


@njit(nogil=True, cache=True)
def in_order(
    b: int, k: int, item: Any, score: Any, taken: Any, was_pinned: Any, pinned: Any, pinned_score: Any, chosen: Any,
    chosen_score: Any,
) -> float:  # fmt: skip
    """Write row b: pinned items at their places, the others by score around them; a place that nothing is left for is
    skipped, and pinned items behind it move up. Returns the least score of those that are not pinned."""
    at, lowest = 0, np.inf
    p = 0
    for r in range(k):
        if pinned[b, r] >= 0:
            chosen[b, at], chosen_score[b, at] = pinned[b, r], pinned_score[b, r]
            at += 1
            continue
        while p < len(taken) and (item[b, p] < 0 or not taken[p] or was_pinned[p]):
            p += 1
        if p < len(taken):
            chosen[b, at], chosen_score[b, at] = item[b, p], score[b, p]
            lowest = score[b, p]
            at += 1
            p += 1
    return lowest
