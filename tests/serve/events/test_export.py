"""What is exported is read again, with its dislikes and ratings; and who watched what they were shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning
from matinee.serve.events import Answer, Event, EventStore, Shown
from matinee.serve.events.export import export_events, watched

EVENTS = [
    Event("7", "102", "rating", 1003.9, 4.0, "a"),
    Event("7", "101", "watch", 1000.2, None, "b"),
    Event("8", "101", "dislike", 1002.0, None, "c"),
    Event("8", "103", "rating", 1002.0, 2.0, "d"),
    Event("9", "103", "watch", 1001.0, None, "e"),
]


def filled(url: str, events: list[Event]) -> str:
    with EventStore.open(url) as store:
        store.add(events)
    return url


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_fit_reads_what_was_exported(url: str, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"log.{suffix}"
    found = export_events(filled(url, EVENTS), out)
    assert (found.events, found.people, found.items) == (5, 3, 3)
    assert found.kinds == {"dislike": 1, "rating": 2, "watch": 2}
    data = mt.read(out, **found.options)
    assert data.users.ids.tolist() == ([7, 8, 9] if suffix != "parquet" else ["7", "8", "9"])
    assert data.timestamp is not None
    rows = zip(data.users.decode(data.user), data.items.decode(data.item), data.timestamp.tolist(), strict=True)
    assert [tuple(map(int, row)) for row in rows] == [(7, 101, 1000), (9, 103, 1001), (8, 103, 1002), (7, 102, 1003)]
    assert data.dislikes is not None
    assert (data.dislikes.user.tolist(), data.dislikes.item.tolist()) == ([1], [0])
    assert data.value is None  # a watch has no rating, and so the log has none
    assert data.context is not None
    assert pl.Series(data.context["rated"]).to_list() == [None, None, 2.0, 4.0]
    mt.models.EASE().fit(data)


def test_ratings_alone_are_a_log_of_ratings(url: str, tmp_path: Path) -> None:
    ratings = [event for event in EVENTS if event.kind == "rating"]
    found = export_events(filled(url, ratings), tmp_path / "log.csv")
    assert found.options == {}
    data = mt.read(tmp_path / "log.csv")
    np.testing.assert_array_equal(data.value, [2.0, 4.0])
    low = export_events(url, tmp_path / "low.csv", dislike_below=3.0)
    data = mt.read(tmp_path / "low.csv", **low.options)
    assert data.dislikes is not None
    assert data.users.decode(data.dislikes.user) == [8]
    np.testing.assert_array_equal(data.value, [4.0])


def test_views_alone_need_no_options(url: str, tmp_path: Path) -> None:
    found = export_events(filled(url, [EVENTS[1], EVENTS[4]]), tmp_path / "log.csv")
    assert found.options == {}
    assert (tmp_path / "log.csv").read_text() == "user_id,item_id,timestamp\n7,101,1000\n9,103,1001\n"


def test_impressions_say_what_was_then_watched(url: str, tmp_path: Path) -> None:
    filled(url, EVENTS)
    with EventStore.open(url) as store:
        first = Answer("r1", 1000.5, "7", "ease", "v1", "a", (Shown("101", 1, 0.5), Shown("102", 2, 0.25)))
        second = Answer("r2", 1003.0, "7", "knn", "v2", "b", (Shown("102", 1, 0.95), Shown("9", 2, 1.0)), 0.05, 40)
        store.add_answers([second, first])
    found = export_events(url, tmp_path / "log.csv", impressions=tmp_path / "shown.csv", within="30m")
    assert (found.impressions, found.watched) == (4, 2)
    assert (tmp_path / "shown.csv").read_text().splitlines() == [
        "request,timestamp,user_id,model,version,arm,share,candidates,position,item_id,probability,watched",
        "r1,1000.5,7,ease,v1,a,0.0,0,1,101,0.5,1",
        "r1,1000.5,7,ease,v1,a,0.0,0,2,102,0.25,0",
        "r2,1003.0,7,knn,v2,b,0.05,40,1,102,0.95,1",
        "r2,1003.0,7,knn,v2,b,0.05,40,2,9,1.0,0",
    ]


def test_an_event_counts_for_the_last_answer_with_its_item() -> None:
    """Against a loop over all pairs: 300 events and 400 impressions of few people and items, at close times."""
    rng = np.random.default_rng(3)
    shown = pl.DataFrame({
        "user_id": rng.choice(["a", "b", "c"], 400), "item_id": rng.choice(["1", "2", "3", "4"], 400),
        "timestamp": np.sort(rng.uniform(0, 5_000, 400)),
    })  # fmt: skip
    events = pl.DataFrame({
        "user_id": rng.choice(["a", "b", "d"], 300), "item_id": rng.choice(["1", "2", "5"], 300),
        "time": rng.integers(0, 5_200, 300).astype(float),
    })  # fmt: skip
    expected = [0] * len(shown)
    for user, item, time in events.iter_rows():
        before = [
            row
            for row, (u, i, at) in enumerate(shown.iter_rows())
            if (u, i) == (user, item) and np.floor(at) <= time <= np.floor(at) + 60
        ]
        if before:
            expected[before[-1]] = 1
    assert 20 < sum(expected) < 150
    assert watched(shown, events, 60.0).to_list() == expected


def test_what_cannot_be_exported_is_told(url: str, tmp_path: Path) -> None:
    EventStore.open(url).close()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"out": tmp_path / "log.csv"}, "holds no events"),
        ({"out": tmp_path / "log.xlsx"}, "xlsx"),
        ({"out": tmp_path / "log.csv", "within": "soon"}, "within is 'soon'"),
        ({"out": tmp_path / "log.csv", "within": 0}, "within is 0"),
    ]
    for options, words in cases:
        with pytest.raises(MatineeError, match=words):
            export_events(url, **options)
    assert list(tmp_path.glob("log*")) == []


def test_events_before_1970_are_left_out_and_counted(url: str, tmp_path: Path) -> None:
    filled(url, [EVENTS[1], Event("7", "5", "watch", -5.0, None, "early")])
    with pytest.warns(MatineeWarning, match="1 event from before 1970 is left out"):
        found = export_events(url, tmp_path / "log.csv")
    assert found.events == 1
