"""The family of models made of models: how members are named, fitted, handed over, kept and refitted, said once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, SerializationInfo, field_validator

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.models.base import Fitted, Model, Shapes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext
from matinee.models.needs import FLOAT, LogSize
from matinee.rank import blocks


def _validated(given: object) -> Model:
    """A model, its name, or a table of a name and hyper-parameters -> a model. Raises ValueError."""
    try:
        return registry.as_model(given)
    except MatineeError as error:
        raise ValueError(f"{error.what}; {error.hint}") from None


def _table(member: Model, info: SerializationInfo) -> dict[str, Any]:
    """A member as a dump holds it. pydantic alone would write the fields of Model, which has none."""
    return {"name": registry.name_of(member), **member.model_dump(mode=info.mode, exclude_none=info.exclude_none)}


Submodel = Annotated[Model, BeforeValidator(_validated), PlainSerializer(_table)]
"""A field that holds a model: given as a model, a registry name, or a table of a name and hyper-parameters."""


@dataclass(frozen=True)
class Members:
    """members: fitted models."""

    members: tuple[Model, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.members, tuple):  # a manifest may say anything
            raise TypeError("members are not models")

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {}


class Composite(Model):
    """A model whose `member_fields` name other models, and whose learned state has `members`, fitted.

    A member that is fitted must have learned from the same log, and stays as it is; of the others, copies are fitted.
    """

    exemptions = {"renamed_ids": "submodels may be exempt; equal ranks go to the lower code"}

    def submodels(self) -> tuple[Model, ...]:
        """The members as they were given, field by field."""
        given = [getattr(self, name) for name in self.member_fields]
        return tuple(model for each in given for model in (each if isinstance(each, tuple) else (each,)))

    def with_submodels(self, models: Sequence[Model]) -> Self:
        """The same model, not fitted, with these in the place of as many of its first members."""
        left = [*models, *self.submodels()[len(models) :]]
        values = {name: getattr(self, name) for name in type(self).model_fields}
        for name in self.member_fields:
            several = isinstance(values[name], tuple)
            taken = len(values[name]) if several else 1
            values[name], left = (tuple(left[:taken]) if several else left[0]), left[taken:]
        return type(self)(**values)

    def check(self, data: Dataset) -> None:
        super().check(data)
        for member in self.submodels():
            if not member.is_fitted:
                member.check(data)

    def learned_bytes(self, size: LogSize) -> float:
        """What the members learn, each with the items' counts; the log is saved once."""
        return sum(member.learned_bytes(size) + FLOAT * size.items + 2_000 for member in self.submodels())

    def fit_bytes(self, size: LogSize) -> float:
        """Members are fitted one after the other, and stay."""
        new = [member for member in self.submodels() if not member.is_fitted]
        return sum(member.learned_bytes(size) for member in new) + max((m.fit_bytes(size) for m in new), default=0.0)

    def uses_weights(self) -> bool:
        """True where a member does."""
        return any(member.uses_weights() for member in self.submodels())

    def reads_titles(self) -> bool:
        """True where a member does."""
        return any(member.reads_titles() for member in self.submodels())

    def fitted_members(self, data: Dataset, context: FitContext) -> tuple[Model, ...]:
        """The members, fitted on this log."""
        for number, member in enumerate(self.submodels()):
            if member.is_fitted and member.data.fingerprint != data.fingerprint:
                raise MatineeError(
                    f"member {number} of the {registry.name_of(self)} ({registry.name_of(member)}) was fitted on "
                    f"another log than {data.name}",
                    hint="fit it on this log, or pass a member that is not fitted",
                )
        return tuple(
            member if member.is_fitted else member.model_copy().fit_in(data, context.of_member(number))
            for number, member in enumerate(self.submodels())
        )

    def members_for_refit(self) -> tuple[Model, ...]:
        """Of each member the model to fit once more, not fitted."""
        again = [member.for_refit() for member in self.fitted.learned.members]
        return tuple(type(model).model_validate(model.model_dump()) for model in again)

    def score_histories(self, queries: Queries) -> Floats:
        """Block by block: what a composite makes of its members' scores takes several times their size."""
        n_items = len(self.items)
        asked = queries if self.scores_candidates() else replace(queries, candidates=None)
        width = n_items if asked.candidates is None else asked.candidates.shape[1]
        scores = np.empty((len(queries), width), np.float32)
        for start, block in blocks(asked, max(n_items, width)):
            scores[start : start + len(block)] = self.score_block(block)
        return scores

    def score_block(self, queries: Queries) -> Floats:
        """float32 (B, n_items) or (B, C), as `score_histories`, of as many queries as `recommend` takes at once."""
        raise NotImplementedError

    def for_refit(self) -> Self:
        return self.with_submodels(self.members_for_refit())

    def restore(self, fitted: Fitted) -> Self:
        if fitted.learned.members != self.submodels():
            raise MatineeError(
                f"the members are not those the {registry.name_of(self)} was saved with", hint="fit and save it again"
            )
        return super().restore(fitted)


class Several(Composite):
    """The family of composites whose members are one list, and all answer."""

    member_fields = ("members",)

    members: tuple[Submodel, ...] = tunable(..., "models: names, or tables of a name and hyper-parameters")

    @field_validator("members", mode="before")
    @classmethod
    def _listed(cls, members: object) -> object:
        if not isinstance(members, list | tuple) or not members:
            raise ValueError("a list of at least one model is needed")
        return members

    def warn_of_no_valid(self, what: str) -> None:
        """A MatineeWarning that members weigh the same, because there is no valid part to find `what` on."""
        name = registry.name_of(self)
        text = f"no valid part to find {what} of the {name} on, so all members weigh the same: pass valid"
        warnings.warn(text, MatineeWarning, stacklevel=3)

    def scores_unknown_items(self) -> bool:
        return any(member.scores_unknown_items() for member in self.fitted.learned.members)

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where no member has an answer of its own; popularity is none, even from a member."""
        every: tuple[Model, ...] = self.fitted.learned.members
        members = [member for member in every if registry.name_of(member) != "popularity"]
        nothing: Bools = np.all([member.fallback(queries) for member in members or every], axis=0)
        return nothing
