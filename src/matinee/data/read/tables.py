"""Any source -> Table: a polars frame that knows the file and line of each row.

polars parses text at once. Only when something is wrong, a slow reader goes through the file for the first bad line.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.read import text
from matinee.data.read.dialect import DOUBLE_COLON as DOUBLE_COLON
from matinee.data.read.dialect import UNIT, RaggedError, line_of, ragged, records, rows_apart, sniffed
from matinee.data.read.dialect import Dialect as Dialect
from matinee.data.read.dialect import dialect_of as dialect_of
from matinee.data.read.memory import frame_of
from matinee.data.read.quoting import quoting, stripped, unclosed
from matinee.data.read.text import content as content
from matinee.data.read.text import decoded as decoded
from matinee.errors import MatineeError, MatineeWarning, counted, either, offered, option

PARQUET = (".parquet", ".pq")
JSON = (".json", ".jsonl", ".ndjson")


PLAIN = Dialect()


@dataclass(frozen=True)
class Table:
    """One table. frame: text columns of a text file are String, null where empty. name: as users would call it.

    source: the text file it was read from; None for Parquet files and dataframes, whose rows are counted from 1.
    kept: where rows were left out, the place in the source of each row that is here; skipped: line and reason of
    those with too few or too many fields, or broken quotation marks; n_skipped: all of them. lines: of each row that
    was read, where some were left out.
    """

    frame: pl.DataFrame
    name: str
    source: Path | None = None
    dialect: Dialect = PLAIN
    kept: pl.Series | None = None
    skipped: tuple[tuple[int, str], ...] = ()
    n_skipped: int = 0
    lines: tuple[int, ...] = ()

    @property
    def is_text(self) -> bool:
        return self.source is not None

    def number(self, row: int) -> int:
        """The line of row `row` (from 0) in a text file, otherwise the row counted from 1."""
        row = row if self.kept is None else int(self.kept[row])
        if self.lines:
            return self.lines[row]
        return row + 1 if self.source is None else line_of(self.source, self.dialect, row)

    def place(self, row: int, column: str | None = None) -> str:
        """The place of row `row` (from 0)."""
        number = self.number(row)
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

    def without(self, wrong: pl.Series) -> Table:
        """The rows that are not wrong, bool (n,)."""
        kept = pl.int_range(len(wrong), eager=True) if self.kept is None else self.kept
        return replace(self, frame=self.frame.filter(~wrong), kept=kept.filter(~wrong))

    def rename(self, names: Mapping[str, str]) -> Table:
        """The same rows under other column names; names that are not there are ignored."""
        return replace(self, frame=self.frame.rename(dict(names), strict=False))


def table_of(source: Any, dialect: Dialect = PLAIN, schema: Mapping[str, Any] | None = None) -> Table:
    """A CSV, TSV, JSON lines (each compressed or not) or Parquet file, or anything that speaks the Arrow C stream.

    schema: types to try for columns of a text file; columns that do not fit stay text. Raises MatineeError.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise MatineeError("there is no such file", where=str(path), hint="check the path")
        kind = text.plain_suffix(path)
        return _parquet(path) if kind in PARQUET else _json(path) if kind in JSON else text_table(path, dialect, schema)
    return Table(frame_of(source), "the dataframe")


def text_table(path: Path, dialect: Dialect = PLAIN, schema: Mapping[str, Any] | None = None) -> Table:
    """Read a delimited text file; every column is String unless `schema` types it and the whole column fits."""
    with_encoding = dialect.encoding.lower().replace("_", "-") not in text.UTF8
    source: Path | bytes = path
    if with_encoding or text.compression(path) is not None:
        source = decoded(path, dialect.encoding).encode() if with_encoding else content(path)
    elif text.only_cr(text.start(path)):
        source = content(path)
    dialect = sniffed(path, dialect)
    if (twice := _twice_separated(source, path, dialect, schema)) is not None:
        return _named(twice)
    if dialect.separator is not None and len(dialect.separator) > 1:
        source = content(path) if isinstance(source, Path) else source
        if UNIT.encode() in source:
            what = f"the separator {dialect.separator} is read as the control character 0x1f, and the file holds that"
            raise MatineeError(what, where=path.name, hint="remove the character 0x1f, or separate fields by one sign")
        source = source.replace(dialect.separator.encode(), UNIT.encode())
    notes: tuple[str, ...] = ()
    try:
        source, dialect, bare, notes = quoting(source, path, dialect)
        source = text.from_first_line(source)
        frame = _polars(source, replace(dialect, quote=None) if bare else dialect, schema)
        if bare:
            frame, dialect = stripped(frame, path, dialect), replace(dialect, quote=None)
        if any("\ufffd" in name for name in frame.columns):
            decoded(path, dialect.encoding)  # polars replaces bad bytes of the header line in silence
        table = Table(_without_blank_lines(frame, path, dialect), path.name, path, dialect)
    except (pl.exceptions.PolarsError, OSError) as error:
        if schema is not None:
            return text_table(path, dialect)
        if not dialect.skip:
            raise _explanation(path, dialect, error) from error
        table = _lenient(path, dialect)
    except RaggedError as error:
        if not dialect.skip:
            raise error.error from None
        table = _lenient(path, dialect)
    if table.lines and dialect.quote is not None:
        notes = ()  # `_lenient` counts line ends itself
    for note in notes:
        _warn(note)
    return _named(_own_signs(_without_comments(table, source)))


def _own_signs(table: Table) -> Table:
    """Separators of two signs that stand within quotation marks, and were read as 0x1f, as they are written."""
    frame, sign = table.frame, table.dialect.separator or ","
    if len(sign) < 2:
        return table
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    inside = [name for name in texts if frame[name].str.contains(UNIT, literal=True).any()]
    frame = frame.with_columns(pl.col(inside).str.replace_all(UNIT, sign, literal=True))
    return replace(table, frame=frame.rename(lambda name: name.replace(UNIT, sign)))


def _twice_separated(
    source: Path | bytes, path: Path, dialect: Dialect, schema: Mapping[str, Any] | None
) -> Table | None:
    """A file whose separator is a sign written twice, `::`, and which has names for its columns: read at the single
    sign, each second column is empty. None where that is not so, or there is more to heed: the file has then to be
    rewritten, which takes a third of the time of reading it."""
    sign, names = dialect.separator or "", dialect.header
    if not names or len(sign) != 2 or sign[0] != sign[1] or dialect.comment is not None:
        return None
    if dialect.quote is not None and text.holds(source, dialect.mark.encode()):
        return None
    between = [f"\0{n}" for n in range(len(names) - 1)]
    types = dict.fromkeys(between, pl.Int8) | {name: (schema or {}).get(name, pl.String) for name in names}
    every = [name for pair in itertools.zip_longest(names, between) for name in pair if name is not None]
    try:
        at_single = replace(dialect, separator=sign[0], quote=None, header=every)
        frame = _polars(text.from_first_line(source), at_single, types)
        if any(frame[name].null_count() < frame.height for name in between):
            return None
        return Table(_without_blank_lines(frame.drop(between), path, dialect), path.name, path, dialect)
    except (pl.exceptions.PolarsError, OSError, RaggedError):
        return None


def _warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=2)


def _lenient(path: Path, dialect: Dialect) -> Table:
    """Rows with the right number of fields; the others are left out."""
    names = list(dialect.header) if dialect.header else None
    rows: list[list[str]] = []
    places: list[int] = []
    skipped: list[tuple[int, str]] = []
    width, inside = len(names) if names else None, 0
    for line, fields, ends in rows_apart(path, dialect):
        if fields is None:
            if dialect.header is None and names is None:
                raise unclosed(path, line, dialect.mark)
            skipped.append((line, f"a quotation mark {dialect.mark} is not closed, or not doubled"))
            continue
        width, inside = width or len(fields), inside + ends
        if dialect.header is None and names is None:
            names = [name.strip() for name in fields]
        elif len(fields) == width:
            rows.append(fields)
            places.append(line)
        else:
            skipped.append((line, f"{len(fields)} fields where {width} are expected"))
    names = names or [f"column_{i + 1}" for i in range(width or 0)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise _twice(path.name, repeated[0])
    if inside:
        _warn(f"{path.name}: {counted(inside, 'line end')} within quotation marks, so rows are fewer than lines")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    frame = frame.with_columns(pl.all().replace("", None))
    return Table(frame, path.name, path, dialect, skipped=tuple(skipped), lines=tuple(places))


def _without_comments(table: Table, source: Path | bytes) -> Table:
    """Count the lines that were left out as comments."""
    if table.dialect.comment is not None:
        n = int(text.lines_of(source).str.starts_with(table.dialect.comment).sum())
        if n:
            lines = f"{counted(n, 'line')} that {either(n, 'starts', 'start')} with {table.dialect.comment}"
            _warn(f"{table.name}: {lines} {either(n, 'is', 'are')} left out")
    return table


def _twice(name: str, column: str) -> MatineeError:
    what, hint = f"two columns are named '{column}'", "rename one of them in the first row"
    return MatineeError(what, where=f"{name}, row 1", hint=hint)


def _named(table: Table) -> Table:
    """Refuse two columns of one name, and leave out an unnamed one that only counts the rows, as pandas writes it."""
    frame, first = table.frame, table.frame.columns[0] if table.frame.width else "x"
    repeated = [
        name
        for name in frame.columns
        if name.removesuffix("_duplicated_0") in frame.columns and name.endswith("_duplicated_0")
    ]
    repeated = [name for name in repeated if name != "_duplicated_0"]
    if repeated and table.dialect.header is None:
        raise _twice(table.name, repeated[0].removesuffix("_duplicated_0"))
    empty = [
        name for name in frame.columns if name in ("", "_duplicated_0") and frame[name].null_count() == frame.height
    ]
    frame = frame.drop(empty)
    if first in ("", "Unnamed: 0", "__index_level_0__") and first in frame.columns and frame.width > 2:
        numbers = frame[first].cast(pl.Int64, strict=False)
        if frame.height and numbers.null_count() == 0 and numbers.n_unique() == frame.height:
            _warn(f"{table.name}: the first column has no name and numbers the rows: it is left out")
            frame = frame.drop(first)
    return replace(table, frame=frame)


def _polars(source: Path | bytes, dialect: Dialect, schema: Mapping[str, Any] | None) -> pl.DataFrame:
    header = dialect.header
    types = dict(schema or {})
    frame = pl.read_csv(
        source,
        has_header=header is None,
        schema={name: types.get(name, pl.String) for name in header} if header else None,
        schema_overrides=None if header else types,
        separator=UNIT if len(dialect.separator or ",") > 1 else dialect.separator or ",",
        quote_char=None if dialect.quote is None else dialect.mark,
        comment_prefix=dialect.comment,
        infer_schema=False,
        glob=False,
    )
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    frame = frame.with_columns(pl.col(name).replace("", None) for name in texts if (frame[name] == "").any())
    return frame.rename({name: name.strip() for name in frame.columns if name.strip() and name != name.strip()})


def _without_blank_lines(frame: pl.DataFrame, path: Path, dialect: Dialect) -> pl.DataFrame:
    """Refuse rows with too few fields, which polars pads with nulls, and drop blank lines. Both leave a null in the
    last column, so a table without one is complete. Where fields are only empty and nothing is quoted, the number of
    separators in the file proves it."""
    if frame.width == 0 or frame[frame.columns[-1]].null_count() == 0:
        return frame
    data, separator = content(path), (dialect.separator or ",").encode(dialect.encoding)
    lines = frame.height + (dialect.header is None)
    unquoted = dialect.quote is None or dialect.mark.encode(dialect.encoding) not in data
    blank_lines = any(ends in data for ends in (b"\n\n", b"\n\r\n")) or data[:1] in (b"\n", b"\r")
    plain = unquoted and dialect.comment is None and not blank_lines
    if frame.width > 1 and plain and data.count(separator) == lines * (frame.width - 1):
        return frame
    blank = []
    from_first = itertools.dropwhile(lambda record: not record[1], records(path, dialect))  # the frame has none before
    for row, (line, fields) in enumerate(from_first, start=-1 if dialect.header is None else 0):
        if not fields:
            blank.append(row)
        elif len(fields) != frame.width:
            raise RaggedError(ragged(path, line, len(fields), frame.width))
    return frame.filter(~pl.int_range(pl.len()).is_in(blank)) if blank else frame


def _explanation(path: Path, dialect: Dialect, error: Exception) -> MatineeError:
    """The error of a file that polars refused, with a line number."""
    if isinstance(error, pl.exceptions.NoDataError) or not content(path).strip():
        return MatineeError("the file is empty", where=str(path), hint="check where it came from")
    width = len(dialect.header) if dialect.header else None
    for line, fields in records(path, dialect):
        width = width or len(fields)
        if fields and len(fields) != width:
            return ragged(path, line, len(fields), width)
    what = f"cannot be read: {_first_line(error)}"
    return MatineeError(what, where=str(path), hint="check that it is a delimited text file")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _json(path: Path) -> Table:
    """A JSON object a line, or one array of objects. Texts stay texts, so ids keep their zeros."""
    data = content(path)
    try:
        frame = pl.read_json(data) if data.lstrip()[:1] == b"[" else pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _bad_json(path, data, error) from error
    return Table(frame, path.name)


def _bad_json(path: Path, data: bytes, error: Exception) -> MatineeError:
    """The first line that is no JSON object."""
    if not data.strip():
        return MatineeError("the file is empty", where=str(path), hint="check where it came from")
    hint = 'write one object a line, {"user_id": 1, "item_id": 2}'
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            found = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as wrong:
            known = f"; {option('format', 'auto')} recognises files of published sets" if offered("format") else ""
            return MatineeError(f"is no JSON: {wrong}", where=f"{path.name}, row {number}", hint=hint + known)
        if not isinstance(found, dict):
            return MatineeError("is no JSON object", where=f"{path.name}, row {number}", hint=hint)
    return MatineeError(f"cannot be read: {_first_line(error)}", where=str(path), hint=hint)


def _parquet(path: Path) -> Table:
    try:
        return Table(pl.read_parquet(path, glob=False), path.name)
    except text.UNREADABLE as error:
        what = f"is not a readable Parquet file: {_first_line(error)}"
        raise MatineeError(what, where=str(path), hint="write or fetch it again") from error
