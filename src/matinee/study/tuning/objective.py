"""One trial: fit on train with these values, measure on valid, as a run does. The test is not touched."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from matinee.data.dataset import Dataset, Split
from matinee.errors import MatineeError, MatineeWarning, worded_for
from matinee.evaluate import audit
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.stopping import ERRORS, StoppingMetric
from matinee.files import StrPath
from matinee.models.fitting import FitContext, labelled
from matinee.models.needs import refuse_too_large
from matinee.study.measure import measure, our_warnings
from matinee.study.model_table import ModelTable
from matinee.study.recipe import Recipe

Watch = Callable[[int, float, float], str]
"""watch(round, train_loss, measured): called after each round of a fit. A text says why the fit is to end."""
FAILURES = (MatineeError, MemoryError, ArithmeticError, np.linalg.LinAlgError)
"""What a setting may lead to; anything else is a bug."""


@dataclass(frozen=True)
class Outcome:
    """What a trial came to. value: the metric on valid; None where the trial was pruned or failed. pruned, failed:
    why."""

    value: float | None = None
    pruned: str = ""
    failed: str = ""
    fit_seconds: float = 0.0
    measure_seconds: float = 0.0
    warnings: tuple[str, ...] = ()


class StoppedError(Exception):
    """Ends a fit that is not worth going on with."""


@dataclass
class Objective:
    """A recipe's first split, and how its models are measured on valid."""

    recipe: Recipe
    data_dir: StrPath | None = None
    _warned: list[str] = field(default_factory=list)

    @property
    def seed(self) -> int:
        return self.recipe.seeds[0]

    @cached_property
    def data(self) -> Dataset:
        return self.recipe.load_data(self.data_dir)

    @cached_property
    def split(self) -> Split:
        """Raises MatineeError where there is no valid part, or an event is in both train and test."""
        split = self.recipe.split_data(self.data, self.seed, self.data_dir)[0]
        audit(split).raise_if_failed()
        if not len(split.valid):
            hint = "give the split one in [split], e.g. valid = 0.1"
            raise MatineeError("tuning measures on valid, and the split has no valid part", hint=hint)
        return split

    def metric(self, table: ModelTable, asked: str | None) -> StoppingMetric:
        """What a model is tuned for. Raises MatineeError where it cannot be measured on valid."""
        model, valid = self.recipe.create(table), self.split.valid
        given = asked or self.recipe.tune.metric or self.recipe.fit.metric
        metric = model.stopping_metric(valid) if given is None else StoppingMetric.parse(given)
        if metric.name in ERRORS and not (labelled(valid) and model.predicts()):
            why = "it predicts no ratings" if labelled(valid) else "the hidden rows of valid have no ratings"
            hint = 'name another metric, e.g. metric = "ndcg@10" in [tune]'
            raise MatineeError(f"{table.label} cannot be tuned for {metric}: {why}", hint=hint)
        return metric

    def check(self, table: ModelTable) -> None:
        """Raise MatineeError where the model as it stands in the recipe cannot be fitted at all."""
        model = self.recipe.create(table)
        model.check(self.split.train)
        if table.needs_torch:
            from matinee.nn.train import chosen_device  # loads torch

            chosen_device(self.recipe.fit.device)

    def __call__(self, table: ModelTable, metric: StoppingMetric, watch: Watch) -> Outcome:
        """Fit and measure one model. What goes wrong with these values is in the outcome."""
        clock = Clock()
        with our_warnings() as texts:
            try:
                found = self._measured(table, metric, watch, clock)
            except StoppedError as stop:
                found = Outcome(pruned=str(stop))
            except FAILURES as error:
                found = Outcome(failed=words_of(error))
            except RuntimeError as error:  # PyTorch has no class of its own above its OutOfMemoryError
                if type(error).__name__ != "OutOfMemoryError":
                    raise
                found = Outcome(failed=words_of(error))
        return Outcome(found.value, found.pruned, found.failed, *clock.parts, tuple(texts))

    def _measured(self, table: ModelTable, metric: StoppingMetric, watch: Watch, clock: Clock) -> Outcome:
        def hook(number: int, loss: float, measured: float) -> None:
            if reason := watch(number, loss, measured):
                raise StoppedError(reason)

        fit, split = self.recipe.fit, self.split
        own = None if fit.metric is None else StoppingMetric.parse(fit.metric)
        with worded_for("recipe"):
            model = self.recipe.create(table)
            refuse_too_large(model, split.train)
            valid = self.recipe.evaluate.stopping_part(split.valid)
            model.fit_in(split.train, FitContext(valid, self.seed, own, None, fit.device, hook))
        clock.fitted()
        spec = self.recipe.evaluate
        spec = spec.model_copy(update={"k": [metric.k or max(spec.k)], "metrics": [metric.name]})
        rating = self.data.value
        scale = None if rating is None else (float(rating.min()), float(rating.max()))
        rules = spec.rules("valid", self.data_dir)[:1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatineeWarning)  # of ties: the run of the best says them
            rules = rules if spec.ranking else []
            found = measure(model, table.label, split.valid, spec, rules, scale, progress=False)
        value = found.evaluations[0].mean(metric.name, metric.k).value if found.evaluations else float("nan")
        if not np.isfinite(value):
            return Outcome(failed=f"{metric} on valid is not a number")
        return Outcome(value)


class Clock:
    """Seconds of fitting, and of measuring."""

    def __init__(self) -> None:
        self._start, self._fitted = time.perf_counter(), 0.0

    def fitted(self) -> None:
        self._fitted = time.perf_counter()

    @property
    def parts(self) -> tuple[float, float]:
        now = time.perf_counter()
        return (self._fitted - self._start, now - self._fitted) if self._fitted else (now - self._start, 0.0)


def lower_is_better(metric: StoppingMetric) -> bool:
    return metric.name in LOWER_IS_BETTER


def words_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, MatineeError):
        return error.what
    text = str(error).splitlines()[0] if str(error) else ""
    return (
        "there is not enough memory for this" if isinstance(error, MemoryError) else f"{type(error).__name__}: {text}"
    )
