"""The compiled loops of ranking: masks, the k best of each row, and which of them are relevant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LOW = 0xFFFFFFFF
"""The low half of an integer of 64 bits."""


@njit(nogil=True, cache=True)
def mask_rows(start: int, stop: int, offsets: Any, values: Any, scores: Any) -> None:
    """scores[b, values of row b] = -inf."""
    for b in range(start, stop):
        for p in range(offsets[b], offsets[b + 1]):
            scores[b, values[p]] = -np.inf


@njit(nogil=True, cache=True)
def top_k_rows(start: int, stop: int, scores: Any, item: Any, score: Any, tied: Any, nan: Any) -> None:
    """The k best columns of each row, best first; equal scores by column; -inf never enters.

    item: int32 (B, k), -1 where fewer can be scored. score: float32 (B, k), -inf there. tied: bool (B,), true where a
    column left out has exactly the k-th score. nan: bool (B,), true where the row holds a NaN.
    """
    n, k, wide = scores.shape[1], item.shape[1], 32
    for b in range(start, stop):
        row, best, code = scores[b], score[b], item[b]
        filled, threshold, rejected = 0, -np.inf, -np.inf
        for j0 in range(0, n, wide):
            j1 = min(j0 + wide, n)
            # 32 columns that cannot enter are skipped by one vectorised test; NaN fails the comparison and is looked at
            interesting = 0
            for j in range(j0, j1):
                interesting |= not (row[j] < threshold)
            if interesting == 0:
                continue
            for j in range(j0, j1):
                s = row[j]
                if s != s or s == -np.inf:
                    nan[b] |= s != s
                    continue
                if filled == k:  # it replaces the k-th, or is left out; remember the best of those left out
                    if s <= threshold:
                        rejected = max(rejected, s)
                        continue
                    rejected = max(rejected, best[k - 1])
                    p = k - 1
                else:
                    p = filled
                    filled += 1
                # insertion from behind: an equal score stays behind the earlier column
                while p > 0 and best[p - 1] < s:
                    best[p], code[p] = best[p - 1], code[p - 1]
                    p -= 1
                best[p], code[p] = s, j
                if filled == k:
                    threshold = best[k - 1]
        for p in range(filled, k):
            best[p], code[p] = -np.inf, -1
        tied[b] = filled == k and k > 0 and rejected == threshold


@njit(nogil=True, cache=True)
def top_many_rows(start: int, stop: int, scores: Any, item: Any, score: Any, tied: Any, nan: Any) -> None:
    """What `top_k_rows` finds, quicker for a k of hundreds: entries are collected, and only the k best are ever sorted.

    An entry is one integer, the score in the high 32 bits and the column turned round in the low ones, so that of equal
    scores the earlier column is the greater entry.
    """
    n, k, wide = scores.shape[1], item.shape[1], 32
    kept = np.empty(2 * k + wide, np.int64)
    for b in range(start, stop):
        row, bits = scores[b], scores[b].view(np.int32)
        filled, threshold, rejected = 0, np.float32(-np.inf), np.float32(-np.inf)
        for j0 in range(0, n, wide):
            j1 = min(j0 + wide, n)
            interesting = 0  # as in top_k_rows; in a function of its own numba vectorises it worse
            for j in range(j0, j1):
                interesting |= not (row[j] < threshold)
            if interesting == 0:
                continue
            for j in range(j0, j1):
                s = row[j]
                if s != s or s <= threshold:
                    nan[b] |= s != s
                    rejected = max(rejected, s) if s == s else rejected
                    continue
                # The bits of floats, read as integers, are in the order of the floats; those of negative ones turned.
                order = np.int64(0 if s == 0.0 else bits[j] if s > 0.0 else bits[j] ^ 0x7FFFFFFF)
                kept[filled] = (order << 32) | (LOW - j)
                filled += 1
            if filled > 2 * k:
                best_first(kept, filled, k)
                threshold = row[LOW - (kept[:k].min() & LOW)]
                rejected = max(rejected, row[LOW - (kept[k:filled].max() & LOW)])
                filled = k
        if filled > k:
            best_first(kept, filled, k)
            rejected = max(rejected, row[LOW - (kept[k:filled].max() & LOW)])
            filled = k
        kept[:filled].sort()
        for p in range(filled):
            j = LOW - (kept[filled - 1 - p] & LOW)
            item[b, p], score[b, p] = j, row[j]
        item[b, filled:], score[b, filled:] = -1, -np.inf
        tied[b] = filled == k and k > 0 and rejected == score[b, k - 1]


@njit(nogil=True, cache=True)
def best_first(entries: Any, n: int, k: int) -> None:
    """Reorder entries[:n] so that its k greatest come first, in any order (quickselect: Hoare, 1961)."""
    low, high = 0, n - 1
    while low < high:
        a, b, c = entries[low], entries[(low + high) // 2], entries[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while entries[i] > pivot:
                i += 1
            while entries[j] < pivot:
                j -= 1
            if i <= j:
                entries[i], entries[j] = entries[j], entries[i]
                i, j = i + 1, j - 1
        if k <= j + 1:
            high = j
        elif k > i:
            low = i
        else:
            return


@njit(nogil=True, cache=True)
def mask_candidates(
    start: int, stop: int, candidates: Any, offsets: Any, excluded: Any, n_items: int, scores: Any
) -> None:
    """scores[b, c] = -inf where candidate c is padding (-1), a repeat, or excluded for query b."""
    stamp = np.full(n_items, -1, np.int64)  # the last query for which each item was excluded or met
    for b in range(start, stop):
        for p in range(offsets[b], offsets[b + 1]):
            stamp[excluded[p]] = b
        for c in range(candidates.shape[1]):
            code = candidates[b, c]
            if code < 0 or stamp[code] == b:
                scores[b, c] = -np.inf
            else:
                stamp[code] = b


@njit(nogil=True, cache=True)
def mark_hits(
    start: int, stop: int, item: Any, offsets: Any, truth: Any, n_items: int, hit: Any, relevant: Any
) -> None:
    """For queries start..stop: hit[b, r] = item[b, r] is relevant and is at rank r for the first time.

    item: int32 (B, K), negative = no recommendation. offsets, truth: the ragged relevant items. hit: bool (B, K), all
    false before. relevant: int64 (B,), the number of distinct relevant items. mark[i] == b where item i is relevant to
    query b and not yet hit: the time of a row grows with its two lengths, not with the catalogue.
    """
    mark = np.full(n_items, -1, np.int64)
    for b in range(start, stop):
        distinct = 0
        for p in range(offsets[b], offsets[b + 1]):
            if mark[truth[p]] != b:
                mark[truth[p]] = b
                distinct += 1
        relevant[b] = distinct
        for r in range(item.shape[1]):
            i = item[b, r]
            if i >= 0 and mark[i] == b:
                hit[b, r] = True
                mark[i] = -1
