"""The event store, the same on SQLite and PostgreSQL: nothing lost or twice, in order, and clear when it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matinee.errors import MatineeError
from matinee.serve.events import Answer, Event, EventStore, KeyReused, Shown, StoreUnavailable
from matinee.serve.events.database import sa
from serve.events.postgres import Cluster

A = Event("ann", "101", "watch", 20.0, None, "a")
B = Event("ann", "102", "rating", 10.5, 3.5, "b")
C = Event("bob", "101", "dislike", 15.0, None, "c")


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    with EventStore.open(url) as opened:
        yield opened


def answer(request: str, person: str, *items: str, **fields: Any) -> Answer:
    shown = tuple(Shown(item, at, 0.25 * at) for at, item in enumerate(items, 1))
    return replace(Answer(request, 5.0, person, "ease", "v1", "a", shown), **fields)


def tables(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the store, by table, read without it."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        names = ("matinee_events", "matinee_answers", "matinee_shown")
        found = {name: [tuple(row) for row in connection.exec_driver_sql(f"select * from {name}")] for name in names}
    engine.dispose()
    return found


def test_a_history_is_in_the_order_of_time_then_of_arrival(store: EventStore) -> None:
    late = [replace(A, item=item, time=time, key=item) for item, time in [("9", 20.0), ("1", 20.0), ("5", 7.0)]]
    assert store.add([A, B, C]) == [True, True, True]
    assert store.add(late) == [True] * 3
    assert store.history("ann") == [late[2], B, A, late[0], late[1]]
    assert store.history("bob") == [C]
    assert store.history("nobody") == []
    assert [event.key for event in store.events()] == ["5", "b", "c", "a", "9", "1"]


def test_an_event_without_a_time_has_that_of_its_arrival(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    timeless = replace(A, time=None, key="t")
    monkeypatch.setattr("matinee.serve.events.store.time.time", lambda: 18.25)
    assert store.add([A, timeless, B]) == [True, True, True]
    monkeypatch.setattr("matinee.serve.events.store.time.time", lambda: 99.0)
    assert store.add([timeless]) == [False]
    assert store.history("ann") == [B, replace(timeless, time=18.25), A]


def test_a_repeated_key_counts_once_and_may_not_change(store: EventStore, url: str) -> None:
    assert store.add([A, B, A]) == [True, True, False]
    assert store.add([B]) == [False]
    for change in ({"item": "7"}, {"time": 20.5}, {"time": None}, {"person": "bob"}, {"kind": "dislike"}):
        with pytest.raises(KeyReused, match="'a' was used before"):
            store.add([C, replace(A, **change)])
    with pytest.raises(KeyReused, match="'x' was used before"):  # within one call
        store.add([replace(C, key="x"), replace(C, key="x", item="8")])
    assert len(tables(url)["matinee_events"]) == 2  # all or nothing: C is not there
    assert store.add([]) == []


def test_many_keys_are_asked_for_in_pieces(store: EventStore) -> None:
    many = [replace(A, key=f"k{n}", time=float(n)) for n in range(1_203)]
    assert store.add(many) == [True] * 1_203
    assert store.add([*many[1_190:], B]) == [False] * 13 + [True]
    assert store.history("ann") == [*many[:11], B, *many[11:]]


@pytest.mark.parametrize("text", ["Amélie", "기생충", "a'b\"c;--%", "😀" * 256, " ", "x\ny"])
def test_any_text_is_an_id(store: EventStore, text: str) -> None:
    event = Event(text, text, "watch", 1.0, None, text)
    assert store.add([event]) == [True]
    assert store.add([event]) == [False]
    assert store.history(text) == [event]


def test_deleting_a_person_removes_their_events_and_answers(store: EventStore, url: str) -> None:
    store.add([A, B, C])
    store.add_answers([answer("r1", "ann", "101", "102"), answer("r2", "bob", "102", share=0.05, candidates=40)])
    assert store.delete("ann") == 2
    assert store.delete("ann") == 0
    assert store.history("ann") == []
    assert store.history("bob") == [C]
    left = tables(url)
    assert [row[1:] for row in left["matinee_answers"]] == [("r2", 5.0, "bob", "ease", "v1", "a", 0.05, 40)]
    assert left["matinee_shown"] == [("r2", 1, "102", 0.25)]


def test_what_is_deleted_is_not_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    with EventStore.open(str(file)) as store:
        store.add([replace(A, person="someone-remarkable"), B])
        assert any(b"someone-remarkable" in path.read_bytes() for path in tmp_path.iterdir())
        store.delete("someone-remarkable")
        assert not any(b"someone-remarkable" in path.read_bytes() for path in tmp_path.iterdir())


def test_a_request_is_answered_once(store: EventStore, url: str) -> None:
    first = answer("r1", "ann", "101", "102")
    store.add_answers([first, answer("r0", "ann"), first])
    store.add_answers([answer("r2", "bob", "5"), first])  # sent again, since it was not heard to be kept
    for other in (answer("r1", "bob", "101", "102"), answer("r1", "ann", "101", "102", version="v2")):
        with pytest.raises(KeyReused, match="'r1' was answered before"):
            store.add_answers([answer("r3", "bob", "7"), other])
    with pytest.raises(KeyReused, match="'r4' was answered before"):
        store.add_answers([answer("r4", "bob", "7"), answer("r4", "bob", "8")])
    store.add_answers([])
    assert [row[1] for row in tables(url)["matinee_answers"]] == ["r1", "r0", "r2"]
    assert tables(url)["matinee_shown"] == [("r1", 1, "101", 0.25), ("r1", 2, "102", 0.5), ("r2", 1, "5", 0.25)]


def test_threads_and_a_second_store_write_in_turn(store: EventStore, url: str) -> None:
    """Each of four threads sends 15 events, of which five have keys that all of them use."""
    told: list[list[bool]] = []
    other = EventStore.open(url)

    def send(who: int) -> None:
        at = (store, other)[who % 2]
        mine = [replace(A, key=f"{who}-{n}") for n in range(10)]
        told.append([at.add([event])[0] for event in mine + [replace(C, key=f"all-{n}") for n in range(5)]])

    threads = [threading.Thread(target=send, args=[who]) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sum(sum(one) for one in told) == 45
    assert len(store.history("ann")) == 40
    assert sorted(event.key for event in store.history("bob")) == [f"all-{n}" for n in range(5)]


def test_a_store_is_there_again_when_it_is_opened_again(url: str) -> None:
    with pytest.raises(MatineeError, match=r"no such file|holds no events of Matinee"):
        EventStore.open(url, create=False)
    with EventStore.open(url) as store:
        store.add([A])
    with EventStore.open(url, create=False) as store:
        assert store.history("ann") == [A]
        assert store.add([A]) == [False]


def test_a_newer_store_is_refused(url: str) -> None:
    EventStore.open(url).close()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("update matinee_schema set version = 2")
    engine.dispose()
    for create in (True, False):
        with pytest.raises(MatineeError, match="has form 2, and this version of Matinee knows form 1"):
            EventStore.open(url, create=create)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person": ""}, "person has 0 characters"),
        ({"item": "x" * 257}, "item has 257 characters"),
        ({"key": "a\0b"}, "key holds a sign that is no text"),
        ({"key": "\ud800"}, "key holds a sign that is no text"),
        ({"item": 7}, "item is no text: 7"),
        ({"kind": "like"}, "no event of the kind 'like'"),
        ({"time": float("nan")}, "time is no finite number"),
        ({"rating": 3.0}, "a watch has no rating"),
        ({"kind": "rating"}, "a rating needs a number"),
        ({"kind": "rating", "rating": float("inf")}, "rating is no finite number"),
    ],
)
def test_what_cannot_be_kept_is_no_event(change: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        replace(A, **change)


def test_an_answer_has_positions_and_probabilities() -> None:
    for position, probability, words in ((0, 0.5, "position is 0"), (1, 0.0, "is 0.0"), (1, 1.01, "is 1.01")):
        with pytest.raises(MatineeError, match=words):
            Shown("1", position, probability)
    with pytest.raises(MatineeError, match="two items stand at one position"):
        answer("r", "ann", items=(Shown("1", 2, 0.5), Shown("2", 2, 0.5)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://localhost/events", "'mysql' is not supported"),
        ("sqlite://", "in memory would be lost"),
        ("sqlite:///:memory:", "in memory would be lost"),
        ("postgresql://x:y:z/q", "no URL of a database"),
    ],
)
def test_other_urls_are_refused(text: str, words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        EventStore.open(text)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, " * 500)
    with pytest.raises(StoreUnavailable, match="no SQLite database") as found:
        EventStore.open(str(tmp_path / "notes.txt"))
    assert found.value.where == str(tmp_path / "notes.txt")
    with pytest.raises(StoreUnavailable, match="cannot be opened") as found:
        EventStore.open(str(tmp_path / "missing" / "events.db"))
    assert found.value.hint == "check that its folder exists and may be written to"


def test_events_are_their_owners_alone(tmp_path: Path) -> None:
    EventStore.open(str(tmp_path / "events.db")).close()
    assert stat.S_IMODE((tmp_path / "events.db").stat().st_mode) == 0o600


def test_sqlite_is_asked_for_what_makes_it_durable(tmp_path: Path) -> None:
    with EventStore.open(str(tmp_path / "events.db")) as store, store._database.reading() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2  # FULL


def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path: Path) -> None:
    with EventStore.open(str(tmp_path / "events.db")) as store:
        store.add([A])

        def limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute("pragma max_page_count = 14")

        store.close()  # connections that come now are limited
        sa.event.listen(store._database.engine, "connect", limit)
        with pytest.raises(StoreUnavailable, match="cannot write the event store: the disk is full") as found:
            store.add([replace(B, key=f"k{n}", item=f"{n:0200}") for n in range(500)])
        assert found.value.where == str(tmp_path / "events.db")
        assert "free some space" in str(found.value.hint)
        assert "free now" in str(found.value.hint)
        assert store.history("ann") == [A]
        assert store.add([B]) == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a file's size are POSIX")
def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """The system itself refuses: a limit on the size of files, as a full quota."""
    import resource
    import signal

    with EventStore.open(str(tmp_path / "events.db")) as store:
        store.add([A])
        limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
            with pytest.raises(StoreUnavailable, match="the disk"):
                store.add([replace(B, key=f"k{n}", item=f"{n:0200}") for n in range(2_000)])
            assert store.history("ann") == [A]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert store.add([B]) == [True]
        assert store.history("ann") == [B, A]


def test_a_writer_that_takes_too_long_is_waited_for_and_told(url: str) -> None:
    """Of another process, as a second store is: it holds its transaction open."""
    with EventStore.open(url) as slow, EventStore.open(url, timeout=0.2) as store:
        with slow._database.writing(), pytest.raises(StoreUnavailable, match="another process has been writing"):
            store.add([A])
        assert store.add([A]) == [True]


def test_a_full_disk_of_postgres(cluster: Cluster) -> None:
    """By the code that PostgreSQL gives then, raised by a trigger."""
    with EventStore.open(cluster.new_database()) as store:
        with store._database.engine.begin() as connection:
            connection.exec_driver_sql(
                "create function full_disk() returns trigger language plpgsql as $$ begin "
                "raise exception 'could not extend file' using errcode = '53100'; end $$"
            )
            connection.exec_driver_sql(
                "create trigger full_disk before insert on matinee_events for each row "
                "when (new.item = 'last') execute function full_disk()"
            )
        with pytest.raises(StoreUnavailable, match="the database's disk is full"):
            store.add([A, replace(B, item="last")])
        assert store.history("ann") == []
        assert store.add([A]) == [True]


def test_a_database_that_is_not_there_or_is_stopped(cluster: Cluster) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist") as found:
        EventStore.open(cluster.url("nothing").replace("postgres@", "postgres:secret@"))
    assert "secret" not in str(found.value)
    with EventStore.open(cluster.new_database()) as store:
        store.add([A])
        cluster.stop()
        try:
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="cannot be reached") as found:
                    store.history("ann")
            assert "start the database" in str(found.value.hint)
        finally:
            cluster.start()
        assert store.add([A, B]) == [False, True]  # the same store goes on
