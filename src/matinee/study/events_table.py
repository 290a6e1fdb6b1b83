"""A recipe's [data.events] table: which kinds of events there are and what each counts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from matinee.data.events import EventKinds


class EventsTable(BaseModel):
    """[data.events]: a column of kinds, and what each kind counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    column: str = Field(description="the column that says what kind of event a row is")
    weights: dict[str, float] = Field(
        {}, description="what an event of each kind counts: above 0 a like, below 0 a dislike, 0 left out"
    )
    keep: list[str] = Field([], description="the kinds that stay, of weight 1 unless weights has another; empty: all")

    def kinds(self) -> EventKinds:
        """Raises MatineeError where no kind is named, see EventKinds."""
        return EventKinds(self.column, self.weights, self.keep)
