"""The event store: what people did, what they were shown. What it has acknowledged it never loses or counts twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Self

from matinee.errors import MatineeError
from matinee.serve.events.database import Database, make_private, sa
from matinee.serve.events.records import Answer, Event, KeyReused
from matinee.serve.events.tables import ANSWERS, EVENTS, SHOWN, WHEN, found_version, prepare, refuse_newer

TIMEOUT = 10.0
IMPRESSION = (
    "request", "time", "person", "model", "version", "arm", "share", "candidates", "position", "item", "probability",
)  # fmt: skip
KEYS_AT_ONCE = 500
"""Keys that one statement asks for: old SQLites take 999."""


class EventStore:
    """Events and answers in a SQLite file or a PostgreSQL database. Its methods block, and may be called from several
    threads and processes at once. Each raises StoreUnavailable where the database cannot be reached, or cannot write.

    Example:
        with EventStore.open("sqlite:///events.db") as store:
            store.add([Event("7", "101", "watch", 1700000000.0, None, key="a1")])
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.where = database.where

    @classmethod
    def open(cls, url: str, *, timeout: float = TIMEOUT, create: bool = True) -> Self:
        """The store at a URL: sqlite:///events.db, a path, or postgresql://USER:PASSWORD@HOST/DATABASE. The file and
        the tables are made where they are missing; create=False: that is an error.

        timeout: seconds to wait for a connection or another writer. Raises MatineeError for another kind of database,
        a store of a newer Matinee, and a missing package."""
        database = Database(url, timeout)
        path = database.path
        try:
            if path is not None and create:
                make_private(path)
            if create:
                with database.writing() as connection:
                    prepare(connection, database.where)
                return cls(database)
            if path is not None and not path.is_file():
                raise MatineeError("there is no such file", where=database.where, hint="check the path")
            with database.reading() as connection:
                version = found_version(connection)
            refuse_newer(version, database.where)
            if version is None:
                hint = "name the store that `matinee serve --events` writes to"
                raise MatineeError("this database holds no events of Matinee", where=database.where, hint=hint)
            return cls(database)
        except BaseException:
            database.close()
            raise

    def add(self, events: Iterable[Event]) -> list[bool]:
        """Keep these events: all, or none where an error is raised. They are on the disk when this returns. False: an
        event with this key and the same content was kept before, and is not counted again.

        Raises KeyReused for a key that came before with other content."""
        events = list(events)
        received = time.time()
        fresh = []
        with self._database.writing() as connection:
            known = self._by_key(connection, [event.key for event in events])
            for event in events:
                fresh.append(event.key not in known)
                if known.setdefault(event.key, event) != event:
                    what = f"the key {event.key!r} was used before, for another event"
                    raise KeyReused(what, where="key", hint="give each event a key of its own; repeat one unchanged")
            rows = [asdict(event) | {"received": received} for event, new in zip(events, fresh, strict=True) if new]
            if rows:
                connection.execute(sa.insert(EVENTS), rows)
        return fresh

    def history(self, person: str) -> list[Event]:
        """All events of a person by time, then by arrival. One that came without a time has that of its arrival."""
        with self._database.reading() as connection:
            return list(_events(connection, EVENTS.c.person == person))

    def delete(self, person: str) -> int:
        """Remove all events of a person, and all answers that person was given. Returns the number of events.

        Answers are removed rather than made anonymous: without the events they would tell that nothing was watched."""
        with self._database.writing() as connection:
            theirs = sa.select(ANSWERS.c.request).where(ANSWERS.c.person == person)
            connection.execute(sa.delete(SHOWN).where(SHOWN.c.request.in_(theirs)))
            connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.person == person))
            removed = connection.execute(sa.delete(EVENTS).where(EVENTS.c.person == person)).rowcount
        self._database.forget_pages()
        return removed

    def add_answers(self, answers: Iterable[Answer]) -> None:
        """Keep what people were shown: all, or none where an error is raised. An answer that was kept before, as by a
        call that was not heard to succeed, is not kept twice. Raises KeyReused for another answer to such a request."""
        fresh: dict[str, Answer] = {}
        answers = list(answers)
        with self._database.writing() as connection:
            known = self._by_request(connection, [answer.request for answer in answers])
            for answer in answers:
                facts = _facts(answer)
                if known.setdefault(answer.request, facts) != facts or fresh.get(answer.request, answer) != answer:
                    what = f"the request {answer.request!r} was answered before, in another way"
                    raise KeyReused(what, where="request", hint="give each request an id of its own")
                if known[answer.request] is facts:
                    fresh[answer.request] = answer
            shown = [asdict(one) | {"request": answer.request} for answer in fresh.values() for one in answer.items]
            if fresh:
                connection.execute(sa.insert(ANSWERS), [_facts(answer) for answer in fresh.values()])
            if shown:
                connection.execute(sa.insert(SHOWN), shown)

    def events(self) -> Iterator[Event]:
        """All events by time, then by arrival, in one state of the store."""
        with self._database.reading() as connection:
            yield from _events(connection, None)

    def impressions(self) -> Iterator[tuple[Any, ...]]:
        """Every item of every answer, as a tuple of IMPRESSION, by the answer's time, arrival and position."""
        columns = [(SHOWN if name in SHOWN.c and name != "request" else ANSWERS).c[name] for name in IMPRESSION]
        asked = sa.select(*columns).join_from(ANSWERS, SHOWN, ANSWERS.c.request == SHOWN.c.request)
        asked = asked.order_by(ANSWERS.c.time, ANSWERS.c.number, SHOWN.c.position)
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=5_000).execute(asked):
                yield tuple(row)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _by_key(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, Event]:
        """The events that were kept under these keys."""
        found = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            for row in connection.execute(sa.select(*_OF_EVENT).where(EVENTS.c.key.in_(some))):
                found[row.key] = Event(*row)
        return found

    def _by_request(self, connection: sa.Connection, requests: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is known of the answers to these requests, but for their items."""
        found = {}
        for start in range(0, len(requests), KEYS_AT_ONCE):
            some = requests[start : start + KEYS_AT_ONCE]
            columns = [ANSWERS.c[name] for name in _OF_ANSWER]
            for row in connection.execute(sa.select(*columns).where(ANSWERS.c.request.in_(some))):
                found[row.request] = dict(zip(_OF_ANSWER, row, strict=True))
        return found


_OF_EVENT = [EVENTS.c[name] for name in ("person", "item", "kind", "time", "rating", "key")]
_OF_ANSWER = ("request", "time", "person", "model", "version", "arm", "share", "candidates")


def _facts(answer: Answer) -> dict[str, Any]:
    """An answer without its items, as a row."""
    return {name: getattr(answer, name) for name in _OF_ANSWER}


def _events(connection: sa.Connection, which: sa.ColumnElement[bool] | None) -> Iterator[Event]:
    """Events by time, then by arrival, fetched in pieces."""
    columns = [WHEN.label("time") if column is EVENTS.c.time else column for column in _OF_EVENT]
    asked = sa.select(*columns).order_by(WHEN, EVENTS.c.arrival)
    asked = asked if which is None else asked.where(which)
    if which is None:  # of one person there are few: a cursor on the server would cost three round trips more
        connection = connection.execution_options(yield_per=5_000)
    for row in connection.execute(asked):
        yield Event(*row)
