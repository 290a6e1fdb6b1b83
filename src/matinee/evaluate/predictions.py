"""Metrics of single predictions: ratings (rmse, mae, bce) and clicks (auc, gauc, logloss). float64 throughout.

label, prediction: (n,) arrays. An empty, uneven or not finite input is a MatineeError, never a NaN in a table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.errors import MatineeError

Values = NDArray[np.float64]

names = ("rmse", "mae", "bce", "auc", "gauc", "logloss")
RATING = ("rmse", "mae", "bce")
ROOTED = ("rmse",)
"""Metrics that are the square root of the mean of their `errors`."""


def errors(metric: str, label: ArrayLike, prediction: ArrayLike, scale: tuple[float, float]) -> Values:
    """float64 (n,): each row's part in a metric of RATING, which is their mean (rmse: the root of it)."""
    if metric == "bce":
        return _scaled_entropy(label, prediction, *scale)
    y, p = _checked(label, prediction)
    return (p - y) ** 2 if metric == "rmse" else np.abs(p - y)


def rmse(label: ArrayLike, prediction: ArrayLike) -> float:
    """sqrt(mean((prediction - label)**2)), in rating units."""
    y, p = _checked(label, prediction)
    return float(np.sqrt(np.mean((p - y) ** 2)))


def mae(label: ArrayLike, prediction: ArrayLike) -> float:
    """mean(|prediction - label|), in rating units."""
    y, p = _checked(label, prediction)
    return float(np.mean(np.abs(p - y)))


def bce(label: ArrayLike, prediction: ArrayLike, *, low: float, high: float) -> float:
    """Binary cross-entropy of ratings scaled to 0..1: y = (label - low) / (high - low), p likewise (prediction in the
    same units), mean(-y log p - (1 - y) log(1 - p)).

    low, high: the ends of the rating scale (0.5 and 5 for MovieLens). p is clipped to [eps, 1 - eps], eps as in
    `logloss`. The y are not 0 or 1, so a perfect prediction does not reach 0 but the entropy of the y.
    """
    return float(np.mean(_scaled_entropy(label, prediction, low, high)))


def logloss(label: ArrayLike, prediction: ArrayLike) -> float:
    """mean(-log p(label)) for labels 0 and 1 and probabilities, as scikit-learn's log_loss.

    p is clipped to [eps, 1 - eps] with eps of the predictions' own type: a float32 cannot say 1 - 1e-16.
    """
    y, p = _checked(label, prediction)
    _binary(y)
    if p.min() < 0 or p.max() > 1:
        raise MatineeError("a prediction is not a probability (0 to 1)", mend="pass probabilities, not logits")
    return float(np.mean(_cross_entropy(y, p, _eps(prediction))))


def auc(label: ArrayLike, prediction: ArrayLike) -> float:
    """P(a positive scores above a negative), equal scores counting half: (sum of the positives' mid-ranks
    - P (P + 1) / 2) / (P N), the Mann-Whitney form of the area under the ROC curve. Needs both classes."""
    y, p = _checked(label, prediction)
    value, _ = _auc_by_group(_binary(y), p, np.zeros(len(y), np.int64))
    if np.isnan(value[0]):
        raise MatineeError("auc needs positive and negative labels", mend="check the labels: they are all the same")
    return float(value[0])


def gauc(label: ArrayLike, prediction: ArrayLike, user: ArrayLike) -> float:
    """Mean of the users' own auc, weighted by their rows; users with one class only have none and are left out.

    Zhou et al., KDD 2018, section 6, weights by impressions, as here; RecBole weights by positives. user: (n,) codes.
    """
    y, p = _checked(label, prediction)
    group = np.asarray(user)
    if group.shape != y.shape:
        raise MatineeError(f"{len(group)} users for {len(y)} labels", mend="pass one user a label")
    value, rows = _auc_by_group(_binary(y), p, np.unique(group, return_inverse=True)[1])
    both = ~np.isnan(value)
    if not both.any():
        raise MatineeError("gauc needs a user with positive and negative labels", mend="use auc")
    return float((value[both] * rows[both]).sum() / rows[both].sum())


def _auc_by_group(y: Values, p: Values, group: NDArray[np.int64]) -> tuple[Values, NDArray[np.int64]]:
    """auc of each group 0..G-1, NaN where it has one class, and its rows; ranks are taken within the group."""
    order = np.lexsort((p, group))
    g, s = group[order], p[order]
    new = np.ones(len(s), np.bool_)  # starts a run of equal scores of one group
    new[1:] = (g[1:] != g[:-1]) | (s[1:] != s[:-1])
    start = np.flatnonzero(new)
    stop = np.append(start[1:], len(s))
    rows = np.bincount(group)
    first = np.cumsum(rows) - rows  # where each group begins in the sorted order
    mid_rank = np.repeat((start + 1 + stop) / 2, stop - start) - first[g]
    positives = np.bincount(g, weights=y[order])
    rank_sum = np.bincount(g, weights=mid_rank * y[order])
    pairs = positives * (rows - positives)
    wins = rank_sum - positives * (positives + 1) / 2
    return wins / np.where(pairs > 0, pairs, np.nan), rows


def _scaled_entropy(label: ArrayLike, prediction: ArrayLike, low: float, high: float) -> Values:
    if not low < high:
        raise MatineeError(f"{low}..{high} is not a rating scale", mend="pass low < high, e.g. low=0.5, high=5")
    y, p = ((values - low) / (high - low) for values in _checked(label, prediction))
    if y.min() < 0 or y.max() > 1:
        raise MatineeError(f"a rating lies outside the scale {low}..{high}", mend="pass the ends of its scale")
    return _cross_entropy(y, p, _eps(prediction))


def _cross_entropy(y: Values, p: Values, eps: float) -> Values:
    p = np.clip(p, eps, 1 - eps)
    entropy: Values = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return entropy


def _eps(prediction: ArrayLike) -> float:
    kind = np.asarray(prediction).dtype
    return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)


def _checked(label: ArrayLike, prediction: ArrayLike) -> tuple[Values, Values]:
    y, p = np.asarray(label, np.float64), np.asarray(prediction, np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise MatineeError(
            f"{y.shape} labels and {p.shape} predictions", mend="pass one prediction a label, one or more"
        )
    for what, values in (("label", y), ("prediction", p)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise MatineeError(f"{what} is not a finite number: {values[bad[0]]}", where=f"row {bad[0]}")
    return y, p


def _binary(y: NDArray[Any]) -> Values:
    if not np.isin(y, (0, 1)).all():
        raise MatineeError("a label is neither 0 nor 1", mend="make labels of ratings first (label_min in a recipe)")
    return y
