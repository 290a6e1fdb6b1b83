"""A panel of small multiples: one metric by one hyper-parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from matinee.report import plots
from matinee.report.palette import SHAPES as SHAPES
from matinee.report.palette import SIZES
from matinee.report.scores import Cell

LEFT, RIGHT = 54, 22  # px beside the axes where its levels lie along x


@dataclass(frozen=True)
class Mark:
    """One model. at: its level, from 0. series: its shape and colour, from 0; None where models are alike."""

    at: int
    cell: Cell
    series: int | None = None


@dataclass(frozen=True)
class Scale:
    """The axes of all panels. levels: the values of the hyper-parameter as text, at equal distances: along x where they
    are numbers, else one below the other. n_series: of all panels. span: lowest and highest value of the metric in all
    panels, so that they can be compared."""

    name: str
    levels: Sequence[str]
    numbers: bool
    n_series: int
    span: tuple[float, float]


def panel(name: str, scale: Scale, marks: Sequence[Mark], alt: str, *, joined: bool) -> Markup:
    """Means with their intervals. marks: series by series. joined: a line joins the marks of a series of numbers."""
    labels = plots.placeholders(scale.levels)

    def paint(axes: Axes) -> None:
        for _, group in groupby(_dodged(marks, scale), key=lambda one: one[0].series):
            some = list(group)
            if joined and scale.numbers:
                xs, ys = [at for _, at in some], [one.cell.value for one, _ in some]
                axes.plot(xs, ys, color=_colour(some[0][0]), alpha=0.5)
            for mark, at in some:
                _draw(axes, mark, at, upright=scale.numbers)
        if scale.numbers:
            _along_x(axes, scale, labels)
        else:
            plots.label_rows(axes, labels)
            axes.set_xlim(_limits(scale))

    if scale.numbers:
        return plots.labelled(plots.draw(paint, name, alt, left=LEFT, right=RIGHT), labels)
    height = 40 + len(labels) * max(26, 10 * _crowd(marks, scale))
    return plots.labelled(plots.draw(paint, name, alt, height=height, left=plots.room_for(labels), bottom=28), labels)


def _crowd(marks: Sequence[Mark], scale: Scale) -> int:
    """How many marks share a level, at most."""
    return scale.n_series or max(Counter(mark.at for mark in marks).values())


def _dodged(marks: Sequence[Mark], scale: Scale) -> Iterator[tuple[Mark, float]]:
    """Each mark with its place: marks of one level are moved apart, those of one series always to the same side."""
    crowd, before = _crowd(marks, scale), Counter[int]()
    step = min(0.12, 0.7 / crowd) if scale.numbers else 0.7 / crowd
    alike = Counter(mark.at for mark in marks)
    for mark in marks:
        of, among = (before[mark.at], alike[mark.at]) if mark.series is None else (mark.series, scale.n_series)
        before[mark.at] += 1
        yield mark, mark.at + step * (of - (among - 1) / 2)


def _colour(mark: Mark) -> str:
    if mark.series is None:
        return plots.ACCENT if mark.cell.best else plots.SOFT
    return plots.HUES[mark.series]


def _draw(axes: Axes, mark: Mark, at: float, *, upright: bool) -> None:
    cell, colour = mark.cell, _colour(mark)
    if (ends := cell.ends) is not None:
        bar = ends, [at, at]
        axes.plot(*bar[:: -1 if upright else 1], color=colour, linewidth=1.25)
    x, y = (at, cell.value) if upright else (cell.value, at)
    shape = list(SHAPES)[mark.series or 0]
    look: dict[str, Any] = {"color": colour, "markeredgecolor": plots.PAPER, "markeredgewidth": 1}
    axes.plot([x], [y], shape, markersize=SIZES.get(shape, 9), **look)


def _along_x(axes: Axes, scale: Scale, labels: Mapping[str, str]) -> None:
    widest = plots.DIGIT * (1 + max(plots.display_width(label) for label in labels.values()))
    step = -(-int(len(labels) * widest) // (plots.WIDTH - LEFT - RIGHT))  # fewer labels where they need more room
    axes.set_xticks(range(0, len(labels), step), list(labels)[::step])
    axes.set(xlim=(-0.6, len(labels) - 0.4), ylim=_limits(scale))
    axes.set_xlabel(scale.name)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _limits(scale: Scale) -> tuple[float, float]:
    low, high = scale.span
    margin = 0.06 * (high - low) or 0.01
    return low - margin, high + margin
