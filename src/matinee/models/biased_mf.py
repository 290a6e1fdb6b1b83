"""Matrix factorisation with biases, for ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Floats, Holdout
from matinee.models.base import tunable
from matinee.models.factors import RatingFactors, RatingVectors, Vectors, regress, stop_unless_finite

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
FOLD_IN_STEPS = 8  # Newton's method from 0 doubles its digits each step: more change nothing in float32
MEND = "raise l2"


class BiasedMF(RatingFactors):
    """Matrix factorisation with biases (Koren, Bell, Volinsky, Computer 2009, eq. 4-5): z = mu + b_u + b_i + p_u.q_i.

    loss = "squared": the rating is z. "bce": the rating is low + (high - low) sigmoid(z), fitted by the cross-entropy
    of (r - low) / (high - low), as the Keras collaborative-filtering example does (2020); mu is then the mean's logit.

    Fitted by alternating regressions in place of the paper's stochastic gradient: with one side fixed, each vector and
    its bias are a ridge regression (squared, exact) or a logistic one (bce, a Newton step an iteration). The penalty is
    l2 n^nu |p|^2 + bias_l2 b^2, n the ratings of that user or item: nu = 0 is a Gaussian prior, nu = 1 the paper's (and
    Zhou et al. 2008's). Last, users are regressed on the final items, as newcomers are. mu stays the mean.
    """

    factors: int = tunable(32, "length of a vector; 0: biases only", low=4, high=128, log=True, ge=0)
    loss: Literal["squared", "bce"] = tunable("squared", "squared error, or sigmoid and cross-entropy")
    l2: float = tunable(2.0, "penalty on the vectors", low=0.1, high=50.0, log=True, gt=0.0)
    bias_l2: float = tunable(4.0, "penalty on the biases", low=0.1, high=50.0, log=True, gt=0.0)
    nu: float = tunable(0.4, "how the penalty on vectors grows with ratings: l2 n^nu", low=0.0, high=1.0, ge=0.0)
    iterations: int = tunable(15, "rounds of users, then items", low=5, high=40, ge=1)

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> Vectors:
        X = data.matrix(values=True)
        low, high = float(X.data.min()), float(X.data.max())
        X = self.targets(X, low, high)
        X_t = X.T.tocsr()
        mu = float(X.data.mean(dtype=np.float64))
        if self.loss == "bce":
            mu = float(np.log(np.clip(mu, 1e-3, None) / np.clip(1 - mu, 1e-3, None)))
        f = self.factors
        P, Q = np.zeros((data.n_users, f + 1)), np.zeros((data.n_items, f + 1))  # the last column is the bias
        Q[:, :f] = np.random.default_rng(seed).normal(0.0, 0.1, (data.n_items, f))
        for iteration in range(self.iterations):
            self.regress(X, facing_one(Q), mu + Q[:, f], P, steps=1)
            self.regress(X_t, facing_one(P), mu + P[:, f], Q, steps=1)
            stop_unless_finite(Q, f"iteration {iteration + 1} at l2 = {self.l2:g}", MEND)
        V = np.column_stack([facing_one(Q), mu + Q[:, f]]).astype(np.float32)
        learned = RatingVectors(np.empty((0, 0), np.float32), V, np.empty(0, np.uint64), low, high)
        return self.with_users(data, learned)

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        assert isinstance(learned, RatingVectors)
        X = self.targets(X, learned.low, learned.high)
        P = np.zeros((X.shape[0], self.factors + 1))
        self.regress(X, learned.V[:, :-1], learned.V[:, -1], P, steps=FOLD_IN_STEPS)
        return np.column_stack([P, np.ones(len(P))]).astype(np.float32)

    def targets(self, X: csr_array, low: float, high: float) -> csr_array:
        """The ratings, or for "bce" their place in 0..1; the ends of the scale are within reach of a logit."""
        from scipy.sparse import csr_array

        if self.loss == "squared":
            return X
        y = (np.clip(X.data, low, high).astype(np.float64) - low) / max(high - low, 1e-9)
        return csr_array((y, X.indices, X.indptr), shape=X.shape)

    def regress(self, X: csr_array, F: NDArray[Any], offset: NDArray[Any], out: Array, *, steps: int) -> None:
        logistic = self.loss == "bce"
        n = np.maximum(np.diff(X.indptr), 1)
        penalty = np.repeat(self.l2 * n[:, None] ** self.nu, self.factors + 1, axis=1)
        penalty[:, -1] = self.bias_l2
        regress(X, F, offset, out, penalty=penalty, logistic=logistic, steps=steps if logistic else 1)

    def to_rating(self, score: Array) -> Array:
        learned: RatingVectors = self.fitted.learned
        if self.loss == "squared":
            return super().to_rating(score)
        return learned.low + (learned.high - learned.low) / (1 + np.exp(-score))


def facing_one(P: Array) -> Array:
    """The vectors with a 1 in the place of their bias: what the other side's vector and bias are multiplied by."""
    F = P.copy()
    F[:, -1] = 1.0
    return F
