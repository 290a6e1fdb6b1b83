"""The compiled loops that make scores of different models comparable, a row (a query) at a time, in place.

Excluded items of a query do not change the rank, mean or sum of others. They get numbers too, because a caller may want
their scores. NaN stays NaN, so that ranking can refuse it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

DAMPING = 60.0  # of reciprocal rank fusion, as its authors chose it
CODE_BITS = 31  # the low bits of a sorting key hold the column, the 32 above them the score
CODES = (1 << CODE_BITS) - 1
DIGIT_BITS = 11  # bits that one pass of the radix sort looks at: three passes for a float32
DIGITS = 1 << DIGIT_BITS


@njit(nogil=True, cache=True)
def mark_excluded(stamp: Any, b: int, offsets: Any, excluded: Any) -> None:
    """stamp[j] = b for each excluded item j of row b. Other rows' stamps differ from b, so nothing need be emptied."""
    for p in range(offsets[b], offsets[b + 1]):
        stamp[excluded[p]] = b


@njit(nogil=True, cache=True)
def rank_rows(start: int, stop: int, offsets: Any, excluded: Any, scores: Any, borda: bool) -> None:
    """scores[b, j] = 1 / (60 + rank) (Cormack, Clarke & Buettcher, SIGIR 2009), or the share of the others that rank
    behind (Borda's count over its largest); 0 where it was -inf. rank = 1 + the others that score more + half of the
    others that score the same: equal items share their mean rank."""
    n = scores.shape[1]
    stamp = np.full(n, -1, np.int64)
    key, spare = np.empty(n, np.int64), np.empty(n, np.int64)
    count = np.empty((3, DIGITS + 1), np.int64)
    for b in range(start, stop):
        row = scores[b]
        mark_excluded(stamp, b, offsets, excluded)
        m = descending(row, key, spare, count)
        every = 0
        for p in range(m):
            every += stamp[key[p] & CODES] != b
        better, first = 0, 0  # walk over runs of equal scores; better: items that count, in the runs before
        while first < m:
            last, equal = first, 0
            while last < m and key[last] >> CODE_BITS == key[first] >> CODE_BITS:
                equal += stamp[key[last] & CODES] != b
                last += 1
            for p in range(first, last):
                j = key[p] & CODES
                own = stamp[j] != b
                ahead = better + 0.5 * (equal - own)
                row[j] = 1.0 - ahead / max(every - own, 1) if borda else 1.0 / (DAMPING + 1.0 + ahead)
            better += equal
            first = last


@njit(nogil=True, cache=True)
def descending(row: Any, key: Any, spare: Any, count: Any) -> int:
    """The number m of columns above -inf, and key[:m]: score and column of each in one integer, best first.

    key, spare: int64 (n,); count: int64 (3, DIGITS + 1), work space. -inf in `row` becomes 0. A radix sort, least
    significant digit first: the bits of floats of one sign, read as integers, are in the order of the floats.
    """
    bits = row.view(np.uint32)
    count[:] = 0
    m = 0
    for j in range(len(row)):
        if row[j] != row[j]:
            continue
        if row[j] == -np.inf:
            row[j] = 0.0
            continue
        u = np.int64(bits[j])
        if row[j] == 0.0:  # 0 and -0 are one number
            u = np.int64(0x7FFFFFFF)
        elif row[j] > 0.0:  # turned round, as larger scores come first; negative ones lie behind as they are
            u ^= 0x7FFFFFFF
        key[m] = (u << CODE_BITS) | j
        m += 1
        for digit in range(3):  # counts of all three digits in one pass over the row
            count[digit, ((u >> (digit * DIGIT_BITS)) & (DIGITS - 1)) + 1] += 1
    for digit in range(3):
        place = count[digit]
        for d in range(DIGITS):  # counts -> where the keys of each digit begin
            place[d + 1] += place[d]
        shift = CODE_BITS + digit * DIGIT_BITS
        for p in range(m):  # stable: equal digits keep the order of the pass before
            d = (key[p] >> shift) & (DIGITS - 1)
            spare[place[d]] = key[p]
            place[d] += 1
        key[:m] = spare[:m]
    return m


@njit(nogil=True, cache=True)
def standard_rows(start: int, stop: int, offsets: Any, excluded: Any, scores: Any) -> None:
    """scores[b, j] = (score - mean) / deviation, both over what is not excluded. Where it was -inf: the least of these
    scores, or, where j itself is excluded, the least of all, because excluded scores may be lower."""
    n, stamp = scores.shape[1], np.full(scores.shape[1], -1, np.int64)
    counts = np.empty(n, np.bool_)
    for b in range(start, stop):
        row = scores[b]
        mark_excluded(stamp, b, offsets, excluded)
        every = True
        for j in range(n):
            known = row[j] != -np.inf
            counts[j] = known & (stamp[j] != b)
            every &= known
        count, total = count_and_sum(row, counts)
        least, lowest = leasts(row, counts)
        mean = total / max(count, 1)
        squares = squares_around(row, counts, mean)  # the sum of squares minus the squared sum would lose digits
        scale = 0.0 if squares == 0.0 else 1.0 / np.sqrt(squares / count)
        if scale == 0.0:  # all equal, or none that counts
            least = lowest = mean
        if not every:
            for j in range(n):
                if row[j] == -np.inf:
                    row[j] = least if stamp[j] != b else lowest
        for j in range(n):
            row[j] = (row[j] - mean) * scale


@njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def count_and_sum(row: Any, counts: Any) -> tuple[int, float]:
    """Of what counts: how many, and their sum, added up in several lanes."""
    count, total = 0, 0.0
    for j in range(len(row)):
        count += counts[j]
        total += np.float64(row[j] if counts[j] else np.float32(0.0))
    return count, total


@njit(nogil=True, cache=True, fastmath=True)
def leasts(row: Any, counts: Any) -> Any:
    """(float32, float32): the least of what counts, and the least above -inf of all, in several lanes. With NaN in the
    row anything."""
    most = np.float32(3.4028235e38)
    least, lowest = most, most
    for j in range(len(row)):
        value = row[j] if row[j] >= -most else most
        lowest = value if value < lowest else lowest
        value = value if counts[j] else most
        least = value if value < least else least
    return least, lowest


@njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def squares_around(row: Any, counts: Any, mean: float) -> float:
    """The sum of (score - mean) ** 2 of what counts, added up in several lanes."""
    total = 0.0
    for j in range(len(row)):
        away = (np.float64(row[j]) if counts[j] else mean) - mean
        total += away * away
    return total


@njit(nogil=True, cache=True)
def unit_rows(start: int, stop: int, offsets: Any, excluded: Any, scores: Any) -> None:
    """scores[b, j] = (score - least) / (most - least), both over what is not excluded; 0 where it was -inf, unless j is
    excluded: then the least of all, because excluded scores may be lower."""
    n, stamp = scores.shape[1], np.full(scores.shape[1], -1, np.int64)
    for b in range(start, stop):
        row = scores[b]
        mark_excluded(stamp, b, offsets, excluded)
        least, most, lowest = np.inf, -np.inf, np.inf
        for j in range(n):
            if row[j] == -np.inf:
                continue
            lowest = min(lowest, row[j])
            if stamp[j] != b:
                least, most = min(least, row[j]), max(most, row[j])
        scale = 1.0 / (np.float64(most) - least) if most > least else 0.0
        if scale == 0.0:  # all equal, or none that counts
            least = lowest = 0.0
        for j in range(n):
            known = row[j] != -np.inf
            row[j] = ((row[j] if known else least if stamp[j] != b else lowest) - np.float64(least)) * scale


@njit(nogil=True, cache=True)
def add_rows(start: int, stop: int, scores: Any, weights: Any, first: bool, total: Any) -> None:
    """total[b] += weights[b] * scores[b], or = where it is the first. float32 (B, n), (B,), (B, n)."""
    for b in range(start, stop):
        weight, row, out = weights[b], scores[b], total[b]
        for j in range(len(row)):
            out[j] = weight * row[j] if first else out[j] + weight * row[j]


@njit(nogil=True, cache=True)
def quota_rows(start: int, stop: int, offsets: Any, excluded: Any, scores: Any, turns: Any, out: Any) -> None:
    """out[b, j] = minus the place of j in a list that members fill in turns, each with its best item not yet there.

    scores: float32 (members, B, n). turns: int32 (T,), whose turn each place is, over and over; a member without items
    passes. Excluded items come behind all others, filled alike; -inf where no member can score.
    """
    members, n = len(scores), scores.shape[2]
    order, many, at = np.empty((members, n), np.int32), np.empty(members, np.int64), np.empty(members, np.int64)
    key, spare = np.empty(n, np.int64), np.empty(n, np.int64)
    count = np.empty((3, DIGITS + 1), np.int64)
    stamp, there = np.full(n, -1, np.int64), np.empty(n, np.bool_)
    for b in range(start, stop):
        mark_excluded(stamp, b, offsets, excluded)
        for member in range(members):
            many[member] = descending(scores[member, b], key, spare, count)
            for p in range(many[member]):
                order[member, p] = key[p] & CODES
        out[b] = -np.inf
        there[:] = False
        place = 0
        for behind in range(2):  # first what may be recommended, then what is excluded
            at[:] = 0
            turn, passed = 0, 0
            while passed < len(turns):
                member = turns[turn]
                while at[member] < many[member]:
                    j = order[member, at[member]]
                    if not there[j] and (stamp[j] == b) == (behind == 1):
                        break
                    at[member] += 1
                if at[member] < many[member]:
                    j = order[member, at[member]]
                    there[j] = True
                    out[b, j] = -place
                    place += 1
                    passed = 0
                else:
                    passed += 1
                turn = (turn + 1) % len(turns)


@njit(nogil=True, cache=True)
def softmax_rows(start: int, stop: int, offsets: Any, excluded: Any, scores: Any) -> None:
    """scores[b, j] = exp(score) / the sum of exp(score) over what is not excluded and j itself; 0 where it was -inf."""
    n, stamp = scores.shape[1], np.full(scores.shape[1], -1, np.int64)
    for b in range(start, stop):
        row = scores[b]
        mark_excluded(stamp, b, offsets, excluded)
        top = -np.inf  # taken off before exp, which else overflows
        for j in range(n):
            if stamp[j] != b:
                top = max(top, row[j])
        total = 0.0
        for j in range(n):
            if stamp[j] != b and row[j] != -np.inf:
                total += np.exp(row[j] - top)
        for j in range(n):
            if row[j] == -np.inf:
                row[j] = 0.0
            elif stamp[j] != b:
                row[j] = np.exp(row[j] - top) / total
            elif row[j] > top:  # excluded and above all that counts: divide by exp(score), not by exp(top)
                row[j] = 1.0 / (1.0 + total * np.exp(top - row[j]))
            else:
                row[j] = np.exp(row[j] - top) / (total + np.exp(row[j] - top))
