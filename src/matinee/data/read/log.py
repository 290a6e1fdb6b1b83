"""Files, folders and dataframes -> Dataset, by `read`. Known formats and folders are in formats/."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from matinee.data.dataset import Dataset, Duplicates
from matinee.data.events import EventKinds, kinds_option, looks_like_kinds, no_kinds_option
from matinee.data.read.assemble import Log, RawTables, build, log_of
from matinee.data.read.columns import NAMES, by_position, find_column, guess_types, plain
from matinee.data.read.dialect import SEPARATORS
from matinee.data.read.format_names import KNOWN
from matinee.data.read.formats import read_known, reads_rating, recognised
from matinee.data.read.gaps import by_gap
from matinee.data.read.options import (
    AUTO,
    BadRows,
    Format,
    Ids,
    Name,
    ReadOptions,
    TextOptions,
    Unit,
    known_options,
    parsed,
)
from matinee.data.read.sequences import read_sequences
from matinee.data.read.side_files import needed, side_table
from matinee.data.read.suspicions import warn_of_names, warn_of_times
from matinee.data.read.tables import Table, dialect_of, table_of
from matinee.data.read.text import UTF8, compression, start
from matinee.errors import (
    COLUMNS,
    MatineeError,
    MatineeWarning,
    listed,
    offered,
    option,
)

LARGE = 64_000_000  # bytes of a file whose numbers are not read as text first
WEIGHTS = frozenset(
    {"weight", "weights", "plays", "playcount", "count", "counts", "listens", "views", "clicks", "hours"}
)
"""Names, as `plain` writes them, of columns that say how much an event is."""
OF_LOGS = (*COLUMNS[:-1], *TextOptions.model_fields, "unit", "time_format", "ids", "bad_rows")
"""Options about columns and signs, which a known format has of its own."""
FIELDS = ReadOptions.model_fields
Reader = Callable[[Any, ReadOptions], RawTables]


@known_options
def read(
    source: Any,
    *,
    user_id: Name = AUTO,
    item_id: Name = AUTO,
    rating: Name | None = AUTO,
    timestamp: Name | None = AUTO,
    weight: Name | None = AUTO,
    kinds: EventKinds | Mapping[str, Any] | Literal["auto"] | None = "auto",
    dislike_below: float | None = None,
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

    source: a CSV, TSV (also .gz, .bz2, .zst, .zip of one file), JSON lines or Parquet file; a folder in a format of
    `formats` (it ignores options about columns and text); a frame of pandas, polars, DuckDB or PyArrow; a dict of
    columns; a list of dicts, or of (user, item[, rating[, time]]); a NumPy array; a SciPy sparse matrix.
    user_id, item_id, rating, timestamp, weight: column names, or positions from 1 in a file without a header. Else the
    usual names are tried (columns.NAMES; none for weights). None: do not read it. Other columns become the context.
    weight: what an event counts, such as plays; below 0 a dislike. kinds: an EventKinds, or a dict of its column,
    weights and keep; "auto" is what a format means, else all kinds count alike, as with None. dislike_below: events
    rated lower are dislikes. See `apply_events`.
    unit: of numeric times, "s", "ms", "us" or "ns"; "auto" goes by their size. time_format: of times that are text, as
    in strptime ("%m/%d/%Y"). ids: "text" keeps "7" a text; "integer" refuses ids that are none; "auto" makes integers
    of a file's ids when all are canonical integers. bad_rows: "skip" leaves out and counts rows that cannot be read.
    session_gap: "30m" cuts each user's events into sessions ("7/1", "7/2").
    format: one of `formats`, such as "netflix_prize": a file, or a folder with its tables, is read as it comes; "auto"
    recognises them, and reads any other file, or one that could be in several, as a log. "sequences" has a user a line,
    the user's id and then items in time order; "sessions" one anonymous session a line, numbered from 1. Neither has
    times: the log's order is the order of time.
    users, items: side tables, a file, a `table` or a dataframe each with an id column named like the log's, by a
    usual name, or "id". A plain file is read as the log is, where that fits.
    duplicates: of a user's events with one item "keep" (default: sequences need repeats), "distinct" (one a second, the
    largest weight), "last", "first", "sum" (the last, with ratings and weights added up) or "error".
    header, separator, quote, escape, encoding, decimal, comment: how text files are written. header False: the first
    row is an event (columns by position: two are user and item, a third is a rating up to 1,000 or a time from 1e8 on,
    a fourth a time; others have to be named); a list names the columns. quote None: quotation marks are ordinary signs.

    Raises MatineeError, naming file, row and column, for anything that cannot be read.

    Example: `data = mt.read("log.csv", user_id="user", item_id="film")`
    """
    given = {key: x for key, x in locals().items() if key in FIELDS and x is not FIELDS[key].default}
    return read_as(source, parsed(ReadOptions, given), name=name)


def read_as(source: Any, options: ReadOptions, *, name: str | None = None) -> Dataset:
    """`read` with its options in one object. Raises MatineeError."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    parts = None if path is None else _known(path, options)
    if parts is None:
        parts = _parts(source, path, options)
    if path is not None:
        name = name or (path.resolve().name if path.is_dir() else path.name.split(".")[0])
    if options.kinds != AUTO:
        parts = replace(parts, log=replace(parts.log, kinds=_kinds_of(parts.log, options.kinds)))
    _warn_of_unused(parts.log, options)
    return build(parts, name=name or "log", duplicates=options.duplicates, dislike_below=options.dislike_below)


def _known(path: Path, options: ReadOptions) -> RawTables | None:
    """The tables of a folder, or of a file in a format that was named or is recognised; None for any other file."""
    name = options.format if options.format in KNOWN else AUTO
    sides = TextOptions.model_fields if options.users is not None or options.items is not None else ()
    own = [key for key in OF_LOGS if key not in sides and not _usual(options, key)]  # signs: may be of a side table
    if "rating" in own and reads_rating(path, name, options.rating):
        own.remove("rating")
    if name == AUTO and not path.is_dir() and (options.format != AUTO or own):
        return None
    if name != AUTO and own:
        what = f"files of the format {name} are written in one way, and {own[0]} is given"
        hint = f"leave {own[0]} out, or read the file with {option('format', 'log')}"
        raise MatineeError(what, where=path.name, hint=hint)
    parts = read_known(path, name, rating=options.rating, time=options.timestamp is not None)
    if parts is None:
        return None
    if options.weight != AUTO:
        parts = replace(parts, log=replace(parts.log, weight=_of_format(parts.log, options.weight)))
    return _with_sides(parts, options)


def _of_format(log: Log, weight: Name | None) -> str | None:
    """The column of weights of a log in a known format."""
    if not isinstance(weight, int):
        return weight
    have = [] if log.context is None else log.context.columns
    hint = f"use one of {listed(have)}" if have else "its rows have no further columns"
    raise MatineeError(f"weight is the position {weight}, and this format names its columns", hint=hint)


def _parts(source: Any, path: Path | None, options: ReadOptions) -> RawTables:
    """What the reader of the format gives. Where it fails, and the file looks like one of a published set whose columns
    have not the usual names, the hint says so."""
    try:
        return READERS[options.format](source, options)
    except MatineeError as error:
        told = options.format != "log" or not all(_usual(options, key) for key in OF_LOGS) or not offered("format")
        entry = None if told or path is None or not path.is_file() or _named_as_usual(path) else recognised(path)
        if entry is None:
            raise
        known = f"the file looks like {entry.title}: {option('format', entry.name)} reads it as it comes"
        raise MatineeError(error.what, where=error.where, hint=known) from error


def _named_as_usual(path: Path) -> bool:
    """Whether the first line names columns of users and items as usual."""
    first = start(path, 1 << 16).decode("utf-8", "replace").partition("\n")[0]
    names = {plain(name.strip('"\r\ufeff')) for name in re.split(r"[,;\t|]", first)}
    return all(names.intersection(NAMES[role]) for role in ("user_id", "item_id"))


def _usual(options: ReadOptions, key: str) -> bool:
    """Whether an option was not given; ratings and times may be left out of any format."""
    value = getattr(options, key)
    return value == ReadOptions.model_fields[key].default or (value is None and key in ("rating", "timestamp"))


def _read_log(source: Any, options: ReadOptions) -> RawTables:
    """One event a row."""
    dialect = dialect_of(options, skip=options.bad_rows == "skip")
    table = table_of(source, dialect, _numbers_of_large(source, options))
    log = columns_log(table, options)
    del table
    return _with_sides(RawTables(log), options)


def _numbers_of_large(source: Any, options: ReadOptions) -> dict[str, Any] | None:
    """The kinds of the usual columns of ratings and times, where a large file begins with numbers in them: as text they
    would take the memory of the whole log. Columns that do not fit are read as text after all."""
    if not isinstance(source, (str, Path)) or not Path(source).is_file() or Path(source).stat().st_size < LARGE:
        return None
    if compression(Path(source)) is not None or options.encoding.lower() not in UTF8 or options.header is not True:
        return None
    lines = start(Path(source), 1 << 16).decode("utf-8", "replace").splitlines()[:2]
    sign = options.separator or max(SEPARATORS, key=lines[0].count)
    names, values = (line.split(sign) for line in lines)
    typed: dict[str, Any] = {}
    for name, value in zip(names, values, strict=False):
        if plain(name) in NAMES["timestamp"] and re.fullmatch(r"[1-9]\d*", value):
            typed[name] = pl.Int64
        elif plain(name) in NAMES["rating"] and re.fullmatch(r"\d+(\.\d+)?", value):
            typed[name] = pl.Float64
    return typed or None


def _read_sequences(source: Any, options: ReadOptions) -> RawTables:
    """One user, or one session, a line."""
    if not isinstance(source, (str, Path)):
        hint = f"pass its path, or a dataframe with {option('format', 'log')}"
        raise MatineeError(f"format '{options.format}' needs a text file", hint=hint)
    named, skip = options.format == "sequences", options.bad_rows == "skip"
    log = read_sequences(Path(source), options.encoding, named=named, skip=skip)
    return _with_sides(RawTables(log), options)


READERS: dict[str, Reader] = {
    **{"log": _read_log, AUTO: _read_log, "sequences": _read_sequences, "sessions": _read_sequences},
    **dict.fromkeys(KNOWN, _read_sequences),  # of dataframes: these formats are files, which `_known` has read
}
"""The reader of each format: a source and the options -> all its tables."""


def _with_sides(parts: RawTables, options: ReadOptions) -> RawTables:
    """The tables, with those of users and items that were named."""
    log = parts.log
    if options.session_gap is not None:
        log = by_gap(log, options.session_gap)
        if options.users is not None or parts.users is not None:
            hint = "leave the table of users out, or read the log without cutting it into sessions"
            raise MatineeError("users are described, and sessions are the users", where=log.table.name, hint=hint)
    users = side_table(options.users, "user_id", log.user.name, options) or parts.users
    return RawTables(log, users, side_table(options.items, "item_id", log.item.name, options) or parts.items)


def columns_log(table: Table, options: ReadOptions) -> Log:
    """The log of a table whose columns are named in the options, or found."""
    asked = {role: getattr(options, role) for role in COLUMNS}
    if table.dialect.header is False and asked["user_id"] == asked["item_id"] == AUTO:
        asked |= {role: name for role, name in by_position(table).items() if asked[role] == AUTO}
    user_id, item_id = (needed(table, role, asked[role]) for role in ("user_id", "item_id"))
    rating, timestamp = (find_column(table, role, asked[role], required=False) for role in ("rating", "timestamp"))
    weight = None if asked["weight"] == AUTO else find_column(table, "weight", asked["weight"], required=True)
    log = log_of(
        table,
        user_id,
        item_id,
        rating,
        timestamp,
        unit=options.unit,
        time_format=options.time_format,
        ids=options.ids,
        weight=weight,
        skip=options.bad_rows == "skip",
    )
    warn_of_names(table)
    if log.rating is not None and rating is not None:
        warn_of_times(log.rating, table.name, rating)
    if log.context is not None and table.is_text:
        log = replace(log, context=guess_types(log.context, decimal=options.decimal))
    return log


def _kinds_of(log: Log, kinds: EventKinds | None) -> EventKinds | None:
    """The kinds; their column may be a position in a file without a header."""
    if kinds is None or log.table.dialect.header is not False:
        return kinds
    return replace(kinds, column=str(find_column(log.table, "kind", kinds.column, required=True)))


def _warn_of_unused(log: Log, options: ReadOptions) -> None:
    """A MatineeWarning for columns that are not used, though their names say weights or kinds of events."""
    for column in [] if log.context is None else log.context.columns:
        values = log.context[column]  # type: ignore[index]
        if plain(column) in WEIGHTS and options.weight == AUTO and log.weight is None and _numbers(values):
            text = f"{log.table.name}: the column '{column}' looks like weights, and every event counts alike: "
            _warn(text + f"{option('weight', column)} reads it, {option('weight', None)} says that it is none")
        elif looks_like_kinds(column, values) and options.kinds == AUTO and log.kinds is None and column != log.weight:
            kinds = values.unique(maintain_order=True).cast(pl.String).to_list()
            text = f"{log.table.name}: the column '{column}' looks like kinds of events, and all count alike: "
            weighed = f"{kinds_option(column, kinds)} gives each a weight, {no_kinds_option()} says that they do"
            _warn(f"{text}{listed(kinds)}; {weighed}")


def _numbers(values: pl.Series) -> bool:
    """Whether a column could be read as weights."""
    return not values.has_nulls() and values.dtype.is_numeric()


def _warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=2)
