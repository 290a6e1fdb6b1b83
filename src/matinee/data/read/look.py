"""One look at the first megabytes of a file: its shape, the roles of its columns, and how it is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.events import kind_weights, looks_like_kinds
from matinee.data.moments import moment_of
from matinee.data.read.columns import checked_ids, looks_like_an_event, missing_words
from matinee.data.read.formats import candidates
from matinee.data.read.log import read_as
from matinee.data.read.options import ReadOptions, TextOptions, parsed
from matinee.data.read.roles import Roles, fill_ids, positions_of, roles_of, title_of
from matinee.data.read.sampled import Sample
from matinee.data.read.shapes import Shape, shape_of
from matinee.data.read.sniffed import WHOLE_LINES, Sniffed
from matinee.data.read.tables import JSON, PARQUET, Table, dialect_of, table_of
from matinee.data.read.text import plain_suffix
from matinee.errors import COLUMNS, MatineeError, MatineeWarning, listed, option

ROWS = 5
LESS = 1_000_000  # bytes that are read where some rows do not fit
Kind = Literal["log", "items", "users"]
_ENDS = {"json": (".jsonl", *JSON), "parquet": PARQUET}
_HOLDS = {"json": "JSON lines", "parquet": "Parquet"}


class NotAllFitsError(Exception):
    """A row of a large sample does not fit; to find out how it does takes long, so that is done with a smaller one."""

    def __init__(self, error: MatineeError) -> None:
        super().__init__(str(error))
        self.error = error


def sentence(error: MatineeError) -> str:
    return f"{error.what}; {error.hint}" if error.hint else error.what


@contextmanager
def _recorded(doubts: list[str]) -> Iterator[None]:
    """Warnings of reading become doubts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    doubts += [str(each.message) for each in caught if issubclass(each.category, MatineeWarning)]


class Look:
    """One look at a sample: each step adds options, and the last one reads the sample with them. given: options that
    are known; kind: what the file is known to be; failed: why a larger sample could not be read."""

    def __init__(
        self, sample: Sample, given: Mapping[str, Any], kind: Kind | None = None, failed: MatineeError | None = None
    ) -> None:
        self.given, self.told, self.suggested = given, kind, dict[str, Any]()
        self.failed, self.large = failed, sample.kind != "parquet" and sample.copy.stat().st_size > 2 * LESS
        self.sample, self.options, self.doubts = sample, dict[str, Any](), list[str]()
        self.shape, self.roles, self.format = Shape(), Roles(), ""
        self.table: Table | None = None
        self.data: Dataset | None = None
        self.problem: str | None = None
        self.kind: Kind = kind or "log"

    def sniffed(self) -> Sniffed:
        """All that was found."""
        if not self.given and self.told is None:
            self._formats()
        if self.data is None:
            self._columns()
        sample, table = self.sample, self.table
        first, last = self._times()
        rows, exact = self._rows()
        named = sample.kind == "text" and not self.format and self.options.get("format") not in WHOLE_LINES
        roles = {column: role for role, column in self.roles.found.items()}
        names = [] if table is None else table.frame.columns
        shown = names if self.options.get("header") is not False else [str(n) for n, _ in enumerate(names, start=1)]
        columns = {label: roles.get(name, "") for label, name in zip(shown, names, strict=True)} or None
        failed = self.kind == "log" and self.data is None
        return Sniffed(
            sample.path.as_posix(),
            "other" if failed else self.kind,
            sample.kind,
            0,
            sample.words,
            sample.compression,
            None if sample.kind == "parquet" else sample.encoding,
            self.shape.separator if named else None,
            table.dialect.mark if named and table is not None and self._quoted(table) else None,
            table.dialect.header is None if named and table is not None else None,
            self.format or None,
            columns,
            None if failed else self.options,
            self.roles.time,
            first,
            last,
            rows,
            exact,
            self._first_rows(),
            tuple(dict.fromkeys(self._local(doubt) for doubt in self.doubts)),
            tuple(self.roles.guessed),
            None if self.problem is None else self._local(self.problem),
            suggested=self.suggested,
        )

    def _local(self, text: str) -> str:
        """A text of reading about the file itself."""
        return text.replace(str(self.sample.copy), str(self.sample.path))

    # --- a known format -------------------------------------------------------------------------------------------

    def _formats(self) -> None:
        """The one format that the file is in, if it can be read so."""
        found = [entry.name for entry in candidates(self.sample.copy)]
        if len(found) > 1:
            self.doubts.append(f"it could be in several formats: {listed(found)}; {option('format', found[0])} says so")
        if len(found) != 1:
            return
        try:
            with _recorded(self.doubts):
                self.data = read_as(self.sample.copy, parsed(ReadOptions, {"format": found[0]}))
            self.format = self.options["format"] = found[0]
        except MatineeError as error:
            self.doubts.append(f"it begins like the format {found[0]}, and cannot be read so: {error}")

    # --- columns --------------------------------------------------------------------------------------------------

    def _columns(self) -> None:
        sample = self.sample
        try:
            if sample.kind == "text":
                self.shape = shape_of(sample.copy, sample.text(), sample.encoding, self.given.get("separator"))
                self.options |= self.shape.options
                self.doubts += self.shape.doubts
            self.options |= {name: value for name, value in self.given.items() if name not in COLUMNS}
            if self.options.get("format") not in WHOLE_LINES:
                self._find_roles(self._read_table())
            if plain_suffix(sample.path) not in _ENDS.get(sample.kind, (plain_suffix(sample.path),)):
                end = _ENDS[sample.kind][0]
                self.problem = f"holds {_HOLDS[sample.kind]}, which is read where the name ends in {end}: rename it"
                return
            if self.kind == "log":
                self._read_log()
        except MatineeError as error:
            self.problem = sentence(error) if error.where is None else f"{error.where}: {sentence(error)}"

    def _read_table(self) -> Table:
        """The sample's table. Where rows do not fit, quotes may be none, or rows are left out."""
        ways: list[dict[str, Any]] = [{}, {"quote": "none"}, {"bad_rows": "skip"}]
        failures = []
        for way in ways if self.sample.kind == "text" else ways[:1]:
            try:
                given = {
                    name: value for name, value in (self.options | way).items() if name in TextOptions.model_fields
                }
                notes: list[str] = []
                with _recorded(notes):
                    skip = (self.options | way).get("bad_rows") == "skip"
                    dialect = dialect_of(parsed(TextOptions, given), skip=skip)
                    self.table = table_of(self.sample.copy, dialect)
            except MatineeError as error:
                failures.append(error)
                if self.large:
                    raise NotAllFitsError(error) from None
                continue
            if len(self.table.skipped) > self.table.frame.height:
                continue  # it is something else
            self.options |= way
            if way:
                self._doubt(failures[0])
            return self.table
        raise failures[0]

    def _find_roles(self, table: Table) -> None:
        if table.frame.height == 0:
            raise MatineeError("there is only one row" if table.is_text else "there are no rows")
        if self.sample.kind == "text":
            bare = self.options.get("header") is False
            event = bare or looks_like_an_event(table)
            roles = Roles() if bare else roles_of(table, self.columns_given)
            named = {"user_id", "item_id"} & roles.found.keys()
            if event and not named and (bare or "header" not in self.given):
                self._without_header()
                return
            if event:
                self.doubts.append("the first row is taken for names, though some of them look like values")
        else:
            roles = roles_of(table, self.columns_given)
        self.roles = roles
        self._kind(table)
        if self.kind == "log":
            if table.frame.width < 2:
                name = table.frame.columns[0][:40]
                raise MatineeError(f"there is only one column, {name!r}", hint="a log has users and items")
            fill_ids(table, roles)
        self._ids(table)
        self._adopt()

    @property
    def columns_given(self) -> dict[str, Any]:
        """Role -> column, those that are known, with what is known of times."""
        return {name: self.given[name] for name in (*COLUMNS, "unit", "time_format") if name in self.given}

    def _without_header(self) -> None:
        self.options["header"] = False
        table = self._read_table()
        self.roles = positions_of(table, self.columns_given)
        if self.given.get("header") is not False:
            self.doubts.append("the first row is taken for an event, not for names of columns")
        self._ids(table)
        self._adopt()

    def _adopt(self) -> None:
        keep = COLUMNS if self.kind == "log" else (f"{self.kind[:-1]}_id", "title")
        self.options |= {role: name for role, name in self.roles.columns.items() if role in keep}
        if self.kind == "log":
            self.options |= {**self.roles.options, **self.given}
            self.doubts += self.roles.doubts

    def _kind(self, table: Table) -> None:
        """Whether the table rather describes items or users: one has no column, and the other's values come once."""
        if self.told in ("items", "users"):
            self._told_kind(table)
        if self.told is not None:
            return
        once = {role: table.frame[name].n_unique() == table.frame.height for role, name in self.roles.found.items()}
        for role, other in (("item_id", "user_id"), ("user_id", "item_id")):
            if role in once and other not in once and once[role] and table.frame.width > 1:
                self.kind = "items" if role == "item_id" else "users"
                self.roles.found = {role: self.roles.found[role]}
                title = title_of(table.frame.columns)
                if role == "item_id" and title is not None:
                    self.roles.found["title"] = title

    def _told_kind(self, table: Table) -> None:
        """The ids and titles of a table that is known to describe items or users."""
        role = f"{self.kind[:-1]}_id"
        column = self.roles.found.get(role)
        if column is None:
            once = [name for name in table.frame.columns if table.frame[name].n_unique() == table.frame.height]
            self.roles.columns[role] = column = (once or table.frame.columns)[0]
        self.roles.found = {role: column}
        title = title_of(table.frame.columns)
        if self.kind == "items" and title is not None and title != column:
            self.roles.found["title"] = title

    def _ids(self, table: Table) -> None:
        """Doubts about ids: zeros at the beginning, and words for missing values."""
        for role in ("user_id", "item_id"):
            column = self.roles.found.get(role)
            if column is None:
                continue
            ids = checked_ids(table, column).values
            if ids.dtype != pl.String:
                continue
            if int(ids.str.contains(r"^\d+( \d+)+$").sum()) > 0.3 * len(ids):
                text = (
                    f"'{column}' holds several ids in a field, as queries of a test do: `[split] provided` reads such"
                )
                self.doubts.append(f"{text} files")
            if ids.str.contains(r"^0\d+$").any():
                self.doubts.append(f"ids in '{column}' begin with zeros, so they stay text")
            if missing_words(ids).any():
                word = ids.filter(missing_words(ids))[0]
                ways = option("bad_rows", "skip"), option("ids", "text")
                text = f"ids in '{column}' are words for missing values, such as {word!r}: {ways[0]} leaves these rows"
                self.doubts.append(f"{text} out, {ways[1]} keeps them")

    # --- reading --------------------------------------------------------------------------------------------------

    def _read_log(self) -> None:
        """The sample as `read` reads it; rows that cannot be read are left out where that helps."""
        for way in ({}, {"bad_rows": "skip"}):
            notes: list[str] = []
            try:
                with _recorded(notes):
                    self.data = read_as(self.sample.copy, parsed(ReadOptions, self.options | way))
            except MatineeError as error:
                if way or self.options.get("format") in WHOLE_LINES or self.options.get("bad_rows") == "skip":
                    raise
                if self.large:
                    raise NotAllFitsError(error) from None
                first = error
                continue
            if way:
                self._doubt(first)
            self.doubts += notes
            self.options |= way
            self._suggest()
            break
        if self.failed is not None and not {"bad_rows", "quote"} & self.options.keys():
            self._doubt(self.failed)  # it lies behind what was read the second time
            self.options["bad_rows"] = "skip"

    def _suggest(self) -> None:
        """Columns of weights and kinds: options that change what events count, which nobody has asked for."""
        context = None if self.data is None else self.data.context
        if context is None:
            return
        if self.roles.weight in context.columns:
            self.suggested["weight"] = self.roles.weight
        for name in context.columns:
            if looks_like_kinds(name, context[name]):
                kinds = context[name].unique(maintain_order=True).cast(pl.String).to_list()
                self.suggested["events"] = {"column": name, "weights": kind_weights(kinds)}

    def _doubt(self, error: MatineeError) -> None:
        """What had to be mended."""
        self.doubts.append(str(error).replace("\n  hint: ", "; "))

    def _quoted(self, table: Table) -> bool:
        if table.dialect.quote is None:
            return False
        data = self.sample.copy.read_bytes().decode(self.sample.encoding, "replace")
        return table.dialect.mark in data

    def _rows(self) -> tuple[int | None, bool]:
        sample, n = self.sample, 0
        if sample.rows is not None:
            return sample.rows, True
        if self.table is not None and self.options.get("format") not in WHOLE_LINES:
            n = self.table.frame.height
        elif self.data is not None:
            n = len(self.data)
        return (n, True) if sample.whole else (None if sample.share is None else round(n / sample.share), False)

    def _first_rows(self) -> tuple[dict[str, Any], ...]:
        if self.data is not None:
            return tuple(self.data.rows(pl.Series(range(min(ROWS, len(self.data)))).to_numpy()).to_frame().to_dicts())
        return () if self.table is None else tuple(self.table.frame.head(ROWS).to_dicts())

    def _times(self) -> tuple[datetime | None, datetime | None]:
        """The first and the last time of the sample and of the file's end."""
        logs = [self.data, self._tail()]
        times = [log.timestamp for log in logs if log is not None and log.timestamp is not None and len(log)]
        if not times:
            return None, None
        return moment_of(min(int(each.min()) for each in times)), moment_of(max(int(each.max()) for each in times))

    def _tail(self) -> Dataset | None:
        if self.sample.tail is None or self.data is None or self.data.timestamp is None:
            return None
        try:
            with _recorded([]):
                return read_as(self.sample.tail, parsed(ReadOptions, self.options))
        except MatineeError as error:
            self.doubts.append(f"its end cannot be read in the same way: {error.what}")
            return None
