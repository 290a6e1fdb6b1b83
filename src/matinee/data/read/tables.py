"""Any source -> Table: a polars frame that knows the file and line of each row.

polars parses text at once. Only when something is wrong, a slow reader goes through the file for the first bad line.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.read.memory import frame_of
from matinee.errors import MatineeError

PARQUET = (".parquet", ".pq")
SEPARATORS = (",", "\t", ";", "|")
DOUBLE_COLON, UNIT = "::", "\x1f"  # MovieLens' old separator, and the one byte it is read as


@dataclass(frozen=True)
class Dialect:
    """How a text file is written. separator None: the most frequent of , tab ; | in the first line. quote None:
    quotation marks are ordinary characters. header: column names of a file without a header line."""

    separator: str | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    header: Sequence[str] | None = None


@dataclass(frozen=True)
class Table:
    """One table. frame: text columns of a text file are String, null where empty. name: as users would call it.

    source: the text file it was read from; None for Parquet files and dataframes, whose rows are counted from 1.
    """

    frame: pl.DataFrame
    name: str
    source: Path | None = None
    dialect: Dialect = Dialect()

    @property
    def is_text(self) -> bool:
        return self.source is not None

    def place(self, row: int, column: str | None = None) -> str:
        """The place of row `row` (from 0): the line of a text file, otherwise the row counted from 1."""
        number = row + 1 if self.source is None else _line_of(self.source, self.dialect, row)
        text = f"{self.name}, row {number}"
        return text if column is None else f"{text}, column '{column}'"

    def error(self, what: str, row: int, column: str | None = None, *, hint: str | None = None) -> MatineeError:
        return MatineeError(what, where=self.place(row, column), hint=hint)

    def require(self, *columns: str) -> None:
        """Raise MatineeError when one of these columns is missing."""
        for column in columns:
            if column not in self.frame.columns:
                there = ", ".join(map(repr, self.frame.columns[:20]))
                what = f"there is no column '{column}'; it has {there}"
                raise MatineeError(what, where=self.name, hint="correct the header")

    def rename(self, names: Mapping[str, str]) -> Table:
        """The same rows under other column names; names that are not there are ignored."""
        return replace(self, frame=self.frame.rename(dict(names), strict=False))


def table_of(source: Any, dialect: Dialect = Dialect(), schema: Mapping[str, Any] | None = None) -> Table:
    """A CSV, TSV (also .gz) or Parquet file, or anything that speaks the Arrow C stream.

    schema: types to try for columns of a text file; columns that do not fit stay text. Raises MatineeError.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise MatineeError("there is no such file", where=str(path), hint="check the path")
        return _parquet(path) if path.suffix in PARQUET else text_table(path, dialect, schema)
    return Table(frame_of(source), "the dataframe")


def text_table(path: Path, dialect: Dialect = Dialect(), schema: Mapping[str, Any] | None = None) -> Table:
    """Read a delimited text file; every column is String unless `schema` types it and the whole column fits."""
    with_encoding = dialect.encoding.lower().replace("_", "-") not in {"utf-8", "utf8"}
    source: Path | bytes = path
    if with_encoding or path.suffix == ".gz":
        source = decoded(path, dialect.encoding).encode() if with_encoding else content(path)
    dialect = _sniffed(path, dialect)
    if dialect.separator == DOUBLE_COLON:
        source = (content(path) if isinstance(source, Path) else source).replace(b"::", UNIT.encode())
    try:
        frame = _polars(source, dialect, schema)
    except (pl.exceptions.PolarsError, OSError) as error:
        if schema is not None:
            return text_table(path, dialect)
        raise _explanation(path, dialect, error) from error
    if any("\ufffd" in name for name in frame.columns):
        decoded(path, dialect.encoding)  # polars replaces bad bytes of the header line in silence
    return Table(_without_blank_lines(frame, path, dialect), path.name, path, dialect)


def content(path: Path) -> bytes:
    """All bytes of a file, uncompressed when it ends in .gz."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MatineeError(f"is not a whole gzip file: {error}", where=str(path), hint="fetch it again") from error
    except OSError as error:
        raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), hint="check the file") from error


def decoded(path: Path, encoding: str = "utf-8") -> str:
    """A file's text. Raises MatineeError naming the line of the first byte that is not in this encoding."""
    data = content(path)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise MatineeError(f"unknown encoding '{encoding}'", where=str(path), hint="try utf-8 or latin-1") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        other = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        what = f"byte 0x{data[error.start]:02x} is not {encoding} text"
        hint = f'pass the file\'s encoding, perhaps encoding="{other}"'
        raise MatineeError(what, where=f"{path.name}, row {line}", hint=hint) from error


def records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The slow reader: (line number from 1, fields) of every record, the header included, blank lines as []."""
    text, separator = decoded(path, dialect.encoding), dialect.separator or ","
    if separator == DOUBLE_COLON:
        text, separator = text.replace(DOUBLE_COLON, UNIT), UNIT
    file = io.StringIO(text, newline="")
    if dialect.quote is None:
        reader = csv.reader(file, delimiter=separator, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(file, delimiter=separator, quotechar=dialect.quote)
    line = 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise MatineeError(str(error), where=f"{path.name}, row {line}", hint="correct that row's quotes") from error


def _polars(source: Path | bytes, dialect: Dialect, schema: Mapping[str, Any] | None) -> pl.DataFrame:
    header = dialect.header
    frame = pl.read_csv(
        source,
        has_header=header is None,
        schema=None if header is None else {name: (schema or {}).get(name, pl.String) for name in header},
        schema_overrides=None if header is not None else dict(schema or {}),
        separator=UNIT if dialect.separator == DOUBLE_COLON else dialect.separator or ",",
        quote_char=dialect.quote,
        infer_schema=False,
        glob=False,
    )
    text = [name for name, kind in frame.schema.items() if kind == pl.String]
    frame = frame.with_columns(pl.col(name).replace("", None) for name in text if (frame[name] == "").any())
    return frame.rename({name: name.strip() for name in frame.columns if name.strip() and name != name.strip()})


def _sniffed(path: Path, dialect: Dialect) -> Dialect:
    if dialect.separator is not None:
        return dialect
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            first = file.readline(1 << 20).decode(dialect.encoding, "replace")
        except (EOFError, OSError, zlib.error):
            content(path)  # raises what is wrong with the file
            raise
    best = max(SEPARATORS, key=first.count)
    return replace(dialect, separator=best if best in first else ",")


def _without_blank_lines(frame: pl.DataFrame, path: Path, dialect: Dialect) -> pl.DataFrame:
    """Refuse rows with too few fields, which polars pads with nulls, and drop blank lines. Both leave a null in the
    last column, so a table without one is complete. Where fields are only empty and nothing is quoted, the number of
    separators in the file proves it."""
    if frame.width == 0 or frame[frame.columns[-1]].null_count() == 0:
        return frame
    data, separator = content(path), (dialect.separator or ",").encode(dialect.encoding)
    lines = frame.height + (dialect.header is None)
    unquoted = dialect.quote is None or dialect.quote.encode(dialect.encoding) not in data
    if frame.width > 1 and unquoted and data.count(separator) == lines * (frame.width - 1):
        return frame
    blank = []
    for row, (line, fields) in enumerate(records(path, dialect), start=-1 if dialect.header is None else 0):
        if not fields:
            blank.append(row)
        elif len(fields) != frame.width:
            raise _ragged(path, line, len(fields), frame.width)
    return frame.filter(~pl.int_range(pl.len()).is_in(blank)) if blank else frame


def _ragged(path: Path, line: int, found: int, expected: int) -> MatineeError:
    what = f"has {found} fields where {expected} are expected"
    hint = "correct that row, or name the separator and the quotation mark (separator=, quote=)"
    return MatineeError(what, where=f"{path.name}, row {line}", hint=hint)


def _explanation(path: Path, dialect: Dialect, error: Exception) -> MatineeError:
    """The error of a file that polars refused, with a line number."""
    if isinstance(error, pl.exceptions.NoDataError) or not content(path).strip():
        return MatineeError("the file is empty", where=str(path), hint="check where it came from")
    width = None if dialect.header is None else len(dialect.header)
    for line, fields in records(path, dialect):
        width = width or len(fields)
        if fields and len(fields) != width:
            return _ragged(path, line, len(fields), width)
    what = f"cannot be read: {_first_line(error)}"
    return MatineeError(what, where=str(path), hint="check that it is a delimited text file")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _line_of(path: Path, dialect: Dialect, row: int) -> int:
    """The line (from 1) at which data row `row` (from 0, blank lines apart) starts."""
    lines = (line for line, fields in records(path, dialect) if fields)
    return next(itertools.islice(lines, row + (dialect.header is None), None))


def _parquet(path: Path) -> Table:
    try:
        return Table(pl.read_parquet(path, glob=False), path.name)
    except (pl.exceptions.PolarsError, OSError) as error:
        what = f"is not a readable Parquet file: {_first_line(error)}"
        raise MatineeError(what, where=str(path), hint="write or fetch it again") from error
