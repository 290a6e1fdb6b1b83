"""The family of factor models: a vector a user, a vector an item, and their product.

A user vector is a function of a history, with the item vectors fixed: `fold_in` says which. What a fit keeps of its own
users is that function's values on the training log, so that a user of the log, a newcomer with the same history, and
`explain` get the same answer, and the next event counts without a refit.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Floats, Ints
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries
from matinee.errors import MatineeError
from matinee.evaluate.stopping import StoppingMetric
from matinee.models.base import Learned, Model, Shapes
from matinee.models.families.item_item import strengths
from matinee.models.families.user_vectors import Hashes, hashes_of, still_learned
from matinee.models.needs import FLOAT, LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

V = TypeVar("V", bound="Vectors")
PAIRS = 1 << 12  # pairs predicted at once: few enough that their vectors stay in the cache
ROWS = 1 << 14  # users folded in at once


@dataclass(frozen=True)
class Vectors:
    """U float32 (n_users, f), row = user; V float32 (n_items, f), row = item. Biases are columns that face a 1.

    seen: uint64 (n_users,), a hash of the history that each row of U belongs to.
    """

    U: Floats
    V: Floats
    history_hashes: Hashes

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        f = self.V.shape[1]
        return {"U": (n_users, f), "V": (n_items, f), "history_hashes": (n_users,)}


@dataclass(frozen=True)
class GramVectors(Vectors):
    """gram: float64 (f, f), V'V over the items that somebody watched. columns: int64 (1,), items of the log when it was
    fitted."""

    gram: NDArray[np.float64]
    columns: NDArray[np.int64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {**super().shapes(n_users, n_items), "gram": (self.V.shape[1], self.V.shape[1]), "columns": (1,)}


class Factors(Model):
    """scores = U_q @ V.T. U_q is kept where the query's history is the one its user was fitted on, else folded in."""

    learned_type: ClassVar[type[Learned]] = Vectors

    def uses_ratings(self) -> bool:
        """True where a history's ratings matter. A history without ratings then counts as rated `liked` throughout. A
        model of ratings uses no weights."""
        return False

    def uses_weights(self) -> bool:
        return not self.uses_ratings()

    def check(self, data: Dataset) -> None:
        super().check(data)
        if self.uses_ratings():
            data.refuse_no_ratings()

    @abstractmethod
    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        """float32 (B, f): user vectors for histories X, csr (B, n_items): 1, the weight or the rating of each item.

        A row's vector must depend on that row alone, and on the item vectors: learned.U is not there yet in a fit.
        """

    @abstractmethod
    def width(self, size: LogSize) -> int:
        """The length f of a vector, biases included."""

    def learned_bytes(self, size: LogSize) -> float:
        gram = 8 * self.width(size) ** 2 + 8 if self.learned_type is GramVectors else 0
        return FLOAT * self.width(size) * (size.users + size.items) + 8 * size.users + gram

    def fit_bytes(self, size: LogSize) -> float:
        """The log's matrix and its transpose; U that is learned, then folded in by pieces, then joined; V, and once
        more in float64; and what a piece of users is solved in, float64."""
        width = self.width(size)
        vectors = FLOAT * width * (3 * size.users + 3 * size.items)
        return 30 * size.events + vectors + 16 * width * min(size.users, ROWS) + 8 * size.users

    def liked(self) -> float:
        """The rating that a history without ratings is taken to mean."""
        return 1.0

    def with_users(self, data: Dataset, learned: V) -> V:
        """The last step of a fit: U and `seen`, by folding in the users of the log."""
        X = self.training_rows(data)
        U = np.concatenate([self.fold_in(learned, X[start : start + ROWS]) for start in range(0, X.shape[0], ROWS)])
        return replace(learned, U=U, history_hashes=self.hashes(data))

    def training_rows(self, data: Dataset) -> csr_array:
        """csr float32 (n_users, n_items): what `fold_in` sees of the log's users."""
        return data.matrix(values=True) if self.uses_ratings() else data.strengths()

    def hashes(self, data: Dataset) -> Hashes:
        """uint64 (n_users,): see Vectors."""
        return hashes_of(data, rated=self.uses_ratings(), weighed=self.uses_weights())

    def score_histories(self, queries: Queries) -> Floats:
        scores: Floats = self.vectors(queries) @ self.item_vectors().T
        return scores

    def item_vectors(self) -> Floats:
        """float32 (n_items, f), row = item: what user vectors are multiplied with."""
        learned: Vectors = self.fitted.learned
        return learned.V

    def vectors(self, queries: Queries) -> Floats:
        """float32 (B, f), row = query: the user vector that answers it."""
        learned: Vectors = self.fitted.learned
        ratings = self.ratings_of(queries)
        weights = queries.history_weights if self.uses_weights() else None
        own = still_learned(queries, learned.history_hashes, ratings, weights)
        U = learned.U[np.maximum(queries.user, 0)]
        if not own.all():
            new = np.flatnonzero(~own)
            U[new] = self.fold_in(learned, self.interactions(queries.take(new)))
        return U

    def ratings_of(self, queries: Queries) -> Floats | None:
        """float32, in parallel with the histories' items; None where the model does not look at ratings."""
        if not self.uses_ratings():
            return None
        if queries.history_ratings is None:
            return np.full(len(queries.history.values), self.liked(), np.float32)
        return np.ascontiguousarray(queries.history_ratings, np.float32)

    def interactions(self, queries: Queries) -> csr_array:
        """csr (B, n_items) of histories as `training_rows` makes it; items nobody watched are left out."""
        from scipy.sparse import csr_array

        history, ratings = queries.history, self.ratings_of(queries)
        value = strengths(queries, len(self.items))
        last = (value > 0) & (self.fitted.popularity[history.values] > 0)
        value = value[last] if ratings is None else ratings[last]
        kept = history.keep(last)
        X = csr_array((value, kept.values, kept.offsets), shape=(len(kept), len(self.items)))
        X.sort_indices()
        return X


@dataclass(frozen=True)
class RatingVectors(Vectors):
    """low, high: the range of the log's ratings."""

    low: float
    high: float


class RatingFactors(Factors):
    """Factors of a log's ratings: the product, by `to_rating`, is a rating. Raises MatineeError for a log without."""

    learned_type: ClassVar[type[Learned]] = RatingVectors

    def uses_ratings(self) -> bool:
        return True

    def predicts(self) -> bool:
        return True

    def stopping_metric(self, valid: Holdout) -> StoppingMetric:
        return StoppingMetric("rmse")

    def to_rating(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (n,): scores in the units of the log's ratings, within their range."""
        learned: RatingVectors = self.fitted.learned
        return np.clip(score, learned.low, learned.high)

    def liked(self) -> float:
        high: float = self.fitted.learned.high
        return high

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        queries, row = self.resolve_queries(pairs, queries)
        return self.ratings(self.vectors(queries), row, pairs.item)

    def ratings(self, U: Floats, row: NDArray[np.integer[Any]], item: Ints) -> Floats:
        """float32 (n,): what the user of U[row[r]] is predicted to rate item[r]."""
        V = self.fitted.learned.V
        score = np.empty(len(item))
        for start in range(0, len(item), PAIRS):
            part = slice(start, start + PAIRS)
            score[part] = np.einsum("nf,nf->n", U[row[part]], V[item[part]], dtype=np.float64)
        return self.to_rating(score).astype(np.float32)


def regress(
    X: csr_array,
    F: NDArray[Any],
    offset: NDArray[Any],
    out: NDArray[np.float64],
    *,
    penalty: NDArray[Any],
    prior: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    weight: float = 1.0,
    weights: Floats | None = None,
    logistic: bool = False,
    steps: int = 1,
    noise: NDArray[np.float64] | None = None,
) -> None:
    """kernels.factors.regress_rows on every row of X, in place in out (rows, f); penalty (rows, f); prior (A0, b0).
    weights: float32, of each entry of X, beside `weight` of all."""
    f = F.shape[1]
    A0, b0 = prior or (np.zeros((f, f)), np.zeros(f))
    draws = np.empty((0, f)) if noise is None else noise
    own = np.ones(1, np.float32) if weights is None else weights
    F, offset = np.ascontiguousarray(F, np.float64), np.ascontiguousarray(offset, np.float64)

    def run(start: int, stop: int) -> None:
        kernels.factors.regress_rows(
            start,
            stop,
            X.indptr,
            X.indices,
            X.data,
            own,
            F,
            offset,
            A0,
            b0,
            penalty,
            weight,
            logistic,
            steps,
            draws,
            out,
        )

    kernels.parallel(run, len(out), chunk=64)


def stop_unless_finite(vectors: NDArray[Any], what: str, hint: str) -> None:
    """Raise MatineeError where a fit diverged. what: "epoch 3 at learning rate 0.1"."""
    if not np.isfinite(vectors).all():
        raise MatineeError(f"the fit diverged in {what}: a vector is not finite any more", hint=hint)
