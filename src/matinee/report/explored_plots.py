"""Drawings of an explored log: how events are shared, when they happen, how old items are, what changes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from matinee.explore.years import Ages
from matinee.report.plots import ACCENT, INK, PAPER, SOFT, count_axis, draw

STYLES = ("-", "--")  # beside the colour, for readers who cannot tell colours apart
MARKS = ("━", "╍")
TWO = (ACCENT, SOFT)
NAMES = ("accent", "soft")
OLDEST = 0.99  # of the events; the few of older items are not drawn


@dataclass(frozen=True)
class Line:
    """values: one at each x; None leaves a gap."""

    label: str
    values: Sequence[float | None]


def key(lines: Sequence[str]) -> list[tuple[str, str, str]]:
    """(class of the colour, its stroke, the label) of both lines, as `lines_over` and `held` draw them."""
    return list(zip(NAMES, MARKS, lines, strict=True))


def held(name: str, items: NDArray[np.float64], users: NDArray[np.float64], alt: str) -> Markup:
    """The share of events that the most popular items hold, and the most active users; (m, 2) in 0..1 each."""

    def paint(axes: Axes) -> None:
        axes.fill_between(items[:, 0], items[:, 1], color=ACCENT, alpha=0.1, linewidth=0)
        for points, colour, style in zip((items, users), TWO, STYLES, strict=True):
            axes.plot(points[:, 0], points[:, 1], style, color=colour, linewidth=2)
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, alpha=0.5)
        axes.set(xlim=(0, 1), ylim=(0, 1.04), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0.5, 1])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_PERCENT)
        axes.set_xlabel("share of items or users, most events first")

    return draw(paint, name, alt)


def bars(name: str, labels: Sequence[str], counts: Sequence[float], alt: str, *, every: int = 1) -> Markup:
    """A bar for each label; every: only each so many labels are printed."""

    def paint(axes: Axes) -> None:
        axes.bar(range(len(counts)), counts, width=0.9, color=SOFT, linewidth=0)
        at = range(0, len(labels), every)
        axes.set_xticks(list(at), [labels[x] for x in at])
        axes.margins(x=0.01)
        count_axis(axes)

    return draw(paint, name, alt, bottom=28)


def items_by_year(name: str, year: NDArray[np.int64], counts: NDArray[np.int64], alt: str) -> Markup:
    """Items by release year."""

    def paint(axes: Axes) -> None:
        axes.bar(year, counts, width=0.9, color=SOFT, linewidth=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.margins(x=0.01)
        count_axis(axes)

    return draw(paint, name, alt, bottom=28)


def ages(name: str, found: Ages, alt: str) -> Markup:
    """Events by years since release, as shares: bars for all, a line for each user's last five."""
    total, last = max(int(found.counts.sum()), 1), max(int(found.last.sum()), 1)
    shown = int(np.searchsorted(np.cumsum(found.counts), OLDEST * total)) + 1

    def paint(axes: Axes) -> None:
        axes.bar(found.age[:shown], found.counts[:shown] / total, width=0.9, color=SOFT, alpha=0.7, linewidth=0)
        axes.plot(found.age[:shown], found.last[:shown] / last, color=ACCENT, linewidth=2)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(_PERCENT)
        axes.margins(x=0.01)
        axes.set_xlabel("years from release to the event")

    return draw(paint, name, alt)


def lines_over(name: str, ticks: Sequence[str], lines: Sequence[Line], alt: str) -> Markup:
    """Two shares over the parts of a log; ticks: the name of each part."""

    def paint(axes: Axes) -> None:
        for line, colour, style in zip(lines, TWO, STYLES, strict=True):
            values = [np.nan if value is None else value for value in line.values]
            axes.plot(range(len(values)), values, style, color=colour, linewidth=2)
            axes.plot(range(len(values)), values, "o", color=colour, markersize=5, markeredgecolor=PAPER)
        step = -(-len(ticks) // 4)
        at = range(0, len(ticks), step)
        axes.set_xticks(list(at), [ticks[x] for x in at])
        axes.tick_params("x", labelcolor=INK if len(ticks) == 1 else SOFT)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
        top = max((value for line in lines for value in line.values if value is not None), default=1.0)
        axes.set_ylim(0, 1.04 if top > 0.5 else max(1.15 * top, 0.01))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(_PERCENT)

    return draw(paint, name, alt, left=52, bottom=28)


_PERCENT = FuncFormatter(lambda share, _: f"{100 * share:g} %")
