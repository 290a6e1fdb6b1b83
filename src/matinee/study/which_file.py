"""Which of somebody's files is the log, and which describe its items and users: for `init_recipe`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.data.read.options import TextOptions, parsed
from matinee.data.read.sniff import given_options, look, sniff
from matinee.data.read.sniffed import Sniffed
from matinee.data.read.tables import dialect_of, table_of
from matinee.errors import Audience, MatineeError, MatineeWarning, audience, listed, option, worded_for
from matinee.files import StrPath
from matinee.study.data_table import DataTable

BESIDE = 30  # files of a folder that may describe items or users
TABLE = 50_000_000  # bytes of one of them
COMPARED = 8_000_000  # bytes of a table whose values are compared with the ids of the log
What = Literal["items", "users"]
WHATS: tuple[What, ...] = ("items", "users")


@dataclass
class Chosen:
    """The files of a recipe. sides: what -> its table. notes: what may be otherwise. left_out: tables that are not
    used, a sentence each."""

    log: Sniffed
    data: Dataset
    sides: dict[What, Sniffed] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What somebody says of their files. files: in any order. log, items, users: those that are known. given: options
    that read the log. who: for whom errors are worded."""

    files: Sequence[StrPath]
    log: StrPath | None
    sides: Mapping[What, StrPath]
    given: Mapping[str, Any]
    who: Audience

    @classmethod
    def of(
        cls, files: Sequence[StrPath], log: StrPath | None, items: StrPath | None, users: StrPath | None,
        options: Mapping[str, Any],
    ) -> Asked:  # fmt: skip
        """Raises MatineeError for a file that is missing, and for wrong options."""
        for file in (*files, log, items, users):
            if file is not None and not Path(file).exists():
                raise MatineeError("there is no such file or folder", where=str(file), hint="check the path")
        named: list[tuple[What, StrPath | None]] = [("items", items), ("users", users)]
        sides: dict[What, StrPath] = {what: path for what, path in named if path is not None}
        return cls(files, log, sides, given_options(options), audience())

    def choose(self) -> Chosen:
        """The log and its tables. Raises MatineeError where no file is a log, or several may be."""
        named, inside = self._looked()
        whole = next((each for each in named if each.kind == "folder" and each.format), None)
        if whole is not None and self.log is None:  # in a known layout, with tables of its own
            data, notes = loaded(whole.table)
            return Chosen(whole, data, notes=notes)
        named = [each for each in named if each.kind != "folder"]
        log, notes = self._log(named, [*named, *inside])
        data, _ = loaded(log.table)
        chosen = Chosen(log, data, notes=notes)
        near = inside or _beside(log)
        self._tables(chosen, [each for each in named if not _same(each, log)], [n for n in near if not _same(n, log)])
        chosen.data, warned = loaded(_with(log, chosen.sides))
        chosen.notes += warned
        return chosen

    def _looked(self) -> tuple[list[Sniffed], list[Sniffed]]:
        """The files that were named, and those of a folder that was."""
        files = self.files or (() if self.log is not None else (".",))
        named = [sniff(file) for file in files]
        found = [each for folder in named for each in folder.files if each.kind != "folder"]
        inside = [sniff(each.path) for each in found[:BESIDE]]  # of a folder's files little was read, or nothing
        return named, inside

    # --- the log ------------------------------------------------------------------------------------------------------

    def _log(self, named: Sequence[Sniffed], found: Sequence[Sniffed]) -> tuple[Sniffed, list[str]]:
        """The log among the files, and what is said of others that look like one."""
        taken = [Path(path).resolve() for path in self.sides.values()]
        if self.log is not None:
            return self._read(self.log), []
        if self.given and named:
            return self._read(named[0].path), []
        logs = [each for each in named if each.kind == "log" and Path(each.path).resolve() not in taken]
        if len(logs) > 1:
            logs = [self._described(logs)]
        logs = logs or sorted((each for each in found if each.kind == "log"), key=_likeness, reverse=True)
        if not logs:
            problems = [f"{Path(each.path).name}: {each.problem or f'a table of {each.kind}'}" for each in found]
            what = f"no file looks like a log: {'; '.join(problems[:6]) or 'there are none'}"
            with worded_for(self.who):
                hint = f"name the file whose rows have a user and an item: {option('log', 'FILE')}"
                hint += f", and its columns: {option('user_id', 'COLUMN')}"
            raise MatineeError(what, hint=hint)
        log = self._read(logs[0].path) if self.given else logs[0]
        others = [Path(each.path).name for each in logs[1:] if not each.guessed]
        return log, [f"other files look like logs too: {listed(others)}"] if others and not named else []

    def _read(self, path: StrPath) -> Sniffed:
        """A file that is the log, as somebody says."""
        found = look(Path(path), self.given, "log")
        if found.kind == "log":
            return found
        with worded_for(self.who):
            problem = look(Path(path), self.given, "log").problem or "is no log"
        name = Path(path).name
        raise MatineeError(problem.removeprefix(f"{name}: "), where=name)

    def _described(self, logs: Sequence[Sniffed]) -> Sniffed:
        """Of several files that look like logs the one whose ids all others describe."""
        fits = []
        for log in logs:
            data, _ = loaded(log.table)
            if all((match := _match(other, data)) and match.once for other in logs if other is not log):
                fits.append(log)
        if len(fits) != 1:
            paths = listed(each.path for each in logs)
            with worded_for(self.who):
                hint = f"say which one is: {option('log', logs[0].path)}; {option('items', 'FILE')} and "
                hint += f"{option('users', 'FILE')} name tables"
            raise MatineeError(f"several of the files look like logs: {paths}", hint=hint)
        return fits[0]

    # --- tables of items and users ------------------------------------------------------------------------------------

    def _tables(self, chosen: Chosen, named: Sequence[Sniffed], near: Sequence[Sniffed]) -> None:
        """Choose the tables: those that somebody says, then those that were named, then those beside the log."""
        for what, path in self.sides.items():
            chosen.sides[what] = self._side(what, Path(path), chosen.data)
        ids = {"items": chosen.data.items, "users": chosen.data.users}
        for what in WHATS:
            known = set(map(str, ids[what].series.to_list()))
            tables = [each for each in named if each.kind == what] or [each for each in near if each.kind == what]
            tables.sort(key=_fullness, reverse=True)
            fit = next((table for table in tables if table in named or _describes(table, known)), None)
            if fit is not None and what not in chosen.sides:
                chosen.sides[what] = fit
        for each in named:  # of foreign names
            match = None if _used(each, chosen) else _match(each, chosen.data)
            if match is not None and match.once and match.what not in chosen.sides:
                chosen.sides[match.what] = self._side(match.what, Path(each.path), chosen.data)
        self._say_left_out(chosen, [*named, *near], named)
        chosen.sides = {what: _like_the_log(table, chosen.log) for what, table in chosen.sides.items()}

    def _side(self, what: What, path: Path, data: Dataset) -> Sniffed:
        """A table that describes these, by the column whose values are their ids."""
        found = look(path, {}, what)
        match = _match(found, data, what)
        role = f"{what[:-1]}_id"
        if found.problem is not None:
            raise MatineeError(found.problem, where=path.name, hint="name another file")
        if match is None or role not in (found.columns or {}).values() or match.column == _ids_of(found):
            return found
        columns = {name: "" if each == role else each for name, each in (found.columns or {}).items()}
        options = {**(found.options or {}), role: match.column}
        return replace(found, columns={**columns, match.column: role}, options=options)

    def _say_left_out(self, chosen: Chosen, tables: Sequence[Sniffed], named: Sequence[Sniffed]) -> None:
        """A sentence for each table that may describe the log and is not used."""
        said = set()
        for each in tables:
            name = Path(each.path).name
            if _used(each, chosen) or each.path in said or each.kind == "other":
                continue
            said.add(each.path)
            match = _match(each, chosen.data)
            if match is None and each.kind in WHATS:
                why = f"looks like a table of {each.kind}, and its ids are not those of the log"
            elif match is None:
                why = "shares no ids with the log" if each in named else ""
            elif not match.once:
                why = f"has several rows for one {match.what[:-1]}: make one row of them, such as a list, to use it"
            elif match.what in chosen.sides:
                why = f"describes {match.what} too, and {Path(chosen.sides[match.what].path).name} is taken"
            else:
                with worded_for(self.who):
                    why = f"shares ids with the log: {option(match.what, each.path)} takes it to describe {match.what}"
            chosen.left_out += [f"{name} is left out: it {why}"] if why else []


def loaded(table: Mapping[str, Any]) -> tuple[Dataset, list[str]]:
    """The whole log, and the warnings of reading it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = DataTable(**table).load()
    return data, [str(each.message) for each in caught if issubclass(each.category, MatineeWarning)]


@dataclass(frozen=True)
class _Match:
    """A column of a table that holds the ids of a log. share: of the log's ids. once: each value has one row."""

    what: What
    column: str
    share: float
    once: bool


def _match(table: Sniffed, data: Dataset, what: What | None = None) -> _Match | None:
    """The column that holds at least half of the ids of items, or of users; one with a row for each id is preferred."""
    if table.kind in ("folder", "other") or table.n_bytes > COMPARED or table.file == "folder":
        return None
    try:
        given = {name: value for name, value in (table.options or {}).items() if name in TextOptions.model_fields}
        frame = table_of(table.path, dialect_of(parsed(TextOptions, given))).frame
    except MatineeError:
        return None
    found = []
    for each, ids in (("items", data.items), ("users", data.users)):
        if what in (None, each):
            found += [_compared(frame[column], each, ids) for column in frame.columns]  # type: ignore[arg-type]
    fits = [match for match in found if match.share >= 0.5]
    return max(fits, key=lambda match: (match.once, match.share)) if fits else None


def _compared(column: pl.Series, what: What, ids: IdMap) -> _Match:
    if column.dtype.is_nested():
        return _Match(what, column.name, 0.0, once=False)
    values = column.cast(pl.String).drop_nulls()
    different = values.unique()
    shared = int(different.is_in(ids.series.cast(pl.String).implode()).sum())
    return _Match(what, column.name, shared / max(len(ids), 1), once=len(different) == len(column))


def _used(table: Sniffed, chosen: Chosen) -> bool:
    return any(_same(table, each) for each in chosen.sides.values())


def _same(one: Sniffed, other: Sniffed) -> bool:
    return Path(one.path).resolve() == Path(other.path).resolve()


def _likeness(log: Sniffed) -> tuple[bool, bool, int, int]:
    """How much a file is like a log: a known format, columns that names tell, their number, its size."""
    roles = sum(bool(role) for role in (log.columns or {}).values())
    return log.format is not None, not log.guessed, roles, log.n_bytes


def _fullness(table: Sniffed) -> tuple[bool, int]:
    """How much a table tells: titles, then the number of columns."""
    return "title" in (table.columns or {}).values(), len(table.columns or {})


def _beside(log: Sniffed) -> list[Sniffed]:
    """The small files in the log's folder."""
    path = Path(log.path)
    paths = [each for each in sorted(path.parent.iterdir()) if each.is_file() and each.resolve() != path.resolve()]
    small = [each for each in paths if not each.name.startswith(".") and each.stat().st_size < TABLE]
    return [sniff(each) for each in small[:BESIDE]]


def _ids_of(table: Sniffed) -> str | None:
    """The column of ids."""
    return next((name for name, role in (table.columns or {}).items() if role.endswith("_id")), None)


def _describes(table: Sniffed, known: Iterable[str]) -> bool:
    """Whether most of the first ids of a table are those of the log."""
    column = _ids_of(table)
    ids = [str(row[column]) for row in table.first_rows if column is not None]
    return bool(ids) and sum(each in known for each in ids) * 2 >= len(ids)


def _like_the_log(table: Sniffed, log: Sniffed) -> Sniffed:
    """The table without the name of its ids, where the log has the same."""
    roles = {role: name for name, role in (log.columns or {}).items() if role}
    options = {name: value for name, value in (table.options or {}).items() if roles.get(name) != value}
    return replace(table, options=options)


def _with(log: Sniffed, sides: Mapping[What, Sniffed]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for what, each in sides.items():
        options = dict(each.options or {})
        tables[what] = {"path": each.path, **options} if options else each.path
    return {**log.table, **tables}
