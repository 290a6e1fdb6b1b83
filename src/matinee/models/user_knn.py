"""UserKNN: what people like you watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model, Shapes
from matinee.models.families.item_item import strengths, weighted_rows
from matinee.models.families.neighbours import nearest, term_weights, weighted
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class UserKNNState:
    """X: csr (n_users, n_items), 1 (or the weight) per pair. V: csr (n_items, n_users), the users' weighted vectors,
    transposed.

    norm: float32 (n_users,), what to divide a user's similarities by. term: float32 (n_items,), an item's weight.
    """

    X: csr_array
    V: csr_array
    norm: Floats
    term: Floats

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"X": (n_users, n_items), "V": (n_items, n_users), "norm": (n_users,), "term": (n_items,)}


class UserKNN(Model):
    """User-based neighbours (Herlocker et al., SIGIR 1999).

    s_uv = <x_u, x_v> / (|x_u| |x_v| + shrinkage) over items, each weighted by `weighting` (bm25 has its own lengths in
    place of the cosine's); an item's score is the sum of s over the k nearest users of the log who watched it.
    A user of the log is not their own neighbour. Equal similarities go to the lower user code. An event's weight
    multiplies its item's entry of x_u (in bm25 it is the term's frequency), and what a neighbour adds to its item.
    """

    learned_type = UserKNNState

    k: int = tunable(100, "number of neighbours", low=10, high=1000, log=True, ge=1)
    weighting: Literal["none", "tfidf", "bm25"] = tunable(
        "tfidf", "weight of an item in the cosine", choices=["none", "tfidf", "bm25"]
    )
    shrinkage: float = tunable(0.0, "added to the cosine's denominator", low=0.0, high=100.0, ge=0.0)

    def uses_weights(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> UserKNNState:
        X = data.strengths()
        V, norm = weighted(X, self.weighting)
        return UserKNNState(X=X, V=V.T.tocsr(), norm=norm, term=term_weights(X, self.weighting))

    def learned_bytes(self, size: LogSize) -> float:
        return 4 * FLOAT * size.events + 3 * FLOAT * (size.users + size.items)

    def fit_bytes(self, size: LogSize) -> float:
        return 28 * size.events + self.learned_bytes(size)

    def score_histories(self, queries: Queries) -> Floats:
        learned: UserKNNState = self.fitted.learned
        history = queries.history
        weight = strengths(queries, len(self.items)) * learned.term[history.values]
        length = np.sqrt(np.bincount(history.rows, weight**2, minlength=len(queries)).astype(np.float32))
        length = np.ones_like(length) if self.weighting == "bm25" else np.maximum(length, np.float32(1e-12))

        def similarities(start: int, stop: int) -> NDArray[np.float32]:
            out = weighted_rows(learned.V, history.offsets[start : stop + 1], history.values, weight)
            # The cosine: a product of weighted rows over both lengths.
            out /= length[start:stop, None] * learned.norm + np.float32(self.shrinkage)
            # A user of the log would be the nearest neighbour of themselves.
            known = np.flatnonzero(queries.user[start:stop] >= 0)
            out[known, queries.user[start:stop][known]] = -np.inf
            return out

        near = nearest(len(queries), learned.X.shape[0], self.k, similarities)
        return weighted_rows(learned.X, near.indptr.astype(np.int64), near.indices, near.data)
