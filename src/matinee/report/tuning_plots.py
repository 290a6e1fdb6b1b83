"""Drawings of a tuning: trials in their order, what mattered, and the metric by each hyper-parameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from matinee.report import plots
from matinee.study.space import is_number
from matinee.study.tuning.records import AxisRecord, LabelRecord, TrialRecord
from matinee.study.values import format_value

LEFT = 58  # px, for numbers of the metric
RUG = 0.03  # where trials without a value stand, as a share of the axis


def history(found: LabelRecord, trials: Sequence[TrialRecord]) -> Markup:
    """Each trial by its number, the best so far as a line; pruned and failed ones at the foot."""
    done = [trial for trial in trials if trial.value is not None]
    values = np.array([trial.value for trial in done], np.float64)
    best = (np.minimum if found.lower else np.maximum).accumulate(values) if len(done) else values
    numbers = [trial.number for trial in done]

    def paint(axes: Axes) -> None:
        last = max((trial.number for trial in trials), default=0)
        if done:
            axes.step([*numbers, last], [*best, best[-1]], where="post", color=plots.ACCENT, linewidth=1.5)
        _points(axes, numbers, list(values))
        _rug(axes, [trial.number for trial in trials if trial.state == "pruned"], "x")
        _rug(axes, [trial.number for trial in trials if trial.state == "failed"], "v")
        if found.best is not None:
            _points(axes, [found.best.number], [_value(found.best)], best=True)
        axes.set_xlabel("trial")
        axes.margins(x=0.04, y=0.14)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))

    text = f"{found.label}: {found.metric} on valid of {len(done)} trials"
    text += f", the best {found.best.value:.4f} in trial {found.best.number}" if found.best and found.best.value else ""
    return plots.draw(paint, f"history-{found.label}", text, left=LEFT)


def importance(found: LabelRecord) -> Markup:
    """Each hyper-parameter's share, the largest on top."""
    axes_of = sorted(found.axes, key=lambda axis: -(axis.importance or 0))
    labels = plots.placeholders([axis.name for axis in axes_of])
    shares = [axis.importance or 0.0 for axis in axes_of]

    def paint(axes: Axes) -> None:
        axes.barh(range(len(shares)), shares, height=0.55, color=plots.SOFT, linewidth=0)
        plots.label_rows(axes, labels)
        axes.set_xlim(0, max(1e-9, *shares) * 1.08)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")

    text = f"{found.label}: " + ", ".join(f"{axis.name} {100 * (axis.importance or 0):.0f} %" for axis in axes_of)
    height = 40 + 26 * len(labels)
    svg = plots.draw(paint, f"importance-{found.label}", text, height=height, left=plots.room_for(labels), bottom=28)
    return plots.labelled(svg, labels)


def slice_of(found: LabelRecord, axis: AxisRecord, trials: Sequence[TrialRecord]) -> Markup:
    """The metric by one hyper-parameter, whatever the others were."""
    done = [trial for trial in trials if trial.value is not None]
    name, text = f"slice-{found.label}-{axis.name}", f"{found.label}: {found.metric} by {axis.name}, {len(done)} trials"
    if not axis.choices:
        return plots.draw(lambda axes: _numbers(axes, found, axis, done), name, text, left=LEFT)
    labels = plots.placeholders([format_value(choice) for choice in axis.choices])

    def paint(axes: Axes) -> None:
        there = [trial for trial in done if trial.values[axis.name] in axis.choices]
        rows = [axis.choices.index(trial.values[axis.name]) for trial in there]
        _points(axes, [_value(trial) for trial in there], rows)
        if found.best in there:
            at = there.index(found.best)
            _points(axes, [_value(found.best)], [rows[at]], best=True)
        plots.label_rows(axes, labels)
        axes.margins(x=0.06)

    left = plots.room_for(labels)
    svg = plots.draw(paint, name, text, height=40 + 26 * len(labels), left=left, bottom=28)
    return plots.labelled(svg, labels)


def _numbers(axes: Axes, found: LabelRecord, axis: AxisRecord, done: Sequence[TrialRecord]) -> None:
    """Along x the numbers; the recipe's own value of "none" has no place."""
    numbers = [(trial, trial.values[axis.name]) for trial in done if is_number(trial.values[axis.name])]
    there = [(trial, x) for trial, x in numbers if x > 0 or not axis.log]
    if axis.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    _points(axes, [x for _, x in there], [_value(trial) for trial, _ in there])
    best = [(x, _value(trial)) for trial, x in there if trial == found.best]
    _points(axes, [x for x, _ in best], [y for _, y in best], best=True)
    axes.set_xlim(*_widened(axis))
    if axis.log:
        axes.set_xticks(_ticks(axis.low, axis.high))
        axes.xaxis.set_major_formatter(lambda x, _: plots.short(x))
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"{axis.name}{' (logarithmic)' if axis.log else ''}")
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _widened(axis: AxisRecord) -> tuple[float, float]:
    """The ends of a drawing: a little beyond the range."""
    if axis.log:
        margin = (axis.high / axis.low) ** 0.04
        return axis.low / margin, axis.high * margin
    margin = 0.04 * (axis.high - axis.low)
    return axis.low - margin, axis.high + margin


def _ticks(low: float, high: float) -> list[float]:
    """At most six round numbers of a logarithmic axis."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    steps = (1, 2, 5) if last - first <= 2 else (1, 3) if last - first <= 3 else (1,)
    nice = [m * 10.0**e for e in range(first, last + 1) for m in steps]
    inside = [x for x in nice if low * 0.999 <= x <= high * 1.001]
    return inside[:: -(-len(inside) // 6)] if inside else [low, high]


def _rug(axes: Axes, numbers: Sequence[int], marker: str) -> None:
    """Trials without a value, along the foot."""
    foot = axes.get_xaxis_transform()
    axes.plot(numbers, [RUG] * len(numbers), marker, color=plots.SOFT, markersize=5, transform=foot, clip_on=False)


def _points(axes: Axes, xs: Sequence[float], ys: Sequence[float], *, best: bool = False) -> None:
    """Trials; the best one in the accent."""
    colour, size = (plots.ACCENT, 9) if best else (plots.SOFT, 6)
    axes.plot(xs, ys, "o", color=colour, markersize=size, markeredgecolor=plots.PAPER)


def _value(trial: TrialRecord) -> float:
    """What a trial that was done came to."""
    assert trial.value is not None
    return trial.value
