"""When events happen: hours, weekdays, gaps between a user's events, and the sessions that long gaps part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.explore.calendar import DAY, hours_of, in_calendar, resolution, weekdays_of
from matinee.explore.spread import Quartiles

PAUSE = 1800
EDGES = (1, 60, 600, 3600, 6 * 3600, DAY, 7 * DAY, 30 * DAY, 365 * DAY)
"""Seconds that part the bars of gaps: below one second, below a minute, ..., a year or more."""


@dataclass(frozen=True)
class TimeFigures:
    """Times are UTC. resolution: the largest unit, in seconds up to a day, in which all times are whole. hours: int64
    (24,) events by hour, None where only days are known; weekdays: int64 (7,), from Monday; both None beyond the
    calendar. gaps: seconds between a user's neighbouring events; gap_counts: int64 (10,), those below each of EDGES,
    and from the last on; tied: the share of gaps of 0. span: seconds from a user's first event to the last, of users
    with two events or more; one_day: the share of these whose events all lie within 24 hours.

    Sessions: a user's events without a gap of more than `pause` seconds. session_events: events of a session;
    user_sessions: sessions of a user; one_session: the share of users with two events or more who have a single one.
    """

    first: int
    last: int
    resolution: int
    hours: NDArray[np.int64] | None
    weekdays: NDArray[np.int64] | None
    gaps: Quartiles
    gap_counts: NDArray[np.int64]
    tied: float
    span: Quartiles
    one_day: float
    pause: int
    sessions: int
    session_events: Quartiles
    user_sessions: Quartiles
    one_session: float


def time_figures(data: Dataset, *, pause: int = PAUSE) -> TimeFigures | None:
    """None where the log has no times, or no events. pause: seconds that end a session when they are exceeded."""
    if data.timestamp is None or not len(data):
        return None
    seconds, unit = data.timestamp, resolution(data.timestamp)
    user, time = data.user[data.order], seconds[data.order]
    same = user[1:] == user[:-1]
    between = np.diff(time)
    gaps = between[same]
    begins = np.append(True, ~same | (between > pause))
    lengths = np.diff(np.flatnonzero(np.append(begins, True)))
    per_user = np.bincount(user[begins])
    per_user = per_user[per_user > 0]
    count = data.user_counts()[data.user_counts() > 0]
    starts = np.append(0, np.cumsum(count)[:-1])
    spans = (time[np.cumsum(count) - 1] - time[starts])[count > 1]
    calendar = in_calendar(seconds)
    return TimeFigures(
        first=int(seconds.min()),
        last=int(seconds.max()),
        resolution=unit,
        hours=np.bincount(hours_of(seconds), minlength=24).astype(np.int64) if calendar and unit < DAY else None,
        weekdays=np.bincount(weekdays_of(seconds), minlength=7).astype(np.int64) if calendar else None,
        gaps=Quartiles.of(gaps),
        gap_counts=np.bincount(np.searchsorted(EDGES, gaps, side="right"), minlength=len(EDGES) + 1).astype(np.int64),
        tied=_share(gaps == 0),
        span=Quartiles.of(spans),
        one_day=_share(spans < DAY),
        pause=pause,
        sessions=len(lengths),
        session_events=Quartiles.of(lengths),
        user_sessions=Quartiles.of(per_user),
        one_session=_share(per_user[count > 1] == 1),
    )


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0
