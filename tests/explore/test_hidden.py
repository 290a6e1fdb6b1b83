"""What splits hide, against loops over the split's own rows."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from explore_logs import by_user, make_log, rows_of, with_tables

from matinee import split
from matinee.data.dataset import Dataset, Split
from matinee.explore.hidden import SplitFigures, split_figures


def made(data: Dataset, strategy: str) -> Split:
    if strategy in ("random", "mixed"):
        return getattr(split, strategy)(data, valid=0, seed=7)  # type: ignore[no-any-return]
    return getattr(split, strategy)(data)  # type: ignore[no-any-return]


def of(data: Dataset, strategy: str) -> SplitFigures:
    found, _ = split_figures(data, seed=7)
    return next(each for each in found if each.strategy == strategy)


@pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")
@pytest.mark.parametrize("strategy", ["random", "mixed", "leave_one_out", "temporal"])
def test_split_figures(strategy: str) -> None:
    data = with_tables(make_log(2))
    found, made_split = of(data, strategy), made(data, strategy)
    known, pairs = made_split.train_valid, made_split.test.pairs
    assert known is not None
    assert pairs is not None
    assert pairs.timestamp is not None
    seen = rows_of(known)
    hidden = list(zip(pairs.user.tolist(), pairs.item.tolist(), pairs.timestamp.tolist(), strict=True))
    assert found.words == made_split.test.protocol.split
    assert (found.queries, found.hidden) == (len({row[0] for row in hidden}), len(hidden))
    assert len(seen) + len(hidden) == len(data)
    had = defaultdict(set)
    for user, item, *_ in seen:
        had[user].add(item)
    asked = {(user, item) for user, item, _ in hidden}
    assert found.answers == sum(item not in had[user] for user, item in asked)
    assert found.answers + found.left_out == len(asked)
    per_user, per_item = Counter(row[0] for row in seen), Counter(row[1] for row in seen)
    queries = sorted({row[0] for row in hidden})
    assert found.history.median == statistics.median(per_user[user] for user in queries)
    assert found.cold_queries == pytest.approx(np.mean([per_user[user] == 0 for user in queries]))
    assert found.cold_items == pytest.approx(np.mean([per_item[row[1]] == 0 for row in hidden]))
    assert found.popularity.mean == pytest.approx(statistics.fmean(per_item[row[1]] for row in hidden))
    top = set(sorted(per_item, key=lambda item: (-per_item[item], item))[: -(-len(per_item) // 10)])
    assert found.head == pytest.approx(np.mean([row[1] in top for row in hidden]))
    assert found.known_head == pytest.approx(np.mean([row[1] in top for row in seen]))
    newest = {user: max(row[3] for row in seen if row[0] == user) for user in per_user}
    assert found.own_future == pytest.approx(np.mean([time < newest.get(user, -1) for user, _, time in hidden]))
    later = [sum(row[3] > time for row in seen) / len(seen) for *_, time in hidden]
    assert found.future == pytest.approx(statistics.fmean(later))
    assert (found.first, found.last) == (min(row[2] for row in hidden), max(row[2] for row in hidden))
    assert found.over_time is not None
    assert sum(found.over_time) == pytest.approx(1)
    assert data.item_features is not None
    year = data.item_features["year"].to_list()
    assert found.years is not None
    assert found.years.median == statistics.median(y for row in hidden if (y := year[row[1]]) is not None)


def test_what_the_strategies_promise() -> None:
    """Splits by time know no future, those at random do; a cut in time hides its last tenths only."""
    data = make_log(1)
    assert of(data, "leave_one_out").own_future == of(data, "temporal").own_future == 0
    assert of(data, "temporal").future == 0
    assert (of(data, "random").own_future or 0) > (of(data, "mixed").own_future or 0) > 0
    assert of(data, "leave_one_out").hidden == sum(len(rows) >= 3 for rows in by_user(data).values())
    over = of(data, "temporal").over_time
    assert over is not None
    assert sum(over[:-1]) == 0


def test_what_cannot_be_split() -> None:
    data = make_log()
    found, refused = split_figures(replace(data, timestamp=None))
    assert [each.strategy for each in found] == ["random", "mixed", "leave_one_out"]
    assert refused == {"temporal": "a temporal split needs timestamps"}
    assert all(each.own_future is None and each.over_time is None and each.years is None for each in found)
    _, refused = split_figures(data.rows(np.unique(data.user, return_index=True)[1]))  # one event a user
    assert {"random", "mixed", "leave_one_out"} <= set(refused)
