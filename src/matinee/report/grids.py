"""Models of one name that differ in hyper-parameters: which of these vary, a table, and small plots side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.report import format as words
from matinee.report.panels import SHAPES, Mark, Scale, panel
from matinee.report.scores import Cell, Table
from matinee.report.sections import Plot, plus_minus
from matinee.report.study import Study
from matinee.study.values import format_value

FEWEST = 4  # models that make a group
MOST_PANELS = 12

RankedCells = list[tuple[str, Cell]]
"""Label and first metric of each model of a group, best first."""


@dataclass(frozen=True)
class Axis:
    """A hyper-parameter that varies. levels: its values as text. at: each model's level.

    number: whether the values are numbers. Then the levels are sorted ("none" first), else in the recipe's order.
    """

    name: str
    levels: tuple[str, ...]
    at: tuple[int, ...]
    number: bool

    def settles(self, other: Axis) -> bool:
        """Whether this one's value determines the other's. A number that differs in every model does not count."""
        determined = len(set(zip(self.at, other.at, strict=True))) == len(self.levels)
        return determined and (not self.number or len(self.levels) < len(self.at))


@dataclass(frozen=True)
class Layout:
    """x: the axis along each panel. colour: one mark and colour per level. panels: one panel per combination of these.

    models: those that are drawn. joined: whether they differ in nothing else, so that a line may join them along x.
    """

    x: Axis
    models: tuple[int, ...]
    joined: bool
    colour: Axis | None = None
    panels: tuple[Axis, ...] = ()


def grids(study: Study, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """For each name with at least FEWEST models in the first table: what varies among them, and their results."""
    if not tables:
        return []
    table, found = tables[0], []
    for model in dict.fromkeys(row.model for row in table.rows):
        known = [row for row in table.rows if row.model == model and row.label in study.hyper_parameters]
        rows = [(row.label, cell) for row in known if (cell := row.cells[0]) is not None]
        labels = [label for label, _ in rows]
        written = [values for label, values in study.hyper_parameters.items() if label in labels]
        axes = varying([study.hyper_parameters[label] for label in labels], written)
        if len(rows) >= FEWEST and axes:
            found.append(_group(model, table, rows, axes))
    return found


def varying(models: Sequence[Mapping[str, Any]], written: Sequence[Mapping[str, Any]]) -> list[Axis]:
    """The hyper-parameters that differ. written: the same models in the recipe's order, for levels that are names."""
    axes, key = [], partial(json.dumps, sort_keys=True, default=str)
    for name in dict.fromkeys(name for one in written for name in one):
        values = {key(one.get(name)): one.get(name) for one in written}
        if len(values) < 2:
            continue
        number = all(value is None or type(value) in (int, float) for value in values.values())
        if number:
            values = dict(sorted(values.items(), key=lambda one: (one[1] is not None, one[1] or 0)))
        places = list(values)
        at = tuple(places.index(key(one.get(name))) for one in models)
        axes.append(Axis(name, tuple(map(format_value, values.values())), at, number))
    return axes


def leading(axes: Sequence[Axis]) -> list[Axis]:
    """Without those that another one settles, e.g. negatives where each loss has its own. Only names settle names."""
    kept = list(axes)
    for axis in sorted(axes, key=lambda axis: (not axis.number, -axes.index(axis))):
        if any(other.settles(axis) for other in kept if other is not axis and (axis.number or not other.number)):
            kept.remove(axis)
    return kept


def centre(axes: Sequence[Axis]) -> int | None:
    """The model from which every other differs in at most one axis, where several axes were changed one at a time."""
    models = range(len(axes[0].at))
    for one in models:
        if all(sum(axis.at[one] != axis.at[other] for axis in axes) <= 1 for other in models):
            return one if len(axes) > 1 else None
    return None


def laid_out(axes: Sequence[Axis]) -> list[Layout]:
    """One layout where at least half of all combinations were fitted. Else one per axis: of the models that differ from
    the centre only in it; without a centre, of all models."""
    models = range(len(axes[0].at))
    if (middle := centre(axes)) is not None:
        changed = [[axis for axis in axes if axis.at[m] != axis.at[middle]] for m in models]
        return [Layout(x, tuple(m for m in models if changed[m] in ([], [x])), joined=True) for x in axes]
    x = max([axis for axis in axes if axis.number] or axes, key=lambda axis: len(axis.levels))
    rest = [axis for axis in axes if axis is not x]
    few = [axis for axis in rest if len(axis.levels) <= len(SHAPES)]
    colour = max(few, key=lambda axis: (not axis.number, len(axis.levels)), default=None)
    panels = tuple(axis for axis in rest if axis is not colour)
    crossed = math.prod(len(axis.levels) for axis in axes) <= 2 * len(models)
    if crossed and math.prod(len(axis.levels) for axis in panels) <= MOST_PANELS:
        return [Layout(x, tuple(models), True, colour, panels)]
    return [Layout(axis, tuple(models), joined=False) for axis in axes]


def _group(model: str, table: Table, rows: RankedCells, axes: Sequence[Axis]) -> dict[str, Any]:
    column, drawn = named(*table.columns[0]), leading(axes)
    layouts, middle = laid_out(drawn), centre(drawn)
    ends = [end for _, cell in rows for end in cell.ends or (cell.value,)]
    colour = layouts[0].colour
    return {
        "model": model,
        "column": column,
        "lower": table.columns[0][0] in LOWER_IS_BETTER,
        "split": table.split,
        "rows": [(label, cell, [axis.levels[axis.at[at]] for axis in axes]) for at, (label, cell) in enumerate(rows)],
        "marked": any(cell.best or cell.close for _, cell in rows),
        "names": [axis.name for axis in axes],
        "settled": words.listed([axis.name for axis in axes if axis not in drawn]),
        "colour": colour and colour.name,
        "key": [] if colour is None else list(zip(SHAPES.values(), colour.levels, strict=False)),
        "centre": None if middle is None else rows[middle][0],
        "apart": not layouts[0].joined,
        "plots": [plot for one in layouts for plot in _panels(model, column, one, rows, (min(ends), max(ends)))],
    }


def _panels(model: str, column: str, layout: Layout, rows: RankedCells, span: tuple[float, float]) -> list[Plot]:
    """column: the table's, as text. span: of all panels."""
    out = []
    levels_of = {at: tuple(axis.at[at] for axis in layout.panels) for at in sorted(layout.models)}
    for levels, some in groupby(sorted(levels_of, key=levels_of.__getitem__), key=levels_of.__getitem__):
        chosen = [f"{axis.name} {axis.levels[level]}" for axis, level in zip(layout.panels, levels, strict=True)]
        caption = ", ".join([f"{column} by {layout.x.name}", *chosen])
        marks, text = _marks(layout, rows, list(some))
        n_series = 0 if layout.colour is None else len(layout.colour.levels)
        scale = Scale(layout.x.name, layout.x.levels, layout.x.number, n_series, span)
        name = f"{model}, {caption}"  # unique on the page
        out.append(Plot(caption, panel(name, scale, marks, f"{name}. {text}", joined=layout.joined)))
    return out


def _marks(layout: Layout, rows: RankedCells, some: Sequence[int]) -> tuple[list[Mark], str]:
    """The marks of some models, series by series, and the same as text."""
    x, colour = layout.x, layout.colour
    marks, texts = [], []
    for at in sorted(some, key=lambda at: (colour.at[at] if colour else 0, x.at[at])):
        cell = rows[at][1]
        marks.append(Mark(x.at[at], cell, None if colour is None else colour.at[at]))
        of = "" if colour is None else f"{colour.name} {colour.levels[colour.at[at]]}, "
        texts.append(f"{of}{x.name} {x.levels[x.at[at]]}: {plus_minus(cell)}")
    return marks, "; ".join(texts)
