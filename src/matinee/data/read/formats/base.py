"""What every format is made of: how its files begin, where its logs are in a folder, and how they are read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import Log, RawTables, SideTable, log_of, side_of
from matinee.data.read.columns import guess_types
from matinee.data.read.options import Unit
from matinee.data.read.tables import PARQUET, Dialect, Table, content
from matinee.data.read.text import SUFFIXES, UNREADABLE, start
from matinee.errors import MatineeError, MatineeWarning, option

HEAD_BYTES = 1 << 16
HEAD_LINES = 50
ENOUGH = 0.8  # of the first lines: a broken one does not hide a format, whose reader then names it


@dataclass(frozen=True)
class Head:
    """The beginning of a file, uncompressed."""

    path: Path
    data: bytes

    @cached_property
    def lines(self) -> list[str]:
        """The first whole lines, without line ends and blank lines."""
        lines = self.data.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
        whole = lines if len(self.data) < HEAD_BYTES else lines[:-1] or lines
        return [line.rstrip("\r") for line in whole if line.strip()][:HEAD_LINES]

    def rows(self, pattern: str, *, after: int = 0) -> bool:
        """Whether the first line, and most of those that follow, match a pattern as a whole. after: lines before."""
        lines = self.lines[after:]
        return bool(lines) and re.fullmatch(pattern, lines[0]) is not None and self.share(pattern, after) >= ENOUGH

    def share(self, pattern: str, after: int = 0) -> float:
        """The share of the first lines that match a pattern as a whole."""
        lines = self.lines[after:]
        return sum(re.fullmatch(pattern, line) is not None for line in lines) / max(len(lines), 1)

    def header(self, *columns: str) -> bool:
        """Whether the first line has these columns, whatever the separator, upper and lower case and "_" and "-"."""
        names = {_plain(name) for name in re.split(r"[,;\t]", self.lines[0])} if self.lines else set()
        return names.issuperset(map(_plain, columns))

    def keys(self, *names: str) -> bool:
        """Whether the first line is a JSON object that has these keys. It may be cut."""
        first = self.lines[0] if self.lines else ""
        return first.startswith("{") and all(re.search(rf'"{name}"\s*:', first) for name in names)

    @cached_property
    def columns(self) -> Mapping[str, pl.DataType]:
        """The columns of a Parquet file; none for other files."""
        if self.path.suffix not in PARQUET:
            return {}
        try:
            return pl.read_parquet_schema(self.path)
        except UNREADABLE:
            return {}


def head_of(path: Path) -> Head:
    """The head of a file, empty where it cannot be read: reading it says why."""
    try:
        return Head(path, start(path, HEAD_BYTES))
    except MatineeError:
        return Head(path, b"")


@dataclass(frozen=True)
class Source:
    """What is to be read: the logs, and the folder they were found in, whose tables are read with them. folder None: a
    file was named, and no other is read. rated: only the rows with a rating (True), every row without ratings (False),
    or as `rated` does (None)."""

    logs: tuple[Path, ...]
    folder: Path | None = None
    rated: bool | None = None

    @property
    def log(self) -> Path:
        return self.logs[0]

    def beside(self, *patterns: str, looks: Callable[[Head], bool] | None = None) -> Path | None:
        """The first file of the folder that matches a pattern, and looks as it should."""
        for path in [] if self.folder is None else matching(self.folder, patterns):
            if path not in self.logs and (looks is None or looks(head_of(path))):
                return path
        return None


@dataclass(frozen=True)
class Format:
    """One format. title: whose it is. files: the files as their publisher names them. rows: what becomes an event, and
    what its rating, time and kind are.

    looks: whether a log begins like one. logs: the logs in a folder that is in this format, else none. read: all its
    tables. together: several logs of a folder are one log. rating: its column of ratings where 0 means "not rated",
    which the option `rating` may name.
    """

    name: str
    title: str
    files: str
    rows: str
    looks: Callable[[Head], bool]
    logs: Callable[[Path], list[Path]]
    read: Callable[[Source], RawTables]
    together: bool = False
    rating: str | None = None

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is in this format, by names and content."""
        return bool(self.logs(path)) if path.is_dir() else self.looks(head_of(path))

    def source(self, path: Path) -> Source:
        """The logs of a file or folder that is said to be in this format. Raises MatineeError where a folder has none,
        or several that are not one log."""
        if not path.is_dir():
            return Source((path,))
        logs = self.logs(path) or [file for file in matching(path, ("*",)) if self.looks(head_of(file))]
        if not logs:
            there = ", ".join(sorted(file.name for file in path.iterdir())[:12]) or "nothing"
            what = f"no file here is a log of {self.title}; the folder holds {there}"
            raise MatineeError(what, where=str(path), hint=f"expected {self.files}; or name the file itself")
        if len(logs) > 1 and not self.together:
            what = f"several files here are logs of {self.title}: {', '.join(log.name for log in logs[:12])}"
            raise MatineeError(what, where=str(path), hint="name one of them instead of the folder")
        return Source(tuple(logs), path)


def never(_: Head) -> bool:
    """Of formats that only their name chooses."""
    return False


def nowhere(_: Path) -> list[Path]:
    """Of formats that are no folder's."""
    return []


def matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files of a folder that match a pattern, also compressed; in the order of their names and numbers."""
    found = {path for pattern in patterns for end in ("", *SUFFIXES) for path in folder.glob(pattern + end)}
    return sorted((path for path in found if path.is_file()), key=_natural)


def named(*patterns: str) -> Callable[[Path], list[Path]]:
    """Logs that their names alone tell."""
    return lambda folder: matching(folder, patterns)


def like(looks: Callable[[Head], bool], *patterns: str) -> Callable[[Path], list[Path]]:
    """Logs of these names where one of them also begins like a log. The others are logs too: reading one that does not
    begin so says what is wrong with it."""

    def find(folder: Path) -> list[Path]:
        found = matching(folder, patterns)
        return found if any(looks(head_of(path)) for path in found) else []

    return find


def alike(looks: Callable[[Head], bool], *patterns: str) -> Callable[[Path], list[Path]]:
    """Files of these names, those of them that begin like a log."""
    return lambda folder: [path for path in matching(folder, patterns) if looks(head_of(path))]


@dataclass(frozen=True)
class Lined(Table):
    """A table whose row r starts at line `line(r)` of its file, counted from 1."""

    line: Callable[[int], int] = lambda row: row + 1

    def number(self, row: int) -> int:
        return self.line(row if self.kept is None else int(self.kept[row]))


def part(whole: Table, frame: pl.DataFrame, rows: pl.Series) -> Table:
    """A table made of rows of another: row r stands in row rows[r] of `whole`."""
    return replace(whole, frame=frame, kept=rows if whole.kept is None else whole.kept[rows])


@dataclass(frozen=True)
class Joined(Table):
    """The rows of several tables, one after the other; a column that a table has not is null there."""

    parts: tuple[Table, ...] = ()

    @classmethod
    def of(cls, *parts: Table) -> Table:
        if len(parts) == 1:
            return parts[0]
        frame = pl.concat([part.frame for part in parts], how="diagonal_relaxed")
        name = f"{parts[0].name} to {parts[-1].name}"
        return cls(frame, name, parts[0].source, parts[0].dialect, parts=parts)

    def place(self, row: int, column: str | None = None) -> str:
        row = row if self.kept is None else int(self.kept[row])
        for table in self.parts:
            if row < table.frame.height:
                return table.place(row, column)
            row -= table.frame.height
        return self.name


def of_kind(table: Table, kind: str) -> Table:
    """The table with a column that says which kind of event its rows are."""
    return replace(table, frame=table.frame.with_columns(pl.lit(kind).alias("event_type")))


def events(
    table: Table,
    user: str,
    item: str,
    rating: str | None = None,
    time: str | None = None,
    *,
    unit: Unit = "auto",
    context: Sequence[str] = (),
) -> Log:
    """The log in these columns; of the others, `context` is kept."""
    table.require(user, item, *(name for name in (rating, time) if name), *context)
    columns = dict.fromkeys(name for name in (user, item, rating, time, *context) if name)
    log = log_of(replace(table, frame=table.frame.select(*columns)), user, item, rating, time, unit=unit)
    return replace(log, context=guess_types(log.context)) if log.context is not None else log


def described(table: Table, column: str, features: pl.DataFrame, *, whole: bool = False) -> SideTable | None:
    """A side table; its first row for an id is kept, and later ones are counted. None where it describes nothing.
    whole: titles are taken as they are, and not for a film's with a year at the end."""
    table.require(column)
    if features.width == 0:
        return None
    first = table.frame[column].is_first_distinct()
    if not first.all():
        many = len(first) - int(first.sum())
        warn(f"{table.name}: {many:,} rows describe an id that an earlier row describes; the first row of each is kept")
        table, features = replace(table, frame=table.frame.filter(first)), features.filter(first)
    return side_of(table, column, features if whole else side.described(features))


def rated(table: Table, column: str, source: Source) -> tuple[Table, str | None]:
    """The rows to read, and the column of their ratings. A rating of 0 means "not rated" here, and such a row is an
    event too: a book on somebody's shelf. A log has ratings in all rows or in none, so where some are missing they are
    read if somebody asks for them, of the rated rows alone. A MatineeWarning counts the others."""
    if source.rated is False:
        return table, None
    table.require(column)
    unrated = table.frame[column].cast(pl.Float64, strict=False).eq(0).fill_null(False)
    if not unrated.any():
        return table, column
    text = f"{table.name}: {int(unrated.sum()):,} of {len(unrated):,} rows have the rating 0, which means not rated"
    if source.rated:
        warn(f"{text}, and are left out; {option('rating', None)} reads every row, without ratings")
        return table.without(unrated), column
    rest = int(len(unrated) - unrated.sum())
    asked = f"; {option('rating', column)} reads the {rest:,} rated rows alone" if rest else ""
    warn(f"{text}, so every row is an event and ratings are not read{asked}")
    return table, None


def moments(table: Table, column: str, pattern: str) -> Table:
    """The table with a column of texts as times. Raises MatineeError at the first that does not fit the pattern."""
    raw = table.frame[column]
    parsed = raw.str.to_datetime(pattern, strict=False)
    wrong = ~parsed.dt.year().is_between(1970, 2100).fill_null(False)
    if wrong.any():
        row = wrong.arg_max() or 0
        what = "the time is empty" if raw[row] is None else f"the time {raw[row]!r} cannot be understood"
        raise table.error(what, row, column, hint=f"correct or remove the row; times are expected as {pattern}")
    return replace(table, frame=table.frame.with_columns(parsed.alias(column)))


def old_text(path: Path, dialect: Dialect) -> Dialect:
    """The dialect in UTF-8 where the bytes are UTF-8, otherwise in latin-1: old sets use it, copies of them either."""
    try:
        content(path).decode()
    except UnicodeDecodeError:
        return replace(dialect, encoding="latin-1")
    return dialect


def warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=2)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _natural(path: Path) -> list[str | int]:
    """combined_data_2.txt before combined_data_10.txt."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
