"""The mean of a column and its 95 % interval: the normal approximation, below 30 queries Wilson's or a bootstrap."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints
from matinee.evaluate.hits import Values

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution
FEW = 30  # below this many queries the normal approximation is not used
DRAWS = 10_000  # of the bootstrap

Method = Literal["normal", "wilson", "bootstrap", "none"]
FEW_WORDS = (
    f"fewer than {FEW} queries: the interval is Wilson's where every value is 0 or 1, and from a bootstrap otherwise"
)


class Mean(NamedTuple):
    """A mean over queries with its 95 % interval (NaN where all queries are of one user)."""

    value: float
    low: float
    high: float
    n_queries: int

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        return with_interval(self.value, self.low, self.high)


def with_interval(value: float, low: float, high: float) -> str:
    """0.1146 ± 0.0154; 0.9333 (0.7018 to 0.9882) where the interval is not symmetric; 0.5000 where it is not known."""
    if np.isnan(low) or np.isnan(high):
        return f"{value:.4f}"
    return (
        f"{value:.4f} ± {(high - low) / 2:.4f}"
        if symmetric(value, low, high)
        else f"{value:.4f} ({low:.4f} to {high:.4f})"
    )


def symmetric(value: float, low: float, high: float) -> bool:
    """Whether the interval reaches as far up as down, in the digits that are shown."""
    return abs((high - value) - (value - low)) < 5e-5


def mean_of(value: Values, weight: Values | None, cluster: NDArray[np.int64] | None, *, bounded: bool = True) -> Mean:
    """Mean of the values that are not NaN, and its 95 % interval by `method_of`.

    bounded: the mean is within 0 and 1 by definition, and so is then its interval below 30 values.
    """
    method = method_of(value, weight, cluster, bounded=bounded)
    mean, error, groups, n = standard_error(value, weight, cluster)
    if method == "normal" or groups < 2:  # of one user alone the error is NaN
        return Mean(mean, mean - Z95 * error, mean + Z95 * error, n)
    low, high = wilson(mean, groups) if method == "wilson" else bootstrap(value, weight, cluster)
    if bounded:
        low, high = (float(np.clip(end, 0, 1)) for end in (low, high))
    return Mean(mean, low, high, n)


def method_of(
    value: Values, weight: Values | None, cluster: NDArray[np.int64] | None, *, bounded: bool = True
) -> Method:
    """How the interval is found: from 30 values by the normal approximation; below by Wilson's where the values are
    0 or 1 and independent, or all of them 0 or all 1; otherwise by the bootstrap. "none" is for numbers of a model."""
    there = ~np.isnan(value)
    v = value[there]
    if not 1 < len(v) < FEW:
        return "normal"
    alike = bool((v == v[0]).all())
    independent = weight is None and (cluster is None or len(np.unique(cluster[there])) == len(v))
    return "wilson" if bounded and np.isin(v, (0.0, 1.0)).all() and (independent or alike) else "bootstrap"


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n independent trials (Wilson, J. American Statistical Association 1927)."""
    square = Z95**2 / n
    middle = (share + square / 2) / (1 + square)
    half = float(np.sqrt(share * (1 - share) * square + square**2 / 4)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(value: Values, weight: Values | None, cluster: NDArray[np.int64] | None) -> tuple[float, float]:
    """The 95 % interval of the mean from 10,000 samples of the clusters with replacement, always the same ones; NaN
    for one cluster alone.

    Percentiles of few values are too narrow: they are taken where Student's t would put the ends of a normal sample
    (the expanded percentiles of Hesterberg, The American Statistician 2015).
    """
    from scipy.special import ndtr, stdtrit

    there = ~np.isnan(value)
    w = np.ones(np.count_nonzero(there)) if weight is None else weight[there]
    total, size = w * value[there], w
    if cluster is not None:
        total, size = summed_by(cluster[there], total), summed_by(cluster[there], size)
    groups = len(total)
    if groups < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(0).integers(0, groups, (DRAWS, groups))
    means = total[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    tail = float(ndtr(-np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, 0.975)))
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return low, high


def standard_error(
    value: Values, weight: Values | None, cluster: NDArray[np.int64] | None
) -> tuple[float, float, int, int]:
    """Mean of the values that are not NaN, its standard error, the number of clusters G and of values n.

    With weights w the mean is sum(w v) / sum(w); its residuals w (v - mean) are summed within each cluster, and
    error = sqrt(G / (G - 1) * sum over clusters of residual**2) / sum(w): the usual s / sqrt(n) where every query is
    its own cluster and weighs 1 (the clustered form: Liang and Zeger, Biometrika 1986).
    """
    there = ~np.isnan(value)
    v = value[there]
    if not len(v):
        return np.nan, np.nan, 0, 0
    w = np.ones(len(v)) if weight is None else weight[there]
    mean = float((w * v).sum() / w.sum())
    residual = w * (v - mean)
    if cluster is not None:
        residual = summed_by(cluster[there], residual)
    groups = len(residual)
    error = float(np.sqrt(groups / (groups - 1) * (residual**2).sum()) / w.sum()) if groups > 1 else np.nan
    return mean, error, groups, len(v)


def summed_by(cluster: NDArray[np.int64], values: Values) -> Values:
    """float64 (G,): the sums of the values of each cluster."""
    return np.asarray(np.bincount(np.unique(cluster, return_inverse=True)[1], weights=values), np.float64)


def clusters_of(user: Ints) -> NDArray[np.int64] | None:
    """int64 (B,): one number a user, a new one for each -1; None where no user has two queries."""
    seen = user >= 0
    if len(np.unique(user[seen])) == np.count_nonzero(seen):
        return None
    cluster = user.astype(np.int64)
    cluster[~seen] = int(user.max()) + 1 + np.arange(np.count_nonzero(~seen))
    return cluster
