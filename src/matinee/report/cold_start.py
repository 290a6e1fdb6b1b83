"""Quality against how many items are known, a line a model: what `explore.cold_start` gives, drawn."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from matinee.errors import MatineeError
from matinee.explore.cold_start import ALL
from matinee.files import StrPath
from matinee.report.plots import HUES, INK, PAPER, check_drawing, draw, labelled, placeholders, room_for, write_drawing

if TYPE_CHECKING:
    import polars as pl

WHAT = "a study of cold starts"
APART = 17  # px between two names
BANDS = 3  # lines with their intervals; those of more could not be told apart
BESIDE = 26  # px from a line's end to its name


def known_plot(name: str, points: pl.DataFrame, items: str = ALL) -> Markup:
    """The svg element of a study of cold starts. name: unique on the page. points: `ColdStart.frame`; items: which of
    its rows, "all" or "new". Numbers of known items stand at equal distances. Raises MatineeError where there is none.
    """
    rows = points.filter(items=items)
    if not len(rows):
        raise MatineeError(f"no model was measured on {items!r} items", hint="use items='all'")
    known = rows["known"].unique().sort().to_list()
    colours = dict(zip(points["model"].unique(maintain_order=True), cycle(HUES), strict=False))
    lines = [part.sort("known") for _, part in rows.group_by("model", maintain_order=True)]
    labels = placeholders([str(line["model"][0]) for line in lines])
    metric, k = rows.select("metric", "k").row(0)
    height = max(260, APART * len(lines) + 80)

    def paint(axes: Axes) -> None:
        for line in lines:
            x = [known.index(n) for n in line["known"].to_list()]
            colour = colours[line["model"][0]]
            if len(lines) <= BANDS:
                axes.fill_between(x, line["ci_low"], line["ci_high"], color=colour, alpha=0.15, linewidth=0)
            axes.plot(x, line["value"], color=colour, linewidth=2)
            axes.plot(x, line["value"], "o", color=colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=1.5)
        axes.set_xticks(range(len(known)), [str(n) for n in known])
        axes.set_xlabel("items known")
        axes.set_ylabel(f"{metric}@{k}")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.2f}".removeprefix("0")))
        axes.margins(x=0.03, y=0.08)
        _names(axes, lines, list(labels), [colours[line["model"][0]] for line in lines], height - 54)

    alt = _alt(f"{metric}@{k}", lines)
    return labelled(draw(paint, name, alt, height=height, left=60, right=BESIDE + room_for(labels), width=560), labels)


def write_known(points: pl.DataFrame, path: StrPath, items: str = ALL) -> None:
    """The drawing as an .svg file that needs nothing else. Raises MatineeError as `known_plot`, and for another kind of
    file."""
    write_drawing(path, WHAT, lambda: known_plot("known", points, items))


def check_known(path: StrPath) -> None:
    """Raise MatineeError for a file that `write_known` would refuse: to be asked before the study is made."""
    check_drawing(path, WHAT)


def _names(axes: Axes, lines: list[pl.DataFrame], labels: list[str], colours: list[str], height: float) -> None:
    """The lines' names right of the plot, each as near to its last point as the others let it."""
    low, high = axes.get_ylim()
    ends = np.array([line["value"][-1] for line in lines])
    order = np.argsort(ends)
    wanted = (ends[order] - low) / (high - low) * height
    places = _apart(wanted, APART)
    for at, place in zip(order.tolist(), places.tolist(), strict=True):
        end = (axes.get_xticks()[-1], ends[at])
        arrow = {"arrowstyle": "-", "color": colours[at], "shrinkA": 2, "shrinkB": 5, "relpos": (0.0, 0.5)}
        down = place - (ends[at] - low) / (high - low) * height
        axes.annotate(
            labels[at], end, (BESIDE, down), textcoords="offset points", ha="left", va="center", color=INK,
            annotation_clip=False, arrowprops=arrow,
        )  # fmt: skip


def _apart(wanted: np.ndarray, least: float) -> np.ndarray:
    """float64 (n,): places at least so far apart, near the wanted ones, which ascend: where they are too close they
    give way alike to both sides."""
    groups: list[tuple[float, int]] = []  # the middle of a group, and how many it has
    for at in wanted.tolist():
        middle, n = float(at), 1
        while groups and middle - groups[-1][0] < least * (n + groups[-1][1]) / 2:
            before, m = groups.pop()
            middle, n = (before * m + middle * n) / (m + n), m + n
        groups.append((middle, n))
    return np.concatenate([middle + least * (np.arange(n) - (n - 1) / 2) for middle, n in groups])


def _alt(metric: str, lines: list[pl.DataFrame]) -> str:
    """The plot in words."""
    said = [
        f"{line['model'][0]} "
        + ", ".join(f"{n}: {value:.4f}" for n, value in line.select("known", "value").iter_rows())
        for line in lines
    ]
    return f"{metric} by the number of items known. {'; '.join(said)}"
