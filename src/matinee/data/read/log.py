"""Files, folders and dataframes -> Dataset. `read` is the one door; known folder layouts live in layouts.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from matinee.data import side
from matinee.data.dataset import Dataset, Duplicates
from matinee.data.read.assemble import Log, RawTables, Side, build, side_of
from matinee.data.read.columns import (
    AUTO,
    Unit,
    find_column,
    guess_types,
    id_column,
    rating_column,
    time_column,
)
from matinee.data.read.layouts import read_folder
from matinee.data.read.sequences import read_sequences
from matinee.data.read.tables import Dialect, Table, table_of
from matinee.errors import MatineeError

Format = Literal["log", "sequences", "sessions"]


def read(
    source: Any,
    *,
    user_id: str = AUTO,
    item_id: str = AUTO,
    rating: str | None = AUTO,
    timestamp: str | None = AUTO,
    unit: Unit = "auto",
    format: Format = "log",  # noqa: A002 - the word recipes use
    users: Any = None,
    items: Any = None,
    duplicates: Duplicates = "keep",
    name: str | None = None,
    separator: str | None = None,
    quote: str | None = '"',
    encoding: str = "utf-8",
    header: Sequence[str] | None = None,
) -> Dataset:
    """Read a log.

    source: a CSV, TSV (.gz too) or Parquet file; a folder in the layout of MovieLens, of the film contest, of recbole
    or of the sets of sequences (recognised by its files; the options about columns and text do not concern it); or a
    dataframe of pandas, polars, DuckDB or PyArrow.

    user_id, item_id, rating, timestamp: column names. By default the usual ones are tried (columns.NAMES): user_id,
    user, uid; item_id, item, movie_id, movie; rating, rate, stars; timestamp, time, datetime. None: do not read it.
    All further columns become the context. unit: of numeric times, "s", "ms", "us" or "ns"; "auto" goes by their size.
    format: "sequences" has one line a user, the user's id and then items in time order; "sessions" one anonymous
    session a line, numbered from 1. Neither has times: the log's order is the order of time.
    users, items: side tables, a file or dataframe each with an id column named like the log's or by a usual name.
    duplicates: what happens to a user's repeated events with one item. "keep" (default: models that rank count a pair
    once anyway, and sequences need repeats), "distinct" (a double click is one event: of those of one second the first
    stays), "last", "first", "sum" or "error".
    separator, quote, encoding, header: how text files are written; header names the columns of a file without a header.

    Ids of text files become integers when all of them are canonical integers, otherwise they stay text.
    Raises MatineeError, naming file, row and column, for anything it cannot read as meant.
    """
    if format not in get_args(Format):
        raise MatineeError(f"unknown format '{format}'", hint=f"use one of {', '.join(get_args(Format))}")
    dialect = Dialect(separator, quote, encoding, header)
    if isinstance(source, (str, Path)):
        path = Path(source)
        name = name or (path.resolve().name if path.is_dir() else path.name.split(".")[0])
        if path.is_dir():
            return build(read_folder(path), name=name, duplicates=duplicates)
        if format != "log":
            log = read_sequences(path, encoding, named=format == "sequences")
            parts = RawTables(log, _side(users, "user_id", AUTO), _side(items, "item_id", AUTO))
            return build(parts, name=name, duplicates=duplicates)
    elif format != "log":
        raise MatineeError(
            f"format '{format}' needs a text file", hint="pass its path, or a dataframe with format='log'"
        )
    table = table_of(source, dialect)
    user_id = _needed(table, "user_id", user_id)
    item_id = _needed(table, "item_id", item_id)
    rating = find_column(table, "rating", rating, required=False)
    timestamp = find_column(table, "timestamp", timestamp, required=False)
    context = table.frame.drop([c for c in (user_id, item_id, rating, timestamp) if c is not None])
    log = Log(
        table,
        id_column(table, user_id),
        id_column(table, item_id),
        None if rating is None else rating_column(table, rating),
        None if timestamp is None else time_column(table, timestamp, unit),
        guess_types(context) if table.is_text else context,
    )
    parts = RawTables(log, _side(users, "user_id", user_id), _side(items, "item_id", item_id))
    return build(parts, name=name or "log", duplicates=duplicates)


def _needed(table: Table, role: str, name: str) -> str:
    found = find_column(table, role, name, required=True)
    assert found is not None
    return found


def _side(source: Any, role: str, like: str) -> Side | None:
    """A side table: its ids, and its other columns with their kinds found."""
    if source is None:
        return None
    table = table_of(source)
    column = like if like in table.frame.columns else _needed(table, role, AUTO)
    rest = table.frame.drop(column)
    known = side.described(guess_types(rest, keep=side.TEXT) if table.is_text else rest)
    return side_of(table, column, id_column(table, column), known)
