"""Queries for one person: a user of the log, or someone new."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.data.query import with_request_time
from matinee.errors import MatineeError, MatineeWarning


def log() -> Dataset:
    """User 7 watched 20 and then 10; user 8 nothing."""
    return Dataset(
        IdMap([7, 8], what="user"),
        IdMap([10, 20, 30], what="item"),
        np.array([0, 0], np.int32),
        np.array([0, 1], np.int32),
        timestamp=np.array([5, 3]),
        item_features=pl.DataFrame({"title": ["Heat (1995)", "Toy Story (1995)", None]}),
    )


class Loaded:
    """As much of a fitted model as a query needs."""

    data = log()


@pytest.mark.parametrize("source", [log(), Loaded()])
@pytest.mark.parametrize("user", [7, "7"])
def test_a_user_has_the_history_of_the_log(source: Any, user: int | str) -> None:
    queries = mt.query(source, user=user)
    assert queries.user.tolist() == [0]
    assert queries.history[0].tolist() == [1, 0]
    assert queries.exclude[0].tolist() == [1, 0]
    assert queries.request_time is None
    assert queries.history_times is not None
    assert queries.history_times.tolist() == [3, 5]


def test_someone_new_has_the_titles_or_ids_given() -> None:
    queries = mt.query(log(), history=["Toy Story (1995)", 10])
    assert queries.user.tolist() == [-1]
    assert queries.history[0].tolist() == [1, 0]
    assert queries.exclude[0].tolist() == [1, 0]
    assert mt.query(log(), history="heat (1995)").history[0].tolist() == [0], "one text is one film, not its letters"
    assert mt.query(log(), history=30).history[0].tolist() == [2]
    assert len(mt.query(log(), history=[]).history[0]) == 0


def test_seen_items_are_excluded_unless_told_otherwise() -> None:
    for asked in ({"user": 7}, {"history": [10]}):
        queries = mt.query(log(), exclude_seen=False, **asked)
        assert len(queries.exclude[0]) == 0
        assert len(queries.history[0])


@pytest.mark.parametrize(
    "at", [86_400, "1970-01-02", "1970-01-02T01:00+01:00", date(1970, 1, 2), datetime(1970, 1, 2, tzinfo=UTC)]
)
def test_the_time_of_the_request(at: Any) -> None:
    for queries in (
        mt.query(log(), user=7, at=at),
        mt.query(log(), history=[10], at=at),
        with_request_time(log().queries(), at),
    ):
        assert queries.request_time is not None
        assert queries.request_time.tolist() == [86_400] * len(queries)


def test_history_is_a_query_of_someone_new() -> None:
    queries = mt.history(["Toy Story (1995)", "Heat (1995)"], log(), at=77)
    assert queries.user.tolist() == [-1]
    assert queries.history[0].tolist() == queries.exclude[0].tolist() == [1, 0]
    assert queries.request_time is not None
    assert queries.request_time.tolist() == [77]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "neither a user nor a history"),
        ({"user": 7, "history": [10]}, "both a user and a history"),
        ({"user": 70}, "unknown user 70(.|\n)*someone new(.|\n)*7"),
        ({"history": ["Haet (1995)"]}, "did you mean: Heat"),
        ({"user": 7, "at": "tomorrow"}, "'tomorrow' is not a date"),
        ({"user": 7, "at": -1}, "-1 is not a time"),
        ({"user": 7, "at": 1 << 70}, "is not a time"),
    ],
)
def test_what_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        mt.query(log(), **asked)


def test_a_log_without_events_knows_no_user_but_answers_someone_new() -> None:
    bare = log().rows(np.zeros(2, bool))
    with pytest.raises(MatineeError, match="without histories"):
        mt.query(bare, user=7)
    assert mt.query(bare, history=[10]).history[0].tolist() == [0]


class Reader(Loaded):
    """A fitted model that reads titles, or does not, on a log of lists with these titles."""

    def __init__(self, reads: bool, titles: Sequence[str | None] | None) -> None:
        table = None if titles is None else pl.DataFrame({"title": pl.Series(titles, dtype=pl.String)})
        self.data, self.reads = replace(log(), user_features=table), reads

    def reads_titles(self) -> bool:
        return self.reads


@pytest.mark.parametrize(
    ("reads", "titles", "said"),
    [
        (False, ["rain", "party"], 'Reader does not read titles: title="rain" changes nothing'),
        (True, [None, "party"], None),
        (True, [None, " "], 'no list that Reader learned from has a title: title="rain" changes nothing'),
        (True, None, 'no list that Reader learned from has a title: title="rain" changes nothing'),
    ],
)
@pytest.mark.parametrize("asked", [{}, {"user": 7}, {"history": [10]}], ids=str)
def test_a_title_that_changes_nothing_is_told_once(
    reads: bool, titles: list[str | None] | None, said: str | None, asked: dict[str, Any]
) -> None:
    model = Reader(reads, titles)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        queries = mt.query(model, title="rain", **asked)
        mt.query(model, **asked or {"user": 7})
        mt.query(model.data, title="rain", **asked)
    assert queries.title == ("rain",)
    assert [(str(each.message), each.category, each.filename) for each in told] == (
        [] if said is None else [(said, MatineeWarning, __file__)]
    )


def test_a_log_has_titles_of_lists_where_one_says_something() -> None:
    assert [Reader(True, titles).data.has_user_titles for titles in (None, [None, ""], ["\t", "x"])] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("title", [5, ["rain"], b"rain"])
def test_a_title_is_a_text(title: Any) -> None:
    with pytest.raises(MatineeError, match="is no text"):
        mt.query(log(), title=title)
    with pytest.raises(MatineeError, match="is no text"):
        mt.history([10], log(), title=title)
