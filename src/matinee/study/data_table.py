"""A recipe's [data] table: where the log is and which events count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from matinee.data.dataset import Dataset, Duplicates
from matinee.data.filters import filter_events, seconds
from matinee.data.read import catalog
from matinee.data.read.assemble import deduplicated
from matinee.data.read.log import read
from matinee.errors import MatineeError
from matinee.files import StrPath

FILTERS = ("min_rating", "drop_ratings", "label_min", "min_user_events", "min_item_events", "since", "until")


class Table(BaseModel):
    """A table of a recipe. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataTable(Table):
    """[data]: where the log is and which events count."""

    source: str = Field("ml-100k", description="a name of `matinee data`, a folder in a known layout, or a file")
    columns: dict[Literal["user_id", "item_id", "rating", "timestamp"], str] = Field(
        {}, description="column names of a file, where they are not the usual ones"
    )
    format: Literal["log", "sequences", "sessions"] = Field(
        "log", description="of a file: an event a line; a user and their items in order; an anonymous session"
    )
    users: str | None = Field(None, description="a file that describes users, by an id column")
    items: str | None = Field(None, description="a file that describes items: title, year, genres, anything")
    duplicates: Duplicates = Field(
        "keep", description="what happens to a user's repeated events with one item; distinct: one a second stays"
    )
    min_rating: float | None = Field(None, description="keep events rated at least this")
    drop_ratings: list[float] = Field([], description="leave out events with these ratings")
    label_min: float | None = Field(None, description="ratings become 1 (at least this) or 0, after the filters")
    min_user_events: int = Field(0, ge=0, description="leave out users with fewer events; iterated with items")
    min_item_events: int = Field(0, ge=0, description="leave out items with fewer events; iterated with users")
    since: str | None = Field(None, description="keep events from this date or time on (ISO; UTC without a zone)")
    until: str | None = Field(None, description="keep events before this date or time")

    @field_validator("since", "until", mode="before")
    @classmethod
    def _readable(cls, moment: object) -> object:
        """TOML has dates of its own."""
        text = moment.isoformat() if isinstance(moment, date) else moment
        return checked(seconds, text) if isinstance(text, str) else text

    def load(self, data_dir: StrPath | None = None) -> Dataset:
        """Read and filter the log: a catalogue name, a path, or a path below data_dir."""
        return filter_events(self._read(data_dir), **{name: getattr(self, name) for name in FILTERS})

    def _read(self, data_dir: StrPath | None) -> Dataset:
        path = located(self.source, data_dir)
        if self.source in catalog.ENTRIES or path.is_dir():  # with columns and side tables of its own
            for key in ("columns", "format", "users", "items"):
                if getattr(self, key) != DataTable.model_fields[key].default:
                    what = f"[data] {key} is for files, and {self.source} has a layout of its own"
                    raise MatineeError(what, hint=f"leave {key} out, or name the file to read as source")
        if self.source in catalog.ENTRIES:
            return deduplicated(catalog.load(self.source, data_dir=data_dir), self.duplicates)
        if not path.exists() and not path.suffix:
            catalog.entry(self.source)  # a mistyped name: raises with the near misses
        users, items = (name and located(name, data_dir) for name in (self.users, self.items))
        columns: dict[str, Any] = dict(self.columns.items())  # of the others, `read` knows the usual names
        return read(path, **columns, format=self.format, users=users, items=items, duplicates=self.duplicates)


def checked(check: Callable[[str], object], text: str | None) -> str | None:
    """The text. Raises ValueError, which pydantic places, where `check` raises MatineeError."""
    if text is not None:
        try:
            check(text)
        except MatineeError as error:
            raise ValueError(f"{error.what}; {error.hint}") from None
    return text


def located(name: str, data_dir: StrPath | None) -> Path:
    """The path as given; or below data_dir, where the file exists only there."""
    below = Path(data_dir or ".") / name
    return below if below.exists() and not Path(name).exists() else Path(name)
