"""A log as a dataframe."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, log
from matinee.data.filters import filter_events
from matinee.data.read.log import read
from matinee.errors import MatineeError


def test_external_ids_ratings_and_times_in_the_logs_order() -> None:
    data = log(["b", "a", "b"], [7, 30, 5], [86_400, 0, 3_600], [1.5, 2, 3])
    frame = data.to_frame()
    assert frame.schema == {
        "user_id": pl.String, "item_id": pl.Int64, "rating": pl.Float32, "time": pl.Datetime("us")
    }  # fmt: skip
    assert frame.rows() == [
        ("b", 7, 1.5, datetime(1970, 1, 2)),
        ("a", 30, 2.0, datetime(1970, 1, 1)),
        ("b", 5, 3.0, datetime(1970, 1, 1, 1)),
    ]


def test_only_what_the_log_has() -> None:
    assert log([1, 2], [3, 4]).to_frame().rows() == [(1, 3), (2, 4)]


def test_context_and_raw_ratings_come_along_and_no_column_is_lost() -> None:
    context = pl.DataFrame({"device": ["tv", "pc"], "rating": [9, 8], "time": ["x", "y"]})
    data = replace(log([1, 2], [3, 4], None, [1, 0]), context=context, raw_rating=np.array([4.5, 2.0], np.float32))
    frame = data.to_frame()
    assert frame.columns == ["user_id", "item_id", "rating", "raw_rating", "device", "rating_context", "time"]
    assert frame.rows()[0] == (1, 3, 1.0, 4.5, "tv", 9, "x")


def test_read_makes_the_same_log_of_it() -> None:
    data = groups()
    watched = data.rows(np.arange(len(data)))
    again = read(watched.to_frame())
    assert again.to_frame().equals(watched.to_frame())
    assert read(again.to_pandas()).fingerprint == again.fingerprint


def test_pandas_has_the_same_rows() -> None:
    data = groups()
    frame = data.to_pandas()
    assert frame["user_id"].tolist() == data.users.decode(data.user)
    assert frame["item_id"].tolist() == data.items.decode(data.item)
    assert data.timestamp is not None
    assert (frame["time"].astype("int64") // 10**6).tolist() == data.timestamp.tolist()


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(name for name in sys.modules if name.partition(".")[0] == "pandas"), "pandas"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MatineeError, match=r"this needs pandas(.|\n)*pip install pandas pyarrow"):
        groups().to_pandas()


def test_times_that_no_date_can_name_are_refused() -> None:
    with pytest.raises(MatineeError, match=r"log has times after the year 9999(.|\n)*unit"):
        log([1], [2], [2**45]).to_frame()
    assert log([1], [2], [253_402_300_799]).to_frame()["time"].dt.year().to_list() == [9999]


def test_ids_without_events_are_not_counted_with_the_others() -> None:
    items = pl.DataFrame({"item": ["a", "b", "c"], "title": ["A", "B", "C"]})
    data = read({"user": [1, 1, 2], "item": ["a", "b", "a"], "rating": [5, 1, 2]}, items=items)
    assert repr(data) == "Dataset(log: 3 events, 2 users, 2 items with events (of 3))"
    liked = filter_events(data, min_rating=3)
    assert repr(liked) == "Dataset(log: 1 event, 1 user with events (of 2), 1 item with events (of 3))"
    assert "1 user with events (of 2)" in liked._repr_html_()
