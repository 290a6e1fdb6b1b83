"""Ensemble: several models answer together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import SerializationInfo, field_serializer, field_validator, model_validator

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.errors import MatineeWarning
from matinee.models import registry
from matinee.models.base import Fitted, Model, Shapes, tunable
from matinee.models.families import fusion
from matinee.models.families.composite import Composite, part_of, table_of
from matinee.models.popularity import Popularity


@dataclass(frozen=True)
class Mixture:
    """members: M fitted models. weights: float64 (M,), not negative, 1 in sum."""

    members: tuple[Model, ...]
    weights: fusion.Weights

    def __post_init__(self) -> None:
        if not isinstance(self.members, tuple):  # a manifest may say anything
            raise TypeError("members are no models")

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"weights": (len(self.members),)}


class Ensemble(Composite):
    """A weighted sum of its members' scores, made comparable query by query over the items that are not excluded.

    method "rank": 1 / (60 + rank), reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009), where the source
    has neither weights nor equal scores (here they share their mean rank); "zscore": standardised; "softmax": as
    probabilities, for members whose scores are logits. An item that a member cannot score gets the least from it.

    Without weights, those with the best ndcg@10 on valid are found (fusion.tuned); without valid all weigh the same.
    Members that are fitted are taken over, of others copies are fitted (models/composite.py).
    """

    learned_type = Mixture
    member_fields: ClassVar[tuple[str, ...]] = ("members",)

    members: tuple[Model, ...] = tunable(..., "models: names, or tables of a name and hyper-parameters")
    weights: tuple[float, ...] | None = tunable(None, "of the members, in their order (None: found on valid)")
    method: fusion.Method = tunable("rank", "what makes scores comparable", choices=["rank", "zscore", "softmax"])

    @field_validator("members", mode="before")
    @classmethod
    def _made(cls, members: object) -> object:
        if not isinstance(members, list | tuple) or not members:
            raise ValueError("a list of at least one model is needed")
        return tuple(part_of(member) for member in members)

    @field_serializer("members")
    def _tables(self, members: tuple[Model, ...], info: SerializationInfo) -> list[dict[str, Any]]:
        return [table_of(member, info) for member in members]

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} members")
        if self.weights is not None and (min(self.weights) < 0 or max(self.weights) == 0):
            raise ValueError(f"weights {list(self.weights)}: none may be negative, and one must be positive")
        return self

    @property
    def scores_unknown_items(self) -> bool:  # type: ignore[override] # a class's own word, but here it is the members'
        return any(member.scores_unknown_items for member in self.members)

    # -- learning ----------------------------------------------------------------------------------------------------

    def submodels(self) -> tuple[Model, ...]:
        return self.members

    def with_members(self, parts: Sequence[Model]) -> Self:
        members = (*parts, *self.members[len(parts) :])
        return type(self)(members=members, weights=self.weights, method=self.method)

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> Mixture:
        members = self.fitted_members(data, valid, seed)
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
        probe = self.model_copy()
        probe._fitted = Fitted(data, data.item_counts().astype(np.float32), mixture)
        return replace(mixture, weights=fusion.tuned(probe, valid, len(members)))

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
        learned: Mixture = self.fitted.learned
        weights = tuple(learned.weights.tolist())
        return type(self)(members=self.members_for_refit(), weights=weights, method=self.method)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        return self.member_scores(queries).mixed(self.fitted.learned.weights)

    def member_scores(self, queries: Queries) -> fusion.MemberScores:
        return fusion.member_scores(self.fitted.learned.members, replace(queries, candidates=None), self.method)

    def fallback(self, queries: Queries) -> Bools:
        """(B,): true where no member has an answer of its own; popularity is none, even from a member."""
        members = [m for m in self.fitted.learned.members if not isinstance(m, Popularity)]
        nothing: Bools = np.all([member.fallback(queries) for member in members or self.fitted.learned.members], axis=0)
        return nothing
