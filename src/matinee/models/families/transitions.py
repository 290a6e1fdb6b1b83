"""What the counting models share: how often one item followed another, and how much each event of a history weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.families.item_item import ages
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def followed(data: Dataset, window: int, power: float = 1.0) -> csr_array:
    """csr float64 (n_items, n_items), row = item, column = item after it: the sum of d^-power over pairs up to `window`
    apart, times the weight of the later event where the log has weights."""
    from scipy.sparse import coo_array, csr_array

    user, item = data.user[data.order], data.item[data.order]
    counts = csr_array((data.n_items, data.n_items), dtype=np.float64)
    for d in range(1, min(window, len(user) - 1) + 1):
        same = np.flatnonzero(user[d:] == user[:-d])
        if not len(same):
            break  # nobody has so many events
        weight = np.full(len(same), 1.0 / d**power)
        if data.weight is not None:
            weight *= data.weight[data.order[same + d]]
        counts = counts + coo_array((weight, (item[same], item[same + d])), shape=counts.shape).tocsr()
    counts.sort_indices()
    return counts


def followed_pairs(size: LogSize, window: int) -> float:
    """How many pairs of items `followed` counts, about."""
    return size.different_pairs(size.events * min(window, size.mean_length / 2))


def followed_bytes(size: LogSize, window: int) -> float:
    """What `followed` holds: the events of one distance, and the counts so far beside their sum with these."""
    return 40 * size.events + 24 * followed_pairs(size, window)


def known_events(queries: Queries, popularity: Floats, max_len: int | None = None) -> Queries:
    """The queries with the events of items that have a training event, at most the `max_len` latest of each."""
    queries = queries.keep_events(popularity[queries.history.values] > 0)
    return queries if max_len is None else queries.keep_events(ages(queries.history) < max_len)


def event_weights(queries: Queries) -> Floats:
    """float32, in parallel with history.values: the weight of each event, 1 in histories without weights."""
    weights = queries.history_weights
    return np.ones(len(queries.history.values), np.float32) if weights is None else weights


def shares(history: Ragged, weight: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """float64, in parallel with history.values: the weights, divided by their sum in each row."""
    total = np.bincount(history.rows, weight, minlength=len(history))
    divided: NDArray[np.float64] = weight / total[history.rows]
    return divided
