"""EASE: the closed-form linear autoencoder, and the pieces that other linear models share with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.errors import MatineeError
from matinee.models.families.item_item import ItemItem
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Relative error of a float32 Cholesky solve is about eps * condition; past this we solve in float64.
FLOAT32_CONDITION = 2e4


class EASE(ItemItem):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019, eq. 8): B_ij = -P_ij / P_jj, P = (X'X + l2 I)^-1.

    Column j of the weights is the ridge regression of item j on all other items.

    dropout p adds p / (1 - p) diag(X'X) to the ridge: the same regression averaged over inputs dropped with
    probability p (EDLAE: Steck, NeurIPS 2020, eq. 9 with the diagonal kept at zero). user_damping weighs a user of n
    items by n^-user_damping in X'X, scaled so that the trace stays (user-side normalisation: Park et al., SIGIR 2025):
    otherwise a user counts n^2 times. Both are 0 in the paper of 2019. half_life is our addition: it decays the query,
    not the fit.

    P comes from a Cholesky factorisation in place, so one (n_items, n_items) buffer exists: float32 where a bound on
    the condition, max_i sum_j G_ij over the least ridge, is at most 2e4, else float64. An event's weight is its entry
    of X: the regression predicts weights from weights.
    """

    l2: float = tunable(300.0, "ridge on the Gram diagonal", low=1.0, high=1e4, log=True, gt=0.0)
    dropout: float = tunable(0.0, "dropout of inputs, in expectation (EDLAE)", low=0.0, high=0.8, ge=0.0, lt=1.0)
    user_damping: float = tunable(0.0, "a user of n items has weight n^-user_damping", low=0.0, high=1.0, ge=0.0)

    def weights(self, X: csr_array) -> NDArray[np.float32]:
        """float32 (n_items, n_items)."""
        X = damped(X, self.user_damping)
        # Eq. 8: P = (X'X + diag)^-1, then B_ij = -P_ij / P_jj with a diagonal of 0.
        P = ridge_inverse(X, self.l2 + self.dropout / (1.0 - self.dropout) * squares(X))
        divisor = -np.diagonal(P)

        def divide(start: int, stop: int) -> None:  # numpy is as fast here as a compiled loop, which takes .3 s to make
            P[start:stop] /= divisor

        kernels.parallel(divide, len(P), chunk=256)
        np.fill_diagonal(P, 0.0)
        W: NDArray[np.float32] = P.astype(np.float32, copy=False)
        return W

    def fit_bytes(self, size: LogSize) -> float:
        return 40 * size.events + inverse_bytes(size, self.l2)


def damped(X: csr_array, power: float) -> csr_array:
    """X, csr (n_users, n_items), with a user of n items weighing n^-power in X'X, whose trace stays."""
    from scipy.sparse import csr_array

    if power == 0.0 or X.nnz == 0:
        return X
    length = np.diff(X.indptr)
    weight: NDArray[np.float64] = np.maximum(length, 1.0) ** -power
    square = np.bincount(np.repeat(np.arange(len(length)), length), X.data.astype(np.float64) ** 2, len(length))
    weight *= square.sum() / (weight * square).sum()
    scale = np.repeat(np.sqrt(weight), length).astype(np.float32)
    return csr_array((X.data * scale, X.indices, X.indptr), shape=X.shape)


def squares(X: csr_array) -> NDArray[np.float64]:
    """float64 (n_items,): the diagonal of X'X."""
    squared: NDArray[np.float64] = X.data.astype(np.float64) ** 2
    return np.bincount(X.indices, squared, minlength=X.shape[1]).astype(np.float64)


def ridge_inverse(X: csr_array, ridge: NDArray[np.float64]) -> NDArray[Any]:
    """(X'X + diag(ridge))^-1, (n_items, n_items), symmetric; ridge > 0: (n_items,). float32 or, badly conditioned, 64.

    Raises MatineeError where it is singular to rounding.
    """
    from scipy.linalg import lapack

    bound = (X.T @ (X @ np.ones(X.shape[1])) + ridge).max() / ridge.min()
    precise = bound > FLOAT32_CONDITION
    G = gram(X, np.float64 if precise else np.float32)
    G[np.diag_indices_from(G)] += ridge
    potrf, potri = (lapack.dpotrf, lapack.dpotri) if precise else (lapack.spotrf, lapack.spotri)
    # LAPACK is column-major: our upper triangle is its lower one, and P.T is the same memory
    factor, failed = potrf(G.T, lower=1, overwrite_a=1, clean=0)
    inverse, failed_inverse = potri(factor, lower=1, overwrite_c=1)
    if failed or failed_inverse:  # a positive ridge makes G positive definite: only rounding can get here
        raise MatineeError(f"the Gram matrix is singular to rounding at l2 = {ridge.min():g}", hint="raise l2")
    P: NDArray[Any] = inverse.T
    # mirroring writes below a block's rows, so blocks touch disjoint places
    kernels.parallel(lambda a, b: kernels.linear.mirror_upper(a, b, P), len(P), chunk=256)
    return P


def inverse_bytes(size: LogSize, least_ridge: float) -> float:
    """What `ridge_inverse` holds, with the float32 copy that its callers make of a float64 one. The largest row sum of
    X'X is about .005 events^2 / users on MovieLens as on Amazon."""
    precise = 0.005 * size.events * size.mean_length > FLOAT32_CONDITION * least_ridge
    return (12 if precise else 4) * size.items**2


def gram(X: csr_array, dtype: Any = np.float32) -> NDArray[Any]:
    """Upper triangle of X'X, (n_items, n_items), zeros below. X: csr (n_users, n_items), indices sorted."""
    from scipy.sparse import csr_array

    n = X.shape[1]
    T = csr_array((np.arange(X.nnz, dtype=np.int64), X.indices, X.indptr), shape=X.shape).tocsc()
    out = np.zeros((n, n), dtype)
    kernels.parallel(
        lambda a, b: kernels.linear.gram_rows(a, b, X.indptr, X.indices, X.data, T.indptr, T.indices, T.data, out[a:b]),
        n,
        chunk=32,
    )
    return out
