"""Metrics of single predictions: ratings (rmse, mae, bce) and clicks (auc, gauc, logloss). float64 throughout.

label, prediction: (n,) arrays. An empty input, one of unequal lengths or with a value that is not finite is a
MatineeError, never a NaN in a table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.errors import MatineeError

Values = NDArray[np.float64]

RATING = ("rmse", "mae", "bce")
CLICK = ("auc", "gauc", "logloss")
"""Metrics of labels 0 and 1."""
names = (*RATING, *CLICK)


class _Names(frozenset[str]):
    """Names of metrics; one with an option, as "diversity:directors", counts as the metric."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).partition(":")[0])


LOWER_IS_BETTER: frozenset[str] = _Names(
    {"rmse", "mae", "bce", "logloss", "disliked", "calibration_error", "gini", "head_share", "mean_popularity"}
    | {"clicks"}
)
"""Of all metrics, those of lists included: fewer errors and dislikes, and less of what everybody gets anyway."""
UNBOUNDED: frozenset[str] = _Names(
    {"rmse", "mae", "bce", "logloss", "disliked", "calibration_error", "novelty", "clicks", "r_precision_credit"}
)
"""Metrics that may be above 1, and `disliked`."""
ROOTED = ("rmse",)
"""Metrics that are the square root of the mean of their `row_values`."""


def row_values(
    metric: str, label: ArrayLike, prediction: ArrayLike, *, scale: tuple[float, float], user: ArrayLike
) -> Values:
    """float64 (n,): each row's part in a metric of `names`, the mean of the parts that are not NaN (of rmse its root).
    scale: the ends of the ratings, for bce. user: (n,) integers, equal for rows of one user.

    rmse, mae, bce, logloss: the row's own error. gauc: the auc of the row's user, NaN where that user has one class.
    auc: auc + n times the row's influence on it, so that differences and intervals, clustered by user, are those of
    DeLong et al. (Biometrics 1988; clustered: Obuchowski, Biometrics 1997). The mean over some of the rows is not their
    auc. Raises MatineeError as the metric's own function does.
    """
    match metric:
        case "bce":
            return _scaled_entropy(label, prediction, *scale)
        case "logloss":
            return _click_entropy(label, prediction)
        case "auc":
            return _auc_parts(label, prediction)
        case "gauc":
            return _auc_of_users(label, prediction, user)
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
    return float(np.mean(_click_entropy(label, prediction)))


def auc(label: ArrayLike, prediction: ArrayLike) -> float:
    """P(a positive scores above a negative), equal scores counting half: (sum of the positives' mid-ranks
    - P (P + 1) / 2) / (P N), the Mann-Whitney form of the area under the ROC curve. Needs both classes."""
    y, p = _both_classes(label, prediction)
    return float(_auc_by_group(y, p, np.zeros(len(y), np.int64))[0])


def gauc(label: ArrayLike, prediction: ArrayLike, user: ArrayLike) -> float:
    """Mean of the users' own auc, weighted by their rows; users with one class only are left out. Zhou et al., KDD
    2018, section 6, weights by impressions, as here; RecBole weights by positives. user: (n,) codes."""
    return float(np.nanmean(_auc_of_users(label, prediction, user)))


class Bin(NamedTuple):
    """n rows whose predictions are in one part of 0..1. predicted: their mean. positive: the share labelled 1."""

    predicted: float
    positive: float
    n: int


def calibration(label: ArrayLike, prediction: ArrayLike, *, bins: int = 10) -> list[Bin]:
    """Whether probabilities are calibrated: a Bin for each of `bins` equal parts of 0..1 that has rows, in order.

    An inner end belongs to the part below it, as in scikit-learn's calibration_curve. Calibrated: predicted equals
    positive in every bin, up to the sampling error of n rows.
    """
    if bins < 1:
        raise MatineeError(f"bins must be 1 or more, got {bins}", hint="pass a whole number from 1")
    y, p = _probabilities(label, prediction)
    at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
    count, predicted, positive = (np.bincount(at, weights=w, minlength=bins) for w in (np.ones_like(p), p, y))
    return [
        Bin(float(predicted[b] / count[b]), float(positive[b] / count[b]), int(count[b])) for b in np.flatnonzero(count)
    ]


def _auc_parts(label: ArrayLike, prediction: ArrayLike) -> Values:
    """float64 (n,): auc + n / P (v - auc) for a positive, v the share of negatives below it; the same with N for a
    negative, v the share of positives above it. Equal scores count half; both v have the mean auc."""
    y, p = _both_classes(label, prediction)
    positive = y == 1
    # a row's rank among all rows, less its rank in its own class, is the number of the other class below it
    below = _mid_ranks(p, np.zeros(len(p), np.int64)) - _mid_ranks(p, positive.astype(np.int64))
    n_positive = np.count_nonzero(positive)
    n_negative = len(y) - n_positive
    share = np.where(positive, below / n_negative, 1 - below / n_positive)
    value = share[positive].mean()
    parts: Values = value + len(y) / np.where(positive, n_positive, n_negative) * (share - value)
    return parts


def _auc_of_users(label: ArrayLike, prediction: ArrayLike, user: ArrayLike) -> Values:
    """float64 (n,): the auc among the rows of the row's user; NaN where they have one class."""
    y, p = _checked(label, prediction)
    group = np.asarray(user)
    if group.shape != y.shape:
        raise MatineeError(f"{len(group)} users for {len(y)} labels", hint="pass one user a label")
    at = np.unique(group, return_inverse=True)[1]
    value = _auc_by_group(_binary(y), p, at)
    if np.isnan(value).all():
        raise MatineeError("gauc needs a user with positive and negative labels", hint="use auc")
    return value[at]


def _auc_by_group(y: Values, p: Values, group: NDArray[np.int64]) -> Values:
    """float64 (G,): the auc within each group 0..G-1, NaN where it has one class."""
    rows = np.bincount(group)
    positives = np.bincount(group, weights=y)
    rank_sum = np.bincount(group, weights=_mid_ranks(p, group) * y)
    pairs = positives * (rows - positives)
    wins = rank_sum - positives * (positives + 1) / 2
    return np.asarray(wins / np.where(pairs > 0, pairs, np.nan), np.float64)


def _mid_ranks(p: Values, group: NDArray[np.int64]) -> Values:
    """float64 (n,): the rank of each row within its group 0..G-1, lowest score first, from 1; equal scores share the
    mean of their ranks."""
    order = np.lexsort((p, group))
    g, s = group[order], p[order]
    new = np.ones(len(s), np.bool_)  # starts a run of equal scores of one group
    new[1:] = (g[1:] != g[:-1]) | (s[1:] != s[:-1])
    start = np.flatnonzero(new)
    stop = np.append(start[1:], len(s))
    rows = np.bincount(group)
    first = np.cumsum(rows) - rows  # where each group begins in the sorted order
    rank = np.empty(len(s))
    rank[order] = np.repeat((start + 1 + stop) / 2, stop - start) - first[g]
    return rank


def _click_entropy(label: ArrayLike, prediction: ArrayLike) -> Values:
    """float64 (n,)."""
    return _cross_entropy(*_probabilities(label, prediction), _eps(prediction))


def _scaled_entropy(label: ArrayLike, prediction: ArrayLike, low: float, high: float) -> Values:
    """float64 (n,): the entropy of ratings scaled to 0..1."""
    if not low < high:
        raise MatineeError(f"{low}..{high} is not a rating scale", hint="pass low < high, e.g. low=0.5, high=5")
    y, p = ((values - low) / (high - low) for values in _checked(label, prediction))
    if y.min() < 0 or y.max() > 1:
        raise MatineeError(f"a rating is outside the scale {low}..{high}", hint="pass the ends of its scale")
    return _cross_entropy(y, p, _eps(prediction))


def _cross_entropy(y: Values, p: Values, eps: float) -> Values:
    """float64 (n,): p is clipped to [eps, 1 - eps]."""
    p = np.clip(p, eps, 1 - eps)
    entropy: Values = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return entropy


def _eps(prediction: ArrayLike) -> float:
    kind = np.asarray(prediction).dtype
    return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)


def _checked(label: ArrayLike, prediction: ArrayLike) -> tuple[Values, Values]:
    """Both as float64 (n,)."""
    y, p = np.asarray(label, np.float64), np.asarray(prediction, np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        hint = "pass one prediction a label, one or more"
        raise MatineeError(f"{y.shape} labels and {p.shape} predictions", hint=hint)
    for what, values in (("label", y), ("prediction", p)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            hint = "check the ratings, or fit the model again"
            raise MatineeError(f"{what} is not a finite number: {values[bad[0]]}", where=f"row {bad[0]}", hint=hint)
    return y, p


def _probabilities(label: ArrayLike, prediction: ArrayLike) -> tuple[Values, Values]:
    """Labels 0 and 1 and probabilities, float64 (n,) each."""
    y, p = _checked(label, prediction)
    if p.min() < 0 or p.max() > 1:
        raise MatineeError("a prediction is not a probability (0 to 1)", hint="pass probabilities, not logits")
    return _binary(y), p


def _both_classes(label: ArrayLike, prediction: ArrayLike) -> tuple[Values, Values]:
    """Labels 0 and 1, both present, and scores, float64 (n,) each."""
    y, p = _checked(label, prediction)
    if not 0 < _binary(y).sum() < len(y):
        raise MatineeError("auc needs positive and negative labels", hint="check the labels: all are equal")
    return y, p


def _binary(y: Values) -> Values:
    """float64 (n,): the labels, checked to be 0 and 1."""
    if not np.isin(y, (0, 1)).all():
        raise MatineeError("a label is neither 0 nor 1", hint="turn ratings into labels first (label_min in a recipe)")
    return y
