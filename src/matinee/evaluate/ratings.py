"""Predicted ratings against hidden ones: an error per pair, and means with intervals clustered by user."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from matinee.data.dataset import Floats, Holdout
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import predictions as formulas
from matinee.evaluate.evaluate import Evaluation


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

    scale: the ends of the ratings (0.5, 5.0), which bce needs. users: the split's. k is 0: there is no cut-off.
    Raises MatineeError where the pairs have no ratings, or predictions are not finite or not one a pair.
    """
    models = dict(predicted) if isinstance(predicted, Mapping) else {label or "model": predicted}
    pairs = holdout.pairs
    if pairs is None or pairs.label is None:
        raise MatineeError(
            f"the log has no ratings, so {', '.join(metrics)} cannot be measured", mend="map its rating column"
        )
    errors = {
        (name, metric, 0): formulas.errors(metric, pairs.label, prediction, scale)
        for name, prediction in models.items()
        for metric in metrics
    }
    digest = hashlib.blake2b(digest_size=8)
    for array in (pairs.user, pairs.item, pairs.label):
        digest.update(np.ascontiguousarray(array).tobytes())
    protocol = replace(
        holdout.protocol,
        candidates=f"the hidden ratings, from {scale[0]:g} to {scale[1]:g}",
        exclude="nothing",
    )
    return Evaluation(errors, pairs.user, users, protocol, digest.hexdigest())
