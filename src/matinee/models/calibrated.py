"""Calibrated: lists whose genres are those of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matinee import kernels
from matinee.data.arrays import Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.attributes import history_shares
from matinee.models.families.listwise import Described, Listwise
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Calibrated(Listwise):
    """Calibrated recommendations (Steck, RecSys 2018).

    Item by item the list takes what makes (1 - lam) * its sum of relevance - lam * KL(p || q) largest (eq. 6, greedy).
    p is the mean of p(g|i) over the events of the history, an item with m genres having 1/m of each; q is that of the
    list so far, of which a share `alpha` is replaced by p, so that it is never 0 (eq. 5, alpha .01 in the paper). Any
    column of the item table may stand for genres. Events count alike, or by their weights; items without a value count
    on neither side. A history without a known value leaves the base's list.

    Deviation: the chosen stand in the base's order, unless arrange = "choice". The list as a whole is as calibrated,
    and what is most relevant comes first: docs/rules.md says what that saves.
    """

    learned_type = Described

    column: str = tunable("genres", "column of the item table whose shares the list is to have")
    alpha: float = tunable(0.01, "share of the history in the list's distribution", low=1e-3, high=0.1, gt=0.0, lt=1.0)

    def check(self, data: Dataset) -> None:
        super().check(data)
        if data.item_features is not None:
            self.known(data, self.column)

    def learn(self, data: Dataset, context: FitContext) -> Described:
        return Described(self.fitted_members(data, context), self.known(data, self.column).shares())

    def choose(self, queries: Queries, item: Ints, relevance: Floats, places: int) -> Ints:
        items: csr_array = self.fitted.learned.items
        target = history_shares(queries, items)
        chosen = np.empty((len(item), places), np.int32)
        arrays = (item, relevance, target, items.indptr, items.indices, items.data, chosen)
        of = (self.lam, self.alpha)
        kernels.parallel(lambda a, b: kernels.listwise.calibrated_rows(a, b, *of, *arrays), len(item), chunk=16)
        return chosen
