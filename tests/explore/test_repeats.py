"""Repeats and conflicts against a dictionary of pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from explore_logs import make_log, rows_of, with_tables

from matinee.data.dataset import Dataset
from matinee.explore.repeats import repeat_figures


def with_copies(seed: int) -> Dataset:
    """Some rows twice."""
    data = make_log(seed)
    return data.rows(np.concatenate([np.arange(len(data)), np.array([3, 17, 17, 40])]))


@pytest.mark.parametrize("seed", range(4))
def test_repeat_figures(seed: int) -> None:
    data = with_copies(seed)
    found = repeat_figures(data)
    pairs = defaultdict(list)
    for row in sorted(rows_of(data), key=lambda row: row[3]):
        pairs[row[:2]].append(row)
    repeated = {pair: rows for pair, rows in pairs.items() if len(rows) > 1}
    assert (found.pairs, found.repeated_pairs) == (len(pairs), len(repeated))
    assert found.extra == len(data) - len(pairs) > 0
    assert found.users == len({user for user, _ in repeated})
    assert found.most == max(map(len, pairs.values()))
    assert found.exact == sum(n - 1 for n in Counter(rows_of(data)).values()) >= 4
    wide = {pair: max(r[2] for r in rows) - min(r[2] for r in rows) for pair, rows in pairs.items()}
    apart = [width for width in wide.values() if width]
    assert found.conflicts == len(apart) > 0
    assert found.width == pytest.approx(np.mean(apart))
    for example in found.examples:
        pair = data.users.find(example.user), data.items.find(example.item)
        assert example.ratings == tuple(row[2] for row in pairs[pair])
    shown = [max(example.ratings) - min(example.ratings) for example in found.examples]
    assert shown == sorted(apart, reverse=True)[:5]


def test_equal_titles() -> None:
    data = with_tables(make_log())
    assert {8, 9} <= set(data.item.tolist())
    assert repeat_figures(data).same_title == 2
    assert repeat_figures(make_log()).same_title is None
    without = data.rows(data.item != 9)
    assert repeat_figures(without).same_title == 0


def test_without_ratings_and_times() -> None:
    data = replace(with_copies(0), value=None, timestamp=None)
    found = repeat_figures(data)
    assert (found.conflicts, found.width, found.examples) == (None, 0.0, ())
    assert found.exact == found.extra


def test_without_repeats() -> None:
    data = make_log()
    _, first = np.unique(data.user.astype(np.int64) * 100 + data.item, return_index=True)
    found = repeat_figures(data.rows(first))
    assert (found.repeated_pairs, found.extra, found.users, found.most, found.exact, found.conflicts) == (
        0,
        0,
        0,
        1,
        0,
        0,
    )
