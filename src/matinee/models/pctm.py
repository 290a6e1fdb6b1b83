"""PCTM: counted transitions, multiplied over a history, against what is popular anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ragged
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

ONE = np.float32(1.0)


@dataclass(frozen=True)
class LogTransitions:
    """L float32 (n_items, n_items), row = item watched, column = item watched after it: log(1 + C n_items / tau), dense
    or csr. rest: float32 (n_items,), what is added to row b of L so that exp(L[b] + rest[b]) is P(. | b).
    log_share: float32 (n_items,), the log of an item's share of all events; 0 where it has none."""

    L: NDArray[np.float32] | csr_array
    rest: Floats
    log_share: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"L": (n_items, n_items), "rest": (n_items,), "log_share": (n_items,)}


class PCTM(Model):
    """Counted transitions as a product of experts (PCTM, RecSys 2026); no gradients, one pass over the log.

    C_ba: how often a came d events after b in one history, each time counting d^-power, for d up to `window`.
    P(a | b) = (C_ba + tau / n_items) / (C_b + tau), C_b the row's sum. Every event h_j of a history votes with the
    logarithm, and what is popular anyway is taken back:

        score(a) = sum_j w_j log P(a | h_j) + popularity log p(a),   sum_j w_j = 1, p(a) the share of all events.

    In a log with weights C also counts the weight of the later event, p(a) is a share of all weights, and w_j is
    multiplied by the event's own.

    The `recent` newest events share `recent_share` of the weight, falling by `decay` with each; the older ones share
    the rest evenly. recent = 0: all events fall by `decay`. Markov differs in two ways: it adds probabilities where
    this multiplies them, and its prior favours popular items where this one's negative exponent corrects for them.
    """

    learned_type = LogTransitions

    window: int = tunable(20, "how many events after an item count as transitions", low=2, high=50, log=True, ge=1)
    power: float = tunable(1.0, "an event d places later counts d^-power", low=0.0, high=2.0, ge=0.0)
    tau: float = tunable(150.0, "pseudo-counts spread over all items", low=1.0, high=1e5, log=True, gt=0.0)
    recent: int = tunable(7, "newest events that weigh more; 0: all events fall by decay", low=0, high=20, ge=0)
    recent_share: float = tunable(0.8, "share of the weight of the newest events", low=0.3, high=1.0, gt=0.0, le=1.0)
    decay: float = tunable(0.6, "weight of an event over that of the next newer one", low=0.3, high=1.0, gt=0.0, le=1.0)
    popularity: float = tunable(-0.4, "exponent of an item's share of all events", low=-1.0, high=0.5)

    def reads_order(self) -> bool:
        return True

    def uses_weights(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> LogTransitions:
        n = data.n_items
        C = followed(data, self.window, self.power)
        # log P(a | b) = log(1 + C_ba n / tau) + log(tau / n) - log(C_b + tau): the last two depend on b alone.
        rest = np.log(self.tau / n) - np.log(np.asarray(C.sum(axis=1)) + self.tau)
        # Only log(1 + C n / tau) depends on the pair: it is 0 where a never followed b, so C's zeros stay zeros.
        C.data = np.log1p(C.data * (n / self.tau))
        L = C.astype(np.float32)
        strength = data.item_strengths()
        share = np.where(strength > 0, strength, 1.0) / strength.sum()
        dense = L.nnz > 0.2 * n * n  # a dense row is read faster than a csr row of a fifth of its length
        log_share = np.where(strength > 0, np.log(share), 0.0)
        return LogTransitions(L.toarray() if dense else L, rest.astype(np.float32), log_share.astype(np.float32))

    def learned_bytes(self, size: LogSize) -> float:
        pairs = followed_pairs(size, self.window)
        return FLOAT * (size.items**2 if pairs > 0.2 * size.items**2 else 2 * pairs) + 3 * FLOAT * size.items

    def fit_bytes(self, size: LogSize) -> float:
        return followed_bytes(size, self.window) + self.learned_bytes(size)

    def weights(self, history: Ragged, own: Floats | np.float32 = ONE) -> NDArray[np.float64]:
        """float64, in parallel with history.values: what each event's vote weighs, 1 in sum in each row. own: float32,
        the events' own weights."""
        age = ages(history)
        if self.recent == 0:
            return shares(history, self.decay**age * own)
        new = age < self.recent
        falling = np.where(new, self.decay**age, 0.0)
        total = np.bincount(history.rows, falling, minlength=len(history))
        older = np.maximum(history.lengths - self.recent, 0)[history.rows]
        weight = np.where(
            new, self.recent_share * falling / total[history.rows], (1.0 - self.recent_share) / np.maximum(older, 1)
        )
        return shares(history, weight * own)  # a history without older events gives the newest all

    def score_histories(self, queries: Queries) -> Floats:
        learned: LogTransitions = self.fitted.learned
        known = known_events(queries, self.fitted.popularity)
        history = known.history
        weight = self.weights(history, event_weights(known))
        scores = weighted_rows(learned.L, history.offsets, history.values, weight.astype(np.float32))
        rest = np.bincount(history.rows, weight * learned.rest[history.values], minlength=len(history))
        scores += rest.astype(np.float32)[:, None] + np.float32(self.popularity) * learned.log_share
        return scores
