"""Markov: what people watched right after what they watched last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model, Shapes
from matinee.models.families.item_item import ages, weighted_rows
from matinee.models.families.transitions import (
    event_weights,
    followed,
    followed_bytes,
    followed_pairs,
    known_events,
    shares,
)
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

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

    In a log with weights a transition also counts the weight of the event it leads to, p_j is a share of all weights,
    and an event of a history votes by its own.

    Deviations: in the source rules start from the very last event alone, and have no prior. Events of items without a
    training event are passed over; repeats count each time, and an item may follow itself.
    """

    learned_type = Transitions

    window: int = tunable(10, "how many events after an item count as transitions", low=1, high=40, log=True, ge=1)
    shrinkage: float = tunable(
        10.0,
        "pseudo-counts from popularity, added to the transitions of an item",
        low=0.1,
        high=100.0,
        log=True,
        gt=0.0,
    )
    max_len: int = tunable(20, "number of recent events used", low=1, high=50, log=True, ge=1)
    half_life: float = tunable(2.0, "half-life of an event's weight, in events", low=0.5, high=20.0, log=True, gt=0.0)

    def reads_order(self) -> bool:
        return True

    def uses_weights(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> Transitions:
        counts = followed(data, self.window)
        total = np.asarray(counts.sum(axis=1), np.float64) + self.shrinkage
        # Counts become shares of each row; what is left of a row goes to popularity when a query is scored.
        counts.data /= np.repeat(total, np.diff(counts.indptr))
        strength = data.item_strengths()
        prior = strength / strength.sum()
        rest = self.shrinkage / total
        return Transitions(counts.astype(np.float32), rest.astype(np.float32), prior.astype(np.float32))

    def learned_bytes(self, size: LogSize) -> float:
        return 2 * FLOAT * followed_pairs(size, self.window) + 3 * FLOAT * size.items

    def fit_bytes(self, size: LogSize) -> float:
        return followed_bytes(size, self.window) + self.learned_bytes(size)

    def score_histories(self, queries: Queries) -> Floats:
        learned = self.fitted.learned
        known, n = known_events(queries, self.fitted.popularity, self.max_len), len(queries)
        history = known.history
        weight = shares(history, 0.5 ** (ages(history) / self.half_life) * event_weights(known))
        scores = weighted_rows(learned.P, history.offsets, history.values, weight.astype(np.float32))
        rest = np.bincount(history.rows, weight * learned.rest[history.values], minlength=n)
        scores += rest.astype(np.float32)[:, None] * learned.prior
        return scores
