"""Files, folders and dataframes -> Dataset, by `read`. Known folder layouts are in layouts.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.data import side
from matinee.data.dataset import Dataset, Duplicates
from matinee.data.read.assemble import Log, RawTables, SideTable, build, log_of, side_of
from matinee.data.read.columns import find_column, guess_types
from matinee.data.read.layouts import read_folder
from matinee.data.read.options import (
    AUTO,
    BadRows,
    Format,
    Ids,
    Name,
    ReadOptions,
    Unit,
    parsed,
)
from matinee.data.read.sequences import read_sequences
from matinee.data.read.tables import Table, dialect_of, table_of
from matinee.errors import MatineeError, option, suggestion

Reader = Callable[[Any, ReadOptions], RawTables]


def read(
    source: Any,
    *,
    user_id: Name = AUTO,
    item_id: Name = AUTO,
    rating: Name | None = AUTO,
    timestamp: Name | None = AUTO,
    weight: Name | None = None,
    unit: Unit = "auto",
    time_format: str | None = None,
    ids: Ids = "auto",
    bad_rows: BadRows = "error",
    format: Format = "log",  # noqa: A002 - the word recipes use
    session_gap: str | int | None = None,
    users: Any = None,
    items: Any = None,
    duplicates: Duplicates = "keep",
    name: str | None = None,
    header: bool | Sequence[str] | None = True,
    separator: str | None = None,
    quote: str | None = AUTO,
    escape: str | None = AUTO,
    encoding: str = "utf-8",
    decimal: str = ".",
    comment: str | None = None,
) -> Dataset:
    """Read a log.

    source: a CSV, TSV (also .gz, .bz2, .zst or a .zip of one file), JSON lines or Parquet file; a folder in the layout
    of MovieLens, of the film contest, of recbole or of the sets of sequences (recognised by its files; it ignores the
    options about columns and text); or a dataframe of pandas, polars, DuckDB or PyArrow.

    user_id, item_id, rating, timestamp, weight: column names, or positions from 1 in a file without a header. By default
    the usual names are tried (columns.NAMES). None: do not read it. All further columns become the context.
    unit: of numeric times, "s", "ms", "us" or "ns"; "auto" goes by their size. time_format: of times that are text, as
    in strptime ("%m/%d/%Y"). ids: "text" keeps "7" a text; "integer" refuses ids that are none; "auto" makes integers of
    a file's ids when all of them are canonical integers. bad_rows: "skip" leaves out rows that cannot be read, with a
    MatineeWarning that counts them. session_gap: "30m" cuts each user's events into sessions, each a user of its own
    ("7/1", "7/2"), where more time than this passes.
    format: "sequences" has one line a user, the user's id and then items in time order; "sessions" one anonymous
    session a line, numbered from 1. Neither has times: the log's order is the order of time.
    users, items: side tables, a file, a `table` or a dataframe each with an id column named like the log's or by a
    usual name. A plain file is read as the log is, where that fits.
    duplicates: what happens to a user's repeated events with one item. "keep" (default: ranking models count a pair
    once, and sequences need repeats), "distinct" (of those in one second, such as a double click, the first stays),
    "last", "first", "sum" or "error".
    header, separator, quote, escape, encoding, decimal, comment: how text files are written. header False: the first
    row is an event (columns by position; two are user and item, a third a rating or, where all its values are above
    1e8, a time, more have to be named); a list names the columns. quote None: quotation marks are ordinary characters.

    Raises MatineeError, naming file, row and column, for anything that cannot be read.
    """
    given = {key: value for key, value in locals().items() if key in ReadOptions.model_fields}
    return read_as(source, parsed(ReadOptions, given), name=name)


def read_as(source: Any, options: ReadOptions, *, name: str | None = None) -> Dataset:
    """`read` with its options in one object. Raises MatineeError."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is not None and path.is_dir():
        parts = read_folder(path)
        return build(parts, name=name or path.resolve().name, duplicates=options.duplicates)
    if options.format not in READERS and options.format != AUTO:
        raise MatineeError(f"unknown format {options.format!r}", hint=suggestion(options.format, (AUTO, *READERS)))
    parts = READERS["log" if options.format == AUTO else options.format](source, options)
    name = name or ("log" if path is None else path.name.split(".")[0])
    return build(parts, name=name, duplicates=options.duplicates)


def _read_log(source: Any, options: ReadOptions) -> RawTables:
    """One event a row."""
    table = table_of(source, dialect_of(options))
    log = _columns(table, options.user_id, options.item_id, options.rating, options.timestamp, options.unit)
    return _with_sides(log, options)


def _read_sequences(source: Any, options: ReadOptions) -> RawTables:
    """One user, or one session, a line."""
    if not isinstance(source, (str, Path)):
        hint = f"pass its path, or a dataframe with {option('format', 'log')}"
        raise MatineeError(f"format '{options.format}' needs a text file", hint=hint)
    return _with_sides(read_sequences(Path(source), options.encoding, named=options.format == "sequences"), options)


READERS: dict[str, Reader] = {"log": _read_log, "sequences": _read_sequences, "sessions": _read_sequences}
"""The reader of each format: a source and the options -> all its tables. Known formats (data/read/formats) join here."""


def _with_sides(log: Log, options: ReadOptions) -> RawTables:
    users, items = _side(options.users, "user_id", log.user.name), _side(options.items, "item_id", log.item.name)
    return RawTables(log, users, items)


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
