"""What the ratings of a log tell: their spread, and how much of it lies between users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matinee.data.dataset import Dataset
from matinee.explore.spread import Quartiles


@dataclass(frozen=True)
class RatingFigures:
    """distinct: levels that occur. commonest: the rating given most often (the lowest of several), share: how often.
    users: the users' mean ratings. between: the share of the variance that lies between users (eta squared), None where
    all ratings are equal. alike: of the users with two ratings or more, the share whose ratings are all the same, None
    where there are no such users."""

    spread: Quartiles
    distinct: int
    commonest: float
    share: float
    users: Quartiles
    between: float | None
    alike: float | None

    @property
    def constant(self) -> bool:
        """Whether all ratings are equal, and so tell nothing."""
        return self.distinct == 1

    @property
    def binary(self) -> bool:
        """Whether there are two levels: liked or not."""
        return self.distinct == 2


def rating_figures(data: Dataset) -> RatingFigures | None:
    """None where the log has no ratings, or no events."""
    if data.value is None or not len(data):
        return None
    value = data.value.astype(np.float64)
    levels, times = np.unique(value, return_counts=True)
    n = data.user_counts()
    active = n > 0
    mean = np.bincount(data.user, value, minlength=data.n_users)[active] / n[active]
    low, high = np.full(data.n_users, np.inf), np.full(data.n_users, -np.inf)
    np.minimum.at(low, data.user, value)
    np.maximum.at(high, data.user, value)
    several = n > 1
    variance = float(value.var())
    between = float(np.dot(n[active], (mean - value.mean()) ** 2) / len(value))
    return RatingFigures(
        spread=Quartiles.of(value),
        distinct=len(levels),
        commonest=float(levels[np.argmax(times)]),
        share=float(times.max() / len(value)),
        users=Quartiles.of(mean),
        between=between / variance if len(levels) > 1 else None,
        alike=float(np.mean((low == high)[several])) if several.any() else None,
    )
