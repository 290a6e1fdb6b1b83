"""SVD-AE: a closed-form autoencoder at low rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Shapes
from matinee.models.families.item_item import ItemItem, weighted_rows
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize
from matinee.models.svd import svd_bytes, truncated_svd

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class LowRankWeights:
    """W = left @ right, row = history item, column = scored item. left: float32 (n_items, k), right: (k, n_items)."""

    left: NDArray[np.float32]
    right: NDArray[np.float32]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        k = self.left.shape[1]
        return {"left": (n_items, k), "right": (k, n_items)}


class SVDAE(ItemItem):
    """SVD-AE (Hong et al., IJCAI 2024, eq. 7-8): scores = x~_q B, B = V S^-1 U' R, R~ ~ U S V' the k largest triplets.

    R~ = D_u^(-1/2) R D_i^(-1/2), D the numbers of events, is what the regression sees, and R, not normalised, what it
    predicts. k = share of the smaller of R's sides (4 % in the paper, on every data set). x~_q = D_i^(-1/2) x_q here:
    the paper's division by sqrt(|x_q|) scales a query's scores without changing their order. half_life is our addition.
    Weights of events stand in R, and D sums them.
    """

    learned_type = LowRankWeights

    share: float = tunable(
        0.04, "rank, as a share of the smaller side of the matrix", low=0.005, high=0.2, log=True, gt=0.0, lt=1.0
    )

    def weights(self, X: csr_array) -> NDArray[np.float32]:
        learned = self.low_rank(X)
        return learned.left @ learned.right

    def learn(self, data: Dataset, context: FitContext) -> LowRankWeights:  # type: ignore[override]
        return self.low_rank(data.strengths())

    def low_rank(self, R: csr_array) -> LowRankWeights:
        """B, with the item side of a query's normalisation in its rows."""
        from scipy.sparse import diags_array

        # Eq. 6: R~ = D_u^(-1/2) R D_i^(-1/2) is what the regression sees.
        row = np.repeat(np.arange(R.shape[0]), np.diff(R.indptr))
        n_u, n_i = np.bincount(row, R.data, R.shape[0]), np.bincount(R.indices, R.data, R.shape[1])
        d_u, d_i = (np.where(n > 0.0, n, 1.0) ** -0.5 for n in (n_u, n_i))
        # The rank is a share of the smaller side, counted over users and items that have events.
        k = max(1, round(self.share * min(np.count_nonzero(n_u), np.count_nonzero(n_i))))
        U, s, V = truncated_svd((diags_array(d_u) @ R @ diags_array(d_i)).tocsr(), k)
        # Eq. 8: B = V S^-1 (U' R). Kept as two thin factors: the product would be n_items x n_items.
        return LowRankWeights((d_i[:, None] * V / s).astype(np.float32), (R.T @ U).T.astype(np.float32, order="C"))

    def rank(self, size: LogSize) -> int:
        return max(1, round(self.share * min(size.users, size.items)))

    def learned_bytes(self, size: LogSize) -> float:
        return 2 * FLOAT * self.rank(size) * size.items

    def fit_bytes(self, size: LogSize) -> float:
        return 30 * size.events + svd_bytes(size, self.rank(size))

    def score_histories(self, queries: Queries) -> Floats:
        learned: LowRankWeights = self.fitted.learned
        history = queries.history
        scores: Floats = (
            weighted_rows(learned.left, history.offsets, history.values, self.votes(queries)) @ learned.right
        )
        return scores
