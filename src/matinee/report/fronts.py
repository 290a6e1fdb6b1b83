"""Accuracy against coverage, diversity or calibration, a line a model: what `explore.front` gives, drawn."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from matinee.errors import MatineeError, listed
from matinee.files import StrPath
from matinee.report.plots import HUES, INK, PAPER, SOFT, draw, labelled, placeholders, write_drawing

if TYPE_CHECKING:
    import polars as pl

AXES = {
    "coverage": "share of the catalogue recommended",
    "diversity": "diversity within a list",
    "calibration_error": "calibration error (less is better)",
    "mean_popularity": "mean popularity rank (1: best known)",
}
"""Columns that accuracy is set against, and what stands at the axis."""


def front_plot(name: str, points: pl.DataFrame, x: str = "diversity") -> Markup:
    """The svg element of a front. name: unique on the page. points: rows of `front`, of one model or several, told
    apart by the column `model`. x: the column along the horizontal axis, of AXES; the metric stands upright.

    A dot a lam; the first and the last of a line say theirs, and its name stands at the last. Raises MatineeError for
    another column.
    """
    if x not in AXES or x not in points.columns:
        raise MatineeError(f"a front has no column {x!r}", hint=f"use one of {listed(set(AXES) & set(points.columns))}")
    metric = next(column for column in points.columns if column not in ("model", "lam"))
    lines = [part.sort("lam") for _, part in points.group_by("model", maintain_order=True)]
    labels = placeholders([str(line["model"][0]) for line in lines])

    middle = float(points[x].to_numpy().min() + points[x].to_numpy().max()) / 2

    def paint(axes: Axes) -> None:
        for place, line, label in zip(count(), lines, labels, strict=False):
            _line(axes, line[x].to_list(), line[metric].to_list(), line["lam"].to_list(), label, place, middle)
        axes.margins(x=0.12, y=0.12)
        axes.set_xlabel(AXES[x])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        shares = x == "coverage"
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{100 * at:.0f} %" if shares else f"{at:.3g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.3f}".removeprefix("0")))
        axes.set_ylabel(metric)

    return labelled(draw(paint, name, _alt(metric, x, lines), height=300, left=64), labels)


def write_front(points: pl.DataFrame, path: StrPath, x: str = "diversity") -> None:
    """The drawing as an .svg file that needs nothing else. Raises MatineeError as `front_plot`, and for another kind of
    file."""
    write_drawing(path, "a front", lambda: front_plot("front", points, x))


def _line(
    axes: Axes, x: list[float], y: list[float], lam: list[float], label: str, place: int, middle: float
) -> None:  # fmt: skip
    """Names stand towards the middle of the plot, on paper of their own where other lines pass."""
    colour = HUES[place % len(HUES)]
    axes.plot(x, y, color=colour, linewidth=2)
    axes.plot(x, y, "o", color=colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=1.5)
    side, beside = ("right", -9) if x[-1] > middle else ("left", 9)
    for text, down, ink in ((label, -2, INK), (f"lam {lam[-1]:g}", -16, SOFT)):
        axes.annotate(
            text, (x[-1], y[-1]), (beside, down), textcoords="offset points", ha=side, va="center", color=ink, zorder=4,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.8},
        )  # fmt: skip
    if place == 0:
        axes.annotate(f"lam {lam[0]:g}", (x[0], y[0]), (0, 12), textcoords="offset points", ha="center", color=SOFT)


def _alt(metric: str, x: str, lines: list[pl.DataFrame]) -> str:
    """The plot in words."""
    said = []
    for line in lines:
        first, last = line.row(0, named=True), line.row(-1, named=True)
        ends = f"from lam {first['lam']:g} to {last['lam']:g}: {metric} {first[metric]:.4f} to {last[metric]:.4f}"
        said.append(f"{line['model'][0]}, {ends}, {x} {first[x]:.4f} to {last[x]:.4f}")
    return f"{metric} by {x}. {'; '.join(said)}"
