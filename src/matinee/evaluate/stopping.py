"""The metric of early stopping: its name, and its value for a model on a holdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.data.arrays import Floats, Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Queries, Scorer
from matinee.errors import MatineeError
from matinee.evaluate import metrics, predictions
from matinee.rank import recommend

Scale = tuple[float, float]
ERRORS: Mapping[str, Callable[[ArrayLike, ArrayLike, Scale], float]] = {
    "rmse": lambda label, predicted, scale: predictions.rmse(label, predicted),
    "mae": lambda label, predicted, scale: predictions.mae(label, predicted),
    "logloss": lambda label, predicted, scale: predictions.logloss(label, predicted),
    "bce": lambda label, predicted, scale: scaled_bce(label, predicted, scale),
}
"""Errors of predicted labels: less is better, so `measure` returns them with a minus."""


class Predictor(Scorer, Protocol):
    """A fitted scorer that also predicts labels."""

    @property
    def data(self) -> Dataset: ...

    def predict(self, pairs: Pairs, queries: Queries | None = None) -> Floats:
        """float32 (n,): a rating or a probability for each pair."""
        ...


@dataclass(frozen=True)
class StoppingMetric:
    """A ranking metric with its cut-off k, or one of ERRORS with k = 0. `parse` checks the name. "recall:late"
    counts the answers of one kind alone (`Holdout.kinds`)."""

    name: str
    k: int = 0

    @classmethod
    def parse(cls, text: str, valid: Holdout | None = None) -> Self:
        """From "ndcg@10", "ndcg:late@10" or "rmse". Raises MatineeError naming near misses, and for a kind of
        answers that `valid` does not tell apart."""
        name, at, k = text.partition("@")
        if not at and name in ERRORS:
            return cls(name)
        plain, _, kind = name.partition(":")
        metrics.known_name(plain, "metric for early stopping", [*metrics.OF_HITS, *ERRORS])
        if kind and not metrics.kind_of(name):
            raise MatineeError(f"{plain} counts no kind of answers, got {text!r}", hint=f'write "{plain}@10", say')
        if name in ERRORS:
            raise MatineeError(f"{name} has no cut-off, got {text!r}", hint=f'write "{name}"')
        if not (k.isascii() and k.isdigit() and int(k) > 0):
            raise MatineeError(f"{name} needs a cut-off of 1 or more, got {text!r}", hint=f'write "{name}@10", say')
        asked = cls(name, int(k))
        if valid is not None:
            asked.part(valid)
        return asked

    def __str__(self) -> str:
        return f"{self.name}@{self.k}" if self.k else self.name

    @property
    def formula(self) -> str:
        """The metric's name without the kind of answers."""
        return self.name.partition(":")[0]

    def part(self, valid: Holdout) -> Holdout:
        """The holdout with the answers that are counted. Raises MatineeError where it does not tell the kind apart."""
        kind = metrics.kind_of(self.name)
        if not kind:
            return valid
        metrics.refuse_missing_kinds([self.name], valid.kinds)
        return replace(valid, truth=valid.kinds[kind])


def measure(model: Predictor, valid: Holdout, metric: StoppingMetric) -> float:
    """The metric of a fitted model on a holdout. More is better: errors, and dislikes, have a minus.

    A ranking metric is the mean over the queries that have an answer. NaN where nothing can be measured: no query has
    an answer, or an error is wanted and the holdout has no labelled pairs.
    """
    if metric.name in ERRORS:
        pairs = valid.pairs
        if pairs is None or pairs.label is None or not len(pairs):
            return float("nan")
        predicted = model.predict(pairs, valid.queries)
        return -ERRORS[metric.name](pairs.label, predicted, rating_scale(model.data, valid))
    item = recommend(model, valid.queries, metric.k).item
    values = quality_of(item, metric.part(valid).truth, metric, valid.dislikes)
    answered = values[~np.isnan(values)]
    return float(answered.mean()) if len(answered) else float("nan")


def quality_of(
    item: NDArray[np.int32], truth: Ragged, metric: StoppingMetric, dislikes: Ragged | None = None
) -> NDArray[np.float64]:
    """float64 (B,): a ranking metric of each list, int32 (B, k or more); more is better, NaN without an answer."""
    found = metrics.ranking(item, truth, k=[metric.k], metrics=[metric.formula], dislikes=dislikes)
    values: NDArray[np.float64] = found[metric.formula, metric.k]
    return -values if metric.name in predictions.LOWER_IS_BETTER else values


def rating_scale(data: Dataset, valid: Holdout | None = None) -> Scale:
    """The lowest and highest rating of a log and of a holdout; (0, 1) where there are none."""
    label = None if valid is None or valid.pairs is None else valid.pairs.label
    ends = [end for x in (data.value, label) if x is not None and len(x) for end in (float(x.min()), float(x.max()))]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def scaled_bce(label: ArrayLike, predicted: ArrayLike, scale: Scale) -> float:
    """predictions.bce on this scale; NaN where all ratings are equal."""
    low, high = scale
    return predictions.bce(label, predicted, low=low, high=high) if low < high else float("nan")
