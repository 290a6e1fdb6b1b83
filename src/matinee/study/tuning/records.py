"""What a tuning leaves, declared once: tuning.json is a TuningRecord, trials.csv its trials as a table."""

from __future__ import annotations

from typing import Any, Literal

from matinee.study.results import Record, Stored

State = Literal["done", "pruned", "failed"]
TUNING, TRIALS, BEST, REPORT, DATABASE, TEST = (
    "tuning.json", "trials.csv", "best.toml", "report.html", "tuning.db", "best",
)  # fmt: skip


class Look(Record):
    """What a fit measured on valid in the middle: after which round (from 0). Of value more is better."""

    round: int
    value: float


class TrialRecord(Record):
    """One trial. number: from 0, of its label. values: of the hyper-parameters that are tuned. own: whether these are
    the recipe's own. value: the metric on valid; None where it was not reached. looks: what the fit measured meanwhile.
    reason: why it was pruned, or failed."""

    label: str
    number: int
    state: State
    own: bool
    values: dict[str, Any]
    value: float | None
    looks: tuple[Look, ...] = ()
    reason: str = ""
    fit_seconds: float = 0.0
    measure_seconds: float = 0.0


class AxisRecord(Record):
    """A hyper-parameter that was tuned: choices, or numbers from low to high. own: its value in the recipe.
    importance: its share of what changes the metric; None where too few trials were done."""

    name: str
    own: Any
    choices: tuple[Any, ...]
    low: float
    high: float
    log: bool
    importance: float | None = None


class Score(Record):
    """A mean over the test's queries with its 95 % interval."""

    value: float | None
    ci_low: float | None
    ci_high: float | None


class Change(Record):
    """The best values against the recipe's own, on the same queries of the test. difference: best minus own, with the
    95 % interval of Student's t. test, p: of a two-sided paired test (see `evaluate.PairedTest`), of this one pair."""

    difference: float
    ci_low: float
    ci_high: float
    test: str
    p: float
    n_users: int


class LabelRecord(Record):
    """What tuning one model came to. metric: as in "ndcg@10". lower: whether less of it is better. default, best: the
    trial of the recipe's own values, and the best one; None where that failed, or all did. test_before, test_after: of
    these two; change: between them. None where the test was not looked at, change too where nothing was better."""

    label: str
    model: str
    metric: str
    lower: bool
    axes: tuple[AxisRecord, ...]
    default: TrialRecord | None
    best: TrialRecord | None
    test_before: Score | None = None
    test_after: Score | None = None
    change: Change | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was better than the recipe's own values."""
        return self.best is not None and not self.best.own


class TuningRecord(Stored):
    """tuning.json. data, fingerprint: the log after filters. left_out: label -> why it was not tuned. seed: of the
    split, the fits and the trials. seconds: of all calls. search_seconds: from the first trial to the last, without
    reading, the test and the report. warnings: of the trials, each once."""

    title: str
    command: str
    data: str
    fingerprint: str
    seed: int
    machine: dict[str, str]
    labels: tuple[LabelRecord, ...]
    left_out: dict[str, str]
    trials: tuple[TrialRecord, ...]
    seconds: float
    search_seconds: float
    warnings: tuple[str, ...]

    def of(self, label: str) -> list[TrialRecord]:
        return [trial for trial in self.trials if trial.label == label]
