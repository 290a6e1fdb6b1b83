"""SLIM: each item as a sparse, positive combination of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matinee import kernels
from matinee.errors import MatineeError
from matinee.models.ease import damped, gram
from matinee.models.families.item_item import ItemItem
from matinee.models.fields import tunable
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = 32
MAX_SWEEPS = 10_000


class SLIM(ItemItem):
    """Sparse linear method (Ning & Karypis, ICDM 2011, eq. 4): each item regressed on the others.

    For each item j

        min |x_j - X w|^2 / 2 + l2 / 2 |w|^2 + l1 |w|_1   with w_j = 0, and w >= 0 if nonnegative,

    by coordinate descent on the Gram matrix X'X to `tolerance`; w is column j of the weights, zeros exact. Sums run
    over users, as in the paper: scikit-learn's ElasticNet(alpha, l1_ratio) over n users is l1 = n alpha l1_ratio,
    l2 = n alpha (1 - l1_ratio). user_damping (see EASE) is our addition, 0 in the paper. Weights of events stand in X,
    as in EASE.
    """

    l1: float = tunable(2.0, "weight of the L1 norm: sparser weights", low=0.1, high=100.0, log=True, ge=0.0)
    l2: float = tunable(200.0, "ridge", low=1.0, high=1e4, log=True, gt=0.0)
    nonnegative: bool = tunable(True, "allow only positive weights", choices=[False, True])
    user_damping: float = tunable(0.0, "a user of n items has weight n^-user_damping", low=0.0, high=1.0, ge=0.0)
    tolerance: float = tunable(1e-7, "convergence: largest change of a weight, relative to the largest weight", gt=0.0)

    def weights(self, X: csr_array) -> csr_array:
        from scipy.sparse import csr_array, vstack

        # Coordinate descent needs X only through its Gram matrix: the cost no longer depends on the users.
        G = gram(damped(X, self.user_damping))
        n = len(G)
        kernels.parallel(lambda a, b: kernels.linear.mirror_upper(a, b, G), n, chunk=256)
        blocks: dict[int, csr_array] = {}

        def solve(start: int, stop: int) -> None:
            for first in range(start, stop, COLUMNS):
                last = min(first + COLUMNS, stop)
                out = np.empty((last - first, n), np.float32)
                if kernels.linear.elastic_net_columns(
                    first, last, G, self.l1, self.l2, self.nonnegative, self.tolerance, MAX_SWEEPS, out
                ):
                    raise MatineeError(
                        f"SLIM did not settle to {self.tolerance:g} in {MAX_SWEEPS} sweeps",
                        hint="raise l2 or tolerance",
                    )
                blocks[first] = csr_array(out)

        kernels.parallel(solve, n, chunk=COLUMNS)
        W: csr_array = vstack([blocks[first] for first in sorted(blocks)], format="csr")  # row = scored item
        return W.T.tocsr()

    def learned_bytes(self, size: LogSize) -> float:
        """Of the pairs that occur, the share that the L1 norm leaves: found on logs like MovieLens."""
        return 2 * FLOAT * size.item_pairs * (0.3 if self.nonnegative else 1.0)

    def fit_bytes(self, size: LogSize) -> float:
        """The Gram matrix, and the weights as blocks, joined, and transposed."""
        return 40 * size.events + FLOAT * size.items**2 + 3 * self.learned_bytes(size)
