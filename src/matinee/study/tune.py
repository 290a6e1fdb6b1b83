"""Tune a recipe's models: try settings, fit each on train, measure on valid, keep all, and look at the test once.

Killed at any moment, the same call goes on where it stopped: tuning.db has every trial from its beginning.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matinee.errors import MatineeError, counted
from matinee.evaluate import predictions
from matinee.evaluate.metrics import formulas_of
from matinee.evaluate.paired import Test
from matinee.evaluate.significance import column_of, of_models, paired_test
from matinee.evaluate.stopping import StoppingMetric
from matinee.files import StrPath, atomic_path, atomic_write, discard, locked, make_folder, sha256
from matinee.profiling import machine
from matinee.progress import Bar, open_bar
from matinee.report.tuning import write_tuning_report
from matinee.study.compare import joint_evaluation
from matinee.study.folder import RECIPE
from matinee.study.reader import Run, open_run
from matinee.study.recipe import Recipe
from matinee.study.run import run_study
from matinee.study.space import Space, spaces
from matinee.study.tracking import NO_TRACKING, Tracking, check_tracker, tracking
from matinee.study.tune_table import TuneTable
from matinee.study.tuning.best import best_recipe, label_before, measuring, recipe_text, score_of, tested_recipe
from matinee.study.tuning.folder import TuningFolder, mark_of
from matinee.study.tuning.objective import Objective, lower_is_better
from matinee.study.tuning.reader import Tuning, open_tuning, trial_frame
from matinee.study.tuning.records import (
    BEST,
    REPORT,
    TEST,
    TRIALS,
    TUNING,
    AxisRecord,
    Change,
    LabelRecord,
    TrialRecord,
)
from matinee.study.tuning.records import TuningRecord as TuningRecord
from matinee.study.tuning.sampler import import_optuna
from matinee.study.tuning.store import Store
from matinee.study.tuning.trials import Job, Trials
from matinee.study.tuning.workers import check_workers, run_here, run_in_processes

Tell = Callable[[str], None]
SECONDS, SEARCH, WARNINGS = "seconds", "search_seconds", "warnings"  # of all calls, in the store


@dataclass(frozen=True)
class TuneResult(Tuning):
    """The tuning, and what this call did for it. done: trials that ended. resumed: trials that had ended before."""

    seconds: float = 0.0
    done: int = 0
    resumed: int = 0


def tune(
    recipe: Recipe,
    out: StrPath,
    *,
    trials: int | None = None,
    timeout: float | None = None,
    metric: str | None = None,
    models: Sequence[str] | None = None,
    workers: int = 1,
    test: bool = True,
    data_dir: StrPath | None = None,
    overwrite: bool = False,
    track: str | None = None,
    command: str = "",
    tell: Tell = lambda text: None,
) -> TuneResult:
    """Tune the models of a recipe into a folder: on the first split, for a metric on valid, by Optuna's TPE, the
    recipe's own values first. The test is looked at once, at the end: with the recipe's own values and with the best.

    trials: of each model, over all calls. timeout: seconds after which none is begun. metric: as in "ndcg@10". models:
    labels. None: what [tune] says. workers: processes, which share the threads. test: False leaves the test alone.
    track: "mlflow" or "mlflow:URI". tell: is given a line for each gain.

    Raises MatineeError when the folder holds another tuning (unless overwrite) or something else, another process is
    writing to it, Optuna is missing, nothing can be tuned, or every trial failed.

    Example: `mt.tune(mt.load_recipe("recipe.toml"), "runs/tuned", trials=4)`
    """
    import_optuna()
    check_workers(workers)
    check_tracker(track)
    given = {"trials": trials, "timeout": timeout, "metric": metric, "models": models}
    recipe = _with_table(recipe, given)
    spaces_of, left_out = spaces(recipe.model, recipe.tune)
    folder, start = TuningFolder(out), time.monotonic()
    folder.check()
    make_folder(folder.path)
    with locked(folder / ".lock"):
        objective = Objective(recipe, data_dir)
        store = folder.claim(mark_of(recipe), lambda: _fingerprint(objective), overwrite=overwrite)
        try:
            tuner = Tuner(folder, store, objective, spaces_of, left_out, command, tell)
            with tracking(track, recipe.title) as tracked:
                return tuner.run(workers, test, tracked, start)
        finally:
            store.close()


class Tuner:
    """A tuning at work in its folder."""

    def __init__(
        self, folder: TuningFolder, store: Store, objective: Objective, spaces_of: Mapping[str, Space],
        left_out: Mapping[str, str], command: str, tell: Tell,
    ) -> None:  # fmt: skip
        self.folder, self.store, self.objective, self.spaces = folder, store, objective, spaces_of
        self.left_out, self.command, self.tell = left_out, command, tell
        self.recipe = objective.recipe
        data = objective.data
        tell(f"{data}")
        self.metrics = {label: objective.metric(space.table, None) for label, space in spaces_of.items()}
        for space in spaces_of.values():
            objective.check(space.table)
        formulas_of(
            [m.name for m in self.metrics.values() if m.name not in predictions.names], self.recipe.evaluate.convention
        )

    def run(self, workers: int, test: bool, tracked: Tracking, start: float) -> TuneResult:
        setting = self.recipe.tune
        shown = Shown(self.tell, {label: str(metric) for label, metric in self.metrics.items()})
        trials = Trials(
            self.store, self.spaces, self.metrics, seed=self.objective.seed, wanted=setting.trials,
            deadline=None if setting.timeout is None else start + setting.timeout,
            on_end=[shown.ended, tracked.trial], on_round=[shown.round, tracked.round],
        )  # fmt: skip
        resumed = len(trials.ended)
        shown.begin(trials, setting.trials)
        self._searching = time.monotonic()
        try:
            if trials.left and workers > 1:
                run_in_processes(trials, self.objective, min(workers, trials.left))
            else:
                run_here(trials, self.objective)
        except KeyboardInterrupt:
            shown.close()
            self._count(SEARCH, time.monotonic() - self._searching)
            self.store.forgive()
            if trials.ended:
                self._keep(trials, start, None)
            self.tell(f"interrupted after {counted(len(trials.ended), 'trial')}: the same command goes on")
            raise
        finally:
            shown.close()
        self._count(SEARCH, time.monotonic() - self._searching)
        self._refuse_failures(trials)
        run = self._look_at_test(trials, test)
        self._keep(trials, start, run)
        self._track(tracked)
        found = open_tuning(self.folder.path)
        done = len(trials.ended) - resumed
        return TuneResult(found.path, found.record, time.monotonic() - start, done, resumed)

    def _refuse_failures(self, trials: Trials) -> None:
        """Raise MatineeError where no trial came to a number."""
        if trials.best:
            return
        where = str(self.folder.path)
        failed = [trial for trial in trials.ended if trial.state == "failed"]
        if not failed:
            raise MatineeError("no trial ended in time", where=where, hint="start it again with a longer timeout")
        what = f"every trial failed; the first, of {failed[0].label}: {failed[0].reason}"
        raise MatineeError(what, where=where, hint="change the recipe until `matinee run` takes it")

    def _look_at_test(self, trials: Trials, test: bool) -> Run | None:
        """The run of the best and of the recipe's own values; an earlier one, where it is the same."""
        recipe = measuring(tested_recipe(self.recipe, self.spaces, trials.best), list(self.metrics.values()))
        if not test:
            return self._earlier(recipe)
        tell = self.tell
        return run_study(
            recipe,
            self.folder / TEST,
            data_dir=self.objective.data_dir,
            overwrite=True,
            command=self.command,
            tell=tell,
        )

    def _earlier(self, recipe: Recipe) -> Run | None:
        """The run of an earlier call, where it is of the same models; otherwise it is removed."""
        with contextlib.suppress(FileNotFoundError, MatineeError):
            if (self.folder / TEST / RECIPE).read_text("utf-8") == recipe.to_toml():
                return open_run(self.folder / TEST)
        discard(self.folder / TEST)
        return None

    def _keep(self, trials: Trials, start: float, run: Run | None) -> None:
        """Write what was found, the report last."""
        self._count(SECONDS, time.monotonic() - start)
        earlier: list[str] = json.loads(self.store.about().get(WARNINGS, "[]"))
        self.store.mark({WARNINGS: json.dumps(list(dict.fromkeys([*earlier, *trials.warnings])))})
        record = self._record(trials, run)
        best = measuring(best_recipe(self.recipe, self.spaces, trials.best), list(self.metrics.values()))
        atomic_write(self.folder / BEST, recipe_text(best, record.labels, self.recipe.tune.trials))
        with atomic_path(self.folder / TRIALS) as temp:
            trial_frame(record.trials).write_csv(temp)
        atomic_write(self.folder / TUNING, record.to_json())
        write_tuning_report(Tuning(self.folder.path, record), self.folder / REPORT)

    def _count(self, what: str, seconds: float) -> None:
        """Add to what all calls took."""
        self.store.mark({what: repr(float(self.store.about().get(what, 0)) + seconds)})

    def _record(self, trials: Trials, run: Run | None) -> TuningRecord:
        data = self.objective.data
        ended = sorted(trials.ended, key=lambda trial: (list(self.spaces).index(trial.label), trial.number))
        return TuningRecord(
            title=self.recipe.title, command=self.command, data=data.name, fingerprint=data.fingerprint,
            seed=self.objective.seed, machine=machine(), left_out=dict(self.left_out), trials=tuple(ended),
            labels=tuple(self._label(label, trials, ended, run) for label in self.spaces),
            seconds=float(self.store.about()[SECONDS]), search_seconds=float(self.store.about()[SEARCH]),
            warnings=tuple(json.loads(self.store.about()[WARNINGS])),
        )  # fmt: skip

    def _label(self, label: str, trials: Trials, ended: Sequence[TrialRecord], run: Run | None) -> LabelRecord:
        space, metric, best = self.spaces[label], self.metrics[label], trials.best.get(label)
        share = trials.importance(label)
        tests: dict[str, Any] = {}
        if run is not None and best is not None:
            tests["test_after"] = score_of(run.rows, label, metric)
            before = label if best.own else label_before(self.recipe, label)
            tests["test_before"] = score_of(run.rows, before, metric)
            tests["change"] = None if best.own else change_of(run, before, label, metric)
        return LabelRecord(
            label=label, model=space.table.name, metric=str(metric), lower=lower_is_better(metric),
            axes=tuple(
                AxisRecord(
                    name=axis.name, own=space.own[axis.name], choices=axis.choices, low=axis.low, high=axis.high,
                    log=axis.log, importance=share.get(axis.name),
                ) for axis in space.axes
            ),
            default=next((trial for trial in ended if trial.label == label and trial.own), None), best=best, **tests,
        )  # fmt: skip

    def _track(self, tracked: Tracking) -> None:
        if tracked is not NO_TRACKING:
            record = open_tuning(self.folder.path).record
            for found in record.labels:
                for part, score in (("before", found.test_before), ("after", found.test_after)):
                    if score is not None and score.value is not None:
                        tracked.metrics({f"{found.label} {found.metric} test {part}": score.value})
            tracked.artefacts([self.folder / BEST, self.folder / REPORT])


class Shown:
    """What somebody who watches sees: a bar with the best so far, and a line for each gain."""

    def __init__(self, tell: Tell, metrics: Mapping[str, str]) -> None:
        self._tell, self._metrics = tell, metrics
        self._bar: Bar | None = None
        self._best: dict[str, float] = {}
        self._failures: set[tuple[str, str]] = set()
        self._trials: Trials | None = None
        self._total = self._wanted = 0

    def begin(self, trials: Trials, wanted: int) -> None:
        self._trials, self._total, self._wanted = trials, trials.left, wanted
        self._best = {label: trial.value for label, trial in trials.best.items() if trial.value is not None}
        if trials.ended and self._total:
            self._tell(f"going on after {counted(len(trials.ended), 'trial')}")
        self._show()

    def ended(self, job: Job, trial: TrialRecord) -> None:
        assert self._trials is not None
        best = self._trials.best.get(trial.label)
        name = f"{trial.label} {trial.number}/{self._wanted}"
        seconds = f"{trial.fit_seconds + trial.measure_seconds:.2f} s"
        if best is trial and trial.value is not None:
            self._best[trial.label] = trial.value
            why = "the recipe's own values" if trial.own else "the best so far"
            self._say(f"{name}: {self._metrics[trial.label]} {trial.value:.4f}, {why}, {seconds}")
        elif trial.state == "failed" and (trial.label, trial.reason) not in self._failures:
            self._failures.add((trial.label, trial.reason))
            self._say(f"{name}: failed: {trial.reason}")
        self._show()

    def round(self, job: Job, number: int, loss: float, measured: float) -> None:
        if self._bar is not None:
            self._show(f", {job.label} {job.number} after round {number + 1}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, text: str) -> None:
        self.close()  # a bar and a line on one terminal would run into each other
        self._tell(text)

    def _show(self, now: str = "") -> None:
        assert self._trials is not None
        if self._total and (left := self._trials.left):
            text = "tuning  " + ", ".join(f"{label} {value:.4f}" for label, value in self._best.items()) + now
            self._bar = self._bar or open_bar(text, self._total)
            if self._bar is not None:
                self._bar.show(text, self._total - left, self._total)


def change_of(run: Run, before: str, after: str, metric: StoppingMetric) -> Change | None:
    """Of two labels of the run that looked at the test, by the recipe's paired test, else randomisation; None where the
    metric is one number of all lists."""
    joint = joint_evaluation([run], metric.name, "test", None, only=[[before, after]])
    column = column_of(joint, metric.name, metric.k or None)
    if column in of_models(joint):
        return None
    name: Test = run.recipe.evaluate.test or "randomisation"
    found = paired_test(joint, after, before, metric=column[0], k=column[1], test=name)
    ends = {"difference": found.difference, "ci_low": found.ci_low, "ci_high": found.ci_high}
    return Change(**ends, test=found.test, p=found.p, n_users=found.n_users)


def _with_table(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """The recipe with these in the place of what its [tune] says. Raises MatineeError for what does not fit."""
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "models" in said:
        said["models"] = list(said["models"])
    if isinstance(metric := said.get("metric"), str):
        StoppingMetric.parse(metric)
    for name in ("trials", "timeout"):
        if name in said and not said[name] > 0:
            raise MatineeError(f"{name} = {said[name]} leaves nothing to do", hint="pass a number above 0")
    table = TuneTable.model_validate({**recipe.tune.model_dump(), **said})
    return recipe.model_copy(update={"tune": table})


def _fingerprint(objective: Objective) -> str:
    """Of all that the tuning reads."""
    files = [f"{path} {sha256(path)}" for path in objective.recipe.files(objective.data_dir)]
    return "\n".join([objective.data.fingerprint, *map(str, files)])
