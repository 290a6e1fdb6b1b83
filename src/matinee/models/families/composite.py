"""The family of models made of models: how parts are named, fitted, handed over, kept and refitted, said once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, SerializationInfo

from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError
from matinee.files import StrPath
from matinee.models import registry
from matinee.models.base import Fitted, Model


def part_of(members: object) -> Model:
    """A validated part: a model, its name, or a table of a name and hyper-parameters. Raises ValueError."""
    try:
        return registry.as_model(members)
    except MatineeError as error:
        raise ValueError(f"{error.what}; {error.hint}") from None


def table_of(part: Model, info: SerializationInfo) -> dict[str, Any]:
    """A part as a dump holds it. pydantic alone would write the fields of Model, of which there are none."""
    return {"name": registry.name_of(part), **part.model_dump(mode=info.mode, exclude_none=info.exclude_none)}


class Composite(Model):
    """A model whose learned state has `members`, a tuple of fitted models.

    A part that is fitted must have learned from the same log, and stays as it is; of the others, copies are fitted.
    """

    exemptions = {"renamed_ids": "submodels may be exempt; equal ranks go to the lower code"}
    _checkpoint: Path | None = PrivateAttr(default=None)

    @abstractmethod
    def submodels(self) -> tuple[Model, ...]:
        """The models it is made of, as they were given."""

    @abstractmethod
    def with_members(self, parts: Sequence[Model]) -> Self:
        """The same model, not fitted, with these in the place of as many of its first parts."""

    def fit(
        self, data: Dataset, *, valid: Holdout | None = None, seed: int = 0, checkpoint: StrPath | None = None
    ) -> Self:
        """As for every model; checkpoint: a folder, with a file for each part that trains in epochs."""
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        return super().fit(data, valid=valid, seed=seed)

    def check(self, data: Dataset) -> None:
        super().check(data)
        for part in self.submodels():
            if not part.is_fitted:
                part.check(data)

    def fitted_members(self, data: Dataset, valid: Holdout | None, seed: int) -> tuple[Model, ...]:
        """The parts, fitted on this log."""
        return tuple(self._learned(i, data, valid, seed) for i in range(len(self.submodels())))

    def _learned(self, i: int, data: Dataset, valid: Holdout | None, seed: int) -> Model:
        member = self.submodels()[i]
        if not member.is_fitted:
            checkpoint = None if self._checkpoint is None else self._checkpoint / str(i)
            return member.model_copy().fit(data, valid=valid, seed=seed, checkpoint=checkpoint)
        if member.data.fingerprint != data.fingerprint:
            raise MatineeError(
                f"member {i} of the {registry.name_of(self)} ({registry.name_of(member)}) was fitted on another log "
                f"than {data.name}",
                hint="fit it on this log, or pass a member that is not fitted",
            )
        return member

    def members_for_refit(self) -> tuple[Model, ...]:
        """Of each part the model to fit once more, not fitted."""
        again = [member.for_refit() for member in self.fitted.learned.members]
        return tuple(type(model).model_validate(model.model_dump()) for model in again)

    def restore(self, fitted: Fitted) -> Self:
        if fitted.learned.members != self.submodels():
            raise MatineeError(
                f"the members are not those the {registry.name_of(self)} was saved with", hint="fit and save it again"
            )
        return super().restore(fitted)
