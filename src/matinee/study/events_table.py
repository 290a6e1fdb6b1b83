"""A recipe's [data.events] table: which kinds of events there are and what each counts."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from matinee.data.events import EventKinds
from matinee.errors import MatineeError

NONE = "none"


class EventsTable(BaseModel):
    """[data.events]: a column of kinds, and what each kind counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    column: str = Field(description="the column that says what kind of event a row is; `none`: all count alike")
    weights: dict[str, float] = Field(
        {}, description="what an event of each kind counts: above 0 a like, below 0 a dislike, 0 left out"
    )
    keep: list[str] = Field([], description="the kinds that stay, of weight 1 unless weights has another; empty: all")

    @model_validator(mode="after")
    def _checked(self) -> Self:
        try:
            self.kinds()
        except MatineeError as error:
            raise ValueError(f"{error.what}; {error.hint}") from None
        return self

    def kinds(self) -> EventKinds | None:
        """What `read` takes. Raises MatineeError where no kind is named, see EventKinds."""
        if self.column.lower() == NONE and not self.weights and not self.keep:
            return None
        return EventKinds(self.column, self.weights, self.keep)
