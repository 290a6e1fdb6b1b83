"""Measuring one model on one part of a split: lists under each rule of what is ranked, and predictions."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matinee.data.dataset import Holdout
from matinee.errors import MatineeWarning
from matinee.evaluate import Bin, Evaluation, calibration, evaluate, evaluate_ratings
from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import CLICK
from matinee.models.base import Model
from matinee.profiling import ResourceUsage, measured
from matinee.rank import Recommendations, recommend
from matinee.rules import Rules
from matinee.split import with_candidates
from matinee.study.evaluate_table import EvaluateTable

Scale = tuple[float, float]
"""The lowest and highest rating of a log."""


@dataclass
class Measured:
    """A model's answers to one part of a split, measured.

    recs: ranked by the first rule, where lists are measured or kept. cost: of that ranking; of the predictions where
    only these are measured. summary: the first column of each evaluation in words. calibration: of predicted
    probabilities.
    """

    recs: Recommendations | None = None
    cost: ResourceUsage = field(default_factory=ResourceUsage)
    evaluations: list[Evaluation] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    calibration: list[Bin] = field(default_factory=list)

    def add(self, evaluation: Evaluation, rule: str = "") -> None:
        self.evaluations.append(evaluation)
        for column in evaluation.columns[:1]:
            mean = evaluation.mean(*column)
            self.summary.append(f"{named(*column)} {mean}{rule}")


def measure(
    model: Model, label: str, holdout: Holdout, spec: EvaluateTable, rules: Sequence[str | Path], scale: Scale | None,
    kept: Rules | None = None, *, progress: bool = True,
) -> Measured:  # fmt: skip
    """Rank by each of the rules and predict, as far as the spec measures it and the model can. scale: None where the
    log has no ratings. kept: what every list must keep. progress: whether ranking shows a bar."""
    found = Measured()
    for rule in rules:
        holdout_of_rule = with_candidates(holdout, rule, model.users, model.items)
        with measured() as cost:
            recs = recommend(model, holdout_of_rule.queries, max(spec.k), rules=kept, progress=progress)
        if found.recs is None:
            found.recs, found.cost = recs, cost
        if spec.ranking:
            evaluation = evaluate(
                recs, holdout_of_rule, k=spec.k, metrics=spec.ranking, convention=spec.convention, label=label,
                train=model.data,
            )  # fmt: skip
            found.add(evaluation, "" if rule == "all" else f" ({Path(rule).name})")
    if spec.predicted and not model.predicts():
        warn(f"{label} predicts no ratings: no {', '.join(spec.predicted)}")
    elif spec.predicted:
        with measured() as cost:
            _predict(model, label, holdout, spec.predicted, scale, found)
        found.cost = found.cost if spec.ranking else cost
    return found


def _predict(
    model: Model, label: str, holdout: Holdout, metrics: Sequence[str], scale: Scale | None, found: Measured
) -> None:
    """Measure predictions for the hidden rows, if these have ratings."""
    pairs = holdout.pairs
    if pairs is None or pairs.label is None or scale is None:
        warn(f"the hidden rows of {holdout.protocol.part} have no ratings: no {', '.join(metrics)}")
        return
    predicted = model.predict(pairs, holdout.queries)
    found.add(evaluate_ratings(predicted, holdout, model.users, scale=scale, metrics=metrics, label=label))
    if set(CLICK) & set(metrics) and predicted.min() >= 0 and predicted.max() <= 1:
        found.calibration = calibration(pairs.label, predicted)


def warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=3)


@contextlib.contextmanager
def our_warnings() -> Iterator[list[str]]:
    """Collect the texts of our warnings, each once, into the list; other warnings are shown when the block ends."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MatineeWarning)
        yield texts
    for w in caught:
        if not issubclass(w.category, MatineeWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
        elif str(w.message) not in texts:
            texts.append(str(w.message))
