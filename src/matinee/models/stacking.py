"""Stacking: boosted trees put in order what several models recommend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeError
from matinee.models.base import Fitted, Model, TextFile
from matinee.models.families import stacked
from matinee.models.families.boosted import SAY_AGAIN, grown, import_lightgbm, trees_bytes
from matinee.models.families.boosted_text import check_trees
from matinee.models.families.composite import Members, Several
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import LogSize

QUERIES, ASIDE = 20_000, 5  # queries of valid that are learned from at most; every fifth of them stops the trees


@dataclass(frozen=True)
class Stack(Members):
    """members: fitted models. trees: in LightGBM's own format, "" where there were no answers to learn from. curve:
    float64 (rounds, 3), as nn.CURVE."""

    trees: TextFile
    curve: NDArray[np.float64]


class Stacking(Several):
    """The best items of several models in the order of boosted trees over the members' ranks and scores (stacked
    generalisation: Wolpert, 1992), learned by the cross-entropy of lists (XE-NDCG: Bruch, WWW 2021).

    Trees are learned on valid, which the members have not seen; a refit keeps them and fits the members anew. Of each
    query, the n items that any member ranks highest are put in order (families/stacked.py); behind them follow the
    others, by their reciprocal ranks. Without valid all members weigh the same, as in an ensemble of ranks.
    """

    learned_type = Stack
    rounds_field = "n_trees"

    n: int = tunable(100, "candidates of a query", low=50, high=500, log=True, ge=1)
    n_trees: int = tunable(300, "most trees; early stopping may end before", low=50, high=2000, log=True, ge=1)
    n_leaves: int = tunable(7, "maximum number of leaves of a tree", low=4, high=63, log=True, ge=2, le=1 << 16)
    learning_rate: float = tunable(0.05, "learning rate", low=0.01, high=0.3, log=True, gt=0.0)
    min_rows: int = tunable(100, "minimum number of rows in a leaf", low=20, high=500, log=True, ge=1)
    l2: float = tunable(1.0, "L2 penalty on the leaf values", low=0.01, high=100.0, log=True, ge=0.0)
    patience: int = tunable(30, "early stopping: trees without a better validation", ge=1)

    _kept: TextFile | None = PrivateAttr(default=None)  # trees of an earlier fit, for a refit

    # -- learning ----------------------------------------------------------------------------------------------------

    def check(self, data: Dataset) -> None:
        super().check(data)
        import_lightgbm()

    def learn(self, data: Dataset, context: FitContext) -> Stack:
        members, valid = self.fitted_members(data, context), context.valid
        stack = Stack(members, self._kept or TextFile(""), np.empty((0, 3)))
        if self._kept is None and valid is not None and valid.truth.lengths.any():
            return self._grown(stack, data, valid, context)
        if self._kept is None:
            self.warn_of_no_valid("the trees")
        return stack

    def _grown(self, stack: Stack, data: Dataset, valid: Holdout, context: FitContext) -> Stack:
        features = stacked.StackedFeatures(stack.members, data.item_counts().astype(np.float32), self.n)
        rows = valid.spread(QUERIES)
        aside = np.arange(len(rows)) % ASIDE == ASIDE - 1
        examples, check = (
            stacked.stacked_examples(features, stacked.queries_of(valid, part), data.n_items)
            for part in (rows[~aside], rows[aside])
        )
        if not len(examples.group):
            return stack
        k = context.metric.k if context.metric is not None and context.metric.k else 10
        params: dict[str, Any] = {
            "objective": "rank_xendcg",
            "metric": "ndcg",
            "eval_at": [k],
            "num_leaves": self.n_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows,
            "lambda_l2": self.l2,
            "seed": context.seed % (1 << 31),
        }
        rounds = context.rounds(self.n_trees, patience=self.patience)
        trees = grown(examples, check if len(check.group) else None, params, rounds, [])
        return replace(stack, trees=trees, curve=rounds.curve)

    def for_refit(self) -> Self:
        """The members' own, and the trees."""
        again = super().for_refit()
        again._kept = self.fitted.learned.trees
        return again

    def with_submodels(self, models: Sequence[Model]) -> Self:
        again = super().with_submodels(models)
        again._kept = self._kept
        return again

    def learned_bytes(self, size: LogSize) -> float:
        return super().learned_bytes(size) + trees_bytes(size, self.n_trees, self.n_leaves)

    def restore(self, fitted: Fitted) -> Self:
        if fitted.learned.trees:
            try:
                check_trees(fitted.learned.trees, 2 * len(self.members) + 2)
            except (ValueError, OverflowError) as error:
                raise MatineeError(f"these are no trees of LightGBM: {error}", hint=SAY_AGAIN) from None
        return super().restore(fitted)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_block(self, queries: Queries) -> Floats:
        """float32 (B, n_items): the trees' sums for the candidates, above all others."""
        learned: Stack = self.fitted.learned
        found = stacked.StackedFeatures(learned.members, self.fitted.popularity, self.n).of(queries)
        if not learned.trees:
            return found.total
        sums = stacked.trees_sums(learned.trees, found.X).reshape(found.candidates.shape)
        return stacked.ahead_of_others(found, sums)
