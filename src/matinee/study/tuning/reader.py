"""A tuning, read: `tuning = mt.open_tuning("tuned")`, then tuning.best("ease"), tuning.trials, tuning.run ..."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from matinee.errors import MatineeError, suggestion
from matinee.files import StrPath
from matinee.notebook import html_notes, html_panel, html_table
from matinee.study.folder import RUN
from matinee.study.reader import Run, open_run
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.tuning.records import BEST, REPORT, TEST, TUNING, LabelRecord, Score, TrialRecord, TuningRecord
from matinee.study.values import format_value

SCHEMA: Mapping[str, Any] = {
    "label": pl.String, "number": pl.Int64, "state": pl.String, "own": pl.Boolean, "value": pl.Float64,
    "rounds": pl.Int64, "fit_seconds": pl.Float64, "measure_seconds": pl.Float64, "reason": pl.String,
    "hyper_parameters": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Tuning:
    """A tuning. path: its folder. record: tuning.json."""

    path: Path
    record: TuningRecord

    @property
    def labels(self) -> list[str]:
        """Of the models that were tuned."""
        return [found.label for found in self.record.labels]

    def of(self, label: str) -> LabelRecord:
        """What tuning one model came to: metric, axes, the trial of the recipe's own values, the best one, the test."""
        for found in self.record.labels:
            if found.label == label:
                return found
        raise MatineeError(f"no model {label!r} was tuned", where=str(self.path), hint=suggestion(label, self.labels))

    def best(self, label: str) -> dict[str, Any]:
        """Hyper-parameter -> the best value, of those that were tuned."""
        found = self.of(label).best
        if found is None:
            raise MatineeError(f"every trial of {label} failed", where=str(self.path), hint="see .trials for why")
        return dict(found.values)

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row a trial: label, number (from 0), state (done, pruned, failed), own (whether the values are the
        recipe's own), value (the metric on valid; null where it was not reached), rounds (after which a pruned fit was
        ended), fit_seconds, measure_seconds, reason, hyper_parameters (JSON)."""
        return trial_frame(self.record.trials)

    def values(self, label: str) -> pl.DataFrame:
        """The trials of one model with a column for each hyper-parameter (as text where these are choices): number,
        state, value, ..."""
        axes = self.of(label).axes
        columns: dict[str, list[Any]] = {name: [] for name in ("number", "state", "value", *(a.name for a in axes))}
        for trial in self.record.of(label):
            for name in ("number", "state", "value"):
                columns[name].append(getattr(trial, name))
            for axis in axes:
                value = trial.values[axis.name]
                columns[axis.name].append(format_value(value) if axis.choices else value)
        return pl.DataFrame(columns, strict=False)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe with the best values."""
        return load_recipe(self.path / BEST)

    @cached_property
    def run(self) -> Run | None:
        """The run that looked at the test: each model with the recipe's own values (LABEL_before) and with the best;
        None where the test was not looked at."""
        folder = self.path / TEST
        return open_run(folder) if (folder / RUN).is_file() else None

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def __repr__(self) -> str:
        return f"Tuning({str(self.path)!r}: {', '.join(self.labels)})"

    def _repr_html_(self) -> str:
        columns = ["model", "metric", "trials", "own values", "best", "test before", "test after", "p"]
        table = html_table(columns, summary_rows(self.record), numbers=range(2, len(columns)), named=True)
        return html_panel(f"Tuning: {self.record.title}", table, html_notes(str(self.report)))


def summary_rows(record: TuningRecord) -> list[list[str]]:
    """label, metric, trials, the metric on valid with the recipe's own values and with the best, and on the test; p of
    the paired test of these two."""
    rows = []
    for found in record.labels:
        scores = [_number(trial) for trial in (found.default, found.best)]
        tests = [score_words(score) for score in (found.test_before, found.test_after)]
        p = "" if found.change is None else f"{found.change.p:.2g}"
        rows.append([found.label, found.metric, str(len(record.of(found.label))), *scores, *tests, p])
    return rows


def score_words(score: Score | None) -> str:
    """0.0712 (0.0603 to 0.0821); "" where it is not known."""
    if score is None or score.value is None:
        return ""
    ends = score.ci_low, score.ci_high
    return f"{score.value:.4f}" + ("" if None in ends else f" ({score.ci_low:.4f} to {score.ci_high:.4f})")


def trial_frame(trials: tuple[TrialRecord, ...]) -> pl.DataFrame:
    """The trials as a table, see Tuning.trials."""
    rows = [
        {
            **trial.model_dump(include={"label", "number", "state", "own", "value", "fit_seconds", "measure_seconds"}),
            "reason": trial.reason,
            "rounds": trial.looks[-1].round + 1 if trial.state == "pruned" else None,
            "hyper_parameters": json.dumps(trial.values, ensure_ascii=False),
        }
        for trial in trials
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _number(trial: TrialRecord | None) -> str:
    return "failed" if trial is None or trial.value is None else f"{trial.value:.4f}"


def open_tuning(path: StrPath) -> Tuning:
    """The tuning in a folder, or in the folder of one of its files. Raises MatineeError where none is.

    Example: `tuning = mt.open_tuning("runs/tuned")`
    """
    folder = Path(path).parent if Path(path).is_file() else Path(path)
    if not (folder / TUNING).is_file():
        hint = "name a folder that `matinee tune` finished; start it again with the same --out to finish it"
        raise MatineeError(f"no tuning is here: there is no {TUNING}", where=str(folder), hint=hint)
    return Tuning(folder, TuningRecord.read(folder / TUNING))
