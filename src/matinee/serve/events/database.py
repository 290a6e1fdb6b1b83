"""SQLite and PostgreSQL, as an event store uses them: one writer at a time, durable when it returns, clear errors."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matinee.errors import MatineeError
from matinee.files import free_bytes
from matinee.serve.events.records import StoreUnavailable

try:
    import sqlalchemy as sa
    from sqlalchemy import exc
    from sqlalchemy.engine import URL, make_url
except ImportError:
    raise MatineeError("the event store needs SQLAlchemy", hint="pip install 'matinee[serve]'") from None

__all__ = ["Database", "make_private", "sa"]

LOCK = 7_108_311_921
"""The advisory lock of PostgreSQL that the one writer holds: any number that nobody else uses."""
EXAMPLE = "use sqlite:///events.db, or postgresql://USER:PASSWORD@HOST/DATABASE"
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space on that disk; the event can then be sent again"),
    sqlite3.SQLITE_IOERR: ("the disk cannot be read or written", "look whether it is full or damaged"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "check that its folder exists and may be written to"),
    sqlite3.SQLITE_READONLY: ("the file may not be written to", "change the permissions of it and of its folder"),
    sqlite3.SQLITE_BUSY: ("another process has been writing for too long", "end it, or wait for it"),
    sqlite3.SQLITE_NOTADB: ("the file is no SQLite database", "name another file, or restore a copy"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "restore a copy of the file"),
}
_OF_POSTGRES = {
    "53100": ("the database's disk is full", "free some space on the disk of PostgreSQL"),
    "53300": ("the database takes no further connections", "raise max_connections, or close some"),
    "25006": ("the database may only be read", "name the primary server, not a standby"),
    "42501": ("this user may not use the tables", "grant it the rights to create, read and write in its schema"),
    "3D000": ("there is no such database", "make it, with createdb"),
    "55P03": ("another process has been writing for too long", "end it, or wait for it"),
    "57014": ("the database took too long", "look what else it is doing"),
}
_REACH = "start the database, or check the URL, the network and the password"


class Database:
    """One database by its URL. `where` names it without its password. timeout: seconds to wait for a connection, or for
    another writer."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = _parsed(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        shown = self.url.render_as_string(hide_password=True).replace("+psycopg", "")
        self.where = str(self.path) if self.sqlite else shown
        self.timeout = timeout
        self._turn = threading.Lock()  # a thread waits here, not in SQLite's loop of naps
        self.engine = self._sqlite() if self.sqlite else self._postgres()

    @property
    def path(self) -> Path | None:
        """The file of SQLite."""
        return Path(self.url.database or "") if self.sqlite else None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state. Raises StoreUnavailable."""
        with self._explained("read"), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of the only writer: on the disk when the block has ended. Raises StoreUnavailable."""
        with self._explained("write"), self._in_turn(), self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                if not self.sqlite:
                    settings = f"set_config('lock_timeout', '{round(1000 * self.timeout)}', true)"
                    connection.exec_driver_sql(f"select set_config('synchronous_commit', 'on', true), {settings}")
                    connection.exec_driver_sql(f"select pg_advisory_xact_lock({LOCK})")
                yield connection

    def forget_pages(self) -> None:
        """SQLite: move what was written into the file, so that the log beside it keeps nothing that was deleted."""
        if self.sqlite:
            with self._explained("write"), self._in_turn():
                raw = self.engine.raw_connection()
                try:
                    raw.cursor().execute("pragma wal_checkpoint(truncate)")
                finally:
                    raw.close()

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self.sqlite:
            yield
            return
        if not self._turn.acquire(timeout=self.timeout):
            raise StoreUnavailable("others have been writing for too long", where=self.where, hint="try again later")
        try:
            yield
        finally:
            self._turn.release()

    def _sqlite(self) -> sa.Engine:
        engine = sa.create_engine(self.url, connect_args={"timeout": self.timeout}, pool_timeout=self.timeout)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _postgres(self) -> sa.Engine:
        try:
            import psycopg  # noqa: F401
        except ImportError:
            hint = "pip install 'matinee[postgres]'"
            raise MatineeError("PostgreSQL needs the package psycopg", where=self.where, hint=hint) from None
        url = self.url
        if "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(max(2, round(self.timeout)))})
        return sa.create_engine(url, pool_pre_ping=True, pool_timeout=self.timeout)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn a failure of the database into a StoreUnavailable. What our own statements did wrong passes."""
        try:
            yield
        except (exc.IntegrityError, exc.DataError):
            raise
        except (exc.DatabaseError, exc.InterfaceError) as error:
            raise self._unavailable(doing, error.orig) from error
        except exc.TimeoutError as error:
            hint = "try again later, or send fewer requests at once"
            raise StoreUnavailable("all connections are in use", where=self.where, hint=hint) from error
        except sqlite3.Error as error:
            raise self._unavailable(doing, error) from error

    def _unavailable(self, doing: str, error: BaseException | None) -> StoreUnavailable:
        told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if self.sqlite:
            code = getattr(error, "sqlite_errorcode", -1)
            what, hint = _OF_SQLITE.get(code & 0xFF, (told, "check the file"))
            free = free_bytes(self.path) if self.path is not None else None
            hint += f" (free now: {free / 1e6:,.0f} MB)" if free is not None and "disk" in what else ""
        else:
            what, hint = _OF_POSTGRES.get(getattr(error, "sqlstate", None) or "", ("it cannot be reached", _REACH))
        more = "" if told == what else f" ({told})"
        return StoreUnavailable(f"cannot {doing} the event store: {what}{more}", where=self.where, hint=hint)


def _parsed(text: str) -> URL:
    """The URL of a store; a path is a file of SQLite. Raises MatineeError for any other database."""
    if "://" not in text:
        text = f"sqlite:///{text}"
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):  # the latter: a port that is no number
        raise MatineeError("this is no URL of a database", hint=EXAMPLE) from None
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "postgresql+psycopg":
        return url
    if url.drivername != "sqlite":
        raise MatineeError(f"an event store in {url.drivername!r} is not supported", hint=EXAMPLE)
    if url.database in (None, "", ":memory:"):
        raise MatineeError("an event store in memory would be lost with the process", hint=EXAMPLE)
    return url


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, where there is none: events are personal."""
    with contextlib.suppress(OSError):  # what is wrong is said when it is opened
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # we say BEGIN: Python's own comes too late for a reader that goes on to write
    cursor = connection.cursor()
    cursor.execute("pragma synchronous=full")
    cursor.execute("pragma fullfsync=on")  # macOS: fsync alone stops in the drive's memory
    cursor.execute("pragma secure_delete=on")  # what is deleted is overwritten
    cursor.execute("pragma journal_mode=wal")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
