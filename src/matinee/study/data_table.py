"""A recipe's [data] table: where the log is and which events count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from matinee.data.dataset import Dataset
from matinee.data.events import apply_events
from matinee.data.filters import filter_events, seconds
from matinee.data.item_vectors import ids_of_file, with_item_vectors
from matinee.data.read import catalog
from matinee.data.read.assemble import deduplicated
from matinee.data.read.format_names import KNOWN
from matinee.data.read.log import read_as
from matinee.data.read.options import AUTO, FileOptions, Name, ReadOptions, TableFile, parsed
from matinee.errors import COLUMNS, MatineeError, worded_for
from matinee.files import StrPath
from matinee.study.events_table import EventsTable

FILTERS = (
    *("min_rating", "drop_ratings", "label_min"),
    *("min_user_events", "min_item_events", "min_item_users", "since", "until"),
)
OF_ALL = ("duplicates", "dislike_below")
OF_FILES = (*COLUMNS, *(name for name in FileOptions.model_fields if name not in OF_ALL))
"""Options that a named set or a folder does not have."""


class Table(BaseModel):
    """A table of a recipe. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class _Source(Table):
    source: str = Field("ml-100k", description="a name of `matinee data`, a folder in a known layout, or a file")
    columns: dict[Literal["user_id", "item_id", "rating", "timestamp", "weight"], Name] = Field(
        {}, description="column names of a file, where they are not the usual ones, or positions from 1"
    )
    events: EventsTable | None = Field(
        None, description="`column`, `weights` and `keep`: what the kinds of events in a column count, see below"
    )


class VectorsFile(Table):
    """Dense vectors of items in a file. path: .npy, float (n, d). ids: a text file of the items of its rows, one a
    line; without it they are all items of the log in the order of their ids."""

    path: str
    ids: str | None = None


class DataTable(FileOptions, _Source):
    """[data]: where the log is and which events count."""

    item_vectors: dict[str, str | VectorsFile] = Field(
        {},
        description='columns of dense vectors of items, each a .npy file, `{ poster = "p.npy" }`, a row for each item '
        'in the order of ids, or `{ path = "p.npy", ids = "p.txt" }`, whose rows are the items of these lines',
    )

    min_rating: float | None = Field(
        None, description="keep events rated at least this; the others are forgotten, also as seen"
    )
    drop_ratings: list[float] = Field([], description="leave out events with these ratings")
    label_min: float | None = Field(None, description="ratings become 1 (at least this) or 0, after the filters")
    min_user_events: int = Field(0, ge=0, description="leave out users with fewer events; iterated with items")
    min_item_events: int = Field(0, ge=0, description="leave out items with fewer events; iterated with users")
    min_item_users: int = Field(
        0, ge=0, description="leave out items of fewer distinct users (on fewer lists); counted once"
    )
    since: str | None = Field(None, description="keep events from this date or time on (ISO; UTC without a zone)")
    until: str | None = Field(None, description="keep events before this date or time")

    @field_validator("since", "until", mode="before")
    @classmethod
    def _readable(cls, moment: object) -> object:
        """TOML has dates of its own."""
        text = moment.isoformat() if isinstance(moment, date) else moment
        return checked(seconds, text) if isinstance(text, str) else text

    @classmethod
    def of(cls, source: StrPath, options: Mapping[str, Any]) -> Self:
        """[data] of a log and further keys, with columns by their roles. Raises MatineeError for a wrong one."""
        given = dict(options)
        columns = {role: given.pop(role) for role in COLUMNS if role in given}
        parsed(ReadOptions, {name: value for name, value in given.items() if name in ReadOptions.model_fields})
        return parsed(cls, {"source": str(source), "columns": columns, **given})

    def load(self, data_dir: StrPath | None = None) -> Dataset:
        """Read and filter the log: a catalogue name, a path, or a path below data_dir."""
        return self.filtered(self.read(data_dir))

    def filtered(self, data: Dataset) -> Dataset:
        """The part of a log that passes the filters of the table."""
        with worded_for("recipe", fallback=True):
            return filter_events(data, **{name: getattr(self, name) for name in FILTERS})

    def read(self, data_dir: StrPath | None = None) -> Dataset:
        """The log before the filters."""
        with worded_for("recipe", fallback=True):
            data = self._read(data_dir)
            for name, file in self.item_vectors.items():
                given = VectorsFile(path=file) if isinstance(file, str) else file
                ids = None if given.ids is None else ids_of_file(located(given.ids, data_dir), data)
                data = with_item_vectors(data, located(given.path, data_dir), ids=ids, name=name)
            return data

    def _read(self, data_dir: StrPath | None) -> Dataset:
        path = located(self.source, data_dir)
        folder = path.is_dir() and self.format not in (AUTO, *KNOWN)
        if self.source in catalog.ENTRIES or folder:  # with columns and side tables of its own
            self._refuse_of_files()
            with worded_for("recipe", fallback=True, without=OF_FILES):
                if self.source in catalog.ENTRIES:
                    named = self._with_events(catalog.load(self.source, data_dir=data_dir))
                    return deduplicated(named, self.duplicates)
                return read_as(path, self.reading(data_dir))
        if not path.exists() and not path.suffix:
            catalog.entry(self.source)  # a mistyped name: raises with the near misses
        return read_as(path, self.reading(data_dir))

    def _with_events(self, data: Dataset) -> Dataset:
        """A named set with the kinds and dislikes of its events."""
        kinds = None if self.events is None else self.events.kinds()
        if kinds is None and self.dislike_below is None:
            return data
        return apply_events(data, kinds=kinds, dislike_below=self.dislike_below)

    def _refuse_of_files(self) -> None:
        """Raise MatineeError for a key about files, where the source has a layout of its own."""
        own = set(self.columns) != {"weight"} or self.source in catalog.ENTRIES  # further columns of a folder's log
        for key in (*(["columns"] if own else []), *OF_FILES):
            if key in DataTable.model_fields and getattr(self, key) != DataTable.model_fields[key].default:
                what = f"[data] {key} is for files, and {self.source} has a layout of its own"
                raise MatineeError(what, hint=f"leave {key} out, or name the file to read as source")

    def reading(self, data_dir: StrPath | None = None) -> ReadOptions:
        """The same options as `read` has them. Side tables may lie below data_dir."""
        given = {name: getattr(self, name) for name in FileOptions.model_fields} | dict(self.columns.items())
        given |= {} if self.events is None else {"kinds": self.events.kinds()}
        given |= {side: below(given[side], data_dir) for side in ("users", "items")}
        return parsed(ReadOptions, given)


def checked(check: Callable[[str], object], text: str | None) -> str | None:
    """The text. Raises ValueError, which pydantic places, where `check` raises MatineeError."""
    if text is not None:
        try:
            check(text)
        except MatineeError as error:
            raise ValueError(f"{error.what}; {error.hint}") from None
    return text


def below(file: str | TableFile | None, data_dir: StrPath | None) -> Path | TableFile | None:
    """The file as given; or below data_dir, where it exists only there."""
    if isinstance(file, TableFile):
        return file.model_copy(update={"path": located(str(file.path), data_dir)})
    return None if file is None else located(file, data_dir)


def located(name: str, data_dir: StrPath | None) -> Path:
    """The path as given; or below data_dir, where the file exists only there."""
    below = Path(data_dir or ".") / name
    return below if below.exists() and not Path(name).exists() else Path(name)
