"""Telling an experiment tracker what is run: parameters, metrics by round, results, files. MLflow is the one there is.

A study, a tuning or a fit is a run of the tracker; each model of a study, and each trial, is one nested in it. Around a
fit in Python:

    with tracking("mlflow:sqlite:///runs.db", "my fits") as tracked:
        nested = tracked.nested("ease", model.get_params())
        model.fit(data, **nested.hook)
        nested.end()
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from matinee.errors import MatineeError
from matinee.study.values import format_value
from matinee.version import __version__

LONGEST = 500  # characters of a parameter's value that MLflow's oldest servers take


class TrialLike(Protocol):
    """What is told of a trial that ended."""

    @property
    def state(self) -> str: ...
    @property
    def value(self) -> float | None: ...
    @property
    def reason(self) -> str: ...


class Nested:
    """A model of a study, or a trial: a nested run. Does nothing by itself."""

    @property
    def hook(self) -> dict[str, Any]:
        """What `Model.fit` is told: on_round, where somebody listens."""
        return {}

    def round(self, number: int, loss: float, measured: float) -> None:
        """After each round of the fit: the hook of `Model.fit`."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Results, each by its name."""

    def end(self, failed: bool = False) -> None:
        """Nothing more will come."""


class Tracking:
    """One run of a tracker. Does nothing by itself: this is the tracking of nobody."""

    def nested(self, name: str, parameters: Mapping[str, Any]) -> Nested:
        """A run below this one."""
        return Nested()

    def metrics(self, values: Mapping[str, float]) -> None:
        """Results of the whole."""

    def artefacts(self, paths: Sequence[Path]) -> None:
        """Files that belong to it."""

    def round(self, job: Any, number: int, loss: float, measured: float) -> None:
        """After each round of a trial."""

    def trial(self, job: Any, ended: TrialLike) -> None:
        """A trial ended."""


NO_TRACKING = Tracking()


@contextlib.contextmanager
def tracking(asked: str | None, title: str) -> Iterator[Tracking]:
    """The run that is tracked during the block; it has failed where the block raises.

    asked: "mlflow", or "mlflow:URI"; None: nothing is tracked. Raises MatineeError for another tracker, and where
    MLflow is missing or its store cannot be reached.
    """
    if asked is None:
        yield NO_TRACKING
        return
    check_tracker(asked)
    found = MLflow(asked.partition(":")[2] or None, title)
    try:
        yield found
    except BaseException:
        found.end(failed=True)
        raise
    found.end()


def check_tracker(asked: str | None) -> None:
    """Raise MatineeError for what names no tracker, and where MLflow is missing."""
    if asked is None:
        return
    if (name := asked.partition(":")[0]) != "mlflow":
        raise MatineeError(f"no tracker is called {name!r}", hint='say "mlflow", or "mlflow:URI" with its store')
    import_mlflow()


def import_mlflow() -> Any:
    """mlflow, or one line that says what to install."""
    try:
        import mlflow
    except ImportError:
        raise MatineeError("tracking needs MLflow", hint="pip install 'matinee[mlflow]'") from None
    return mlflow


class MLflow(Tracking):
    """A run of MLflow, through a client of its own: no global state of MLflow is used or changed."""

    def __init__(self, uri: str | None, title: str) -> None:
        mlflow = import_mlflow()
        self._trials: dict[tuple[str, int], NestedMLflow] = {}
        self._open: list[NestedMLflow] = []
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            known = self._client.get_experiment_by_name("matinee")
            self._experiment = known.experiment_id if known else self._client.create_experiment("matinee")
            self._run = self._create(title, {"matinee.version": __version__})
        except mlflow.exceptions.MlflowException as error:
            what = str(error).splitlines()[0]
            raise MatineeError(f"MLflow: {what}", where=uri, hint="check the address of its store") from None

    def nested(self, name: str, parameters: Mapping[str, Any]) -> NestedMLflow:
        run = self._create(name, {"mlflow.parentRunId": self._run})
        for key, value in parameters.items():
            self._client.log_param(run, key, format_value(value)[:LONGEST])
        self._open = [one for one in self._open if not one.ended] + [NestedMLflow(self._client, run)]
        return self._open[-1]

    def metrics(self, values: Mapping[str, float]) -> None:
        NestedMLflow(self._client, self._run).metrics(values)

    def artefacts(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self._client.log_artifact(self._run, str(path))

    def round(self, job: Any, number: int, loss: float, measured: float) -> None:
        self._of(job).round(number, loss, measured)

    def trial(self, job: Any, ended: TrialLike) -> None:
        run = self._of(job)
        if ended.value is not None:
            run.metrics({f"{job.metric} valid": ended.value})
        run.end(failed=ended.state == "failed")
        self._trials.pop((job.label, job.number))

    def end(self, failed: bool = False) -> None:
        for left in self._open:
            if not left.ended:
                left.end(failed=True)
        NestedMLflow(self._client, self._run).end(failed)

    def _of(self, job: Any) -> NestedMLflow:
        key = job.label, job.number
        if key not in self._trials:
            self._trials[key] = self.nested(f"{job.label} {job.number}", {"model": job.table.name, **job.values})
        return self._trials[key]

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, tags=dict(tags), run_name=name)
        found: str = run.info.run_id
        return found


class NestedMLflow(Nested):
    """A run of MLflow by its id."""

    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run
        self.ended = False

    @property
    def hook(self) -> dict[str, Any]:
        return {"on_round": self.round}

    def round(self, number: int, loss: float, measured: float) -> None:
        for name, value in (("train_loss", loss), ("valid_metric", measured)):
            if math.isfinite(value):
                self._client.log_metric(self._run, name, value, step=number)

    def metrics(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, name.replace("@", "_at_"), value)  # MLflow refuses the sign

    def end(self, failed: bool = False) -> None:
        self.ended = True
        self._client.set_terminated(self._run, status="FAILED" if failed else "FINISHED")
