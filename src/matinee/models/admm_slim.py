"""ADMM-SLIM: SLIM's objective for all columns at once, in dense linear algebra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.models.ease import damped, inverse_bytes, ridge_inverse, squares
from matinee.models.families.item_item import ItemItem
from matinee.models.fields import tunable
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = 512  # of a block: columns do not depend on each other, so the state is (n_items, 512) beside P and W


class AdmmSLIM(ItemItem):
    """ADMM SLIM (Steck, Dimakopoulou, Riabov & Jebara, WSDM 2020, algorithm 1).

    Minimises |X - X B|^2 / 2 + |D^(1/2) B|^2 / 2 + l1 |B|_1 with diag(B) = 0, and B >= 0 if nonnegative, where
    D = diag(l2 (n_i / n_users)^alpha + dropout / (1 - dropout) G_ii): the paper's popularity-scaled ridge, and EDLAE's
    (see EASE). It alternates, `iterations` times, between EASE's closed form pulled towards C and C = B shrunk by
    l1 / rho; with U the scaled dual and A = B + U:

        M = 2 C - A,   B = rho P M - P diag(t),   t_j = (1 + rho (P M)_jj) / P_jj,   P = (G + D + rho I)^-1

    Equal to the paper's steps: P G = I - P (D + rho I) turns their constant term into a part of diag(t), so neither G
    nor P G is kept. Columns are independent and done in blocks. Stopping early regularises, so `iterations` is a
    hyper-parameter. Differences: user_damping is EASE's, and the paper's centred columns are left out: they cost 1 % of
    ndcg@10 on MovieLens 1M. Weights of events stand in X, as in EASE; n_i counts users. dropout = user_damping = 0 is
    the paper's model; the defaults rank better.
    """

    l1: float = tunable(2.0, "weight of the L1 norm", low=0.1, high=100.0, log=True, ge=0.0)
    l2: float = tunable(300.0, "ridge, times an item's share of users to the power alpha", low=10.0, high=1e4, log=True,
                        gt=0.0)  # fmt: skip
    alpha: float = tunable(0.0, "power of popularity in the ridge", low=0.0, high=1.0, ge=0.0)
    rho: float = tunable(1000.0, "step size rho of ADMM", low=100.0, high=1e5, log=True, gt=0.0)
    iterations: int = tunable(10, "steps", low=5, high=100, log=True, ge=1)
    nonnegative: bool = tunable(False, "allow only positive weights", choices=[False, True])
    dropout: float = tunable(0.5, "dropout of inputs, in expectation (EDLAE)", low=0.0, high=0.8, ge=0.0, lt=1.0)
    user_damping: float = tunable(0.5, "a user of n items has weight n^-user_damping", low=0.0, high=1.0, ge=0.0)

    def weights(self, X: csr_array) -> NDArray[np.float32] | csr_array:
        from scipy.sparse import csr_array

        popularity = np.maximum(np.bincount(X.indices, minlength=X.shape[1]), 1.0) / X.shape[0]
        X = damped(X, self.user_damping)
        ridge = self.l2 * popularity**self.alpha + self.dropout / (1.0 - self.dropout) * squares(X)
        P = ridge_inverse(X, ridge + self.rho).astype(np.float32, copy=False)
        W = np.empty_like(P)
        for first in range(0, len(P), COLUMNS):
            W[:, first : first + COLUMNS] = self._columns(P, first, min(COLUMNS, len(P) - first))
        return csr_array(W) if np.count_nonzero(W) < 0.4 * W.size else W

    def kept(self, size: LogSize) -> float:
        """How many weights are not 0, about."""
        return size.item_pairs * (0.6 if self.nonnegative else 1.0)

    def learned_bytes(self, size: LogSize) -> float:
        kept = self.kept(size)
        return 2 * FLOAT * kept if kept < 0.4 * size.items**2 else FLOAT * size.items**2

    def fit_bytes(self, size: LogSize) -> float:
        """P and W with a block's state, and 36 bytes a weight while W becomes sparse."""
        kept = self.kept(size)
        last = 36 * kept if kept < 0.4 * size.items**2 else 5 * FLOAT * size.items * min(COLUMNS, size.items)
        return 40 * size.events + max(inverse_bytes(size, self.l2 + self.rho), 2 * FLOAT * size.items**2 + last)

    def _columns(self, P: NDArray[np.float32], first: int, width: int) -> NDArray[np.float32]:
        """C of columns first..first + width, float32 (n_items, width)."""
        own = np.arange(width)
        rho, threshold = np.float32(self.rho), np.float32(self.l1 / self.rho)
        A, M, PM = (np.zeros((len(P), width), np.float32) for _ in range(3))
        for _ in range(self.iterations):
            # Step 1: B = rho P M - P diag(t), EASE's closed form pulled towards C; t makes its diagonal 0.
            np.matmul(P, M, out=PM)
            t = (1.0 + rho * PM[first + own, own]) / P[first + own, first + own]

            # Step 2: C = B + U shrunk by l1 / rho, and the dual U in the same pass over memory.
            def step(start: int, stop: int, t: NDArray[np.float32] = t) -> None:
                kernels.linear.admm_rows(start, stop, first, P, PM, t, rho, threshold, self.nonnegative, A, M)

            kernels.parallel(step, len(P), chunk=128)
        return (A + M) * np.float32(0.5)  # M = 2 C - A
