"""The trials of a tuning: which comes next, what it may hear while it runs, and what is kept when it ends.

Workers are threads that each drive a process; every method takes the lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.stopping import StoppingMetric
from matinee.study.model_table import ModelTable
from matinee.study.space import Space
from matinee.study.tuning.objective import Outcome
from matinee.study.tuning.records import Look, TrialRecord
from matinee.study.tuning.sampler import Sampler
from matinee.study.tuning.store import Begun, Store

if TYPE_CHECKING:
    from optuna.trial import Trial

Listener = Callable[["Job", TrialRecord], None]


@dataclass
class Job:
    """A trial at work. number: from 0, of its label. prunes: whether its fit may be ended early: never with the
    recipe's own values, whose score is what others are compared with."""

    label: str
    number: int
    own: bool
    values: dict[str, Any]
    table: ModelTable
    metric: StoppingMetric
    trial: Trial
    prunes: bool
    looks: list[Look] = field(default_factory=list)


class Trials:
    """All trials of all labels. wanted: how many of each, over all calls. deadline: of time.monotonic(), after which
    none is begun; None: never. on_end: is told of each that ended, on_round of each round of each."""

    def __init__(
        self, store: Store, spaces: Mapping[str, Space], metrics: Mapping[str, StoppingMetric], *, seed: int,
        wanted: int, deadline: float | None, on_end: Sequence[Listener] = (),
        on_round: Sequence[Callable[[Job, int, float, float], None]] = (),
    ) -> None:  # fmt: skip
        self.store, self.spaces, self.metrics, self.wanted, self.deadline = store, spaces, metrics, wanted, deadline
        self.on_end, self.on_round = on_end, on_round
        self.warnings: dict[str, None] = {}
        self.lock = threading.RLock()
        self.stopped = False
        self._waiting = [trial for trial in store.take_up() if trial.label in spaces]
        self._samplers = {
            label: Sampler(space, [seed, *label.encode()], lower=metrics[label].name in LOWER_IS_BETTER)
            for label, space in spaces.items()
        }
        self.ended = [trial for trial in store.ended() if trial.label in spaces]
        self.best: dict[str, TrialRecord] = {}
        for trial in self.ended:
            self._samplers[trial.label].add(trial)
            self._compare(trial)
        begun = [trial.label for trial in self.ended] + [trial.label for trial in self._waiting]
        self._begun = {label: begun.count(label) for label in spaces}

    @property
    def left(self) -> int:
        """Trials that are still to end."""
        with self.lock:
            ended = [trial.label for trial in self.ended]
            return sum(max(0, self.wanted - ended.count(label)) for label in self.spaces)

    def next(self) -> Job | None:
        """The next trial, of the label with the fewest; None where there is none, or no time."""
        with self.lock:
            if self.stopped or (self.deadline is not None and time.monotonic() >= self.deadline):
                return None
            if self._waiting:
                return self._again(self._waiting.pop(0))
            label = min(self._begun, key=self._begun.__getitem__)
            if (number := self._begun[label]) >= self.wanted:
                return None
            self._begun[label] += 1
            own = number == 0
            trial, values = self._samplers[label].ask(number, self.spaces[label].own if own else None)
            self.store.begin(label, number, values, own=own)
            return self._job(label, number, own, values, trial)

    def watch(self, job: Job, number: int, loss: float, measured: float) -> str:
        """After each round of a fit: why it is to end, "" where it is not."""
        with self.lock:
            for listener in self.on_round:
                listener(job, number, loss, measured)
            if not math.isfinite(measured):
                return ""
            job.looks.append(Look(round=number, value=measured))
            why = self._samplers[job.label].look(job.trial, measured, len(job.looks) - 1)
            return f"after round {number + 1}: {why}" if why and job.prunes else ""

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Keep what a trial came to."""
        with self.lock:
            ended = TrialRecord(
                label=job.label, number=job.number, own=job.own, values=job.values, value=outcome.value,
                state="failed" if outcome.failed else "pruned" if outcome.pruned else "done",
                looks=tuple(job.looks), reason=outcome.failed or outcome.pruned,
                fit_seconds=outcome.fit_seconds, measure_seconds=outcome.measure_seconds,
            )  # fmt: skip
            self.store.end(ended)
            self._samplers[job.label].tell(job.trial, ended)
            self.ended.append(ended)
            self.warnings |= dict.fromkeys(outcome.warnings)
            self._compare(ended)
            for listener in self.on_end:
                listener(job, ended)

    def importance(self, label: str) -> dict[str, float]:
        with self.lock:
            return self._samplers[label].importance()

    def _compare(self, trial: TrialRecord) -> None:
        if trial.value is None:
            return
        sign = -1 if self.metrics[trial.label].name in LOWER_IS_BETTER else 1
        best = self.best.get(trial.label)
        if best is None or best.value is None or sign * trial.value > sign * best.value:
            self.best[trial.label] = trial

    def _again(self, begun: Begun) -> Job:
        """A trial in which an earlier process died, with the same values."""
        trial, values = self._samplers[begun.label].ask(begun.number, begun.values)
        self.store.begin_again(begun)
        return self._job(begun.label, begun.number, begun.own, values, trial)

    def _job(self, label: str, number: int, own: bool, values: dict[str, Any], trial: Trial) -> Job:
        table, metric = self.spaces[label].with_values(values), self.metrics[label]
        prunes = not own and self.spaces[label].table.create(()).measures_alike()
        return Job(label, number, own, values, table, metric, trial, prunes)
