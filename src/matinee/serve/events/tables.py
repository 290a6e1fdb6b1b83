"""The tables of an event store, and the version of their form, which a row of the store tells."""

from __future__ import annotations

import sqlalchemy as sa

from matinee.errors import MatineeError
from matinee.serve.events.records import LONGEST

SCHEMA = 1
"""A change of the tables raises this, and `prepare` learns to bring an older store to it."""

_META = sa.MetaData()
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # only "INTEGER" counts up by itself there
_TEXT = sa.String(LONGEST)

VERSION = sa.Table("matinee_schema", _META, sa.Column("version", sa.Integer, nullable=False))
EVENTS = sa.Table(
    "matinee_events",
    _META,
    sa.Column("arrival", _NUMBER, sa.Identity(), primary_key=True),
    sa.Column("person", _TEXT, nullable=False, index=True),
    sa.Column("item", _TEXT, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("time", sa.Double),  # as the client gave it
    sa.Column("rating", sa.Double),
    sa.Column("key", _TEXT, nullable=False, unique=True),
    sa.Column("received", sa.Double, nullable=False),  # by the clock of who stored it
    sqlite_autoincrement=True,  # numbers of deleted events are not used again
)
ANSWERS = sa.Table(
    "matinee_answers",
    _META,
    sa.Column("number", _NUMBER, sa.Identity(), primary_key=True),
    sa.Column("request", _TEXT, nullable=False, unique=True),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("person", _TEXT, nullable=False, index=True),
    sa.Column("model", _TEXT, nullable=False),
    sa.Column("version", _TEXT, nullable=False),
    sa.Column("arm", _TEXT, nullable=False),
    sa.Column("share", sa.Double, nullable=False),
    sa.Column("candidates", sa.Integer, nullable=False),
    sqlite_autoincrement=True,
)
SHOWN = sa.Table(
    "matinee_shown",
    _META,
    sa.Column("request", _TEXT, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("item", _TEXT, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
)
WHEN = sa.func.coalesce(EVENTS.c.time, EVENTS.c.received)
"""The time of an event: the client's, else that of its arrival."""


def found_version(connection: sa.Connection) -> int | None:
    """The version of the tables in this database; None: there are none."""
    if not sa.inspect(connection).has_table(VERSION.name):
        return None
    return connection.execute(sa.select(VERSION.c.version)).scalar()


def prepare(connection: sa.Connection, where: str) -> None:
    """Make the tables where there are none, in a transaction that writes. Raises MatineeError for a newer version."""
    version = found_version(connection)
    refuse_newer(version, where)
    if version is None:
        _META.create_all(connection)
        connection.execute(sa.insert(VERSION).values(version=SCHEMA))


def refuse_newer(version: int | None, where: str) -> None:
    if version is not None and version > SCHEMA:
        what = f"the event store has form {version}, and this version of Matinee knows form {SCHEMA}"
        raise MatineeError(what, where=where, hint="install the newer Matinee that wrote it, or name another store")
