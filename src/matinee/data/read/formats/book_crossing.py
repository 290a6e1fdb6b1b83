"""Book-Crossing: `;` between quoted fields, latin-1, backslashes before quotation marks, and 0 for "not rated"."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable
from matinee.data.read.columns import guess_types
from matinee.data.read.formats.base import (
    Format,
    Head,
    Lined,
    Source,
    alike,
    described,
    events,
    head_of,
    old_text,
    rated,
    warn,
)
from matinee.data.read.tables import Dialect, Table, decoded, text_table
from matinee.errors import MatineeError

NAMES = {
    "User-ID": "user_id",
    "ISBN": "item_id",
    "Book-Title": "title",
    "Book-Author": "author",
    "Year-Of-Publication": "year",
    "Publisher": "publisher",
    "Location": "location",
    "Age": "age",
}


def read(source: Source) -> RawTables:
    """Ratings of 1 to 10, see `rated`. The tables of books and users are found by their headers."""
    table = text_table(source.log, old_text(source.log, Dialect(_separator(source.log))))
    table, rating = rated(table, "Book-Rating", source)
    log = events(table, "User-ID", "ISBN", rating)
    return RawTables(log, _users(source), _books(source))


def _books(source: Source) -> SideTable | None:
    path = source.beside("*ooks*.csv", looks=lambda head: head.header("ISBN", "Book-Title"))
    if path is None:
        return None
    table = _table(path, "ISBN", "Book-Title")
    known = pl.col("year").cast(pl.Int64, strict=False)
    wanted = [name for name in ("title", "author", "year", "publisher") if name in table.frame.columns]
    frame = table.frame.select(wanted)
    if "year" in wanted:
        frame = frame.with_columns(pl.when(known > 0).then(known).alias("year"))  # 0: unknown
    return described(table, "item_id", frame)


def _users(source: Source) -> SideTable | None:
    path = source.beside("*sers*.csv", looks=lambda head: head.header("User-ID", "Location", "Age"))
    if path is None:
        return None
    table = _table(path, "User-ID", "Location", "Age")
    return described(table, "user_id", guess_types(table.frame.select("location", "age")))


def _table(path: Path, *needed: str) -> Table:
    """A table with backslashes before quotation marks. Rows of another length, of which the publisher's copy has some,
    are left out and counted."""
    text = io.StringIO(decoded(path, old_text(path, Dialect()).encoding), newline="")
    reader = csv.reader(text, delimiter=_separator(path), escapechar="\\")
    header = [name.strip() for name in next(reader, [])]
    rows: list[list[str]] = []
    lines: list[int] = []
    left: list[int] = []
    start = reader.line_num + 1
    try:
        for fields in reader:
            _whole(path, start, reader.line_num, fields, header)
            if len(fields) == len(header):
                rows.append(fields)
                lines.append(start)
            elif fields:
                left.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise MatineeError(str(error), where=f"{path.name}, row {start}", hint="correct that row's quotes") from error
    if left:
        many = f"{len(left):,} rows have not {len(header)} fields and are left out"
        warn(f"{path.name}: {many}, the first in row {left[0]}")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String))
    frame = frame.with_columns(pl.when(~pl.col(name).is_in(["", "NULL"])).then(name).alias(name) for name in header)
    table = Lined(frame, path.name, path, line=lambda row: lines[row])
    table.require(*needed)
    return table.rename(NAMES)


def _whole(path: Path, first: int, last: int, fields: Sequence[str], header: Sequence[str]) -> None:
    """Refuse a quotation mark that swallows the rows after it."""
    if last > first and len(fields) != len(header):
        what = f"has {len(fields)} fields where {len(header)} are expected, and reaches to row {last}"
        hint = "correct that row's quotation marks"
        raise MatineeError(what, where=f"{path.name}, row {first}", hint=hint)


def _separator(path: Path) -> str:
    """`;` of the publisher, `,` of copies."""
    first = "".join(head_of(path).lines[:1])
    return ";" if ";" in first else ","


def _looks(head: Head) -> bool:
    return head.header("User-ID", "ISBN", "Book-Rating")


FORMAT = Format(
    "book_crossing",
    "Book-Crossing",
    "BX-Book-Ratings.csv, with BX-Books.csv and BX-Users.csv",
    "a row; 0 means not rated, so ratings (1 to 10) are read of rated rows, where Book-Rating is named as rating",
    _looks,
    alike(_looks, "*atings*.csv"),
    read,
    rating="Book-Rating",
)
