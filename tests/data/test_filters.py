"""Which events count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.data.dataset import Dataset
from matinee.data.filters import filter_events
from matinee.data.read.log import read
from matinee.errors import MatineeError

from .samples import real

DAY = 86_400


def log(rows: list[tuple[str, str, float, int]], **tables: Any) -> Dataset:
    frame = pl.DataFrame(rows, schema=["user", "item", "rating", "time"], orient="row")
    return read(frame.with_columns(device=pl.int_range(pl.len())), **tables)


def events(data: Dataset) -> list[str]:
    return [f"{u}{i}" for u, i in zip(data.users.decode(data.user), data.items.decode(data.item), strict=True)]


@pytest.fixture
def data() -> Dataset:
    items = pl.DataFrame({"item": ["x", "z", "never"], "title": ["X", "Z", "N"]})
    users = pl.DataFrame({"user": ["a", "c"], "age": [1, 3]})
    rows = [
        ("b", "x", 4.0, 0),
        ("a", "z", 3.0, DAY),
        ("a", "x", 1.0, DAY),
        ("c", "y", 5.0, 2 * DAY),
        ("b", "z", 2.0, 9),
    ]
    return log(rows, items=items, users=users)


def test_ratings(data: Dataset) -> None:
    assert events(filter_events(data, min_rating=3)) == ["bx", "az", "cy"]
    assert events(filter_events(data, drop_ratings=[3, 5])) == ["bx", "ax", "bz"]
    kept = filter_events(data, min_rating=2, label_min=4)
    assert kept.value is not None
    assert kept.value.tolist() == [1, 0, 1, 0]
    assert kept.value.dtype == np.float32
    assert kept.raw_rating is not None
    assert np.array_equal(kept.raw_rating >= 4, kept.value), "what the labels were made of"
    last = kept.rows(np.array([3]))
    assert last.raw_rating is not None
    assert last.raw_rating.tolist() == [2.0]
    assert last.side_fingerprint != replace(last, raw_rating=last.raw_rating + 1).side_fingerprint
    assert last.fingerprint == replace(last, raw_rating=None).fingerprint, (
        "a member of an ensemble is kept without grades"
    )
    with pytest.raises(MatineeError, match="raw_rating has 1 row, not 4"):
        replace(kept, raw_rating=last.raw_rating)
    assert kept.context is not None
    assert kept.context["device"].to_list() == [0, 1, 3, 4], "context follows its rows"
    assert kept.users is data.users
    assert kept.items is data.items, "without minimum events nobody leaves the ids"


@pytest.mark.parametrize("day", ["1970-01-02", date(1970, 1, 2), datetime(1970, 1, 2, tzinfo=UTC), DAY])
def test_dates(data: Dataset, day: Any) -> None:
    assert events(filter_events(data, since=day)) == ["az", "ax", "cy"]
    assert events(filter_events(data, until=day)) == ["bx", "bz"]
    assert events(filter_events(data, since=day, until="1970-01-03")) == ["az", "ax"]


def test_minimum_events_remove_ids_and_table_rows(data: Dataset) -> None:
    kept = filter_events(data, min_item_events=2)
    assert events(kept) == ["bx", "az", "ax", "bz"]
    assert kept.items.ids.tolist() == ["x", "z"], "items below, and never seen ones, are gone"
    assert kept.users.ids.tolist() == ["a", "b", "c"], "no minimum for users was asked"
    assert kept.item_features is not None
    assert kept.item_features["title"].to_list() == ["X", "Z"]
    kept = filter_events(data, min_user_events=2)
    assert kept.users.ids.tolist() == ["a", "b"]
    assert kept.user_features is not None
    assert kept.user_features["age"].to_list() == [1, None]
    assert kept.items.ids.tolist() == ["never", "x", "y", "z"]


def test_minimum_events_are_iterated() -> None:
    """Removing item y takes b below its minimum, whose going takes x below, and so on: only c, d with p, q hold."""
    chain = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "p"), ("c", "q"), ("d", "p"), ("d", "q"), ("c", "x")]
    kept = filter_events(log([(u, i, 1.0, n) for n, (u, i) in enumerate(chain)]), min_user_events=2, min_item_events=2)
    assert events(kept) == ["cp", "cq", "dp", "dq"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"min_rating": 6}, r"min_rating = 6 leaves none of the 5 events .*ratings from 1 to 5"),
        ({"drop_ratings": [1, 2, 3, 4, 5]}, "drop_ratings"),
        ({"since": "1980-01-01"}, r"since = 1980-01-01 leaves none .*dates from 1970-01-01 to 1970-01-03"),
        ({"until": 0}, "until = 0"),
        ({"min_user_events": 3}, r"min_user_events = 3 .*at most 2 events of a user"),
        ({"since": "yesterday"}, "'yesterday' is not a date"),
    ],
)
def test_an_empty_result_names_the_filter(data: Dataset, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        filter_events(data, **asked)


@pytest.mark.parametrize(
    "asked", [{"min_rating": 1}, {"drop_ratings": [1]}, {"label_min": 1}, {"since": 1}, {"until": 1}]
)
def test_columns_that_are_not_there(asked: dict[str, Any]) -> None:
    data = read(pl.DataFrame({"user": [1], "item": [1]}))
    with pytest.raises(MatineeError, match=f"{next(iter(asked))} needs (ratings|times), and the log has none"):
        filter_events(data, **asked)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=40),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_core_against_a_slow_one(pairs: list[tuple[int, int]], min_user: int, min_item: int) -> None:
    slow = list(pairs)
    while True:
        users, items = [u for u, _ in slow], [i for _, i in slow]
        smaller = [(u, i) for u, i in slow if users.count(u) >= min_user and items.count(i) >= min_item]
        if len(smaller) == len(slow):
            break
        slow = smaller
    data = read(pl.DataFrame(pairs, schema=["user", "item"], orient="row"))
    if not slow:
        with pytest.raises(MatineeError, match="leaves none"):
            filter_events(data, min_user_events=min_user, min_item_events=min_item)
        return
    kept = filter_events(data, min_user_events=min_user, min_item_events=min_item)
    assert list(zip(kept.users.decode(kept.user), kept.items.decode(kept.item), strict=True)) == slow
    if min_user:
        assert kept.user_counts().min() >= min_user
    if min_item:
        assert kept.item_counts().min() >= min_item


def test_known_ml_1m_counts() -> None:
    data = read(real("ml-1m"))
    kept = filter_events(data, min_rating=3, min_user_events=10, min_item_events=10)
    assert (kept.n_users, kept.n_items, len(kept)) == (6_033, 3_123, 834_449)
    kept = filter_events(data, min_item_events=5)
    assert (kept.n_users, kept.n_items, len(kept)) == (6_040, 3_416, 999_611)
    assert kept.item_features is not None
    assert len(kept.item_features) == 3_416
