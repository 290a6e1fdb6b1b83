"""Predicted ratings or clicks against hidden ones: a value per pair, and means with intervals clustered by user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Holdout
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, counted, either, option, suggestion
from matinee.evaluate import predictions as formulas
from matinee.evaluate.evaluate import Evaluation, fingerprint
from matinee.evaluate.hits import Values


def evaluate_ratings(
    predicted: Floats | Mapping[str, Floats],
    holdout: Holdout,
    users: IdMap,
    *,
    scale: tuple[float, float],
    metrics: Sequence[str] = ("rmse", "mae"),
    label: str | None = None,
) -> Evaluation:
    """Measure predictions for the holdout's pairs (of one model, or label -> predictions); a query is a pair.

    metrics: names of evaluate.predictions.names; those of CLICK need labels 0 and 1. scale: the ends of the ratings
    (0.5, 5.0; of labels 0, 1), which bce needs. users: the split's. k is 0: there is no cut-off.
    Raises MatineeError for unknown metrics, where the pairs have no ratings or only one label, and where predictions
    are not finite, not one a pair, or (logloss) no probabilities.
    """
    models = dict(predicted) if isinstance(predicted, Mapping) else {label or "model": predicted}
    if not models:
        raise MatineeError("there is nothing to evaluate", hint="pass predictions, or a label -> predictions map")
    if unknown := [metric for metric in metrics if metric not in formulas.names]:
        raise MatineeError(f"unknown metric {unknown[0]!r}", hint=suggestion(unknown[0], formulas.names))
    pairs = holdout.pairs
    if pairs is None or pairs.label is None:
        hint = f"name its column of ratings where it is read: {option('rating', 'stars')}"
        raise MatineeError(f"the log has no ratings, so {', '.join(metrics)} cannot be measured", hint=hint)
    # users never seen are told apart by their queries
    user = np.where(pairs.user >= 0, pairs.user.astype(np.int64), -1 - pairs.query.astype(np.int64))
    values = {
        (name, metric, 0): formulas.row_values(metric, pairs.label, prediction, scale=scale, user=user)
        for name, prediction in models.items()
        for metric in metrics
    }
    candidates = f"the hidden ratings, from {scale[0]:g} to {scale[1]:g}"
    protocol = replace(holdout.protocol, candidates=candidates, exclude="nothing")
    notes = _one_class(user, values[next(iter(models)), "gauc", 0]) if "gauc" in metrics else ()
    queries = fingerprint(pairs.user, pairs.item, pairs.label)
    return Evaluation(values, pairs.user, users, protocol, queries, notes=notes)


def _one_class(user: NDArray[np.int64], values: Values) -> tuple[str, ...]:
    """A note on the users that gauc leaves out. values: float64 (n,) its row values."""
    left_out = np.isnan(values)
    gone, all_users = len(np.unique(user[left_out])), len(np.unique(user))
    have, are = (either(gone, *words) for words in (("has", "have"), ("is", "are")))
    who = f"{gone:,} of {counted(all_users, 'user')} {have}"
    text = f"{who} hidden rows of one class only, so no auc, and {are} left out of gauc"
    return (f"{text} ({left_out.mean():.1%} of the rows)",) if gone else ()
