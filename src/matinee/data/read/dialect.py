"""How a text file is written, and the slow reader that knows the line of each record."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from matinee.data.read import text
from matinee.data.read.options import AUTO, TextOptions
from matinee.data.read.text import decoded
from matinee.errors import MatineeError, offered, option

SEPARATORS = (",", "\t", ";", "|")
DOUBLE_COLON, UNIT = "::", "\x1f"  # a sign of several characters, and the one byte it is read as


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
    lines = (line for line in beginning.splitlines() if line.strip())
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
    whole, separator = decoded(path, dialect.encoding), dialect.separator or ","
    if len(separator) > 1:
        whole, separator = whole.replace(separator, UNIT), UNIT
    lines = _Lines(whole, dialect.comment)
    if dialect.quote is None:
        reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    else:
        escape = None if dialect.escape == AUTO else dialect.escape
        reader = csv.reader(lines, delimiter=separator, quotechar=dialect.mark, escapechar=escape)
    try:
        for fields in reader:
            yield lines.first or 1, fields
            lines.first = None
    except csv.Error as error:
        where = f"{path.name}, row {lines.first or 1}"
        raise MatineeError(str(error), where=where, hint=f"correct that row's quotes, or {quote_off()}") from error


class _Lines:
    """The lines of a text but for comments; `first`: the number of the first since it was last set to None."""

    def __init__(self, whole: str, comment: str | None) -> None:
        self.lines, self.comment = enumerate(io.StringIO(whole, newline=""), start=1), comment
        self.first: int | None = None

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        for number, line in self.lines:
            if self.comment is None or not line.startswith(self.comment):
                self.first = self.first or number
                return line
        raise StopIteration


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
