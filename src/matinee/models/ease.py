"""EASE: the closed-form linear autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.errors import MatineeError
from matinee.models.base import ItemItem, tunable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Relative error of a float32 Cholesky solve is about eps * condition; past this we solve in float64.
FLOAT32_CONDITION = 2e4


class EASE(ItemItem):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019, eq. 8): B_ij = -P_ij / P_jj, P = (X'X + l2 I)^-1.

    Column j of the weights is the ridge regression of item j on all other items. P comes from a Cholesky factorisation
    in place, so one (n_items, n_items) buffer exists: float32 where max_i sum_j G_ij / l2, a bound on the condition of
    G = X'X + l2 I, is at most 2e4, else float64. half_life is our addition: it decays the query, not the fit.
    """

    l2: float = tunable(300.0, "ridge on the Gram diagonal", low=1.0, high=1e4, log=True, gt=0.0)

    def weights(self, X: csr_array) -> NDArray[np.float32]:
        from scipy.linalg import lapack

        from matinee import kernels

        row_sums = X.T @ (X @ np.ones(X.shape[1]))
        precise = (row_sums.max() + self.l2) / self.l2 > FLOAT32_CONDITION
        P = gram(X, np.float64 if precise else np.float32)
        P[np.diag_indices_from(P)] += self.l2
        potrf, potri = (lapack.dpotrf, lapack.dpotri) if precise else (lapack.spotrf, lapack.spotri)
        # LAPACK is column-major: our upper triangle is its lower one, and P.T is the same memory
        factor, failed = potrf(P.T, lower=1, overwrite_a=1, clean=0)
        inverse, failed_inverse = potri(factor, lower=1, overwrite_c=1)
        if failed or failed_inverse:  # l2 > 0 makes G positive definite: only rounding can get here
            raise MatineeError(f"the Gram matrix is singular to rounding at l2 = {self.l2}", mend="raise l2")
        P = inverse.T
        n = len(P)
        diagonal = np.diagonal(P).copy()
        # mirroring writes below a block's rows, so blocks touch disjoint places
        kernels.parallel(lambda a, b: kernels.mirror_upper(a, b, P), n, chunk=256)
        kernels.parallel(lambda a, b: kernels.ridge_weights_rows(a, b, P, diagonal), n, chunk=256)
        W: NDArray[np.float32] = P.astype(np.float32, copy=False)
        return W


def gram(X: csr_array, dtype: Any = np.float32) -> NDArray[Any]:
    """Upper triangle of X'X, (n_items, n_items), zeros below. X: csr (n_users, n_items), indices sorted."""
    from scipy.sparse import csr_array

    from matinee import kernels

    n = X.shape[1]
    T = csr_array((np.arange(X.nnz, dtype=np.int64), X.indices, X.indptr), shape=X.shape).tocsc()
    out = np.zeros((n, n), dtype)
    kernels.parallel(
        lambda a, b: kernels.gram_rows(a, b, X.indptr, X.indices, X.data, T.indptr, T.indices, T.data, out[a:b]),
        n,
        chunk=32,
    )
    return out
