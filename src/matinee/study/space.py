"""What of each model is tuned: its own ranges (`tunable`), changed by a recipe's [tune.space], as axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from matinee.errors import MatineeError, did_you_mean, suggestion
from matinee.models import registry
from matinee.models.base import Model
from matinee.study.model_table import ModelTable
from matinee.study.tune_table import Given, Range, TuneTable

NOT_ASKED = "it was not asked for"
Values = dict[str, Any]
"""Hyper-parameter -> value, as JSON holds it."""


@dataclass(frozen=True)
class Axis:
    """A hyper-parameter that is tuned: numbers from low to high, or choices. whole: numbers are whole."""

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def has(self, value: Any) -> bool:
        """Whether a value lies in it."""
        if self.choices:
            return any(_same(value, choice) for choice in self.choices)
        return is_number(value) and self.low <= value <= self.high

    def widened(self, own: Any) -> Axis:
        """With the recipe's own value in it, where it can be: not for "none", nor for 0 on a logarithmic axis. Such a
        value is tried once, as it is."""
        if self.choices:
            return self if own is None or self.has(own) else Axis(self.name, (*self.choices, own))
        if not is_number(own) or (self.log and own <= 0):
            return self
        return Axis(self.name, (), min(self.low, own), max(self.high, own), self.log, self.whole)


@dataclass(frozen=True)
class Space:
    """What of one model is tuned. own: the values of its axes in the recipe."""

    table: ModelTable
    axes: tuple[Axis, ...]
    own: Values

    @property
    def label(self) -> str:
        return self.table.label

    def with_values(self, values: Values) -> ModelTable:
        """The model's table with these values in the place of its own. TOML has no null: a None leaves the key out."""
        kept = {name: value for name, value in self.table.hyper_parameters.items() if name not in values}
        given = {name: value for name, value in values.items() if value is not None}
        return ModelTable.model_validate({"name": self.table.name, "label": self.table.label, **kept, **given})


def spaces(tables: Sequence[ModelTable], tune: TuneTable) -> tuple[dict[str, Space], dict[str, str]]:
    """By label: the space of each model that is tuned, and why each of the others is not.

    Raises MatineeError for labels and hyper-parameters that are not there, and for values that do not fit.
    """
    _check_labels(tables, [*tune.models, *tune.space])
    found: dict[str, Space] = {}
    left_out: dict[str, str] = {}
    for table in tables:
        if why := _not_tuned(table, tune):
            left_out[table.label] = why
            continue
        space = _space(table, tune.space.get(table.label, {}))
        if space.axes:
            found[table.label] = space
        else:
            left_out[table.label] = "it has no hyper-parameter with a range"
    asked = [label for label in tune.models if label not in found]
    if asked or not found:
        label, why = next(((label, left_out[label]) for label in asked or left_out), ("", ""))
        hint = f"write a range in [tune.space.{label}], or leave it out of `models`"
        raise MatineeError(f"{label} cannot be tuned: {why}", hint=hint)
    return found, left_out


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    """true is not 1 here."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _check_labels(tables: Sequence[ModelTable], labels: Sequence[str]) -> None:
    known = [table.label for table in tables]
    for label in labels:
        if label not in known:
            raise MatineeError(f"no model of the recipe is called {label!r}", hint=suggestion(label, known))


def _not_tuned(table: ModelTable, tune: TuneTable) -> str:
    """Why a model is left out; "" where it is not."""
    if table.candidates_from is not None or registry.member_fields(table.name):
        return "it is made of other models, which are tuned by themselves"
    if tune.models and table.label not in tune.models:
        return NOT_ASKED
    return ""


def _space(table: ModelTable, given: Mapping[str, Given]) -> Space:
    model = table.create(())
    values = model.model_dump(mode="json")
    fields = type(model).model_fields
    for name in given:
        if name not in fields:
            near = did_you_mean(name, fields, n=1) or f"it has {', '.join(fields) or 'none'}"
            raise MatineeError(f"{table.label} has no hyper-parameter {name!r}", hint=near)
    axes = []
    for name, field in fields.items():
        extra = field.json_schema_extra
        own: Any = extra.get("tune") if isinstance(extra, dict) else None
        said = given.get(name, Range.model_validate(own) if own and "low" in own else (own or {}).get("choices", False))
        if said is False:
            continue
        axis = _axis(name, said, field.annotation, table.label)
        if name in given:
            _check_values(table, model, axis)
        axes.append(axis.widened(values[name]))
    return Space(table, tuple(axes), {axis.name: values[axis.name] for axis in axes})


def _axis(name: str, said: Range | Sequence[Any], annotation: Any, label: str) -> Axis:
    if not isinstance(said, Range):
        return Axis(name, tuple(said))
    kinds = {annotation, *get_args(annotation)}
    if not kinds & {int, float}:
        hint = f"write its choices: {name} = [...]"
        raise MatineeError(f"{label}: {name} is no number, so it has no range", hint=hint)
    whole = float not in kinds
    if whole and not (said.low.is_integer() and said.high.is_integer()):
        what = f"{label}: {name} is a whole number, and its range is {said.low:g} to {said.high:g}"
        raise MatineeError(what, hint="write whole numbers")
    return Axis(name, (), said.low, said.high, said.log, whole)


def _check_values(table: ModelTable, model: Model, axis: Axis) -> None:
    """Raise MatineeError for a value of the recipe's range that the model does not take."""
    for value in axis.choices or (axis.low, axis.high):
        number = int(value) if axis.whole else value
        try:
            registry.create(table.name, {**table.hyper_parameters, axis.name: number})
        except MatineeError as error:
            if f"{axis.name} = " in error.what:  # not where it only disagrees with the values of others
                raise MatineeError(f"[tune.space.{table.label}]: {error.what}", hint=error.hint) from None
