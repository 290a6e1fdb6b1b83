"""PopularityDiscount: relevant items that are less known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.data.arrays import Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Shapes
from matinee.models.families.composite import Members
from matinee.models.families.listwise import Listwise
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize


@dataclass(frozen=True)
class Known(Members):
    """members: the base model, fitted. known: float32 (n_items,), 0..1."""

    known: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"known": (n_items,)}


class PopularityDiscount(Listwise):
    """Popular items are moved down (Adomavicius & Kwon, TKDE 2012, who rank by popularity what scores high enough).

    Chosen are the items with the largest (1 - lam) * relevance + lam * (1 - ln(1 + events of the item) / ln(1 + events
    of the most popular item)). Relevance is the base's score over its n best items, 0..1. Deviation: a weighted sum in
    the place of their threshold, so that lam goes from the base's list, 0, to the least known of the n items, 1. The
    chosen stand in the base's order, unless arrange = "choice".
    """

    learned_type = Known

    def learn(self, data: Dataset, context: FitContext) -> Known:
        events = np.log1p(data.item_counts())
        return Known(self.fitted_members(data, context), (events / events.max()).astype(np.float32))

    def choose(self, queries: Queries, item: Ints, relevance: Floats, places: int) -> Ints:
        known = self.fitted.learned.known[np.maximum(item, 0)].astype(np.float64)
        value = (1.0 - self.lam) * relevance + self.lam * (1.0 - known)
        value[item < 0] = -np.inf
        return np.argsort(-value, axis=1, kind="stable")[:, :places].astype(np.int32)

    def learned_bytes(self, size: LogSize) -> float:
        return super(Listwise, self).learned_bytes(size) + FLOAT * size.items
