"""BPR: matrix factorisation that ranks what was watched above what was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset
from matinee.models.base import Learned
from matinee.models.families.factors import Factors, Vectors, stop_unless_finite
from matinee.models.families.network import NO_CURVE
from matinee.models.fields import disliked_share, tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize
from matinee.nn.sampling import Disliked

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHECKS, PATIENCE = 12, 4  # looks at valid during a fit, and how many without a gain end it


@dataclass(frozen=True)
class RankingVectors(Vectors):
    """curve: float64 (epochs, 3), see nn.rounds.CURVE."""

    curve: NDArray[np.float64]


class BPR(Factors):
    """BPR-MF (Rendle et al., UAI 2009, BPR-Opt and LearnBPR): a watched item above an unwatched one.

    Descends, by stochastic gradient,

        sum over (u, i, j) of -ln sigmoid(x_ui - x_uj) + l2/2 (|u|^2 + |v_i|^2 + |v_j|^2 + b_i^2 + b_j^2),

    x_ui = u.v_i + b_i, i watched by u, j uniform among the items that u did not watch. Ours: the rate falls linearly to
    0, an epoch takes each watched pair once, in random order, and after the last one every user is learned again on the
    final items, by the same descent over the user's history alone: that is also how a newcomer is answered. In a log
    with weights an epoch takes each pair in proportion to its weight (systematic sampling), and folding in multiplies a
    pair's gradient by its weight over the history's mean. Of a user who disliked items, j is one of these as often as
    `dislikes` says. Given `valid`, the items of the epoch with the best ndcg@10
    are kept, and a fit that has stopped gaining ends.
    """

    learned_type: ClassVar[type[Learned]] = RankingVectors

    exemptions = {"renamed_ids": "starting vectors are drawn in the order of ids"}
    n_factors: int = tunable(64, "length of a vector", low=16, high=256, log=True, ge=1)
    l2: float = tunable(0.01, "penalty on the vectors of a triple", low=1e-4, high=0.1, log=True, ge=0.0)
    learning_rate: float = tunable(
        0.15, "initial learning rate; falls linearly to 0", low=0.01, high=0.3, log=True, gt=0.0
    )
    epochs: int = tunable(60, "passes over the log", low=10, high=200, log=True, ge=1)
    stop_epoch: int | None = tunable(None, "stop at this epoch but keep the learning-rate schedule of `epochs`", ge=1)
    dislikes: float = disliked_share()
    fold_epochs: int = tunable(20, "passes over a history to fold in a user", ge=1)

    def keeps_schedule(self) -> bool:
        return True

    def learn(self, data: Dataset, context: FitContext) -> RankingVectors:
        X = self.training_rows(data)
        users = np.repeat(np.arange(X.shape[0], dtype=np.int32), np.diff(X.indptr))
        pool = np.unique(X.indices)
        disliked = Disliked.of(data, self.dislikes, among=data.item_counts() > 0)
        disliked = disliked or Disliked(Ragged.empty(len(X.indptr) - 1), 0.0)
        rng = np.random.default_rng(context.seed)
        scale = 0.1 / np.sqrt(self.n_factors)
        U, V = (rng.normal(0.0, scale, (n, self.n_factors + 1)).astype(np.float32) for n in X.shape)
        U[:, -1], V[:, -1] = 1.0, 0.0  # the bias faces a 1
        V[np.diff(X.T.tocsr().indptr) == 0] = 0.0
        standing = self.standing(data, RankingVectors(U, V, self.hashes(data), NO_CURVE))
        epochs = min(self.epochs, self.stop_epoch or self.epochs)
        rounds = context.rounds(epochs, patience=PATIENCE, every=-(-self.epochs // CHECKS))
        kept, measure = V, context.measuring(standing)
        for epoch in rounds:
            # LearnBPR: each watched pair once, in random order, against one unwatched item drawn by a counter hash.
            pairs = drawn(X.data, np.random.default_rng([context.seed, epoch, 1]))
            order = np.random.default_rng([context.seed, epoch]).permutation(len(pairs))
            key = np.random.SeedSequence([context.seed, epoch]).generate_state(1, np.uint64)[0]
            rate = self.learning_rate * (1 - epoch / self.epochs)
            loss = kernels.factors.bpr_epoch(
                order, users, X.indptr, X.indices, pool, key, rate, self.l2, U, V, pairs,
                disliked.items.offsets, disliked.items.values, disliked.share,
            )  # fmt: skip
            stop_unless_finite(V, f"epoch {epoch + 1} at learning rate {rate:.3g}", "lower the learning rate")
            if rounds.add(loss, measure):
                kept = V.copy()
        return self.with_users(data, RankingVectors(U, kept, self.hashes(data), rounds.curve))

    def width(self, size: LogSize) -> int:
        return self.n_factors + 1

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        V = learned.V
        pool = np.flatnonzero(V.any(axis=1)).astype(np.int32)  # items nobody watched have a vector of zeros
        U = np.zeros((X.shape[0], V.shape[1]), np.float32)
        U[:, -1] = 1.0

        row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        mean = np.bincount(row, X.data, minlength=X.shape[0]) / np.maximum(np.diff(X.indptr), 1)
        weights = (X.data / mean[row]).astype(np.float32)

        def run(start: int, stop: int) -> None:
            kernels.factors.bpr_fold_rows(
                start, stop, X.indptr, X.indices, weights, pool, self.fold_epochs, self.learning_rate, self.l2, V, U
            )

        kernels.parallel(run, len(U), chunk=64)
        return U


def drawn(weight: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """int64, about (n,): places of weights (n,), each as often as its weight over their mean says, rounded up or down
    at random (systematic sampling: one random offset for all). Equal weights: each place once, in order."""
    up_to = np.cumsum(weight / weight.mean(dtype=np.float64))
    times = np.diff(np.floor(up_to + rng.random()), prepend=0.0)
    return np.repeat(np.arange(len(weight)), times.astype(np.int64))
