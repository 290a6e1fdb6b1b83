"""Bayesian matrix factorisation, sampled: ratings predicted by the mean over many plausible factorisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset
from matinee.models.base import Shapes
from matinee.models.biased_mf import facing_one
from matinee.models.families.factors import RatingFactors, RatingVectors, Vectors, regress, stop_unless_finite
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Posterior(RatingVectors):
    """S samples side by side: U, V have S (factors + 2) columns. Of each sample: the users' prior, mean (S, f + 1) and
    precision (S, f + 1, f + 1), the last of f + 1 being the bias; and the precision of a rating, noise (S,)."""

    mean: Array
    precision: Array
    noise: Array

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        s, f = self.mean.shape
        return {**super().shapes(n_users, n_items), "V": (n_items, s * (f + 1)), "mean": (s, f),
                "precision": (s, f, f), "noise": (s,)}  # fmt: skip


class BayesianMF(RatingFactors):
    """Bayesian probabilistic matrix factorisation by Gibbs sampling (Salakhutdinov, Mnih, ICML 2008, eq. 1-16).

    r_ui ~ N(mu + b_u + b_i + p_u.q_i, 1/noise); (p_u, b_u) ~ N(mean, precision^-1), Normal-Wishart hyper-prior (beta0 =
    1, W0 = I, nu0 = their number), items likewise. Ours: the biases, and `noise`, which the paper fixes at 2, is drawn
    (Gamma(1, 1) prior). A kept sample holds the items and each user's mean given them (Rao-Blackwell: less variance
    than the draw, and a newcomer's is the same function of a history). A prediction is the mean over kept samples.
    """

    learned_type = Posterior
    exemptions = {
        "renamed_ids": "samples are drawn in the order of ids",
        "taste": "learns ratings, which are drawn at random in the suite's log",
    }

    n_factors: int = tunable(16, "length of a vector", low=4, high=64, log=True, ge=1)
    warm_up: int = tunable(30, "burn-in rounds", ge=0)
    samples: int = tunable(50, "posterior samples to keep", ge=1)
    thin: int = tunable(2, "rounds between kept samples", ge=1)

    def learn(self, data: Dataset, context: FitContext) -> Vectors:
        X = data.matrix(values=True)
        X_t = X.T.tocsr()
        low, high, mu = float(X.data.min()), float(X.data.max()), float(X.data.mean(dtype=np.float64))
        watched = np.diff(X_t.indptr) > 0
        f = self.n_factors + 1
        rng = np.random.default_rng(context.seed)
        P, Q = np.zeros((data.n_users, f)), rng.normal(0.0, 0.1, (data.n_items, f))
        Q[:, -1] = 0.0
        noise = 1.0 / max(float(X.data.var(dtype=np.float64)), 1e-3)
        kept: list[tuple[Floats, Array, Array, float]] = []
        rounds = context.rounds(self.warm_up + self.samples * self.thin)
        for sweep in rounds:
            # Step 1 (eq. 14): draw the users' prior mean and precision given their vectors.
            prior = normal_wishart(P, rng)
            # Step 2 (eq. 11): draw every user's vector given the items; rows are independent, so all cores draw.
            draw_rows(X, facing_one(Q), mu + Q[:, -1], prior, noise, rng.standard_normal(P.shape), P)
            # Step 3: the same for the items. Those without ratings would pull the prior to 0, so they are left out.
            of_items = normal_wishart(Q[watched], rng)
            draw_rows(X_t, facing_one(P), mu + P[:, -1], of_items, noise, rng.standard_normal(Q.shape), Q)
            # Step 5: draw the precision of a rating given the residuals (conjugate Gamma).
            error = errors(X, P, Q, mu)
            noise = rng.gamma(1.0 + len(error) / 2, 1.0 / (1.0 + (error**2).sum() / 2))
            stop_unless_finite(Q, f"sweep {sweep + 1}", "use fewer factors")
            rounds.add(np.nan)
            if sweep >= self.warm_up and (sweep - self.warm_up + 1) % self.thin == 0:
                V = np.column_stack([facing_one(Q), mu + Q[:, -1]])
                V[~watched] = V[watched].mean(axis=0)
                kept.append((V.astype(np.float32), *prior, noise))
        return self.with_users(data, posterior(kept, low, high))

    def width(self, size: LogSize) -> int:
        return self.samples * (self.n_factors + 2)

    def fit_bytes(self, size: LogSize) -> float:
        return super().fit_bytes(size) + 16 * (self.n_factors + 2) * size.events  # what `errors` multiplies

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        """float32 (B, S (f + 1)): for each sample the user's mean given the history, over S."""
        assert isinstance(learned, Posterior)
        s, f = learned.mean.shape
        U = np.ones((len(learned.mean), X.shape[0], f + 1), np.float32)
        for n, V in enumerate(np.split(learned.V, s, axis=1)):
            P = np.zeros((X.shape[0], f))
            prior = learned.mean[n], learned.precision[n]
            draw_rows(X, V[:, :-1], V[:, -1], prior, learned.noise[n], None, P)
            U[n, :, :-1] = P
        U /= np.float32(s)  # so that products are means over the samples
        return U.transpose(1, 0, 2).reshape(X.shape[0], -1)


def normal_wishart(P: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """float64 draws: mean (f,), precision (f, f) of the rows of P (paper, eq. 14; W by Bartlett's decomposition)."""
    n, f = P.shape
    center = P.mean(axis=0)
    away = P - center
    # The posterior scale matrix W*^-1 = W0^-1 + S + n / (1 + n) m m'.
    inverse = np.eye(f) + away.T @ away + n / (1 + n) * np.outer(center, center)
    L = np.linalg.inv(np.linalg.cholesky(inverse)).T  # L L' = W*
    # Bartlett: a lower triangle of normals with roots of chi-squares on the diagonal gives a Wishart draw.
    bartlett = np.tril(rng.standard_normal((f, f)), -1)
    bartlett[np.diag_indices(f)] = np.sqrt(rng.chisquare(f + n - np.arange(f)))
    root = L @ bartlett
    mean = n * center / (1 + n) + np.linalg.solve(root.T, rng.standard_normal(f)) / np.sqrt(1 + n)
    return mean, root @ root.T


def draw_rows(
    X: csr_array, F: Array | Floats, offset: Array | Floats, prior: tuple[Array, Array], noise: float,
    normal: Array | None, out: Array,
) -> None:  # fmt: skip
    """out[r] = a draw (its mean where normal is None) of the vector of row r of X given the other side (eq. 11-13)."""
    mean, precision = prior
    at_mean = precision, precision @ mean
    regress(X, F, offset, out, penalty=np.zeros(out.shape), prior=at_mean, weight=noise, noise=normal)


def errors(X: csr_array, P: Array, Q: Array, mu: float) -> Array:
    """float64 (n,): what is left of each rating."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    U = np.column_stack([P, np.ones(len(P))])
    V = np.column_stack([facing_one(Q), mu + Q[:, -1]])
    left: Array = X.data - np.einsum("nf,nf->n", U[rows], V[X.indices])
    return left


def posterior(kept: list[tuple[Floats, Array, Array, float]], low: float, high: float) -> Posterior:
    V, mean, precision, noise = zip(*kept, strict=True)
    nobody = np.empty((0, 0), np.float32), np.concatenate(V, axis=1), np.empty(0, np.uint64)
    return Posterior(*nobody, low, high, np.stack(mean), np.stack(precision), np.array(noise))
