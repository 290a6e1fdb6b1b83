"""What lists are like, whatever was hidden: how unlike their items are, how far their genres are from the history's.

Functions of arrays, a value a query, as metrics.py has them of hits. item: int32 (B, K) codes, best first, -1 = none;
the first k count. What is known of items are rows of `Attribute` (data/features/attributes.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints
from matinee.evaluate.metrics import Values

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ALPHA = 0.01  # Steck's: the share of the history in the list's distribution, so that no value has the share 0


def intra_list_diversity(item: Ints, unit_rows: csr_array, k: int) -> Values:
    """float64 (B,): the mean over pairs of items of 1 - cosine (Ziegler et al., WWW 2005, there as similarity), from 0,
    all alike, to 1. unit_rows: csr (n_items, values), rows of length 1; items without a value are left out. NaN where
    fewer than two are left.
    """
    sums, listed = _summed(item[:, :k], unit_rows)
    squares = np.einsum("bg,bg->b", sums, sums) if len(sums) else np.zeros(0)
    pairs = listed * (listed - 1) / 2
    # |sum of v|^2 = n + 2 * the sum of cosines over pairs, as each v has length 1
    cosines = np.maximum((squares - listed) / 2, 0.0)
    return 1.0 - cosines / np.where(pairs > 0, pairs, np.nan)


def calibration_error(item: Ints, target: NDArray[np.float64], shares: csr_array, k: int) -> Values:
    """float64 (B,): KL(p || .99 q + .01 p), Steck's C_KL (RecSys 2018, eq. 4 and 5), 0 where list and history agree.

    target: float64 (B, values), p, see `history_shares`. shares: csr (n_items, values), see `Attribute.shares`; q is
    their mean over the list's items that have any. NaN where nothing is known of the history or of the list.
    """
    sums, listed = _summed(item[:, :k], shares)
    known = (listed > 0) & (target.sum(axis=1) > 0)
    smooth = (1 - ALPHA) * sums / np.maximum(listed, 1)[:, None] + ALPHA * target
    there = target > 0
    ratio = np.divide(target, smooth, out=np.ones_like(target), where=there)
    error = np.sum(target * np.log(ratio), axis=1)
    return np.where(known, error, np.nan)


def coverage(item: Ints, train_counts: NDArray[np.integer], k: int) -> float:
    """Distinct items in the first k of all lists, over the items with a training event."""
    given = item[:, :k]
    return len(np.unique(given[given >= 0])) / max(int(np.count_nonzero(train_counts)), 1)


def _summed(item: Ints, rows: csr_array) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """float64 (B, values) and int64 (B,): the sum of the listed items' rows, and how many of them have a value."""
    from scipy.sparse import csr_array

    there = item >= 0
    offsets = np.append(0, np.cumsum(there.sum(axis=1)))
    lists = csr_array((np.ones(int(there.sum())), item[there], offsets), shape=(len(item), rows.shape[0]))
    known = (np.diff(rows.indptr) > 0).astype(np.float64)
    sums = np.asarray((lists @ rows.astype(np.float64)).toarray(), np.float64)
    return sums, np.asarray(lists @ known, np.float64).astype(np.int64)
