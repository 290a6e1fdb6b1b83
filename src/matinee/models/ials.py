"""iALS: weighted least squares on who watched what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.attributes import item_column
from matinee.models.base import Learned
from matinee.models.families.factors import Factors, GramVectors, Vectors, regress, stop_unless_finite
from matinee.models.families.item_values import item_values
from matinee.models.families.new_outputs import added, completed
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class IALS(Factors):
    """Implicit alternating least squares (Hu, Koren, Volinsky, ICDM 2008), regularised by frequency.

    As Rendle et al. have it (RecSys 2022, "Revisiting the performance of iALS", eq. 1-8):

        sum over watched w (u.v - 1)^2 + alpha0 sum over all (u.v)^2 + sum_u reg_u |u|^2 + sum_i reg_i |v|^2,
        reg_u = l2 (|I_u| + alpha0 n_items)^nu, reg_i = l2 (|U_i| + alpha0 n_users)^nu.

    w is the pair's weight (Hu et al.'s confidence), 1 in a log without weights; |I_u| and |U_i| sum weights.

    While fitting, a half-step is a few steps of conjugate gradients from where the vector stands (Takacs,
    Pilaszy, Tikk, RecSys 2011) in place of an exact solve; the last one, over the users, is exact, and so is a
    newcomer's vector.

    With `item_features` an item's vector explains what it is like too: each value of these columns (a director, a
    genre) has a vector, and the sums above run over users and values, an item being watched by its n values with the
    weight feature_weight / n each (collective matrix factorisation: Singh & Gordon, KDD 2008). An item without an event
    is in none of the sums, for nobody could watch it: its vector is what ridge regression on these columns makes of
    the others' (see NewOutputs); -inf is the score where nothing is known of it.
    """

    learned_type: ClassVar[type[Learned]] = GramVectors
    exemptions = {"renamed_ids": "starting vectors are drawn in the order of ids"}
    n_factors: int = tunable(64, "length of a vector", low=16, high=256, log=True, ge=1)
    alpha0: float = tunable(0.3, "weight of unobserved pairs", low=0.01, high=1.0, log=True, gt=0.0)
    l2: float = tunable(0.01, "penalty on the vectors", low=1e-4, high=0.1, log=True, gt=0.0)
    nu: float = tunable(1.0, "frequency scaling of the penalty: n^nu", low=0.0, high=1.0, ge=0.0)
    epochs: int = tunable(15, "alternating updates of users, then items", low=5, high=30, ge=1)
    steps: int = tunable(3, "conjugate gradient steps of a half-step", ge=1)
    item_features: tuple[str, ...] = tunable(
        (), "columns of the item table that items' vectors explain beside who watched them; none: none"
    )
    feature_weight: float = tunable(
        10.0, "item_features: weight of what an item is like, in events", low=0.1, high=100.0, log=True, gt=0.0
    )
    feature_l2: float = tunable(3.0, "ridge of new items' vectors", low=0.1, high=100.0, log=True, gt=0.0)

    def check(self, data: Dataset) -> None:
        super().check(data)
        for column in self.item_features:
            item_column(data.item_features, column)

    def learn(self, data: Dataset, context: FitContext) -> GramVectors:
        X, watched = self.training_rows(data), data.item_counts() > 0
        if self.item_features:
            X = self.with_values(X, data)
        X_t = X.T.tocsr()
        rng = np.random.default_rng(context.seed)
        scale = 0.1 / np.sqrt(self.n_factors)
        U, V = (rng.normal(0.0, scale, (n, self.n_factors)).astype(np.float32) for n in X.shape)
        V[~watched] = 0.0
        rounds = context.rounds(self.epochs)
        for iteration in rounds:
            self.half_step(X, V, U)
            self.half_step(X_t, U, V)
            stop_unless_finite(V, f"iteration {iteration + 1} at l2 = {self.l2:g}", "raise l2 or alpha0")
            rounds.add(np.nan)
        nobody = np.empty((0, 0), np.float32), V, np.empty(0, np.uint64)
        learned = self.with_users(data, GramVectors(*nobody, V.T.astype(np.float64) @ V, np.array([len(V)])))
        return replace(learned, V=completed(V, data, watched, ~watched, self.item_features, self.feature_l2))

    def learned_with(self, data: Dataset) -> GramVectors:
        learned: GramVectors = self.fitted.learned
        V = np.concatenate([learned.V, np.zeros((data.n_items - len(learned.V), self.n_factors), np.float32)])
        known, new = added(self.fitted.popularity, len(V))
        return replace(learned, V=completed(V, data, known, new, self.item_features, self.feature_l2))

    def width(self, size: LogSize) -> int:
        return self.n_factors

    def with_values(self, X: csr_array, data: Dataset) -> csr_array:
        """csr (n_users + values, n_items): below who watched what, which items have which value, as weights."""
        from scipy.sparse import diags_array, vstack

        values = item_values(data, self.item_features)
        values.data *= np.float32(self.feature_weight)
        values = diags_array((data.item_counts() > 0).astype(np.float32)) @ values  # of items that somebody watched
        return vstack([X, values.T.tocsr()], format="csr")  # type: ignore[no-any-return]

    def scores_unknown_items(self) -> bool:
        return bool(self.item_features)

    def score_histories(self, queries: Queries) -> Floats:
        scores = super().score_histories(queries)
        if self.item_features:
            scores[:, ~self.item_vectors().any(axis=1)] = -np.inf
        return scores

    def half_step(self, X: csr_array, V: Floats, U: Floats) -> None:
        """Move each row of U, in place, towards the least squares solution with V fixed; X csr, row = row of U."""
        # Eq. 6: the sum over all pairs is one Gram matrix, made once a half-step and shared by all rows.
        G = np.float32(self.alpha0) * (V.T @ V)
        ridge = self.ridge(X, X.shape[1]).astype(np.float32)
        kernels.parallel(
            lambda start, stop: kernels.factors.conjugate_gradient_rows(
                start, stop, X.indptr, X.indices, X.data, V, G, ridge, self.steps, U
            ),
            len(U),
            chunk=128,
        )

    def ridge(self, X: csr_array, columns: int) -> NDArray[np.float64]:
        """float64 (rows of X,): l2 (the row's sum + alpha0 columns)^nu."""
        row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        n = np.bincount(row, X.data, minlength=X.shape[0]) + self.alpha0 * columns
        return np.asarray(self.l2 * n**self.nu, np.float64)

    def fold_in(self, learned: Vectors, X: csr_array) -> Floats:
        from scipy.sparse import csr_array

        assert isinstance(learned, GramVectors)
        there, place = np.unique(X.indices, return_inverse=True)  # of a large catalogue a request reads little
        V = learned.V[there].astype(np.float64)
        U = np.zeros((X.shape[0], self.n_factors))
        penalty = np.repeat(self.ridge(X, learned.columns[0])[:, None], self.n_factors, axis=1)
        # The same normal equations as in the fit, solved exactly: a newcomer and a user of the log agree.
        prior = self.alpha0 * learned.gram, np.zeros(self.n_factors)
        wanted = csr_array((np.ones_like(X.data), place.astype(np.int32), X.indptr), shape=(len(U), len(V)))
        regress(wanted, V, np.zeros(len(V)), U, penalty=penalty, prior=prior, weights=X.data)
        return U.astype(np.float32)
