"""A recipe's [tune] table: how its models are tuned. A run does not read it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from matinee.evaluate.stopping import StoppingMetric
from matinee.study.data_table import Table, checked


class Range(Table):
    """{ low, high, log } of [tune.space.LABEL]: numbers to try."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be below high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low:g} must be above 0 where log = true")
        return self


Given = Range | list[Any] | Literal[False]
"""What a recipe says of one hyper-parameter: a range, choices, or false to hold it."""


class TuneTable(Table):
    """[tune]: how models are tuned."""

    trials: int = Field(50, ge=1, description="settings to try for each model, its own values included")
    timeout: float | None = Field(None, gt=0, description="seconds after which no further trial is begun")
    metric: str | None = Field(
        None, description="what is tuned for on valid, e.g. recall@20; when left out, what early stopping measures"
    )
    models: list[str] = Field([], description="labels of the models to tune; empty: all that have something to tune")
    space: dict[str, dict[str, Given]] = Field(
        {}, description="by label: a hyper-parameter's `{ low, high, log }`, its choices, or false to hold it"
    )

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str | None) -> str | None:
        return checked(StoppingMetric.parse, metric)

    @field_validator("space", mode="before")
    @classmethod
    def _readable(cls, space: Any) -> Any:
        """pydantic would list what is wrong with each of the three forms."""
        tables = space.items() if isinstance(space, dict) else ()
        for label, given in tables:
            for name, value in given.items() if isinstance(given, dict) else ():
                form = isinstance(value, dict | Range) or value is False or (isinstance(value, list) and value)
                if not form:
                    hint = "write { low = 1.0, high = 100.0, log = true }, a list of choices, or false to hold it"
                    raise ValueError(f"{label}.{name} = {value!r}: {hint}")
        return space
