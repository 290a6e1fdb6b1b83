"""Rerank: one model brings candidates, another puts them in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Pairs, Queries
from matinee.models.base import Model
from matinee.models.families.composite import Composite, Members, Submodel
from matinee.models.families.fusion import PrecomputedScorer
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.popularity import Popularity
from matinee.rank import of_candidates, recommend


@dataclass(frozen=True)
class Stages(Members):
    """members: the two stages, fitted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.members) != 2:
            raise TypeError("members are not two models")


class Rerank(Composite):
    """The n best items of `first` that are not excluded, in the order of `second` (two stages: Covington, Adams &
    Sargin, RecSys 2016). Where a query names candidates, the n are the best of these.

    Behind them follow the others that `first` can score, in its order (to float32's rounding): so a list stays full
    where more than n are asked for, `second` cannot score enough of the n, or an allow list leaves few of them. What
    is excluded scores -inf. Without a history popularity answers, as everywhere.
    """

    learned_type = Stages
    member_fields = ("first", "second")

    first: Submodel = tunable(
        ..., "first stage, retrieves the candidates: a model's name, or a table of a name and hyper-parameters"
    )
    second: Submodel = tunable(..., "second stage, ranks the candidates: as first")
    n: int = tunable(200, "number of candidates", low=50, high=1000, log=True, ge=1)

    # -- learning ----------------------------------------------------------------------------------------------------

    def learn(self, data: Dataset, context: FitContext) -> Stages:
        return Stages(self.fitted_members(data, context))

    # -- answering ---------------------------------------------------------------------------------------------------

    @property
    def stages(self) -> tuple[Model, ...]:
        """Fitted."""
        learned: Stages = self.fitted.learned
        return learned.members

    def scores_candidates(self) -> bool:
        return True

    def scores_unknown_items(self) -> bool:
        return self.stages[0].scores_unknown_items()

    def score_block(self, queries: Queries) -> Floats:
        first, second = self.stages
        scores = first.score(replace(queries, candidates=None))
        best = recommend(PrecomputedScorer(first, scores), queries, self.n).item
        found = second.score(replace(queries, candidates=best))
        scorable = found > -np.inf
        least = np.min(found, axis=1, keepdims=True, initial=np.inf, where=scorable)
        most = np.max(scores, axis=1, keepdims=True, initial=-np.inf)
        scores += np.where(np.isfinite(least - most), least - most, np.float32(0.0)) - np.float32(1.0)
        row, column = np.nonzero(scorable)
        scores[row, best[row, column]] = found[row, column]
        scores[queries.exclude.rows, queries.exclude.values] = -np.inf
        return of_candidates(scores, queries.candidates)

    def fallback(self, queries: Queries) -> Bools:
        """(B,): true where the order is popularity's because the history says nothing."""
        stages = [stage for stage in self.stages[::-1] if not isinstance(stage, Popularity)]
        return (stages or self.stages)[0].fallback(queries)

    @property
    def curve(self) -> list[dict[str, float | None]]:
        """The second stage's."""
        return self.stages[1].curve

    @property
    def curve_names(self) -> tuple[str, str]:
        return self.stages[1].curve_names

    def predicts(self) -> bool:
        return self.second.predicts()

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """As the second stage does."""
        return self.stages[1].predict(pairs, queries)
