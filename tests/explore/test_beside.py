"""Logs side by side: each value is the log's own, and what two logs share is counted by their ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from explore_logs import make_log, rows_of, with_tables

import matinee as mt
from matinee.data.ids import IdMap
from matinee.explore.beside import Row, overlaps


def test_rows_are_the_logs_own_numbers() -> None:
    one, other = (
        with_tables(make_log(0, name="one")),
        replace(make_log(1, n=300, name="other"), value=None, timestamp=None),
    )
    found = mt.explore(one, other)
    rows = {row.name: row.values for row in found.side_by_side()}
    for at, log in enumerate(found.logs):
        assert rows["Events"][at] == log.figures.n_events
        assert rows["Events per user, median"][at] == log.activity.median
        assert rows["Events per item, Gini"][at] == log.popularity.gini
        assert rows["Events that repeat a pair"][at] == log.repeats.extra / log.figures.n_events
    assert found[0].ratings is not None
    assert found[0].years is not None
    assert rows["Mean rating"] == (found[0].ratings.spread.mean, None)
    assert rows["Median release year of events"] == (found[0].years.events.median, None)
    cut = next(each for each in found[0].splits if each.strategy == "temporal")
    assert rows["Hidden by temporal: queries without history"] == (cut.cold_queries, None)
    assert len(found) == 2


def test_texts() -> None:
    assert Row("a", "share", (0.0612, None, 1.0)).texts() == ["6.1 %", "–", "100 %"]
    assert Row("a", "date", (883_612_800,)).texts() == ["1 Jan 1998"]
    assert Row("a", "count", (1234.0, 12.25)).texts() == ["1,234", "12.2"]
    assert Row("a", "seconds", (90.0,)).texts() == ["90 seconds"]
    assert Row("a", "year", (1994.0,)).texts() == ["1994"]


def test_a_number_that_no_log_has_is_no_row() -> None:
    bare = replace(make_log(), value=None, timestamp=None)
    names = {row.name for row in mt.explore(bare, bare).side_by_side()}
    assert not {"Mean rating", "From", "Pairs with different ratings"} & names


@pytest.mark.parametrize("text", [False, True])
def test_overlaps(text: bool) -> None:
    a, b = make_log(0, name="a"), make_log(1, n=200, name="b")
    if text:  # ids of another kind are compared as they are written
        b = replace(b, users=IdMap.from_series(pl.Series([f"{i:03d}" for i in range(b.n_users)])))
    found = overlaps([a, b, a], ["a", "b", "c"])
    assert [(each.a, each.b) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    users = [{str(log.users.ids[row[0]]) for row in rows_of(log)} for log in (a, b)]
    items = [{str(log.items.ids[row[1]]) for row in rows_of(log)} for log in (a, b)]
    both = users[0] & users[1], items[0] & items[1]
    assert (found[0].users, found[0].items) == (len(both[0]), len(both[1]))
    for log, share in ((a, found[0].of_a), (b, found[0].of_b)):
        inside = [str(log.users.ids[u]) in both[0] and str(log.items.ids[i]) in both[1] for u, i, *_ in rows_of(log)]
        assert share == pytest.approx(np.mean(inside))
    assert (found[1].of_a, found[1].of_b) == (1, 1)
    assert f"share {len(both[0])} user" in str(found[0])
