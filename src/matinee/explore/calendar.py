"""Seconds as years, months, weekdays and hours (UTC), and the log in equal parts along time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset

DAY = 86_400
LAST_YEAR = 9999
_MONDAY = 3  # 1 January 1970 was a Thursday, the fourth day of a week from Monday
Seconds = NDArray[np.int64]


def in_calendar(seconds: Seconds) -> bool:
    """Whether all times are in the years 1970 to 9999."""
    return bool(len(seconds)) and int(years_of(seconds.max(keepdims=True))[0]) <= LAST_YEAR


def years_of(seconds: Seconds) -> NDArray[np.int64]:
    """int64 (n,): 1997."""
    return seconds.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970


def months_of(seconds: Seconds) -> NDArray[np.int64]:
    """int64 (n,): 12 * year + month, months from 0."""
    return seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) + 12 * 1970


def weekdays_of(seconds: Seconds) -> NDArray[np.int64]:
    """int64 (n,): 0 is Monday."""
    return (seconds // DAY + _MONDAY) % 7


def hours_of(seconds: Seconds) -> NDArray[np.int64]:
    """int64 (n,): 0 to 23."""
    return seconds % DAY // 3600


def resolution(seconds: Seconds) -> int:
    """The largest number of seconds, up to a day, that divides all times: 86400 where only days are known."""
    return next((unit for unit in (DAY, 3600, 60) if not (seconds % unit).any()), 1)


def tenths(seconds: Seconds, parts: int = 10) -> Seconds:
    """int64 (m + 1,): the first second of each of at most `parts` parts that hold equally many events as far as equal
    times, which stay together, allow; and the last second."""
    times = np.sort(seconds)
    first = times[(np.arange(parts) * len(times)) // parts]
    return np.append(np.unique(first), times[-1])


def part_of(seconds: Seconds, edges: Seconds) -> NDArray[np.int64]:
    """int64 (n,): the part of each time, from 0. edges: those of `tenths`."""
    return np.searchsorted(edges[:-1], seconds, side="right") - 1


def last_events(data: Dataset, n: int) -> NDArray[np.int64]:
    """int64 (m,): row numbers of each user's n latest events, of users with fewer all."""
    order, count = data.order, data.user_counts()
    end = np.cumsum(count)[data.user[order]]
    return order[end - np.arange(len(order)) <= n]
