"""Drawings as SVG text for the page: matplotlib figures without pyplot, the same bytes for the same numbers.

Colours are names that the page's style sheet defines, so plots follow its light and dark scheme. Text stays text, in
the page's font. Labels of models never pass through matplotlib, which would read $ as mathematics and miss glyphs: it
draws a placeholder, which the escaped label replaces.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from matinee.errors import MatineeError
from matinee.evaluate import Bin
from matinee.explore.log import Bars, Levels
from matinee.files import StrPath, atomic_write
from matinee.report import format as words
from matinee.report.palette import N_HUES, SIZES, Look
from matinee.report.scores import Cell

WIDTH = 420  # px; the font size fits it, and is readable in a column of 350 too
FONT = 13
NAMES = 20  # widest label of a model, in digits
WIDEST = 28  # where the labels of a plot would otherwise look alike
DIGIT = 7.2  # px

# matplotlib needs colours; these stand for the style sheet's names
INK, SOFT, LINE, ACCENT, PAPER = "#010101", "#020202", "#030303", "#040404", "#fdfdfd"
COLOURS = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", PAPER: "--paper"}
HUES = [f"#0a0a{i:02x}" for i in range(1, N_HUES + 1)]  # of models and of series
COLOURS |= {hue: f"--hue{i}" for i, hue in enumerate(HUES, start=1)}

RC: dict[str, str | float] = {"svg.fonttype": "none", "font.size": FONT, "figure.dpi": 72, "axes.grid.axis": "y"}
RC |= {"text.color": INK, "axes.linewidth": 1, "grid.linewidth": 1}
RC |= {"xtick.major.size": 4, "xtick.minor.size": 0, "ytick.major.size": 0}
RC |= dict.fromkeys(("axes.edgecolor", "grid.color", "xtick.color", "ytick.color"), LINE)
RC |= dict.fromkeys(("axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), SOFT)
RC |= dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.spines.left"), False)
RC |= {"axes.grid": True, "axes.axisbelow": True, "text.parse_math": False, "path.simplify": False}


@dataclass(frozen=True)
class Dot:
    """One model in one metric. look: its colour and shape; without one the best is in the accent."""

    label: str
    cell: Cell
    look: Look | None = None

    @property
    def colour(self) -> str:
        return HUES[self.look.hue - 1] if self.look is not None else ACCENT if self.cell.best else SOFT


def activity(bars: Bars, alt: str, name: str = "activity") -> Markup:
    """Users by their number of events, on a logarithmic axis."""

    def paint(axes: Axes) -> None:
        draw_bars(axes, bars)
        axes.set_xscale("log")
        low, high = bars.edges[0], bars.edges[-1] - 1
        nice = np.array([m * 10.0**e for e in range(13) for m in (1, 2, 5)])
        inside = nice[(nice >= low) & (nice <= high)]
        axes.xaxis.set_major_locator(FixedLocator(list(inside[:: -(-len(inside) // 7)] if len(inside) else [low])))
        axes.xaxis.set_minor_locator(FixedLocator([]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
        axes.set_xlabel("events of a user (logarithmic)")

    return draw(paint, name, alt)


def tail(points: np.ndarray, top_share: float, alt: str) -> Markup:
    """The share of events that the most popular items hold; points (m, 2) in 0..1."""

    def paint(axes: Axes) -> None:
        axes.fill_between(points[:, 0], points[:, 1], color=ACCENT, alpha=0.12, linewidth=0)
        axes.plot(points[:, 0], points[:, 1], color=ACCENT, linewidth=2)
        axes.plot([0.1], [top_share], "o", color=ACCENT, markersize=8, markeredgecolor=PAPER, markeredgewidth=2)
        text = f"top 10 %: {100 * top_share:.0f} % of events"
        axes.annotate(text, (0.1, top_share), (12, -5), textcoords="offset points")
        axes.set(xlim=(0, 1), ylim=(0, 1.04), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0.5, 1])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        axes.set_xlabel("share of items, most popular first")

    return draw(paint, "tail", alt)


def ratings(levels: Levels, alt: str, name: str = "ratings") -> Markup:
    """Events by rating."""

    def paint(axes: Axes) -> None:
        step = float(np.diff(levels.value).min())
        axes.bar(levels.value, levels.counts, width=step * (0.98 if levels.binned else 0.7), color=SOFT, linewidth=0)
        if not levels.binned and len(levels.value) <= 10:
            axes.set_xticks(levels.value, [f"{v:g}" for v in levels.value])
        count_axis(axes)
        axes.set_xlabel("rating")

    return draw(paint, name, alt)


def over_time(bars: Bars, alt: str, name: str = "over-time") -> Markup:
    """Events in equal stretches of time."""

    def paint(axes: Axes) -> None:
        draw_bars(axes, bars)
        first, last = float(bars.edges[0]), float(bars.edges[-1])
        at = np.linspace(first, last, 4)[:3] + (last - first) / 6
        axes.set_xticks(at, [words.tick(second, last - first) for second in at])

    return draw(paint, name, alt, bottom=28)


def dots(name: str, rows: Sequence[Dot], alt: str) -> Markup:
    """One metric: one mark a model, with its interval; means of several runs as strokes; the best one's name in the
    accent."""
    labels = placeholders([dot.label for dot in rows])

    def paint(axes: Axes) -> None:
        for y, dot in enumerate(rows):
            cell, colour, shape = dot.cell, dot.colour, "o" if dot.look is None else dot.look.shape
            if (ends := cell.ends) is not None:
                axes.plot(ends, [y, y], color=colour, linewidth=2.5)
            if len(cell.runs) > 1:
                axes.plot(cell.runs, [y + 0.26] * len(cell.runs), "|", color=colour, markersize=5)
            size = SIZES.get(shape, 9)
            axes.plot([cell.value], [y], shape, color=colour, markersize=size, markeredgecolor=PAPER)
        label_rows(axes, labels)
        for dot, text in zip(rows, axes.get_yticklabels(), strict=True):
            text.set_color(ACCENT if dot.cell.best else INK)
        axes.margins(x=0.06)

    svg = draw(paint, name, alt, height=40 + 26 * len(rows), left=room_for(labels), bottom=28)
    return labelled(svg, labels)


def colour_of(label: str, looks: Mapping[str, Look]) -> str:
    """A model's, the accent where it has none."""
    return HUES[looks[label].hue - 1] if label in looks else ACCENT


def label_rows(axes: Axes, labels: Mapping[str, str]) -> None:
    """Placeholders from top to bottom along y, numbers along x."""
    axes.set_yticks(range(len(labels)), list(labels))
    axes.tick_params("y", labelcolor=INK)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.spines["bottom"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))


def curve(
    name: str, loss: Sequence[float], metric: Sequence[float], alt: str, *, step: str = "epoch",
    best: int | None = None, shared: bool = False, colour: str = ACCENT,
) -> Markup:  # fmt: skip
    """A training: its loss (soft line) and its validation (in `colour`) by step; `best`, from 0, is marked.

    shared: both are the same measure and share an axis; else the loss has the left axis, the validation the right one.
    """

    def paint(axes: Axes) -> None:
        steps = np.arange(1, len(loss) + 1)
        point = "o" if len(loss) == 1 else None
        axes.plot(steps, loss, marker=point, color=SOFT, linewidth=2)
        axes.set_xlabel(step)
        axes.margins(x=0.02)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if best is None:
            return
        side = axes if shared else axes.twinx()
        side.plot(steps, metric, color=colour, linewidth=2)
        side.plot([best + 1], [metric[best]], "o", color=colour, markersize=7)
        if shared:
            axes.margins(y=0.2)  # room for the lines' names
            above = 1 if metric[-1] >= loss[-1] else -1
            _name(axes, "validation", len(loss), metric[-1], colour, above)
            _name(axes, "training", len(loss), loss[-1], SOFT, -above)
            return
        side.yaxis.set_major_locator(MaxNLocator(4))
        side.tick_params("y", labelcolor=colour)
        side.grid(False)

    return draw(paint, name, alt, left=52, right=22 if shared or best is None else 46)


def _name(axes: Axes, text: str, x: float, y: float, colour: str, above: int) -> None:
    """A line's name at its right end, on the side away from the other line."""
    axes.annotate(
        text, (x, y), (0, 9 * above), textcoords="offset points", ha="right",
        va="bottom" if above > 0 else "top", color=colour, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def calibration(name: str, bins: Sequence[Bin], alt: str, colour: str = ACCENT) -> Markup:
    """Share of positives by predicted probability; on the diagonal they agree. Larger dots have more rows."""

    def paint(axes: Axes) -> None:
        predicted, positive, n = (np.array(column, np.float64) for column in zip(*bins, strict=True))
        axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1)
        axes.plot(predicted, positive, color=colour, linewidth=1.5)
        area = 16 + 144 * n / n.max()
        axes.scatter(predicted, positive, s=area, color=colour, edgecolors=PAPER, linewidths=1.5, zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1.04), xticks=[0, 0.25, 0.5, 0.75, 1], yticks=[0, 0.5, 1])
        axes.set_xlabel("predicted probability")

    return draw(paint, name, alt)


def draw(
    paint: Callable[[Axes], None], name: str, alt: str, *, height: float = 220, left: float = 46, bottom: float = 44,
    right: float = 22, width: float = WIDTH,
) -> Markup:  # fmt: skip
    """The svg element of one axes that `paint` fills. name: unique on the page. alt: its description. Sizes in px."""
    # "default" first: a reader's matplotlibrc must not change a report
    with style.context(["default", {**RC, "svg.hashsalt": name}]):
        figure = Figure(figsize=(width / 72, height / 72))
        size = (width - left - right) / width, (height - bottom - 10) / height
        paint(figure.add_axes((left / width, bottom / height, *size)))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), alt)


def placeholders(labels: Sequence[str]) -> dict[str, str]:
    """Placeholder -> the text it stands for, shortened; a little wider where texts would otherwise look alike."""
    wide = (w for w in range(NAMES, WIDEST + 1) if len({shorten(label, w) for label in labels}) == len(set(labels)))
    width = next(wide, NAMES)
    return {f"label-{i:04d}": shorten(label, width) for i, label in enumerate(labels)}


def labelled(svg: Markup, labels: Mapping[str, str]) -> Markup:
    """The drawing with the texts in the place of their placeholders."""
    return Markup(re.sub(r"label-\d{4}(?=</text>)", lambda found: escape(labels[found[0]]), svg))


def as_file(svg: Markup) -> str:
    """A drawing as a file of its own, with the page's colours, light and dark."""
    style = files("matinee.report").joinpath("templates", "style.css").read_text("utf-8")
    colours = style[: style.index("* {")]
    fonts = "svg{font-family:-apple-system,'Segoe UI',Roboto,Arial,sans-serif;background:var(--paper)}"
    text = re.sub(r"^<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', svg)
    return text.replace(">", f"><style>{colours}{fonts}</style>", 1) + "\n"


def write_drawing(path: StrPath, what: str, make: Callable[[], Markup]) -> None:
    """Write a drawing of `what` to an .svg file. Raises MatineeError for another kind of file, before it is drawn."""
    check_drawing(path, what)
    atomic_write(path, as_file(make()))


def check_drawing(path: StrPath, what: str) -> None:
    """Raise MatineeError where a drawing of `what` could not be written to this kind of file."""
    suffix = Path(path).suffix.lower()
    if suffix != ".svg":
        text = f"{what} is drawn as .svg, not as {suffix or 'a file without suffix'!r}"
        raise MatineeError(text, where=str(path), hint=f"name it {Path(path).stem or 'drawing'}.svg")


def room_for(labels: Mapping[str, str]) -> float:
    """px that the widest text takes beside an axis."""
    return 16 + DIGIT * max(display_width(label) for label in labels.values())


def shorten(label: str, width: int = NAMES) -> str:
    """At most `width` digits wide. The ellipsis stands before the last third, because names often differ at their ends:
    a grid's settings, the parts of a film."""
    if display_width(label) <= width:
        return label
    cut = len(label)
    while display_width(label[cut - 1 :]) <= (width - 2) / 3:
        cut -= 1
    head, tail = label[:cut], label[cut:].lstrip()
    while display_width(head) > width - 2 - display_width(tail):
        head = head[:-1]
    return head.rstrip() + "…" + tail


def display_width(text: str) -> float:
    """In digits of a usual sans serif font; the reader's font is not known."""

    def width(c: str) -> float:
        if unicodedata.east_asian_width(c) in "WF":
            return 2.0
        return 1.7 if c in "MWmw@%" else 1.3 if c.isupper() else 1.0

    return sum(map(width, text))


def short(n: float) -> str:
    """12, 1.5k, 20M: for axes."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(n) >= size:
            return f"{n / size:g}{unit}"
    return f"{n:g}"


def draw_bars(axes: Axes, bars: Bars) -> None:
    """A histogram, with counts along y."""
    widths = np.diff(bars.edges)
    axes.bar(bars.edges[:-1], bars.counts, width=widths, align="edge", color=SOFT, edgecolor=PAPER, linewidth=1)
    axes.margins(x=0.01)
    count_axis(axes)


def count_axis(axes: Axes) -> None:
    """Few ticks along y, as 12, 1.5k, 20M."""
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: short(y)))


def _inline(svg: str, alt: str) -> Markup:
    """matplotlib's file as an element of the page: without its prologue, metadata, style and group ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg).replace("xlink:href", "href")
    svg = re.sub(r"<defs>\s*</defs>\s*| font-family: [^;\"]*;| transform=\"rotate\(-?0 [^\"]*\"", "", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None  # matplotlib writes one
    svg = f'<svg class="plot" role="img" aria-label="{escape(alt)}" {view[0]}>' + svg[svg.index(">") + 1 :]
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var({name})")
    return Markup(re.sub(r">\s+<", "><", svg).strip())
