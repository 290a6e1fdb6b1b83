"""Markov: what people watched right after what they watched last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model, Shapes
from matinee.models.families.item_item import ages, weighted_rows
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Transitions:
    """P: csr float32 (n_items, n_items), row = item watched, column = item watched after it: its counted share.

    rest: float32 (n_items,), what is left of a row for popularity. prior: float32 (n_items,), shares of all events.
    P[i] + rest[i] * prior sums to 1 for every i.
    """

    P: csr_array
    rest: Floats
    prior: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"P": (n_items, n_items), "rest": (n_items,), "prior": (n_items,)}


class Markov(Model):
    """Transitions between items: sequential rules (Ludewig & Jannach, UMUAI 2018) that start from a fading history.

    p(j | i) = (n_ij + shrinkage p_j) / (sum_j n_ij + shrinkage), p_j: share of all events that are of j. n_ij: how
    often j came d events after i, each time counting 1 / d, for d up to `window`. The score is the mean of p(. | i)
    over the last events of the history, an event weighing 2^(-(events after it) / half_life). window = 1 with last = 1
    is the first-order Markov chain. The defaults serve well on the valid parts of ML-100K, ML-1M and Diginetica.

    Deviations: in the source rules start from the very last event alone, and have no prior. Events of items without a
    training event are passed over; repeats count each time, and an item may follow itself.
    """

    learned_type = Transitions

    window: int = tunable(10, "how many events after an item count as following it", low=1, high=40, log=True, ge=1)
    shrinkage: float = tunable(
        10.0, "events of popular items added to what followed an item", low=0.1, high=100.0, log=True, gt=0.0
    )
    max_len: int = tunable(20, "how many of the history's last events speak", low=1, high=50, log=True, ge=1)
    half_life: float = tunable(
        2.0, "halve an event's voice for every so many events after it", low=0.5, high=20.0, log=True, gt=0.0
    )

    def reads_order(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> Transitions:
        counts = followed(data, self.window)
        total = np.asarray(counts.sum(axis=1), np.float64) + self.shrinkage
        counts.data /= np.repeat(total, np.diff(counts.indptr))
        prior = data.item_counts() / len(data)
        rest = self.shrinkage / total
        return Transitions(counts.astype(np.float32), rest.astype(np.float32), prior.astype(np.float32))

    def score_histories(self, queries: Queries) -> Floats:
        learned = self.fitted.learned
        history = queries.history.keep(self.fitted.popularity[queries.history.values] > 0)
        history = history.keep(ages(history) < self.max_len)
        voice = 0.5 ** (ages(history) / self.half_life)
        rows, n = history.rows, len(queries)
        voice /= np.bincount(rows, voice, minlength=n)[rows]
        scores = weighted_rows(learned.P, history.offsets, history.values, voice.astype(np.float32))
        rest = np.bincount(rows, voice * learned.rest[history.values], minlength=n)
        scores += rest.astype(np.float32)[:, None] * learned.prior
        return scores


def followed(data: Dataset, window: int) -> csr_array:
    """csr float64 (n_items, n_items), row = item, column = item after it: sum of 1 / d over pairs d <= window apart."""
    from scipy.sparse import coo_array, csr_array

    user, item = data.user[data.order], data.item[data.order]
    counts = csr_array((data.n_items, data.n_items), dtype=np.float64)
    for d in range(1, min(window, len(user) - 1) + 1):
        same = np.flatnonzero(user[d:] == user[:-d])
        if not len(same):
            break  # nobody has so many events
        weight = np.full(len(same), 1.0 / d)
        counts = counts + coo_array((weight, (item[same], item[same + d])), shape=counts.shape).tocsr()
    counts.sort_indices()
    return counts
