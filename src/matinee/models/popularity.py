"""Popularity: what everyone watches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError, option
from matinee.models.base import Model, Shapes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext


@dataclass(frozen=True)
class Counts:
    """counts: float32 (n_items,), events of each item, or their weights, decayed where asked."""

    counts: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"counts": (n_items,)}


class Popularity(Model):
    """Items by their number of events; with half_life_days an event counts half for every so many days of age.

    Age is counted back from the newest event of the log. A (user, item) pair counts as often as it occurs, and in a log
    with weights an event counts its weight.
    """

    learned_type = Counts
    exemptions = {
        "personal": "counts events of all users",
        "taste": "the same for all users",
        "source": "counting has no publication",
    }

    half_life_days: float | None = tunable(
        None, "half-life of an event's weight, in days (None: all weigh the same)", gt=0.0
    )

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.half_life_days is not None and data.timestamp is None:
            raise MatineeError(
                f"{data.name} has no timestamps, so popularity cannot be decayed in time",
                hint=f"name the log's column of times: {option('timestamp', 'time')}, or leave half_life_days unset",
            )

    def uses_weights(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> Counts:
        if self.half_life_days is None or data.timestamp is None:
            return Counts(data.item_strengths().astype(np.float32))
        # Exponential decay, counted back from the newest event of the log.
        age = (data.timestamp.max() - data.timestamp) / 86_400.0
        weight = 0.5 ** (age / self.half_life_days)
        if data.weight is not None:
            weight = weight * data.weight
        order = np.argsort(data.timestamp, kind="stable")  # a sum's last bit depends on the order of its terms
        return Counts(np.bincount(data.item[order], weight[order], minlength=data.n_items).astype(np.float32))

    def score_histories(self, queries: Queries) -> Floats:
        return np.tile(self.fitted.learned.counts, (len(queries), 1))

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,), never true: popularity is the answer, not a stand-in for one."""
        return np.zeros(len(queries), np.bool_)
