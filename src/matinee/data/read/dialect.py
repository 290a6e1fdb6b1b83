"""How a text file is written, and the slow reader that knows the line of each record."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from matinee.data.read import text
from matinee.data.read.options import AUTO, TextOptions
from matinee.data.read.text import decoded
from matinee.errors import MatineeError, offered, option

SEPARATORS = (",", "\t", ";", "|")
DOUBLE_COLON, UNIT = "::", "\x1f"  # a sign of several characters, and the one byte it is read as
_CR = "\ue00d"  # stands for a CR within a line
_LONGEST = 1 << 30  # characters of a field
_REACH = 20  # lines of a quoted field, where other rows of the file are broken


@dataclass(frozen=True)
class Dialect:
    """How a text file is written. separator None: the most frequent of , tab ; | in the first line. quote, escape None:
    ordinary characters; AUTO: where they are used so. header: column names of a file without a header line; False: it
    has no names. skip: rows with too few or too many fields are left out."""

    separator: str | None = None
    quote: str | None = AUTO
    encoding: str = "utf-8"
    header: Sequence[str] | Literal[False] | None = None
    escape: str | None = AUTO
    comment: str | None = None
    decimal: str = "."
    skip: bool = False

    @property
    def mark(self) -> str:
        return '"' if self.quote == AUTO or self.quote is None else self.quote


def dialect_of(options: TextOptions, *, skip: bool = False) -> Dialect:
    """How a file is written, by the options of `read`."""
    header = None if options.header is True else options.header
    return Dialect(
        options.separator,
        options.quote,
        options.encoding,
        header,
        options.escape,
        options.comment,
        options.decimal,
        skip,
    )


def sniffed(path: Path, dialect: Dialect) -> Dialect:
    if dialect.separator is not None:
        return dialect
    beginning = text.start(path).decode(dialect.encoding if _known(dialect.encoding) else "utf-8", "replace")
    lines = (line for line in beginning.split("\n" if "\n" in beginning else "\r") if line.strip())
    first = next((line for line in lines if dialect.comment is None or not line.startswith(dialect.comment)), "")
    signs = [sign for sign in SEPARATORS if sign != dialect.decimal]
    best = max(signs, key=first.count)
    if best not in first:
        best = DOUBLE_COLON if DOUBLE_COLON in first else ","
    return replace(dialect, separator=best)


def _known(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except LookupError:
        return False
    return True


def records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The slow reader: (line number from 1, fields) of every record, the header included, blank lines as []."""
    lines = _Lines(path, dialect)
    limit = csv.field_size_limit(_LONGEST)
    try:
        for fields in _reader(lines, dialect):
            yield lines.first or 1, lines.restored(fields, lines.last)
            lines.first = None
    except csv.Error as error:
        where = f"{path.name}, row {lines.first or 1}"
        raise MatineeError(str(error), where=where, hint=f"correct that row's quotes, or {quote_off()}") from error
    finally:
        csv.field_size_limit(limit)


def rows_apart(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str] | None, int]]:
    """(line number, fields, line ends within them) of every record but blank lines. A broken quotation mark spoils its
    own line only, whose fields are None."""
    lines = _Lines(path, dialect)
    numbered = [(lines.number, line) for line in lines]
    limit = csv.field_size_limit(_LONGEST)
    try:
        at = width = 0
        while at < len(numbered):
            following = [line for _, line in numbered[at : at + _REACH]]
            fields, reach = _strict(following, dialect, width)
            if fields != []:
                width = width or len(fields or ())
                last = following[reach - 1]
                yield numbered[at][0], None if fields is None else lines.restored(fields, last), reach - 1
            at += reach
    finally:
        csv.field_size_limit(limit)


def _strict(lines: Sequence[str], dialect: Dialect, width: int) -> tuple[list[str] | None, int]:
    """The fields of the record that begins with the first line, and the number of its lines. None, 1: it is broken, or
    goes over lines and has not the width that others have."""
    for reach in range(1, len(lines) + 1):
        try:
            fields = next(_reader(lines[:reach], dialect, strict=True))
        except csv.Error as error:
            if "end of data" in str(error):  # a mark is open
                continue
            return None, 1
        return (fields, reach) if reach == 1 or len(fields) == width else (None, 1)
    return None, 1


def _reader(lines: Iterable[str], dialect: Dialect, *, strict: bool = False) -> Iterator[list[str]]:
    separator = dialect.separator or ","
    separator = UNIT if len(separator) > 1 else separator
    if dialect.quote is None:
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    escape = None if dialect.escape == AUTO else dialect.escape
    return csv.reader(lines, delimiter=separator, quotechar=dialect.mark, escapechar=escape, strict=strict)


class _Lines:
    """The lines of a file but for comments, as csv.reader takes them. last: the last of them, number: its number from
    1; first: the number of the first since it was last set to None."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        whole, separator = decoded(path, dialect.encoding), dialect.separator or ","
        whole = whole.replace(separator, UNIT) if len(separator) > 1 else whole
        self.lone = (
            re.search(r"\r(?!\n)", whole) is not None
        )  # an ordinary character, which csv.reader takes for a line end
        whole = re.sub(r"\r(?!\n)", _CR, whole) if self.lone else whole
        self.lines, self.comment = enumerate(io.StringIO(whole, newline="\n"), start=1), dialect.comment
        self.number, self.last = 0, ""
        self.first: int | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self.lines:
            if self.comment is None or not line.startswith(self.comment):
                self.number, self.last, self.first = number, line, self.first or number
                return line
        raise StopIteration

    def restored(self, fields: list[str], line: str) -> list[str]:
        """The fields of a record that ends with this line as polars reads them: without one CR at their end, which for
        the last field is that of the line end."""
        if not self.lone:
            return fields
        if line == _CR:  # the last line, of a CR alone: it is blank
            return []
        ends = len(fields) - line.endswith("\r\n")
        return [
            (field.removesuffix(_CR) if place < ends else field).replace(_CR, "\r")
            for place, field in enumerate(fields)
        ]


def quote_off() -> str:
    return f"say {option('quote', None)} where quotation marks are ordinary characters"


def line_of(path: Path, dialect: Dialect, row: int) -> int:
    """The line (from 1) at which data row `row` (from 0, blank lines apart) starts."""
    lines = (line for line, fields in records(path, dialect) if fields)
    return next(itertools.islice(lines, row + (dialect.header is None), None))


class RaggedError(Exception):
    """A row does not fit; `error` says it."""

    def __init__(self, error: MatineeError) -> None:
        super().__init__(str(error))
        self.error = error


def ragged(path: Path, line: int, found: int, expected: int) -> MatineeError:
    what = f"has {found} fields where {expected} are expected"
    ways = [option("separator", ";"), option("quote", None), option("bad_rows", "skip")]
    hint = f"correct that row, or say how the file is written, for example {' or '.join(ways[:2])}; "
    hint += f"{ways[2]} leaves out such rows"
    hint = hint if offered("separator", "quote", "bad_rows") else "correct that row"
    return MatineeError(what, where=f"{path.name}, row {line}", hint=hint)
