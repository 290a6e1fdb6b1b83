"""Ensemble: several models answer together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from pydantic import field_validator, model_validator

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeWarning
from matinee.models import registry
from matinee.models.base import Shapes
from matinee.models.families import fusion
from matinee.models.families.composite import Composite, Members, Submodel
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.popularity import Popularity


@dataclass(frozen=True)
class Mixture(Members):
    """members: M fitted models. weights: float64 (M,), not negative, 1 in sum."""

    weights: fusion.Weights

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"weights": (len(self.members),)}


class Ensemble(Composite):
    """A weighted sum of its members' scores, made comparable query by query over the items that are not excluded.

    method "rank": 1 / (60 + rank), reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009), where the source
    has neither weights nor equal scores (here they share their mean rank); "zscore": standardised; "softmax": as
    probabilities, for members whose scores are logits. An item that a member cannot score gets the least from it.

    Without weights, those that rank valid best are found (fusion.tuned); without valid all members weigh the same.
    Members that are fitted are taken over, of others copies are fitted (families/composite.py).
    """

    learned_type = Mixture
    member_fields = ("members",)

    members: tuple[Submodel, ...] = tunable(..., "models: names, or tables of a name and hyper-parameters")
    weights: tuple[float, ...] | None = tunable(None, "weights of the members, in their order (None: tuned on valid)")
    method: fusion.Method = tunable("rank", "how scores are made comparable", choices=["rank", "zscore", "softmax"])

    @field_validator("members", mode="before")
    @classmethod
    def _listed(cls, members: object) -> object:
        if not isinstance(members, list | tuple) or not members:
            raise ValueError("a list of at least one model is needed")
        return members

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} members")
        if self.weights is not None and (min(self.weights) < 0 or max(self.weights) == 0):
            raise ValueError(f"weights {list(self.weights)}: none may be negative, and one must be positive")
        return self

    def scores_unknown_items(self) -> bool:
        return any(member.scores_unknown_items() for member in self.fitted.learned.members)

    # -- learning ----------------------------------------------------------------------------------------------------

    def learn(self, data: Dataset, context: FitContext) -> Mixture:
        members, valid = self.fitted_members(data, context), context.valid
        weights = np.array(self.weights or [1.0] * len(members))
        mixture = Mixture(members, weights / weights.sum())
        if self.weights is not None or len(members) == 1:
            return mixture
        if valid is None or not len(valid):
            warnings.warn(
                "an ensemble has no valid part to find its weights on, so all members weigh the same: set weights, or "
                "pass valid",
                MatineeWarning,
                stacklevel=2,
            )
            return mixture
        metric = context.metric if context.metric is not None and context.metric.k else self.stopping_metric(valid)
        return replace(mixture, weights=fusion.tuned(self.standing(data, mixture), valid, len(members), metric))

    @property
    def fit_summary(self) -> str:
        """The weights, where they were not given."""
        if self.weights is not None:
            return ""
        learned: Mixture = self.fitted.learned
        names = [registry.name_of(member) for member in learned.members]
        return "weights " + ", ".join(f"{n} {w:.2f}" for n, w in zip(names, learned.weights.tolist(), strict=True))

    def for_refit(self) -> Self:
        """The members' own, and the weights that were found."""
        weights = tuple(self.fitted.learned.weights.tolist())
        return type(self)(members=self.members_for_refit(), weights=weights, method=self.method)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        return self.member_scores(queries).mixed(self.fitted.learned.weights)

    def member_scores(self, queries: Queries) -> fusion.MemberScores:
        """The members' comparable scores of the whole catalogue."""
        return fusion.member_scores(self.fitted.learned.members, replace(queries, candidates=None), self.method)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where no member has an answer of its own; popularity is none, even from a member."""
        members = [m for m in self.fitted.learned.members if not isinstance(m, Popularity)]
        nothing: Bools = np.all([member.fallback(queries) for member in members or self.fitted.learned.members], axis=0)
        return nothing
