"""The metric of early stopping: its name, and its value for a model on a holdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from matinee.data.arrays import Floats
from matinee.data.dataset import Holdout, Pairs, Queries, Scorer
from matinee.errors import MatineeError
from matinee.evaluate import metrics, predictions
from matinee.rank import recommend

ERRORS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "rmse": predictions.rmse,
    "mae": predictions.mae,
    "logloss": predictions.logloss,
}
"""Errors of predicted labels: less is better, so `measure` returns them with a minus."""


class Predictor(Scorer, Protocol):
    """A scorer that also predicts labels."""

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """float32 (n,): a rating or a probability for each pair."""
        ...


@dataclass(frozen=True)
class StoppingMetric:
    """A ranking metric with its cut-off k, or one of ERRORS with k = 0. `parse` checks the name."""

    name: str
    k: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "ndcg@10" or "rmse". Raises MatineeError naming near misses."""
        name, at, k = text.partition("@")
        if not at and name in ERRORS:
            return cls(name)
        metrics.known_name(name, "metric for early stopping", [*metrics.METRICS, *ERRORS])
        if name in ERRORS:
            raise MatineeError(f"{name} has no cut-off, got {text!r}", hint=f'write "{name}"')
        if not (k.isascii() and k.isdigit() and int(k) > 0):
            raise MatineeError(f"{name} needs a cut-off of 1 or more, got {text!r}", hint=f'write "{name}@10", say')
        return cls(name, int(k))

    def __str__(self) -> str:
        return f"{self.name}@{self.k}" if self.k else self.name


def measure(model: Predictor, valid: Holdout, metric: StoppingMetric) -> float:
    """The metric of a fitted model on a holdout. More is better: errors have a minus.

    A ranking metric is the mean over the queries that have an answer. NaN where nothing can be measured: no query has
    an answer, or an error is wanted and the holdout has no labelled pairs.
    """
    if metric.name in ERRORS:
        pairs = valid.pairs
        if pairs is None or pairs.label is None or not len(pairs):
            return float("nan")
        return -ERRORS[metric.name](pairs.label, model.predict(pairs, valid.queries))
    item = recommend(model, valid.queries, metric.k).item
    values = metrics.ranking(item, valid.truth, k=[metric.k], metrics=[metric.name])[metric.name, metric.k]
    answered = values[~np.isnan(values)]
    return float(answered.mean()) if len(answered) else float("nan")
