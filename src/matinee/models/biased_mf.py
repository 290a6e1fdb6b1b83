"""Matrix factorisation with biases, for ratings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Holdout
from matinee.evaluate.stopping import ERRORS, StoppingMetric, rating_scale
from matinee.models.base import Learned
from matinee.models.families.factors import RatingFactors, RatingVectors, Vectors, regress, stop_unless_finite
from matinee.models.families.user_vectors import hashes_of
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize
from matinee.nn.rounds import Rounds

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
FOLD_IN_STEPS = 8  # Newton's method from 0 doubles its digits each step: more change nothing in float32
HINT = "raise l2"


@dataclass(frozen=True)
class BiasedVectors(RatingVectors):
    """curve: float64 (iterations, 3), nn.CURVE without its seconds."""

    curve: NDArray[np.float64]


class BiasedMF(RatingFactors):
    """Matrix factorisation with biases (Koren, Bell, Volinsky, Computer 2009, eq. 4-5): z = mu + b_u + b_i + p_u.q_i.

    loss = "squared": the rating is z. "bce": the rating is low + (high - low) sigmoid(z), fitted by the cross-entropy
    of (r - low) / (high - low), as the Keras collaborative-filtering example does (2020); mu is then the mean's logit.

    Fitted by alternating regressions in place of the paper's stochastic gradient: with one side fixed, each vector and
    its bias are a ridge regression (squared, exact) or a logistic one (bce, a Newton step an iteration). The penalty is
    l2 n^nu |p|^2 + bias_l2 b^2, n the ratings of that user or item: nu = 0 is a Gaussian prior, nu = 1 the paper's (and
    Zhou et al. 2008's). Last, users are regressed on the final items, as newcomers are. mu stays the mean.
    Given `valid`, the items of the iteration that predicts its ratings best are kept.
    """

    learned_type: ClassVar[type[Learned]] = BiasedVectors
    exemptions = {
        "renamed_ids": "starting vectors are drawn in the order of ids",
        "taste": "learns ratings, which are drawn at random in the suite's log",
    }

    n_factors: int = tunable(32, "length of a vector; 0: biases only", low=4, high=128, log=True, ge=0)
    loss: Literal["squared", "bce"] = tunable("squared", "squared error, or sigmoid and cross-entropy")
    l2: float = tunable(2.0, "penalty on the vectors", low=0.1, high=50.0, log=True, gt=0.0)
    bias_l2: float = tunable(4.0, "penalty on the biases", low=0.1, high=50.0, log=True, gt=0.0)
    nu: float = tunable(0.4, "frequency scaling of the penalty on vectors: l2 n^nu", low=0.0, high=1.0, ge=0.0)
    epochs: int = tunable(15, "alternating updates of users, then items", low=5, high=40, ge=1)

    def learn(self, data: Dataset, context: FitContext) -> Vectors:
        R = data.matrix(values=True)
        low, high = float(R.data.min()), float(R.data.max())
        rounds, hashes = context.rounds(self.epochs), hashes_of(data, rated=True)
        best: BiasedVectors | None = None
        for U, V in self.alternate(self.targets(R, low, high), rounds, context.seed):
            learned = BiasedVectors(U, V, hashes, low, high, rounds.curve)
            standing = self.standing(data, learned)
            predicted = standing.ratings(U, np.repeat(np.arange(R.shape[0]), np.diff(R.indptr)), R.indices)
            loss = ERRORS[self.error](R.data, predicted, rating_scale(data, context.valid))
            if rounds.add(loss, context.measuring(standing)):
                best = learned
        assert best is not None  # there is at least one iteration
        return self.with_users(data, replace(best, curve=rounds.curve))

    def alternate(self, X: csr_array, rounds: Rounds, seed: int) -> Iterator[tuple[Floats, Floats]]:
        """The vectors of users (n_users, f + 2) and items (n_items, f + 2) after each iteration: a bias faces a 1."""
        mu = float(X.data.mean(dtype=np.float64))
        if self.loss == "bce":
            mu = float(np.log(np.clip(mu, 1e-3, None) / np.clip(1 - mu, 1e-3, None)))
        X_t = X.T.tocsr()
        f = self.n_factors
        P, Q = (np.zeros((n, f + 1)) for n in X.shape)  # the last column is the bias
        Q[:, :f] = np.random.default_rng(seed).normal(0.0, 0.1, (len(Q), f))
        self.regress(X, facing_one(Q), mu + Q[:, f], P, steps=1)
        for iteration in rounds:
            # Items given users: the rating minus mu and the user's bias is regressed on (p_u, 1).
            self.regress(X_t, facing_one(P), mu + P[:, f], Q, steps=1)
            stop_unless_finite(Q, f"iteration {iteration + 1} at l2 = {self.l2:g}", HINT)
            self.regress(X, facing_one(Q), mu + Q[:, f], P, steps=1)
            items = np.column_stack([facing_one(Q), mu + Q[:, f]]).astype(np.float32)
            yield np.column_stack([P, np.ones(len(P))]).astype(np.float32), items

    def width(self, size: LogSize) -> int:
        return self.n_factors + 2

    def fit_bytes(self, size: LogSize) -> float:
        """Vectors, those that face them and penalties in float64, and the best beside the last in float32."""
        return 56 * size.events + 36 * self.width(size) * (size.users + size.items)

    @property
    def error(self) -> str:
        """What `loss` minimises, by its metric's name."""
        return "bce" if self.loss == "bce" else "rmse"

    def stopping_metric(self, valid: Holdout) -> StoppingMetric:
        return StoppingMetric(self.error)

    @property
    def curve_names(self) -> tuple[str, str]:
        return self.error, self.fitted.metric or self.error

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        assert isinstance(learned, RatingVectors)
        X = self.targets(X, learned.low, learned.high)
        P = np.zeros((X.shape[0], self.n_factors + 1))
        self.regress(X, learned.V[:, :-1], learned.V[:, -1], P, steps=FOLD_IN_STEPS)
        return np.column_stack([P, np.ones(len(P))]).astype(np.float32)

    def targets(self, X: csr_array, low: float, high: float) -> csr_array:
        """csr (B, n_columns): the ratings, or for "bce" their place in 0..1; its ends are within reach of a logit."""
        from scipy.sparse import csr_array

        if self.loss == "squared":
            return X
        y = (np.clip(X.data, low, high).astype(np.float64) - low) / max(high - low, 1e-9)
        return csr_array((y, X.indices, X.indptr), shape=X.shape)

    def regress(self, X: csr_array, F: NDArray[Any], offset: NDArray[Any], out: Array, *, steps: int) -> None:
        logistic = self.loss == "bce"
        n = np.maximum(np.diff(X.indptr), 1)
        penalty = np.repeat(self.l2 * n[:, None] ** self.nu, self.n_factors + 1, axis=1)
        penalty[:, -1] = self.bias_l2
        regress(X, F, offset, out, penalty=penalty, logistic=logistic, steps=steps if logistic else 1)

    def to_rating(self, score: Array) -> Array:
        learned: RatingVectors = self.fitted.learned
        if self.loss == "squared":
            return super().to_rating(score)
        return learned.low + (learned.high - learned.low) / (1 + np.exp(-score))


def facing_one(P: Array) -> Array:
    """float64 (n, f + 1): the vectors with 1 for their bias, by which the other side's are multiplied."""
    F = P.copy()
    F[:, -1] = 1.0
    return F
