"""What is known of people: the log, then stored events by their times; no state is older than an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.serve.events import Event
from matinee.serve.live import Live, load_live
from matinee.serve.states import StateCache, person_of, state_of


@pytest.fixture(scope="module")
def live(folders: dict[str, Path]) -> Live:
    return load_live("markov", folders["markov"])


def event(item: object, time: float, kind: str = "watch", rating: float | None = None) -> Event:
    return Event("100", str(item), kind, time, rating, f"{item}-{time}")  # type: ignore[arg-type]


def test_events_stand_in_a_history_by_their_times(live: Live, data: mt.Dataset) -> None:
    logged = data.queries([100])
    times = logged.history_times
    assert times is not None
    between = int(times[0]) + 1
    new = [i for i in range(data.n_items) if i not in logged.history.values][:2]
    ids = data.items.decode(new)
    state = state_of(
        live, "100", [event(ids[0], between), event(ids[1], times[-1] + 5, "rating", 2.0), event(99999, 5)]
    )
    n = int((times < between).sum())
    expected = [*logged.history.values[:n], new[0], *logged.history.values[n:], new[1]]
    assert state.item.tolist() == expected
    assert state.time is not None
    assert (np.diff(state.time) >= 0).all()
    assert state.rating is not None
    assert data.value is not None
    assert state.rating[[n, -1]].tolist() == pytest.approx([float(data.value.mean()), 2.0])
    assert state.user == data.users.code(100)


def test_an_event_that_the_log_has_already_counts_once(live: Live, data: mt.Dataset) -> None:
    """After a refit the events are in the model's log."""
    logged = data.queries([100])
    assert logged.history_times is not None
    same = event(data.items.decode(logged.history.values[1:2])[0], int(logged.history_times[1]))
    assert state_of(live, "100", [same]).item.tolist() == logged.history.values.tolist()
    later = event(same.item, int(logged.history_times[-1]) + 1)
    assert state_of(live, "100", [same, later]).item.tolist() == [*logged.history.values, logged.history.values[1]]


def test_what_someone_said_last_of_an_item_holds(live: Live, data: mt.Dataset) -> None:
    code = data.items.code(307)
    assert state_of(live, "100", [event(307, 1, "dislike")]).disliked.tolist() == [code]
    assert state_of(live, "100", [event(307, 1, "dislike"), event(307, 2)]).disliked.tolist() == []
    assert state_of(live, "100", [event(307, 1), event(307, 2, "dislike")]).disliked.tolist() == [code]


def test_ratings_become_labels_where_the_log_has_labels(data: mt.Dataset, tmp_path: Path) -> None:
    assert data.value is not None
    labels = (data.value >= 4).astype(np.float32)
    labelled = mt.Dataset(
        data.users, data.items, data.user, data.item, labels, data.timestamp, raw_rating=data.value, name="labels"
    )
    live = load_live("pop", mt.save_model(mt.models.Popularity().fit(labelled), tmp_path / "pop"))
    assert (live.typical_rating, live.rating(4.0), live.rating(3.5)) == (1.0, 1.0, 0.0)


def test_a_person_has_one_name_and_a_session_another(live: Live) -> None:
    assert person_of(live, 100, None) == person_of(live, "100", None) == "100"
    assert person_of(live, "0100", None) == "0100"
    assert person_of(live, None, "100") == "session:100"
    assert person_of(live, None, None) is None
    assert state_of(live, "session:100", ()).user == -1


def test_the_store_that_cannot_be_read_is_told(live: Live, data: mt.Dataset) -> None:
    state = state_of(live, "100", None)
    assert (state.read, len(state.item)) == (False, len(data.queries([100]).history.values))


def test_a_state_read_before_an_event_is_not_kept_after_it(live: Live) -> None:
    cache, state = StateCache(2), state_of(live, "100", ())
    reading = cache.reading("100")
    cache.forget(["100"])  # the event came between the read and its end
    cache.put(reading, {"v": state})
    assert cache.get("100", "v") is None
    cache.put(cache.reading("100"), {"v": state})
    assert cache.get("100", "v") is state
    assert cache.get("100", "w") is None
    cache.forget(["100"])
    assert cache.get("100", "v") is None


def test_the_cache_keeps_those_who_asked_last_and_of_few_versions(live: Live) -> None:
    cache, state = StateCache(2), state_of(live, "100", ())
    for person in ("a", "b"):
        cache.put(cache.reading(person), {"v": state})
    assert cache.get("a", "v") is state
    cache.put(cache.reading("c"), {"v": state})
    assert [cache.get(person, "v") for person in "abc"] == [state, None, state]
    for version in range(100):
        cache.put(cache.reading("a"), {str(version): state})
    assert len(cache._states["a"]) < 12
    assert (len(cache), cache._reading) == (2, {})
    off = StateCache(0)
    off.put(off.reading("a"), {"v": state})
    assert off.get("a", "v") is None
