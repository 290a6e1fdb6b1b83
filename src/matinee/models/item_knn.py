"""ItemKNN: items watched by the same people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.models.families.item_item import ItemItem
from matinee.models.families.neighbours import nearest, nearest_bytes, neighbour_bytes, weighted
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ItemKNN(ItemItem):
    """Item-based neighbours (Deshpande & Karypis, TOIS 2004; Sarwar et al., WWW 2001).

    s_ij = <x_i, x_j> / (|x_i| |x_j| + shrinkage) over users, each weighted by `weighting` (bm25 has its own lengths in
    place of the cosine's). Column j of the weights, the scored item, keeps its k most similar history items (as Sarwar
    et al.; Deshpande & Karypis keep the k scored items of each history item, which ranks worse on MovieLens); equal
    similarities go to the lower item code. An event's weight multiplies its user's entry of x_i, and the vote of its
    item in a history; in bm25 it is the term's frequency.
    """

    k: int = tunable(250, "number of neighbours of each item", low=10, high=1000, log=True, ge=1)
    weighting: Literal["none", "tfidf", "bm25"] = tunable(
        "tfidf", "weight of a user in the cosine", choices=["none", "tfidf", "bm25"]
    )
    shrinkage: float = tunable(0.0, "added to the cosine's denominator", low=0.0, high=100.0, ge=0.0)

    def weights(self, X: csr_array) -> csr_array:
        T, norm = weighted(X.T.tocsr(), self.weighting)  # row = item, column = user
        X = T.T.tocsr()
        n = T.shape[0]

        def similarities(start: int, stop: int) -> NDArray[np.float32]:
            out = np.zeros((stop - start, n), np.float32)
            kernels.parallel(
                lambda a, b: kernels.linear.gram_rows_full(
                    start + a, start + b, X.indptr, X.indices, X.data, T.indptr, T.indices, T.data, out[a:b]
                ),
                stop - start,
                chunk=32,
            )
            out /= norm[start:stop, None] * norm + np.float32(self.shrinkage)
            out[np.arange(stop - start), np.arange(start, stop)] = -np.inf
            return out

        neighbours = nearest(n, n, self.k, similarities)  # row = scored item, column = history item
        return neighbours.T.tocsr()

    def learned_bytes(self, size: LogSize) -> float:
        return neighbour_bytes(size, self.k)

    def fit_bytes(self, size: LogSize) -> float:
        return 40 * size.events + nearest_bytes(size.items, size.items, self.k)
