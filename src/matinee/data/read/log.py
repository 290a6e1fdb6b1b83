"""Files, folders and dataframes -> Dataset, by `read`. Known folder layouts are in layouts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from matinee.data import side
from matinee.data.dataset import Dataset, Duplicates
from matinee.data.read.assemble import Log, RawTables, SideTable, build, log_of, side_of
from matinee.data.read.columns import AUTO, Unit, find_column, guess_types
from matinee.data.read.layouts import read_folder
from matinee.data.read.sequences import read_sequences
from matinee.data.read.tables import Dialect, Table, table_of
from matinee.errors import MatineeError, suggestion

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
    or of the sets of sequences (recognised by its files; it ignores the options about columns and text); or a dataframe
    of pandas, polars, DuckDB or PyArrow.

    user_id, item_id, rating, timestamp: column names. By default the usual ones are tried (columns.NAMES): user_id,
    user, uid; item_id, item, movie_id, movie; rating, rate, stars; timestamp, time, datetime. None: do not read it.
    All further columns become the context. unit: of numeric times, "s", "ms", "us" or "ns"; "auto" goes by their size.
    format: "sequences" has one line a user, the user's id and then items in time order; "sessions" one anonymous
    session a line, numbered from 1. Neither has times: the log's order is the order of time.
    users, items: side tables, a file or dataframe each with an id column named like the log's or by a usual name.
    duplicates: what happens to a user's repeated events with one item. "keep" (default: ranking models count a pair
    once, and sequences need repeats), "distinct" (of those in one second, such as a double click, the first stays),
    "last", "first", "sum" or "error".
    separator, quote, encoding, header: how text files are written; header names the columns of a file without a header.

    Ids of text files become integers when all of them are canonical integers, otherwise they stay text.
    Raises MatineeError, naming file, row and column, for anything that cannot be read.

    Example: `data = mt.read("log.csv", user_id="user", item_id="film")`
    """
    for what, value, choices in (("format", format, get_args(Format)), ("unit", unit, get_args(Unit))):
        if value not in choices:
            raise MatineeError(f"unknown {what} {value!r}", hint=suggestion(str(value), choices))
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is not None and path.is_dir():
        return build(read_folder(path), name=name or path.resolve().name, duplicates=duplicates)
    if path is not None:
        name = name or path.name.split(".")[0]
    if format == "log":
        table = table_of(source, Dialect(separator, quote, encoding, header))
        log = _columns(table, user_id, item_id, rating, timestamp, unit)
    elif path is not None:
        log = read_sequences(path, encoding, named=format == "sequences")
    else:
        hint = "pass its path, or a dataframe with format='log'"
        raise MatineeError(f"format '{format}' needs a text file", hint=hint)
    parts = RawTables(log, _side(users, "user_id", log.user.name), _side(items, "item_id", log.item.name))
    return build(parts, name=name or "log", duplicates=duplicates)


def _columns(table: Table, user_id: str, item_id: str, rating: str | None, timestamp: str | None, unit: Unit) -> Log:
    """The log of a table whose columns are named, or AUTO."""
    user_id, item_id = _needed(table, "user_id", user_id), _needed(table, "item_id", item_id)
    rating = find_column(table, "rating", rating, required=False)
    timestamp = find_column(table, "timestamp", timestamp, required=False)
    log = log_of(table, user_id, item_id, rating, timestamp, unit=unit)
    return replace(log, context=guess_types(log.context)) if table.is_text and log.context is not None else log


def _needed(table: Table, role: str, name: str) -> str:
    found = find_column(table, role, name, required=True)
    assert found is not None
    return found


def _side(source: Any, role: str, like: str) -> SideTable | None:
    """A side table: its ids, in a column named like the log's or by a usual name, and its other columns."""
    if source is None:
        return None
    table = table_of(source)
    column = like if like in table.frame.columns else _needed(table, role, AUTO)
    rest = table.frame.drop(column)
    return side_of(table, column, side.described(guess_types(rest, keep=side.TEXT) if table.is_text else rest))
