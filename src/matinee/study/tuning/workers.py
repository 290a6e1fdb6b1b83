"""Doing the trials: here, or in processes of their own, each with its share of the threads.

A process is driven by a thread of this one through two pipes of JSON lines. It ends when its pipe does, however this
process ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from matinee.errors import MatineeError
from matinee.evaluate.stopping import StoppingMetric
from matinee.kernels.threads import LIMIT, n_threads
from matinee.study.model_table import ModelTable
from matinee.study.recipe import Recipe
from matinee.study.tuning.objective import Objective, Outcome
from matinee.study.tuning.trials import Job, Trials

THREADS = (
    LIMIT,
    *(f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB")),
    "POLARS_MAX_THREADS",
)
"""Environment variables that say how many threads a process may use."""


def run_here(trials: Trials, objective: Objective) -> None:
    """All trials, one after the other."""
    while (job := trials.next()) is not None:
        trials.finish(job, objective(job.table, job.metric, partial(trials.watch, job)))


def run_in_processes(trials: Trials, objective: Objective, n: int) -> None:
    """All trials, n at a time. Raises what a process raised that is no failure of a setting."""
    workers = [Worker(objective, n) for _ in range(n)]
    errors: list[BaseException] = []
    threads = [threading.Thread(target=_drive, args=(trials, worker, errors), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.1)  # a join without end would not hear Ctrl-C
    finally:
        trials.stopped = True
        for worker in workers:
            worker.end()
    if errors:
        raise errors[0]


def _drive(trials: Trials, worker: Worker, errors: list[BaseException]) -> None:
    try:
        while (job := trials.next()) is not None:
            outcome = worker.run(job, trials.watch)
            if trials.stopped:
                return
            trials.finish(job, outcome)
    except BaseException as error:  # noqa: BLE001 - raised by the main thread
        errors.append(error)
        trials.stopped = True


class Worker:
    """A process that does one trial at a time, started when the first comes, and again where it died."""

    def __init__(self, objective: Objective, n: int) -> None:
        folder = None if objective.data_dir is None else str(objective.data_dir)
        self._told = objective.recipe.model_dump(mode="json", exclude_none=True), folder
        self._threads = str(max(1, n_threads() // n))
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, job: Job, watch: Callable[[Job, int, float, float], str]) -> Outcome:
        """One trial. Where the process dies in it, the trial has failed."""
        process = self._started()
        try:
            _send(process.stdin, (job.table.model_dump(mode="json"), str(job.metric)))
            while True:
                kind, said = _received(process.stdout)
                if kind == "round":
                    _send(process.stdin, watch(job, *said))
                elif kind == "bug":
                    raise RuntimeError(said)
                else:
                    return Outcome(**said | {"warnings": tuple(said["warnings"])})
        except (EOFError, OSError):
            code = process.wait()
            self.end()
            killed = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return Outcome(failed=f"its process {killed}: is there enough memory for so many workers?")

    def end(self) -> None:
        """Whatever it is doing."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was written last reached nobody
                pipe.close()  # type: ignore[union-attr]  # both are pipes
        self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "matinee.study.tuning.worker"]
            environment = {**os.environ, **dict.fromkeys(THREADS, self._threads)}
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
            with contextlib.suppress(OSError):  # it died at once: `run` will hear of it
                _send(self._process.stdin, self._told)
        return self._process


def _send(pipe: Any, what: object) -> None:
    pipe.write(json.dumps(what, default=float).encode() + b"\n")  # numpy has floats of its own
    pipe.flush()


def _received(pipe: Any) -> Any:
    """What the other side sent. Raises EOFError where it ended before it had sent all of it."""
    line: bytes = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def check_workers(n: int) -> None:
    if n < 1:
        raise MatineeError(f"{n} workers can do nothing", hint="pass 1 or more")


def serve(receive: Any, send: Any) -> None:
    """A worker's side: hear what the study is, then do one trial after the other, until the pipe ends."""
    recipe, data_dir = _received(receive)
    objective = Objective(Recipe.model_validate(recipe), data_dir)

    def watch(*said: float) -> str:
        _send(send, ("round", said))
        answer: str = _received(receive)
        return answer

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            table, metric = _received(receive)
            try:
                outcome = objective(ModelTable.model_validate(table), StoppingMetric.parse(metric), watch)
                found: Sequence[object] = ("done", asdict(outcome))
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:  # noqa: BLE001 - the other side raises it
                found = ("bug", "".join(traceback.format_exception(error)))
            _send(send, found)
