"""The family of item-item models: each item of a history votes for every item."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Learned, Model, Shapes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class ItemWeights:
    """W (n_items, n_items), row = history item, column = scored item; float32, dense or csr."""

    W: NDArray[np.float32] | csr_array

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"W": (n_items, n_items)}


class ItemItem(Model):
    """scores = X_q @ W: each item of the history votes for every item. A member only says what W is.

    The weights of events, where the log has them, stand in the place of the 1s of X and X_q.
    """

    learned_type: ClassVar[type[Learned]] = ItemWeights

    half_life: float | None = tunable(
        None, "half-life of a history item's weight, in items watched after it (None: all weigh the same)", gt=0.0
    )

    @abstractmethod
    def weights(self, X: csr_array) -> NDArray[np.float32] | csr_array:
        """W from the interaction matrix X, csr float32 (n_users, n_items), indices sorted: 1 per distinct pair, or the
        summed weights of its events."""

    def learn(self, data: Dataset, context: FitContext) -> ItemWeights:
        return ItemWeights(self.weights(data.strengths()))

    def learned_bytes(self, size: LogSize) -> float:
        return FLOAT * size.items**2

    def fit_bytes(self, size: LogSize) -> float:
        """The log's matrix, by user and by item, and W where it is made in place."""
        return 40 * size.events + self.learned_bytes(size)

    def score_histories(self, queries: Queries) -> Floats:
        W = self.fitted.learned.W
        history = queries.history
        return weighted_rows(W, history.offsets, history.values, self.votes(queries))

    def reads_order(self) -> bool:
        return self.half_life is not None

    def uses_weights(self) -> bool:
        return True

    def votes(self, queries: Queries) -> Floats:
        """float32, in parallel with history.values: an item's strength, decayed by age where half_life is set; a repeat
        votes once."""
        votes = strengths(queries, len(self.items))
        if self.half_life is None:
            return votes
        return (votes * 0.5 ** (ages(queries.history) / self.half_life)).astype(np.float32)


def strengths(queries: Queries, n_items: int) -> Floats:
    """float32, in parallel with history.values: at an item's last event in its row 1, or, in a history with weights,
    the sum of those of its events; 0 at its earlier ones. `Dataset.strengths` for histories."""
    history = queries.history
    last: Bools = kernels.histories.last_occurrence(history.offsets, history.values, n_items)
    if queries.history_weights is None:
        return last.astype(np.float32)
    pair = np.unique(history.rows * n_items + history.values, return_inverse=True)[1]
    total = np.bincount(pair, queries.history_weights).astype(np.float32)
    return np.where(last, total[pair], np.float32(0.0))


def ages(history: Ragged) -> NDArray[np.int64]:
    """int64, in parallel with history.values: how many events of the row come after each."""
    return np.repeat(history.offsets[1:] - 1, history.lengths) - np.arange(len(history.values))


def weighted_rows(
    W: NDArray[np.float32] | csr_array, offsets: NDArray[np.int64], rows: Ints, weights: Floats
) -> NDArray[np.float32]:
    """float32 (B, columns of W): row b = sum of weights[p] * W[rows[p]] over offsets[b] <= p < offsets[b + 1]."""
    out = np.empty((len(offsets) - 1, W.shape[1]), np.float32)

    def run(start: int, stop: int) -> None:
        if isinstance(W, np.ndarray):
            kernels.histories.history_times_dense(start, stop, offsets, rows, weights, W, out)
        else:
            kernels.histories.history_times_sparse(
                start, stop, offsets, rows, weights, W.indptr, W.indices, W.data, out
            )

    kernels.parallel(run, len(out), chunk=64)
    return out
