"""Hours, weekdays, gaps and sessions against datetime and plain loops."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from explore_logs import DAY, by_user, make_log, rows_of

from matinee.explore.times import EDGES, time_figures


def sessions_of(times: list[int], pause: int) -> list[list[int]]:
    out = [[times[0]]]
    for before, now in pairwise(times):
        if now - before > pause:
            out.append([])
        out[-1].append(now)
    return out


@pytest.mark.parametrize("pause", [60, 1800, 40 * DAY])
@pytest.mark.parametrize("seed", range(3))
def test_time_figures(seed: int, pause: int) -> None:
    data = make_log(seed)
    found = time_figures(data, pause=pause)
    assert found is not None
    moments = [datetime.fromtimestamp(row[3], UTC) for row in rows_of(data)]
    assert found.hours is not None
    assert found.weekdays is not None
    assert dict(enumerate(found.hours.tolist())) == {hour: [m.hour for m in moments].count(hour) for hour in range(24)}
    assert dict(enumerate(found.weekdays.tolist())) == {d: [m.weekday() for m in moments].count(d) for d in range(7)}
    times = [[row[3] for row in rows] for rows in by_user(data).values()]
    gaps = [now - before for of in times for before, now in pairwise(of)]
    assert found.gaps.median == statistics.median(gaps)
    assert found.gaps.std == pytest.approx(statistics.pstdev(gaps))
    assert found.tied == pytest.approx(gaps.count(0) / len(gaps))
    bars = Counter(sum(gap >= edge for edge in EDGES) for gap in gaps)
    assert dict(enumerate(found.gap_counts.tolist())) == {bar: bars[bar] for bar in range(len(EDGES) + 1)}
    spans = [of[-1] - of[0] for of in times if len(of) > 1]
    assert found.span.mean == pytest.approx(statistics.fmean(spans))
    assert found.one_day == pytest.approx(sum(span < DAY for span in spans) / len(spans))
    cut = [sessions_of(of, pause) for of in times]
    assert found.sessions == sum(map(len, cut))
    assert found.session_events.upper == np.quantile([len(each) for of in cut for each in of], 0.75)
    assert found.user_sessions.median == statistics.median(map(len, cut))
    single = [len(of) == 1 for of, all_ in zip(cut, times, strict=True) if len(all_) > 1]
    assert found.one_session == pytest.approx(sum(single) / len(single))
    assert (found.first, found.last) == (min(map(min, times)), max(map(max, times)))


def test_times_of_whole_days_have_no_hours() -> None:
    data = make_log()
    assert data.timestamp is not None
    days = time_figures(replace(data, timestamp=data.timestamp // DAY * DAY))
    assert days is not None
    assert (days.resolution, days.hours) == (DAY, None)
    assert days.weekdays is not None
    assert days.weekdays.sum() == len(data)
    minutes = time_figures(replace(data, timestamp=data.timestamp // 60 * 60))
    assert minutes is not None
    assert minutes.resolution == 60
    assert minutes.hours is not None


def test_times_beyond_the_calendar_and_none() -> None:
    data = make_log()
    beyond = time_figures(replace(data, timestamp=np.arange(len(data)) + 10**17))
    assert beyond is not None
    assert (beyond.hours, beyond.weekdays) == (None, None)
    assert time_figures(replace(data, timestamp=None)) is None


def test_one_event_a_user() -> None:
    data = make_log()
    found = time_figures(data.rows(np.unique(data.user, return_index=True)[1]))
    assert found is not None
    assert (found.gaps.n, found.span.n, found.one_day, found.one_session, found.tied) == (0, 0, 0, 0, 0)
    assert found.sessions == len(set(data.user.tolist()))
