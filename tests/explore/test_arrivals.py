"""New users, new items and drift, against sets that grow."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from explore_logs import make_log, rows_of

from matinee.explore.arrivals import arrival_figures
from matinee.explore.calendar import tenths


def head(counts: Counter[int], k: int) -> set[int]:
    return set(sorted(counts, key=lambda item: (-counts[item], item))[:k])


@pytest.mark.parametrize("seed", range(4))
def test_arrival_figures(seed: int) -> None:
    data = make_log(seed)
    found = arrival_figures(data)
    assert found is not None
    rows = sorted(rows_of(data), key=lambda row: row[3])
    starts = sorted({rows[len(rows) * p // 10][3] for p in range(10)})
    parts = [[row for row in rows if sum(row[3] >= start for start in starts) == p] for p in range(1, len(starts) + 1)]
    k = min(100, -(-len({row[1] for row in rows}) // 10))
    assert (found.head, len(found.periods)) == (k, len(parts))
    users, items, so_far, before = set[int](), set[int](), Counter[int](), Counter[int]()
    for part, period in zip(parts, found.periods, strict=True):
        mine, theirs, counts = {r[0] for r in part}, {r[1] for r in part}, Counter(r[1] for r in part)
        assert (period.first, period.last, period.events) == (part[0][3], part[-1][3], len(part))
        assert (period.users, period.items) == (len(mine), len(theirs))
        assert (period.new_users, period.new_items) == (len(mine - users), len(theirs - items))
        assert period.cold_users == pytest.approx(len(mine - users) / len(mine))
        assert period.cold_items == pytest.approx(len(theirs - items) / len(theirs))
        assert period.cold_user_events == pytest.approx(np.mean([r[0] not in users for r in part]))
        assert period.cold_item_events == pytest.approx(np.mean([r[1] not in items for r in part]))
        if before:
            kept = head(counts, len(head(before, k))) & head(before, k)
            assert period.kept == pytest.approx(len(kept) / min(k, len(counts)))
            assert period.all_time == pytest.approx(sum(counts[i] for i in head(so_far, k)) / len(part))
            assert period.recent == pytest.approx(sum(counts[i] for i in head(before, k)) / len(part))
        else:
            assert (period.kept, period.all_time, period.recent) == (None, None, None)
        users |= mine
        items |= theirs
        so_far, before = so_far + counts, counts


def test_equal_times_stay_together() -> None:
    data = make_log(n=100)
    times = np.repeat([50, 7, 90], [60, 25, 15])
    assert tenths(times).tolist() == [7, 50, 90, 90]
    found = arrival_figures(replace(data, timestamp=times))
    assert found is not None
    assert [period.events for period in found.periods] == [25, 60, 15]


def test_without_times() -> None:
    data = make_log()
    assert arrival_figures(replace(data, timestamp=None)) is None
    assert arrival_figures(replace(data, timestamp=np.full(len(data), 9))) is None
