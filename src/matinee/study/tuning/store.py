"""tuning.db: every trial when it is begun and when it ends, so that a kill at any moment loses none.

SQLite by itself, not Optuna's storage: that one writes a trial in ten transactions, 0.1 to 0.4 s, as much as a fit of
EASE. Optuna's studies are in memory and made anew from these rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.errors import MatineeError
from matinee.study.results import SCHEMA
from matinee.study.tuning.records import Look, TrialRecord

TABLES = """
create table if not exists about (key text primary key, value text not null);
create table if not exists trial (
    label text not null, number integer not null, state text not null, own integer not null, params text not null,
    value real, looks text not null default '[]', reason text not null default '', begun integer not null default 1,
    fit_seconds real not null default 0, measure_seconds real not null default 0, primary key (label, number)
);
"""
MOST_DEATHS = 5  # times that a process may die in a trial before the trial counts as failed


@dataclass(frozen=True)
class Begun:
    """A trial that was begun, and not ended by its process."""

    label: str
    number: int
    own: bool
    values: dict[str, Any]


class Store:
    """The database, open. One process at a time: the folder's lock sees to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._check()
            # a commit survives the death of the process, which is all that is asked; WAL makes it take 0.1 ms
            for pragma in ("locking_mode = exclusive", "journal_mode = wal", "synchronous = normal"):
                self._db.execute(f"pragma {pragma}")
            self._db.executescript(TABLES)
        except (sqlite3.DatabaseError, MatineeError) as error:
            self._db.close()
            if isinstance(error, MatineeError):
                raise
            busy = "locked" in str(error)
            hint = "close the program that has it open" if busy else "choose another --out, or pass --overwrite"
            raise MatineeError(f"cannot be read as a tuning: {error}", where=str(path), hint=hint) from None

    def _check(self) -> None:
        """Raise MatineeError for another program's database, and for another version's: nothing is written there."""
        names = {name for (name,) in self._db.execute("select name from sqlite_master where type = 'table'")}
        version = (
            self.about().get("schema_version", str(SCHEMA)) if "about" in names else "none" if names else str(SCHEMA)
        )
        if version != str(SCHEMA):
            what = f"holds no tuning of schema version {SCHEMA}, but of version {version}"
            raise MatineeError(what, where=str(self.path), hint="choose another --out, or pass --overwrite")

    def close(self) -> None:
        self._db.close()

    def _write(self, query: str, *values: object) -> None:
        """One row, safe when this returns. Raises MatineeError on a full disk, or where another program holds it."""
        try:
            self._db.execute(query, values)
        except sqlite3.OperationalError as error:
            hint = "free some space on that disk, or close the program that has it open; then start it again"
            raise MatineeError(f"cannot be written: {error}", where=str(self.path), hint=hint) from None

    def about(self) -> dict[str, str]:
        """What the tuning is of, see `mark`; {} in a new file."""
        return dict(self._db.execute("select key, value from about"))

    def mark(self, about: Mapping[str, str]) -> None:
        for key, value in (("schema_version", str(SCHEMA)), *about.items()):
            self._write("insert or replace into about values (?, ?)", key, value)

    def begin(self, label: str, number: int, values: Mapping[str, Any], *, own: bool) -> None:
        query = "insert into trial (label, number, state, own, params) values (?, ?, 'running', ?, ?)"
        self._write(query, label, number, own, json.dumps(values))

    def begin_again(self, trial: Begun) -> None:
        query = "update trial set state = 'running', begun = begun + 1 where label = ? and number = ?"
        self._write(query, trial.label, trial.number)

    def end(self, trial: TrialRecord) -> None:
        looks = json.dumps([(look.round, look.value) for look in trial.looks])
        ended = (trial.state, trial.value, looks, trial.reason, trial.fit_seconds, trial.measure_seconds)
        self._write(
            "update trial set state = ?, value = ?, looks = ?, reason = ?, fit_seconds = ?, measure_seconds = ? "
            "where label = ? and number = ?",
            *ended,
            trial.label,
            trial.number,
        )

    def forgive(self) -> None:
        """Trials at work were interrupted by somebody: their process did not die of them."""
        self._write("update trial set begun = begun - 1 where state = 'running'")

    def take_up(self) -> list[Begun]:
        """Trials in which an earlier process died, to be done again, in their order. One that did not survive
        MOST_DEATHS processes has failed."""
        reason = f"the process died in this trial {MOST_DEATHS} times"
        self._db.execute(
            "update trial set state = 'failed', reason = ? where state = 'running' and begun >= ?",
            (reason, MOST_DEATHS),
        )
        found = self._db.execute(
            "select label, number, own, params from trial where state = 'running' order by label, number"
        )
        return [Begun(label, number, bool(own), json.loads(params)) for label, number, own, params in found]

    def ended(self) -> list[TrialRecord]:
        """All trials that came to an end, by label and number."""
        found = self._db.execute(
            "select label, number, state, own, params, value, looks, reason, fit_seconds, measure_seconds from trial "
            "where state != 'running' order by label, number"
        )
        return [
            TrialRecord(
                label=label, number=number, state=state, own=bool(own), values=json.loads(params), value=value,
                looks=tuple(Look(round=at, value=x) for at, x in json.loads(looks)), reason=reason,
                fit_seconds=fit, measure_seconds=measure,
            )
            for label, number, state, own, params, value, looks, reason, fit, measure in found
        ]  # fmt: skip
