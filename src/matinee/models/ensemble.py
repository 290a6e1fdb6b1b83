"""Ensemble: several models answer together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from pydantic import model_validator

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.models.families import fusion, fusion_weights
from matinee.models.families.composite import Several
from matinee.models.families.fusion_weights import Search
from matinee.models.families.mixture import GroupedBy, Mixture, OneEach, check_weights, rows_of
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext


class Ensemble(Several):
    """A weighted sum of its members' scores, made comparable query by query over the items that are not excluded.

    method "rank": 1 / (60 + rank), reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009), where the source
    has neither weights nor equal scores (here they share their mean rank); "borda": the share of items ranked behind;
    "zscore": standardised; "minmax": from 0 to 1; "softmax": as probabilities, for members whose scores are logits;
    "raw": as they are. An item that a member cannot score gets the least from it. Members of weight 0 are not asked.

    Without weights, those that rank valid best are found, by shares of each member in turn or greedily
    (families/fusion_weights.py); without valid all members weigh the same. `grouped_by` finds them for groups of
    queries: by how many events of the user are known, or how long ago the latest is. With `quotas` nothing is added up:
    members fill the list in turns, [7, 3] gives seven places of ten to the first.

    Members that are fitted are taken over, of others copies are fitted (families/composite.py).
    """

    learned_type = Mixture

    weights: OneEach | tuple[OneEach, ...] | None = tunable(
        None, "weights of the members, in their order, or a list of them for each group (None: tuned on valid)"
    )
    method: fusion.Method = tunable(
        "rank", "how scores are made comparable", choices=["rank", "zscore", "softmax", "minmax", "borda"]
    )
    search: Search = tunable("shares", "how weights are found: shares of each member in turn, or greedily")
    grouped_by: GroupedBy | None = tunable(
        None, "weights of their own for groups of queries: by events known of the user (history), or time since (gap)"
    )
    n_groups: int = tunable(3, "grouped_by: groups, of about equal size on valid", low=2, high=5, ge=2)
    edges: OneEach | None = tunable(
        None, "grouped_by: where groups after the first begin, in events or days (None: found on valid)"
    )
    quotas: tuple[int, ...] | None = tunable(None, "places of each member in a list that they fill in turns")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        n = len(self.members)
        check_weights(rows_of(self.weights), n, self.edges if self.grouped_by else None)
        if self.edges is not None and self.grouped_by is None:
            raise ValueError(f"edges {list(self.edges)}: they are of grouped_by")
        if self.quotas is not None:
            fusion.check_quotas(self.quotas, n)
            if self.weights is not None or self.grouped_by is not None:
                raise ValueError("quotas take the place of weights: give one of them")
        return self

    # -- learning ----------------------------------------------------------------------------------------------------

    def learn(self, data: Dataset, context: FitContext) -> Mixture:
        members, valid = self.fitted_members(data, context), context.valid
        rows = np.array(rows_of(self.weights) or [[1.0] * len(members)])
        rows = rows / rows.sum(axis=1, keepdims=True)
        edges = np.array((self.edges or ()) if len(rows) > 1 else (), np.float64)
        mixture = Mixture(members, rows if len(rows) > 1 else rows[0], edges)
        if self.weights is not None or self.quotas is not None or len(members) == 1:
            return mixture
        if valid is None or not len(valid):
            self.warn_of_no_valid("the weights")
            return mixture
        metric = context.metric if context.metric is not None and context.metric.k else self.stopping_metric(valid)
        answers = fusion_weights.Answers.of(self.standing(data, mixture), metric.part(valid), len(members), metric.k)
        groups = None
        if self.grouped_by is not None:
            groups = fusion_weights.Groups.of(answers.queries, self.grouped_by, self.n_groups, self.edges)
        return Mixture(members, *fusion_weights.found(answers, metric, self.search, groups))

    @property
    def fit_summary(self) -> str:
        """The weights, where they were not given; of groups, one after the other."""
        if self.weights is not None or self.quotas is not None:
            return ""
        learned: Mixture = self.fitted.learned
        return learned.summary(self.grouped_by)

    def for_refit(self) -> Self:
        """The members' own, and the weights and groups that were found."""
        learned: Mixture = self.fitted.learned
        again = self.with_submodels(self.members_for_refit())
        if self.quotas is not None:
            return again
        rows = [tuple(row) for row in np.atleast_2d(learned.weights).tolist()]
        found: dict[str, Any] = {"weights": rows[0], "edges": None, "grouped_by": None}
        if len(rows) > 1:
            found = {"weights": tuple(rows), "edges": tuple(learned.edges.tolist())}
        return type(self)(**{name: getattr(again, name) for name in type(self).model_fields} | found)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        learned: Mixture = self.fitted.learned
        if self.quotas is not None:
            return fusion.by_quotas(learned.members, replace(queries, candidates=None), self.quotas)
        asked = np.atleast_2d(learned.weights).max(axis=0) > 0
        members = [learned.members[number] for number in np.flatnonzero(asked)]
        weights = learned.weights_for(queries, self.grouped_by)[..., asked]
        return fusion.mixed_scores(members, replace(queries, candidates=None), self.method, weights)

    def member_scores(self, queries: Queries) -> fusion.MemberScores:
        """The members' comparable scores of the whole catalogue."""
        return fusion.member_scores(self.fitted.learned.members, replace(queries, candidates=None), self.method)
