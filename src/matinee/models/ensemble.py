"""Ensemble: several models answer together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeWarning
from matinee.evaluate.stopping import StoppingMetric
from matinee.models import registry
from matinee.models.base import Model, Shapes
from matinee.models.families import fusion, fusion_weights
from matinee.models.families.composite import Composite, Members, Submodel
from matinee.models.families.fusion_weights import GroupedBy, Search
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.popularity import Popularity

OneEach = tuple[float, ...]
"""A number for each member."""


@dataclass(frozen=True)
class Mixture(Members):
    """members: M fitted models. weights: float64 (M,), not negative, 1 in sum; (E + 1, M) where groups of queries have
    weights of their own. edges: float64 (E,), where the groups after the first begin. path: float64 (S, 2), of a greedy
    search the member added in each step and the metric with it; else without rows."""

    weights: fusion.Weights
    edges: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    path: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        groups, n = len(self.edges) + 1, len(self.members)
        return {"weights": (n,) if groups == 1 else (groups, n), "path": (len(self.path), 2)}


class Ensemble(Composite):
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
    member_fields = ("members",)

    members: tuple[Submodel, ...] = tunable(..., "models: names, or tables of a name and hyper-parameters")
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

    @field_validator("members", mode="before")
    @classmethod
    def _listed(cls, members: object) -> object:
        if not isinstance(members, list | tuple) or not members:
            raise ValueError("a list of at least one model is needed")
        return members

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        grouped = self.weights is not None and isinstance(self.weights[0], tuple)
        for row in self.weights_by_group():
            if len(row) != len(self.members):
                raise ValueError(f"{len(row)} weights for {len(self.members)} members")
            if min(row) < 0 or max(row) == 0:
                raise ValueError(f"weights {list(row)}: none may be negative, and one must be positive")
        if self.edges is not None and (self.grouped_by is None or list(self.edges) != sorted(set(self.edges))):
            raise ValueError(f"edges {list(self.edges)}: they are of grouped_by, and ascend")
        if grouped and len(self.weights_by_group()) != len(self.edges or ()) + 1:
            raise ValueError(f"{len(self.weights_by_group())} lists of weights for {len(self.edges or ()) + 1} groups")
        if self.quotas is not None:
            if len(self.quotas) != len(self.members) or min(self.quotas) < 0 or not 0 < sum(self.quotas) <= 1000:
                raise ValueError(f"quotas {list(self.quotas)}: one for each member, none negative, 1 to 1,000 in sum")
            if self.weights is not None or self.grouped_by is not None:
                raise ValueError("quotas take the place of weights: give one of them")
        return self

    def weights_by_group(self) -> tuple[OneEach, ...]:
        """The given weights, a row for each group; without any, no row."""
        given: Any = self.weights
        return () if given is None else given if isinstance(given[0], tuple) else (given,)

    def scores_unknown_items(self) -> bool:
        return any(member.scores_unknown_items() for member in self.fitted.learned.members)

    # -- learning ----------------------------------------------------------------------------------------------------

    def learn(self, data: Dataset, context: FitContext) -> Mixture:
        members, valid = self.fitted_members(data, context), context.valid
        edges = np.array(self.edges or (), np.float64)
        mixture = Mixture(members, self._given(len(members)), edges if self.grouped_by else np.empty(0))
        if self.weights is not None or self.quotas is not None or len(members) == 1:
            return mixture
        if valid is None or not len(valid):
            warnings.warn(
                "an ensemble has no valid part to find its weights on, so all members weigh the same: set weights, or "
                "pass valid",
                MatineeWarning,
                stacklevel=2,
            )
            return replace(mixture, edges=np.empty(0))
        metric = context.metric if context.metric is not None and context.metric.k else self.stopping_metric(valid)
        plain = self.standing(data, replace(mixture, edges=np.empty(0)))
        return self._found(mixture, fusion_weights.Answers.of(plain, valid, len(members)), metric)

    def _given(self, n: int) -> fusion.Weights:
        """float64 (n,) or (groups, n): the weights that were given, or the same for all members."""
        rows = np.array(self.weights_by_group() or [[1.0] * n])
        rows = rows / rows.sum(axis=1, keepdims=True)
        return rows if self.grouped_by is not None and len(rows) > 1 else rows[0]

    def _found(self, mixture: Mixture, answers: fusion_weights.Answers, metric: StoppingMetric) -> Mixture:
        """The mixture with the weights that rank the answers best."""
        if self.search == "greedy":
            weights, steps = fusion_weights.greedy(answers, metric)
            mixture = replace(mixture, weights=weights, path=np.array(steps, np.float64).reshape(-1, 2))
        else:
            mixture = replace(mixture, weights=fusion_weights.tuned(answers, metric))
        if self.grouped_by is None:
            return mixture
        edges = mixture.edges
        if self.edges is None:
            edges = fusion_weights.edges_of(answers.queries, self.grouped_by, self.n_groups)
        if not len(edges):
            return replace(mixture, edges=edges)
        grouped = fusion_weights.by_group(answers, metric, mixture.weights, self.grouped_by, edges)
        return replace(mixture, weights=grouped, edges=edges)

    @property
    def fit_summary(self) -> str:
        """The weights, where they were not given; of groups, one after the other."""
        if self.weights is not None or self.quotas is not None:
            return ""
        learned: Mixture = self.fitted.learned
        names = [registry.name_of(member) for member in learned.members]
        rows = [
            ", ".join(f"{n} {w:.2f}" for n, w in zip(names, row, strict=True))
            for row in np.atleast_2d(learned.weights).tolist()
        ]
        unit = "events" if self.grouped_by == "history" else "days"
        starts = ["", *(f"from {edge:g} {unit} on: " for edge in learned.edges)]
        return "weights " + "; ".join(start + row for start, row in zip(starts, rows, strict=True))

    def for_refit(self) -> Self:
        """The members' own, and the weights and groups that were found."""
        learned: Mixture = self.fitted.learned
        again = self.with_submodels(self.members_for_refit())
        if self.quotas is not None:
            return again
        rows: Any = [tuple(row) for row in np.atleast_2d(learned.weights).tolist()]
        found = {"weights": tuple(rows) if len(rows) > 1 else rows[0]}
        found |= {"edges": tuple(learned.edges.tolist())} if len(rows) > 1 else {"edges": None, "grouped_by": None}
        return type(self)(**{name: getattr(again, name) for name in type(self).model_fields} | found)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        learned: Mixture = self.fitted.learned
        queries = replace(queries, candidates=None)
        if self.quotas is not None:
            return fusion.by_quotas(learned.members, queries, self.quotas)
        asked = np.atleast_2d(learned.weights).any(axis=0)
        members = [member for member, is_asked in zip(learned.members, asked.tolist(), strict=True) if is_asked]
        weights = learned.weights[..., asked]
        if self.grouped_by is not None and len(learned.edges):
            weights = weights[fusion_weights.group_of(queries, self.grouped_by, learned.edges)]
        return fusion.member_scores(members, queries, self.method).mixed(weights)

    def member_scores(self, queries: Queries) -> fusion.MemberScores:
        """The members' comparable scores of the whole catalogue."""
        return fusion.member_scores(self.fitted.learned.members, replace(queries, candidates=None), self.method)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where no member has an answer of its own; popularity is none, even from a member."""
        every: tuple[Model, ...] = self.fitted.learned.members
        members = [member for member in every if not isinstance(member, Popularity)]
        nothing: Bools = np.all([member.fallback(queries) for member in members or every], axis=0)
        return nothing
