"""Ensemble: several models answer together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import PrivateAttr, SerializationInfo, field_serializer, field_validator, model_validator

from matinee.data.dataset import Bools, Dataset, Floats, Holdout, Queries
from matinee.errors import MatineeError
from matinee.files import StrPath
from matinee.models import fusion, registry
from matinee.models.base import Fitted, Model, Shapes, tunable
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


class Ensemble(Model):
    """A weighted sum of its members' scores, made comparable query by query over the items that are not excluded.

    method "rank": 1 / (60 + rank), reciprocal rank fusion (Cormack, Clarke & Buettcher, SIGIR 2009), where the source
    has neither weights nor equal scores (here they share their mean rank); "zscore": standardised; "softmax": as
    probabilities, for members whose scores are logits. An item that a member cannot score gets the least from it.

    A member that is fitted must have learned from the same log, and stays as it is; of the others, copies are fitted.
    Without weights, those with the best ndcg@10 on valid are found (fusion.tuned); without valid all weigh the same.
    """

    learned_type = Mixture

    members: tuple[Model, ...] = tunable(..., "models: names, or tables of a name and hyper-parameters")
    weights: tuple[float, ...] | None = tunable(None, "of the members, in their order (None: found on valid)")
    method: fusion.Method = tunable("rank", "what makes scores comparable", choices=["rank", "zscore", "softmax"])

    _checkpoint: Path | None = PrivateAttr(default=None)

    @field_validator("members", mode="before")
    @classmethod
    def _made(cls, members: object) -> object:
        if not isinstance(members, list | tuple) or not members:
            raise ValueError("a list of at least one model is needed")
        try:
            return tuple(registry.made(member) for member in members)
        except MatineeError as error:
            raise ValueError(f"{error.what}; {error.mend}") from None

    @field_serializer("members")
    def _tables(self, members: tuple[Model, ...], info: SerializationInfo) -> list[dict[str, Any]]:
        """pydantic alone would write the fields of Model, of which there are none."""
        return [{"name": registry.name_of(member), **member.model_dump(mode=info.mode)} for member in members]

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

    def fit(
        self, data: Dataset, *, valid: Holdout | None = None, seed: int = 0, checkpoint: StrPath | None = None
    ) -> Self:
        """As for every model; checkpoint: a folder, with a file for each member that trains in epochs."""
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        return super().fit(data, valid=valid, seed=seed)

    def learn(self, data: Dataset, valid: Holdout | None, seed: int) -> Mixture:
        members = tuple(self._learned(i, data, valid, seed) for i in range(len(self.members)))
        weights = np.array(self.weights or [1.0] * len(members))
        mixture = Mixture(members, weights / weights.sum())
        if self.weights is not None or valid is None or not len(valid) or len(members) == 1:
            return mixture
        probe = self.model_copy()
        probe._fitted = Fitted(data, data.item_counts().astype(np.float32), mixture)
        return replace(mixture, weights=fusion.tuned(probe, valid, len(members)))

    def _learned(self, i: int, data: Dataset, valid: Holdout | None, seed: int) -> Model:
        member = self.members[i]
        if not member.is_fitted:
            checkpoint = None if self._checkpoint is None else self._checkpoint / str(i)
            return member.model_copy().fit(data, valid=valid, seed=seed, checkpoint=checkpoint)
        if member.data.fingerprint != data.fingerprint:
            raise MatineeError(
                f"member {i} of the ensemble ({registry.name_of(member)}) was fitted on another log than {data.name}",
                mend="fit it on this log, or pass a member that is not fitted",
            )
        return member

    def for_refit(self) -> Self:
        """The members' own, and the weights that were found."""
        learned: Mixture = self.fitted.learned
        members = [_unfitted(member.for_refit()) for member in learned.members]
        return type(self)(members=tuple(members), weights=tuple(learned.weights.tolist()), method=self.method)

    def restore(self, fitted: Fitted) -> Self:
        if fitted.learned.members != self.members:
            raise MatineeError("the members are not those the ensemble was saved with", mend="fit and save it again")
        return super().restore(fitted)

    # -- answering ---------------------------------------------------------------------------------------------------

    def score_histories(self, queries: Queries) -> Floats:
        return self.parts(queries).mixed(self.fitted.learned.weights)

    def parts(self, queries: Queries) -> fusion.Parts:
        return fusion.parts(self.fitted.learned.members, replace(queries, candidates=None), self.method)

    def fallback(self, queries: Queries) -> Bools:
        """(B,): true where no member has an answer of its own; popularity is none, even from a member."""
        members = [m for m in self.fitted.learned.members if not isinstance(m, Popularity)]
        nothing: Bools = np.all([member.fallback(queries) for member in members or self.fitted.learned.members], axis=0)
        return nothing


def _unfitted(model: Model) -> Model:
    return type(model).model_validate(model.model_dump())
