"""A tuning as one HTML page: for each model what was gained, the history, what mattered, slices, and all trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from matinee.errors import counted
from matinee.evaluate.paired import NAMES
from matinee.files import atomic_write
from matinee.report import format as words
from matinee.report import tuning_plots as plots
from matinee.report.sections import Figure, Plot
from matinee.study.tuning.reader import Tuning, score_words
from matinee.study.tuning.records import AxisRecord, LabelRecord, State, TrialRecord
from matinee.study.values import format_value

MOST_SLICES, MOST_ROWS = 12, 100
STATES: dict[State, str] = {"done": "", "pruned": "pruned", "failed": "failed"}


@dataclass(frozen=True)
class Setting:
    """A row of the table of hyper-parameters, all as text."""

    name: str
    own: str
    best: str
    range: str
    importance: str


@dataclass(frozen=True)
class Row:
    """A trial in the table, best first. note: why it has no value."""

    number: int
    best: bool
    own: bool
    value: str
    state: str
    note: str
    seconds: str
    values: tuple[str, ...]


def write_tuning_report(tuning: Tuning, path: Path) -> None:
    """One HTML file that needs nothing else. Equal tunings give equal bytes."""
    atomic_write(path, render(tuning))


def render(tuning: Tuning) -> str:
    environment = Environment(
        loader=PackageLoader("matinee.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"breakable": words.breakable}
    record = tuning.record
    facts = {"command": record.command, "data": record.data, "seed": str(record.seed), **record.machine}
    return environment.get_template("tuning.html.j2").render(
        title=record.title,
        summary=summary(tuning),
        labels=[section(found, record.of(found.label)) for found in record.labels],
        left_out=record.left_out,
        warnings=record.warnings,
        facts={name: fact for name, fact in facts.items() if fact},
    )


def summary(tuning: Tuning) -> list[str]:
    """What came of it, a sentence each."""
    record = tuning.record
    fitting = sum(trial.fit_seconds + trial.measure_seconds for trial in record.trials)
    models, trials = counted(len(record.labels), "model"), counted(len(record.trials), "trial")
    took = f"{words.seconds(record.search_seconds)}, of which fits and measurements took {words.seconds(fitting)}"
    return [f"{models} tuned on valid in {trials}: {took}.", *map(gain, record.labels)]


def gain(found: LabelRecord) -> str:
    """What tuning one model brought, in a sentence."""
    own, best = found.default, found.best
    if best is None or best.value is None:
        return f"{found.label}: every trial failed."
    if own is None or own.value is None:
        return f"{found.label}: {found.metric} {best.value:.4f} on valid; the recipe’s own values failed."
    if not found.changed:
        return (
            f"{found.label}: nothing was better than the recipe’s own values ({found.metric} {own.value:.4f} on valid)."
        )
    text = f"{found.label}: {found.metric} on valid from {own.value:.4f} to {best.value:.4f}"
    before, after = found.test_before, found.test_after
    if before is None or after is None or before.value is None or after.value is None:
        return f"{text}{_relative(own.value, best.value)}; the test was not looked at."
    on_test = f"on the test from {before.value:.4f} to {after.value:.4f}{_relative(before.value, after.value)}"
    if found.change is not None:
        on_test += f", {words.p_words(found.change.p)} ({NAMES[found.change.test]})"
    return f"{text}{_relative(own.value, best.value)}, {on_test}."


def section(found: LabelRecord, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """What the page says of one model."""
    by_importance = sorted(found.axes, key=lambda axis: -(axis.importance or 0))
    rows = table(found, trials)
    return {
        "label": found.label,
        "model": found.model,
        "metric": found.metric,
        "lower": found.lower,
        "figures": figures(found),
        "counts": counts(trials),
        "settings": [_setting(axis, found) for axis in found.axes],
        "history": Plot(f"{found.metric} on valid by trial", plots.history(found, trials)),
        "importance": Plot("What mattered", plots.importance(found)) if by_importance[0].importance else None,
        "slices": [
            Plot(f"{found.metric} by {axis.name}", plots.slice_of(found, axis, trials))
            for axis in by_importance[: MOST_SLICES if found.best else 0]
        ],
        "pruned": any(trial.state == "pruned" for trial in trials),
        "failed": any(trial.state == "failed" for trial in trials),
        "rows": rows[:MOST_ROWS],
        "more": len(rows) - MOST_ROWS,
    }


def figures(found: LabelRecord) -> list[Figure]:
    """The recipe's own values and the best, on valid and on the test."""
    best = "every trial failed" if found.best is None else f"trial {found.best.number}"
    out = [
        Figure("Valid, recipe’s own values", _value(found.default), "trial 0"),
        Figure("Valid, best", _value(found.best), best),
    ]
    for name, score in (("Test, recipe’s own values", found.test_before), ("Test, best", found.test_after)):
        if score is not None and score.value is not None:
            whole = score_words(score)
            out.append(Figure(name, f"{score.value:.4f}", whole[whole.find("(") + 1 : -1] if "(" in whole else ""))
    if (change := found.change) is not None:
        span = f"{change.ci_low:+.4f} to {change.ci_high:+.4f}; {NAMES[change.test]}, {words.p_words(change.p)}"
        out.append(Figure("Test, best minus own", f"{change.difference:+.4f}", span))
    return out


def counts(trials: Sequence[TrialRecord]) -> str:
    """20 trials: 12 done, 8 pruned."""
    states = [trial.state for trial in trials]
    parts = [f"{states.count(state)} {state}" for state in STATES if states.count(state)]
    return f"{counted(len(trials), 'trial')}: {', '.join(parts)}" if len(parts) > 1 else counted(len(trials), "trial")


def table(found: LabelRecord, trials: Sequence[TrialRecord]) -> list[Row]:
    """All trials: those with a value, best first, then the pruned, then the failed ones."""
    sign = 1 if found.lower else -1

    def place(trial: TrialRecord) -> tuple[int, float, int]:
        value = np.inf if trial.value is None else sign * trial.value
        return list(STATES).index(trial.state), value, trial.number

    return [
        Row(
            number=trial.number,
            best=found.best is not None and trial.number == found.best.number,
            own=trial.own,
            value="" if trial.value is None else f"{trial.value:.4f}",
            state=STATES[trial.state],
            note=trial.reason,
            seconds=words.seconds(trial.fit_seconds + trial.measure_seconds),
            values=tuple(shown(trial.values[axis.name]) for axis in found.axes),
        )
        for trial in sorted(trials, key=place)
    ]


def shown(value: Any) -> str:
    """A value with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else format_value(value)


def _setting(axis: AxisRecord, found: LabelRecord) -> Setting:
    span = ", ".join(map(format_value, axis.choices)) or f"{axis.low:g} to {axis.high:g}"
    return Setting(
        name=axis.name,
        own=shown(axis.own),
        best="–" if found.best is None else shown(found.best.values[axis.name]),
        range=span + (" (log)" if axis.log else ""),
        importance="–" if axis.importance is None else words.percent(axis.importance),
    )


def _relative(before: float, after: float) -> str:
    return f" ({100 * (after - before) / before:+.1f}{words.THIN}%)" if before else ""


def _value(trial: TrialRecord | None) -> str:
    return "failed" if trial is None or trial.value is None else f"{trial.value:.4f}"
