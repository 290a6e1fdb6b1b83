"""SVD: the user-item matrix at low rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.models.base import Model
from matinee.models.families.factors import RatingFactors, RatingVectors, Vectors
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DENSE = 600  # up to this size of the smaller side all singular vectors are computed, and cut
Matrix = NDArray[np.float64]


class SVD(RatingFactors):
    """PureSVD (Cremonesi, Koren & Turrin, RecSys 2010, eq. 5-6): scores = x_q V V', V the k right singular vectors.

    x_q holds 1 for each item watched (the paper: the ratings, and 0 for the rest), or its weight in a log with weights.

    centred: the matrix holds what ratings leave over after the biases, 0 for the rest, and scores are ratings:
    mu + b_i + b_u + (r_q - mu - b_i - b_u) V V', as Sarwar et al. 2000 with damped means in place of means:
    b_i = sum (r - mu) / (n_i + damping), then b_u likewise from r - mu - b_i. Zeros pull such ratings towards the
    biases: for rating prediction prefer biased_mf. Without `centred` it ranks and predicts no ratings. Ratings are not
    weighed.
    """

    learned_type = RatingVectors

    n_factors: int = tunable(40, "rank; at most the smaller side of the matrix", low=5, high=300, log=True, ge=1)
    centred: bool = tunable(False, "factorise centred ratings instead of what was watched", choices=[False, True])
    damping: float = tunable(5.0, "pseudo-ratings at the mean, where centred", low=0.1, high=50.0, log=True, ge=0.0)

    def uses_ratings(self) -> bool:
        return self.centred

    def uses_weights(self) -> bool:
        return not self.centred

    def predicts(self) -> bool:
        return self.centred

    def learn(self, data: Dataset, context: FitContext) -> Vectors:
        X = self.training_rows(data)
        n = X.shape[1]
        offset = np.zeros(n)
        if self.centred:
            # Damped item means, then user biases on what is left (Sarwar et al.).
            mu = X.data.mean(dtype=np.float64)
            count = np.bincount(X.indices, minlength=n)
            offset = mu + np.bincount(X.indices, X.data - mu, minlength=n) / np.maximum(count + self.damping, 1e-9)
        X = X.astype(np.float64)
        X.data = self.residuals(X, offset)[0]
        _, _, V = truncated_svd(X, self.n_factors)
        # the last two columns face (1, b_u) of a user
        F = np.column_stack([V, offset, np.ones(n)]).astype(np.float32)
        low, high = (0.0, 1.0) if data.value is None else (float(data.value.min()), float(data.value.max()))
        return self.with_users(data, RatingVectors(np.empty((0, 0), np.float32), F, np.empty(0, np.uint64), low, high))

    def width(self, size: LogSize) -> int:
        return min(self.n_factors, size.users, size.items) + 2

    def fit_bytes(self, size: LogSize) -> float:
        return max(super().fit_bytes(size), 30 * size.events + svd_bytes(size, self.n_factors))

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        X = X.astype(np.float64)
        X.data, bias = self.residuals(X, learned.V[:, -2])
        return np.column_stack([X @ learned.V[:, :-2], np.ones(len(bias)), bias]).astype(np.float32)

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        return super().predict(pairs, queries) if self.centred else Model.predict(self, pairs, queries)

    def residuals(self, X: csr_array, offset: NDArray[np.floating]) -> tuple[Matrix, Matrix]:
        """float64: X.data, in parallel with it, less offset (n_items,) and biases of rows; those biases, (rows,)."""
        length = np.diff(X.indptr)
        if not self.centred:
            return X.data, np.zeros(len(length))
        row = np.repeat(np.arange(len(length)), length)
        left = X.data - offset[X.indices]
        bias = np.bincount(row, left, minlength=len(length)) / np.maximum(length + self.damping, 1e-9)
        return left - bias[row], bias


def svd_bytes(size: LogSize, k: int) -> float:
    """What `truncated_svd` holds: all vectors of a dense matrix, or Lanczos' for the smaller side and then both sides
    of those that are kept."""
    small, both = min(size.users, size.items), size.users + size.items
    if small <= DENSE or 2 * k >= small:
        return 8 * (2 * size.users * size.items + 2 * small * both + 4 * small**2)
    return 8 * small * min(small, max(2 * k + 1, 20)) + 20 * k * both


def truncated_svd(X: csr_array, k: int) -> tuple[Matrix, Matrix, Matrix]:
    """The k largest singular triplets (fewer where X has fewer): U (rows, k), s (k,) descending, V (columns, k).

    float64, from X's content alone: no random start, and the largest entry of each column of V is positive.
    """
    from scipy.sparse.linalg import svds

    X = X.astype(np.float64)
    small = min(X.shape)
    if small <= DENSE or 2 * k >= small:
        U, s, Vt = np.linalg.svd(X.toarray(), full_matrices=False)
    else:
        U, s, Vt = svds(X, k=k, v0=np.ones(small), solver="arpack")
    order = np.argsort(-s, kind="stable")[:k]
    order = order[s[order] > 1e-9 * s[order[0]]]  # singular to rounding: no direction of the data
    U, s, V = U[:, order], s[order], Vt[order].T
    sign = np.sign(V[np.abs(V).argmax(axis=0), np.arange(len(order))])
    return U * sign, s, V * sign
