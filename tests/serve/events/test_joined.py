"""A log with the events of a store behind it, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning
from matinee.serve.events.joined import joined

LOG = {
    "user_id": [1, 1, 2, 3], "item_id": [10, 30, 10, 20], "rating": [5.0, 3.0, 4.0, 1.0], "timestamp": [5, 6, 7, 8],
}  # fmt: skip
ITEMS = {"item_id": [10, 20, 30], "title": ["Ten", "Twenty", "Thirty"]}
Event = tuple[str, str, str, float, float | None]


def events(*rows: Event) -> pl.DataFrame:
    schema = {"user_id": pl.String, "item_id": pl.String, "kind": pl.String, "time": pl.Float64, "rating": pl.Float64}
    return pl.DataFrame(list(rows), schema, orient="row")


def rows(data: mt.Dataset) -> list[tuple[Any, ...]]:
    """user, item, time and rating of each row."""
    assert data.timestamp is not None
    value = [None] * len(data) if data.value is None else data.value.tolist()
    ids = data.users.decode(data.user), data.items.decode(data.item)
    return list(zip(*ids, data.timestamp.tolist(), value, strict=True))


def disliked(data: mt.Dataset) -> list[tuple[Any, Any, int]]:
    assert data.dislikes is not None
    assert data.dislikes.timestamp is not None
    ids = data.users.decode(data.dislikes.user), data.items.decode(data.dislikes.item)
    return list(zip(*ids, data.dislikes.timestamp.tolist(), strict=True))


def test_events_come_behind_the_log() -> None:
    log = mt.read(LOG, items=ITEMS)
    new = events(("2", "20", "watch", 9.7, None), ("4", "15", "rating", 10.0, 2.0), ("1", "10", "dislike", 11.0, None))
    with pytest.warns(MatineeWarning, match="1 events are left out, because their user dis"):
        found = joined(log, new)
    mean = (5.0 + 3.0 + 4.0 + 1.0) / 4
    assert rows(found.data) == [(1, 30, 6, 3.0), (2, 10, 7, 4.0), (3, 20, 8, 1.0), (2, 20, 9, mean), (4, 15, 10, 2.0)]
    assert disliked(found.data) == [(1, 10, 11)]
    assert found.new.tolist() == [False, False, False, True, True]
    assert (found.added, found.repeated) == (3, 0)
    assert found.data.items.ids.tolist() == [10, 15, 20, 30]
    assert found.data.item_features is not None
    assert found.data.item_features["title"].to_list() == ["Ten", None, "Twenty", "Thirty"]
    assert found.data.context is None
    assert found.data.weight is None


def test_what_the_log_has_already_counts_once() -> None:
    """As after a refit: the log has the first two, one of them as a dislike."""
    log = mt.read(LOG)
    first = events(("2", "20", "watch", 9.7, None), ("3", "10", "dislike", 10.2, None))
    refitted = joined(log, first).data
    again = joined(refitted, pl.concat([first, events(("2", "20", "watch", 12.0, None))]))
    assert (again.added, again.repeated) == (1, 2)
    assert rows(again.data)[:-1] == rows(refitted)
    assert rows(again.data)[-1][:3] == (2, 20, 12)
    assert disliked(again.data) == disliked(refitted) == [(3, 10, 10)]
    with pytest.raises(MatineeError, match="no event that the log does not have"):
        joined(refitted, first)


def test_the_latest_event_decides() -> None:
    """Somebody liked what the log has as a dislike; another is of two minds among the events."""
    log = mt.read(LOG, dislike_below=2.0)
    assert disliked(log) == [(3, 20, 8)]
    new = events(("3", "20", "watch", 9.0, None), ("2", "30", "dislike", 9.0, None), ("2", "30", "watch", 10.0, None))
    with pytest.warns(MatineeWarning, match="2 dislikes are left out"):
        found = joined(log, new)
    assert found.data.dislikes is None
    assert [row[:3] for row in rows(found.data)] == [(1, 10, 5), (1, 30, 6), (2, 10, 7), (3, 20, 9), (2, 30, 10)]


def test_sessions_make_user_ids_text() -> None:
    log = mt.read(LOG)
    found = joined(log, events(("session:a", "30", "watch", 9.0, None), ("2", "20", "watch", 9.0, None)))
    assert found.data.users.ids.tolist() == ["1", "2", "3", "session:a"]
    assert found.data.items.ids.tolist() == [10, 20, 30]
    assert [row[:2] for row in rows(found.data)][-2:] == [("session:a", 30), ("2", 20)]


def test_items_that_can_be_none_of_the_catalogue_are_counted() -> None:
    log = mt.read(LOG)
    with pytest.warns(MatineeWarning, match="3 of 4 events name an item that is no number and are left out"):
        found = joined(log, events(*((user, item, "watch", 9.0, None) for user, item in
                                     (("1", "x"), ("1", "010"), ("1", "1.5"), ("1", "20")))))  # fmt: skip
    assert rows(found.data)[-1][:2] == (1, 20)
    text = mt.read({"user_id": ["a"], "item_id": ["b"], "timestamp": [3]})
    assert rows(joined(text, events(("c", "010", "watch", 9.0, None))).data)[-1] == ("c", "010", 9, None)


def test_labels_are_made_as_the_log_made_them() -> None:
    log = mt.filter_events(mt.read(LOG), label_min=4.0)
    new = events(("2", "20", "rating", 9.0, 3.5), ("2", "30", "rating", 9.0, 4.5), ("3", "10", "watch", 9.0, None))
    found = joined(log, new).data
    np.testing.assert_array_equal(found.value, [1, 0, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(found.raw_rating, [5, 3, 4, 1, 3.5, 4.5, 4])


def test_a_rating_model_learns_from_ratings_alone() -> None:
    new = events(("2", "20", "watch", 9.0, None), ("2", "30", "rating", 9.0, 4.5), ("3", "10", "dislike", 9.0, None))
    with pytest.warns(MatineeWarning, match="1 of 3 events have no rating and is left out"):
        found = joined(mt.read(LOG), new, ratings_only=True)
    assert rows(found.data)[4:] == [(2, 30, 9, 4.5)]
    assert disliked(found.data) == [(3, 10, 9)]


def test_a_log_without_times_or_ratings_with_weights_and_a_context() -> None:
    log = mt.read({"user_id": [2, 1], "item_id": [7, 8], "plays": [3.0, 2.0], "place": ["home", "bus"]}, weight="plays")
    found = joined(log, events(("1", "7", "rating", 9.0, 4.0), ("2", "7", "watch", 9.5, None)))
    assert found.repeated == 1  # without times a pair is the same event
    data = found.data
    assert (data.timestamp, data.value) == (None, None)
    np.testing.assert_array_equal(data.weight, [3.0, 2.0, 1.0])
    assert data.context is not None
    assert data.context.to_dict(as_series=False) == {"place": ["home", "bus", None]}
