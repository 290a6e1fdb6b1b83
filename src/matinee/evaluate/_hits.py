"""The compiled half of the metrics. Imported on first use, because numba takes half a second to load."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


def _mark_hits(
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


mark_hits = njit(nogil=True, cache=True)(_mark_hits)
