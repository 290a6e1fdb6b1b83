"""The progress of the best score over runs, as contests keep it: each run's score in the order of time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from matinee.data.dataset import Protocol
from matinee.errors import MatineeError, counted
from matinee.evaluate.evaluate import Evaluation, named
from matinee.evaluate.intervals import Mean
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.significance import column_of
from matinee.files import StrPath, atomic_write
from matinee.notebook import html_notes, html_panel, html_table
from matinee.report.steps import ScoreStep
from matinee.study.compare import Runs, joint_evaluation, opened_runs, unique_labels
from matinee.study.reader import Run

HEAD = ["#", "finished (UTC)", "run", "best model", "score", "best so far"]
CHANCE = "the best of many runs on one test is partly luck: choose on valid, and measure the test once"


@dataclass(frozen=True, repr=False)
class ScoreHistory:
    """Runs in the order of time, and the best so far. metric, k: of the scores (k is 0 where there is no cut-off)."""

    steps: tuple[ScoreStep, ...]
    metric: str
    k: int
    protocol: Protocol
    n_queries: int

    @property
    def column(self) -> str:
        return named(self.metric, self.k)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, a sentence each."""
        return (
            f"mean over {counted(self.n_queries, 'query')}",
            f"{self.protocol} [{self.protocol.fingerprint}]",
            CHANCE,
        )

    def to_frame(self) -> pl.DataFrame:
        """One row a run: the fields of ScoreStep, metric, k (null: no cut-off) and the protocol's fingerprint."""
        keys = {"metric": pl.lit(self.metric), "k": pl.lit(self.k or None, pl.Int32)}
        frame = pl.DataFrame([asdict(step) for step in self.steps])
        return frame.with_columns(**keys, protocol=pl.lit(self.protocol.fingerprint))

    def rows(self) -> list[list[str]]:
        """Cells of a table, under HEAD; the best so far only where it changes."""
        return [
            [str(at), s.moment, s.run, s.label, f"{s.value:.4f}", f"{s.best:.4f}" if s.improved else ""]
            for at, s in enumerate(self.steps, start=1)
        ]

    def write(self, path: StrPath) -> None:
        """A page (.html) or a drawing (.svg) that needs nothing else. Raises MatineeError for another kind of file."""
        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".svg"):
            what = f"the progress is drawn as .html or .svg, not as {suffix or 'a file without suffix'!r}"
            raise MatineeError(what, where=str(path), hint=f"name it {Path(path).stem or 'progress'}.html")
        from matinee.report import score_progress  # loads matplotlib and jinja2

        page = suffix == ".html"
        of = self.steps, self.column
        atomic_write(path, score_progress.page(*of, self.notes) if page else score_progress.svg_file(*of))

    def __str__(self) -> str:
        rows = [HEAD, *self.rows()]
        widths = [max(len(row[c]) for row in rows) for c in range(len(HEAD))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"Progress of the best {self.column}", *lines, "", *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = html_table(HEAD, self.rows(), numbers=(0, 4, 5))
        return html_panel(f"Progress of the best {self.column}", table, html_notes(*self.notes))


def score_history(
    runs: Runs, metric: str | None = None, k: int | None = None, part: str = "test", protocol: str | None = None
) -> ScoreHistory:
    """Each run's best score in the order in which the runs were finished, and the best so far. Arguments as in
    `compare`; all seeds and folds of a run count as one.

    Raises MatineeError as `compare`.

    Example: `mt.score_history("runs/small", metric="ndcg", k=10).write("progress.html")`
    """
    opened = sorted(opened_runs(runs), key=lambda run: run.finished)
    joint = joint_evaluation(opened, metric, part, protocol)
    column = column_of(joint, metric, k)
    return ScoreHistory(_steps(opened, joint, column), *column, joint.protocol, joint.n_queries)


def _steps(runs: list[Run], joint: Evaluation, column: tuple[str, int]) -> tuple[ScoreStep, ...]:
    sign = -1 if column[0] in LOWER_IS_BETTER else 1
    names = unique_labels(runs, [run.labels for run in runs])
    steps: list[ScoreStep] = []
    for run, of in zip(runs, names, strict=True):
        measured = {label: joint.mean(*column, name) for label, name in of.items() if name in joint.labels}
        label, mean = max(measured.items(), key=lambda one: sign * one[1].value)
        steps.append(_step(run, label, mean, steps[-1].best if steps else None, sign))
    return tuple(steps)


def _step(run: Run, label: str, mean: Mean, best: float | None, sign: int) -> ScoreStep:
    improved = best is None or sign * mean.value > sign * best
    so_far = mean.value if improved or best is None else best
    return ScoreStep(run.path.resolve().name, run.finished, label, mean.value, mean.low, mean.high, so_far, improved)
