"""A [[model]] table's grid: one label and one set of hyper-parameters for each combination."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matinee.study.values import label_part, names_a_folder

MAX_LABEL = 100  # characters
MAX_MODELS = 200  # the report compares each of them with every other
RESERVED = ("name", "label", "grid")

Level = tuple[str, dict[str, Any]]
"""A value's part of the label, and the hyper-parameters it sets."""


def combinations(label: str, fixed: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[Level]:
    """A label and hyper-parameters for each combination, in the order written: the last axis changes fastest.

    label: begins all labels. fixed: hyper-parameters that all share. grid: axis -> values. An axis is a hyper-parameter
    with its values; or it has any name and lists tables of hyper-parameters that change together, each with a `label`.
    Raises ValueError naming the axis.
    """
    if not grid:
        raise ValueError("grid needs at least one hyper-parameter with its values, or leave it out")
    axes = {name: _axis(name, values) for name, values in grid.items()}
    _refuse_twice(fixed, axes)
    if (size := math.prod(map(len, axes.values()))) > MAX_MODELS:
        raise ValueError(f"grid makes {size:,} models and may make {MAX_MODELS}: write several recipes")
    found = []
    for levels in product(*axes.values()):
        name = "_".join([label, *(part for part, _ in levels)])
        if len(name) > MAX_LABEL:
            raise ValueError(f"grid makes the label {name!r}, of more than {MAX_LABEL} characters: shorten `label`")
        found.append((name, {**fixed, **{key: value for _, keys in levels for key, value in keys.items()}}))
    return found


def _axis(name: str, values: Sequence[Any]) -> list[Level]:
    where = f"grid.{name}"
    if not values:
        raise ValueError(f"{where} needs at least one value")
    tables = [isinstance(value, Mapping) for value in values]
    if any(tables) and not all(tables):
        raise ValueError(f"{where} mixes values and tables: write only values, or only tables with a `label` each")
    levels = [_together(where, value) if tables[0] else _single(name, value) for value in values]
    parts = [part.casefold() for part, _ in levels]  # some file systems cannot tell BCE from bce
    twice = [part for part, _ in levels if parts.count(part.casefold()) > 1]
    if twice:
        raise ValueError(f"{where} has {twice[-1]!r} twice, so two models would have the same label")
    return levels


def _single(name: str, value: object) -> Level:
    part = label_part(value)
    if not names_a_folder(part):
        table = f'{{ label = "...", {name} = ... }}'
        what = f"grid.{name}: {value!r} cannot be part of a folder's name"
        raise ValueError(f"{what}: write a table, {table}, for each value")
    return part, {name: value}


def _together(where: str, table: Mapping[str, Any]) -> Level:
    part = table.get("label")
    if not isinstance(part, str) or not names_a_folder(part):
        needs = f"{where}: each table needs a `label`"
        if "label" in table:
            raise ValueError(f"{needs} of letters, digits, '_', '-' and '.', and {part!r} is none")
        raise ValueError(f"{needs}, and one has only {', '.join(table) or 'nothing'}")
    return part, {key: value for key, value in table.items() if key != "label"}


def _refuse_twice(fixed: Mapping[str, Any], axes: Mapping[str, Sequence[Level]]) -> None:
    """Refuse keys that are set in more than one place, and keys of the [[model]] table itself."""
    places = dict.fromkeys(fixed, "beside the grid")
    for name, levels in axes.items():
        for key in dict.fromkeys(key for _, keys in levels for key in keys):
            if key in RESERVED:
                raise ValueError(f"grid.{name}: {key!r} is no hyper-parameter")
            if key in places:
                raise ValueError(f"{key} is set {places[key]} and in grid.{name}: leave one out")
            places[key] = f"in grid.{name}"
