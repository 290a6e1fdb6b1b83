"""The progress of the best score over runs, as a drawing and as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from matinee.report import plots
from matinee.report.page import environment
from matinee.report.plots import ACCENT, PAPER, SOFT
from matinee.report.steps import ScoreStep

WIDTH = 760  # px
HEIGHT = 300
LINE = 16  # px between the names of two improvements, at least


def drawing(steps: Sequence[ScoreStep], metric: str) -> Markup:
    """The svg element: a dot with its interval for each run, and the line of the best so far."""
    better = [at for at, step in enumerate(steps) if step.improved]
    named = _apart(steps, better)
    names = plots.placeholders([steps[at].label for at in named])

    def paint(axes: Axes) -> None:
        x = range(1, len(steps) + 1)
        for at, step in zip(x, steps, strict=True):
            colour = ACCENT if step.improved else SOFT
            axes.plot([at, at], [step.ci_low, step.ci_high], color=colour, linewidth=1.5, alpha=0.5)
            axes.plot([at], [step.value], "o", color=colour, markersize=8, markeredgecolor=PAPER, markeredgewidth=1.5)
        axes.step(x, [step.best for step in steps], where="post", color=ACCENT, linewidth=2)
        for at, name in zip(named, names, strict=True):
            room = (WIDTH - 90) * (at + 0.5) / len(steps)  # px left of the dot, where the line is below
            fits = room > 16 + plots.DIGIT * plots.display_width(names[name])
            offset, align = ((-8, 6), "right") if fits else ((8, 6), "left")
            axes.annotate(name, (at + 1, steps[at].value), offset, textcoords="offset points", ha=align)
        axes.set_xlim(0.5, len(steps) + 0.5)
        axes.margins(y=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(min(len(steps), 12), integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("run, in the order of time")

    last = max(better)
    alt = f"The best {metric} over {len(steps)} runs: {steps[-1].best:.4f}, since run {last + 1}"
    return plots.labelled(plots.draw(paint, "progress", alt, width=WIDTH, height=HEIGHT, left=60), names)


def _apart(steps: Sequence[ScoreStep], better: Sequence[int]) -> list[int]:
    """Of the improvements those whose names do not run into each other, the last one first of all."""
    ends = [end for step in steps for end in (step.value, step.ci_low, step.ci_high) if end == end]
    gap = LINE / HEIGHT * 1.5 * (max(ends) - min(ends))
    kept = [better[-1]]
    for at in reversed(better[:-1]):
        if abs(steps[kept[-1]].value - steps[at].value) >= gap:
            kept.append(at)
    return kept[::-1]


def svg_file(steps: Sequence[ScoreStep], metric: str) -> str:
    """The drawing as a file of its own, with the page's colours, light and dark."""
    return plots.as_file(drawing(steps, metric))


def page(steps: Sequence[ScoreStep], metric: str, notes: Sequence[str]) -> str:
    """One HTML page that needs nothing else: the drawing, a table of the runs, and notes in sentences."""
    better = [at for at, step in enumerate(steps) if step.improved]
    return environment().get_template("score_progress.html.j2").render(
        steps=steps, metric=metric, svg=drawing(steps, metric), notes=notes, last=better[-1], n_better=len(better)
    )  # fmt: skip
