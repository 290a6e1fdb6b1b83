"""Accuracy against something else, a mark a model: who is better, who is cheaper, who is both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from matinee.report import plots
from matinee.report.palette import SIZES, Look
from matinee.report.plots import HUES, PAPER, SOFT
from matinee.report.scores import Cell

HEIGHT = 300
LINE = 15  # px of a line of text


@dataclass(frozen=True)
class Spot:
    """A model. x: what its accuracy is set against."""

    label: str
    x: float
    cell: Cell
    look: Look


@dataclass(frozen=True)
class Across:
    """The horizontal axis. tick: a number of it as text. less_is_better: as seconds; None where neither is."""

    title: str
    tick: Callable[[float], str]
    logarithmic: bool = False
    less_is_better: bool | None = None


def front(spots: Sequence[Spot], across: Across, *, lower: bool) -> list[Spot]:
    """The models that no other one beats in both, from left to right. lower: the metric is an error."""
    side, up = 1 if across.less_is_better else -1, 1 if lower else -1
    kept: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (side * spot.x, up * spot.cell.value)):
        if not kept or up * spot.cell.value < up * kept[-1].cell.value:
            kept.append(spot)
    return sorted(kept, key=lambda spot: spot.x)


def scatter(
    name: str, spots: Sequence[Spot], metric: str, across: Across, alt: str, *, lower: bool,
    lines: Sequence[Sequence[str]] = (),
) -> Markup:  # fmt: skip
    """The svg element. A dotted line joins the models that no other one beats in both, where one side is better.
    lines: labels that a line joins, in its order, in the colour of the last."""
    labels = plots.placeholders([spot.label for spot in spots])
    width = {
        spot.label: plots.DIGIT * plots.display_width(text) for spot, text in zip(spots, labels.values(), strict=True)
    }

    def paint(axes: Axes) -> None:
        if across.logarithmic:
            axes.set_xscale("log")
        if across.less_is_better is not None:
            best = front(spots, across, lower=lower)
            axes.plot([s.x for s in best], [s.cell.value for s in best], ":", color=SOFT, linewidth=1.5, alpha=0.7)
        for line in lines:
            _joined(axes, [spot for label in line for spot in spots if spot.label == label])
        for spot in spots:
            _mark(axes, spot)
        _scales(axes, spots, across)
        axes.set_ylabel(metric)
        axes.set_xlabel(across.title)
        places = _places(axes, spots, width)
        for spot, text in zip(spots, labels, strict=True):
            if (place := places.get(spot.label)) is not None:
                (dx, dy), align = place
                axes.annotate(
                    text, (spot.x, spot.cell.value), (dx, dy), textcoords="offset points", ha=align, va="center"
                )

    return plots.labelled(plots.draw(paint, name, alt, height=HEIGHT, left=66), labels)


def _joined(axes: Axes, line: Sequence[Spot]) -> None:
    if len(line) > 1:
        xs, ys = [spot.x for spot in line], [spot.cell.value for spot in line]
        axes.plot(xs, ys, color=HUES[line[-1].look.hue - 1], linewidth=1.5)


def _mark(axes: Axes, spot: Spot) -> None:
    colour = HUES[spot.look.hue - 1]
    if (ends := spot.cell.ends) is not None:
        axes.plot([spot.x, spot.x], ends, color=colour, linewidth=1.5, alpha=0.5)
    size = SIZES.get(spot.look.shape, 9)
    axes.plot(
        [spot.x], [spot.cell.value], spot.look.shape, color=colour, markersize=size, markeredgecolor=PAPER,
        markeredgewidth=1,
    )  # fmt: skip


def _scales(axes: Axes, spots: Sequence[Spot], across: Across) -> None:
    xs = np.array([spot.x for spot in spots])
    axes.margins(x=0.18, y=0.1)
    axes.autoscale_view()
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_minor_locator(NullLocator())
    if across.logarithmic:
        low, high = float(xs.min()), float(xs.max())
        if high < 8 * low:  # so that there are ticks
            axes.set_xlim(low / 3, high * 3)
        axes.xaxis.set_major_locator(LogLocator(10, numticks=5))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: across.tick(x)))


Place = tuple[tuple[float, float], str]
SIDES: Sequence[Place] = (
    ((9, 0), "left"), ((-9, 0), "right"), ((0, 13), "center"), ((0, -13), "center"),
    ((8, 12), "left"), ((8, -12), "left"), ((-8, 12), "right"), ((-8, -12), "right"),
)  # fmt: skip
"""Where a name may stand, px beside its mark."""


def _places(axes: Axes, spots: Sequence[Spot], width: Mapping[str, float]) -> dict[str, Place]:
    """For each name the first side on which it covers no mark, name or interval and no other mark is nearer than its
    own, else the first without marks and names; none where there is no room: the key above the drawings has it."""
    at = {spot.label: axes.transData.transform((spot.x, spot.cell.value)).tolist() for spot in spots}
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in at.values()]
    bars = [_bar(axes, spot) for spot in spots if spot.cell.ends is not None]
    frame, found = axes.get_figure(root=True).bbox, {}  # type: ignore[union-attr]
    for spot in sorted(spots, key=lambda spot: at[spot.label][1], reverse=True):
        x, y = at[spot.label]
        free = [
            (side, box)
            for side in SIDES
            if (box := _box(x, y, side, width[spot.label]))[0] >= frame.x0 + 70
            and box[2] <= frame.x1 - 2
            and box[1] >= 42
            and box[3] <= frame.y1 - 2
            and not any(_cross(box, other) for other in taken)
            and not any(_away(box, side, at[other.label]) < _away(box, side, (x, y)) for other in spots)
        ]
        clear = [one for one in free if not any(_cross(one[1], bar) for bar in bars)]
        for side, box in (clear or free)[:1]:
            taken.append(box)
            found[spot.label] = side
    return found


def _box(x: float, y: float, side: Place, width: float) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a name, px."""
    (dx, dy), align = side
    left = x + dx - {"left": 0.0, "right": 1.0, "center": 0.5}[align] * width
    return left, y + dy - LINE / 2, left + width, y + dy + LINE / 2


def _away(box: tuple[float, float, float, float], side: Place, mark: Sequence[float]) -> float:
    """px from a mark to the end of a name that is towards its own: where another mark is nearer, the name would be
    taken for that one's."""
    (x, y), align = mark, side[1]
    left = box[2] if align == "right" else box[0]
    right = box[0] if align == "left" else box[2]
    return float(np.hypot(max(left - x, x - right, 0), max(box[1] - y, y - box[3], 0)))


def _bar(axes: Axes, spot: Spot) -> tuple[float, float, float, float]:
    """The same of a mark's interval."""
    low, high = spot.cell.ends or (spot.cell.value, spot.cell.value)
    (x, bottom), (_, top) = axes.transData.transform([(spot.x, low), (spot.x, high)])
    return x - 1, bottom, x + 1, top


def _cross(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
