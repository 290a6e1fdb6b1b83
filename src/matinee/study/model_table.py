"""A recipe's [[model]] table. A grid in it stands for several: one for each combination of hyper-parameters."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from matinee.errors import MatineeError
from matinee.models import registry

LONGEST = 100  # characters of a label
MOST = 200  # models of a grid: the report compares each of them with every other
ENSEMBLE, MEMBERS = "ensemble", "members"
RERANK, STAGES = "rerank", ("first", "second")
SAY_MEMBERS = 'write members = ["ease", "sasrec"], say: labels of [[model]] tables above'
RESERVED = ("name", "label", "grid")

Level = tuple[str, dict[str, Any]]
"""What a label says of it, and its hyper-parameters."""


class ModelTable(BaseModel):
    """[[model]]: a registry name, a label for tables and folders, and hyper-parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="a name of `matinee models`; its hyper-parameters are further keys of this table")
    label: str = Field(
        "", max_length=LONGEST, description="a unique name for tables and folders; when left out, the model's name"
    )
    grid: dict[str, list[Any]] | None = Field(
        None, description="hyper-parameters with a list of values each: a model for every combination"
    )
    candidates_from: str | None = Field(
        None, description="the label of a model above, whose `n` best (200) this model puts in order"
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.label:
            object.__setattr__(self, "label", self.name)
        if not names_a_folder(self.label) or self.label.startswith("."):
            raise ValueError(f"label {self.label!r} names a folder: use letters, digits, '_', '-' and '.'")
        self.expanded()  # an error is to name this table
        return self

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def expanded(self) -> list[ModelTable]:
        """A table for each combination of its grid, labelled LABEL_value_value...; without a grid, itself."""
        if self.grid is None:
            return [self]
        made = combinations(self.label, self.hyper_parameters, self.grid)
        shared = {"name": self.name, "candidates_from": self.candidates_from}
        return [ModelTable.model_validate({**shared, "label": label, **values}) for label, values in made]


def labels_of(table: ModelTable) -> list[tuple[str, str]]:
    """What a table says of other tables: the key's word and the label. Raises MatineeError where it says no labels."""
    given = table.hyper_parameters
    if table.candidates_from is not None:
        if table.name in (ENSEMBLE, RERANK):
            raise MatineeError(
                f"candidates_from in a table of {table.name!r}",
                hint=f'leave it out, and write a table below: name = "{RERANK}", first = "{table.candidates_from}", '
                f'second = "{table.label}"',
            )
        return [("candidates_from", table.candidates_from)]
    if table.name == RERANK:
        for stage in STAGES:
            if not isinstance(given.get(stage), str) or given[STAGES[0]] == given.get(STAGES[1]):
                raise MatineeError(
                    f"{stage} = {given.get(stage)!r} is no label, or that of both stages",
                    hint='write first = "ease" and second = "lightgbm", say: labels of [[model]] tables above',
                )
        return [(stage, given[stage]) for stage in STAGES]
    if table.name != ENSEMBLE:
        return []
    labels = given.get(MEMBERS)
    texts = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not labels or not texts or len(set(labels)) < len(labels):
        raise MatineeError(f"{MEMBERS} = {labels!r} is no list of labels, each once", hint=SAY_MEMBERS)
    return [("member", label) for label in labels]


def with_defaults(tables: Sequence[ModelTable], defaults: Mapping[str, Any]) -> list[ModelTable]:
    """The tables, with those of the defaults that they do not set and their models have. Raises ValueError naming a
    default that no model has."""
    if not defaults:
        return list(tables)
    known = {table.name: _fields(table.name) for table in tables}
    for key in defaults:
        if key in RESERVED or not any(key in fields for fields in known.values()):
            near = difflib.get_close_matches(key, {field for fields in known.values() for field in fields}, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"defaults.{key}: no model of the recipe has this hyper-parameter{hint}")
    return [
        table.model_copy(
            update={k: v for k, v in defaults.items() if k in known[table.name] and k not in table.hyper_parameters}
        )
        for table in tables
    ]


def _fields(name: str) -> frozenset[str]:
    """A model's hyper-parameters; none where there is no such model, which is said when it is made."""
    try:
        return frozenset(registry.model_class(name).model_fields)
    except MatineeError:
        return frozenset()


def combinations(label: str, fixed: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[Level]:
    """A label and hyper-parameters for each combination, in the order written: the last axis changes fastest.

    label: begins all labels. fixed: hyper-parameters that all share. grid: axis -> values. An axis is a hyper-parameter
    with its values, or bears any name and lists tables of hyper-parameters that change together, each with a `label`.
    Raises ValueError naming the axis.
    """
    if not grid:
        raise ValueError("grid needs at least one hyper-parameter with its values, or leave it out")
    axes = [_axis(name, values) for name, values in grid.items()]
    _refuse_twice(fixed, dict(zip(grid, axes, strict=True)))
    if (size := math.prod(map(len, axes))) > MOST:
        raise ValueError(f"grid makes {size:,} models and may make {MOST}: write several recipes")
    found = []
    for levels in product(*axes):
        made = "_".join([label, *(format_value for format_value, _ in levels)])
        if len(made) > LONGEST:
            raise ValueError(f"grid makes the label {made!r}, of more than {LONGEST} characters: shorten `label`")
        found.append((made, {**fixed, **{key: value for _, keys in levels for key, value in keys.items()}}))
    return found


def format_value(value: object) -> str:
    """A hyper-parameter's value as labels and tables say it: 64, 0.001, bce, true, none, 128-64."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("+", "")
    if isinstance(value, list | tuple):
        return "-".join(map(format_value, value)) or "empty"
    return str(value)


def names_a_folder(text: str) -> bool:
    """Whether it can be (a part of) a folder's name on every file system: letters, digits, '_', '-' and '.'."""
    return text.replace("_", "").replace("-", "").replace(".", "").isalnum()


def _axis(name: str, values: Sequence[Any]) -> list[Level]:
    where = f"grid.{name}"
    if not values:
        raise ValueError(f"{where} needs at least one value")
    tables = [isinstance(value, Mapping) for value in values]
    if any(tables) and not all(tables):
        raise ValueError(f"{where} mixes values and tables: write either, and tables with a `label` each")
    levels = [_together(where, value) if tables[0] else _single(name, value) for value in values]
    words = [said.casefold() for said, _ in levels]  # some file systems cannot tell BCE from bce
    twice = [said for said, _ in levels if words.count(said.casefold()) > 1]
    if twice:
        raise ValueError(f"{where} has {twice[-1]!r} twice, and labels of models are made of it")
    return levels


def _single(name: str, value: object) -> Level:
    said = format_value(value)
    if not names_a_folder(said):
        raise ValueError(
            f"grid.{name}: {value!r} cannot be part of a folder's name: write a table, "
            f'{{ label = "...", {name} = ... }}, for each value'
        )
    return said, {name: value}


def _together(where: str, table: Mapping[str, Any]) -> Level:
    said = table.get("label")
    if not isinstance(said, str) or not names_a_folder(said):
        raise ValueError(
            f"{where}: each table needs a `label` of letters, digits, '_', '-' and '.', and {said!r} is none"
            if "label" in table
            else f"{where}: each table needs a `label`, and one has only {', '.join(table) or 'nothing'}"
        )
    return said, {key: value for key, value in table.items() if key != "label"}


def _refuse_twice(fixed: Mapping[str, Any], axes: Mapping[str, Sequence[Level]]) -> None:
    """Refuse keys that are set in more than one place, and those of a [[model]] table."""
    seen = dict.fromkeys(fixed, "beside the grid")
    for name, levels in axes.items():
        for key in dict.fromkeys(key for _, keys in levels for key in keys):
            if key in RESERVED:
                raise ValueError(f"grid.{name}: {key!r} is no hyper-parameter")
            if key in seen:
                raise ValueError(f"{key} is set {seen[key]} and in grid.{name}: leave one out")
            seen[key] = f"in grid.{name}"
