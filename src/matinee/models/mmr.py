"""MMR: relevant items that are unlike those before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from matinee import kernels
from matinee.data.arrays import Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.models.families.listwise import Described, Listwise
from matinee.models.families.neighbours import neighbour_bytes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.item_knn import ItemKNN
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEAREST = 200  # items of each whose similarity is kept; of others it counts as 0


class MMR(Listwise):
    """Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

    Item by item the list takes the largest (1 - lam) * relevance - lam * the largest similarity to an item before it
    (lam is 1 - lambda of the paper). Similarity is a cosine, 0..1: of the users who watched both ("cooccurrence"; of
    each item the 200 most similar are kept, others count as 0), or of the values in a column of the item table
    ("attributes"; a missing cell is like nothing). Relevance is the base's score over its n best items, 0..1.
    Deviation: the chosen stand in the base's order, unless arrange = "choice".
    """

    learned_type = Described

    similarity: Literal["cooccurrence", "attributes"] = tunable(
        "cooccurrence", "what makes items alike: their users, or their values in `column`",
        choices=["cooccurrence", "attributes"],
    )  # fmt: skip
    column: str = tunable("genres", 'a column of the item table, for similarity = "attributes"')

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.similarity == "attributes" and data.item_features is not None:
            self.known(data, self.column)

    def learn(self, data: Dataset, context: FitContext) -> Described:
        attributes = self.similarity == "attributes"
        items = self.known(data, self.column).unit_rows() if attributes else cosines(data)
        return Described(self.fitted_members(data, context), items)

    def choose(self, queries: Queries, item: Ints, relevance: Floats, places: int) -> Ints:
        items: csr_array = self.fitted.learned.items
        chosen = np.empty((len(item), places), np.int32)
        arrays = (item, relevance, items.indptr, items.indices, items.data, chosen)
        of = (self.lam, self.similarity == "attributes", items.shape[1])
        kernels.parallel(lambda a, b: kernels.listwise.mmr_rows(a, b, *of, *arrays), len(item), chunk=16)
        return chosen

    def learned_bytes(self, size: LogSize) -> float:
        alike = neighbour_bytes(size, NEAREST) if self.similarity == "cooccurrence" else 0.0
        return super().learned_bytes(size) + alike

    def fit_bytes(self, size: LogSize) -> float:
        return max(super().fit_bytes(size), ItemKNN(k=NEAREST).fit_bytes(size))


def cosines(data: Dataset) -> csr_array:
    """csr float32 (n_items, n_items): of each item its most similar, symmetric."""
    nearest = ItemKNN(k=NEAREST, weighting="none").weights(data.matrix())
    both = nearest.maximum(nearest.T).tocsr()
    both.sort_indices()
    return both
