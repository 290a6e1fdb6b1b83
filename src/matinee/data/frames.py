"""A log as a dataframe, and as a notebook shows it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ints
from matinee.data.ids import IdMap
from matinee.data.moments import moment_of
from matinee.data.titles import Titles, plain
from matinee.errors import MatineeError, counted
from matinee.notebook import html_notes, html_panel, html_table, number_text

if TYPE_CHECKING:
    import polars as pl

SHOWN = 5  # rows in a notebook
LAST_SECOND = 253_402_300_799  # of the year 9999, the last that dates can name


class LogFrames:
    """What a Dataset gives to people who work with dataframes and notebooks. It reads the fields of Dataset: user and
    item, int32 (n,); value and raw_rating, float32 (n,); timestamp, int64 (n,)."""

    if TYPE_CHECKING:  # the fields of Dataset that are read here

        @property
        def users(self) -> IdMap: ...
        @property
        def items(self) -> IdMap: ...
        @property
        def user(self) -> Ints: ...
        @property
        def item(self) -> Ints: ...
        @property
        def value(self) -> Floats | None: ...
        @property
        def raw_rating(self) -> Floats | None: ...
        @property
        def timestamp(self) -> NDArray[np.int64] | None: ...
        @property
        def context(self) -> pl.DataFrame | None: ...
        @property
        def user_features(self) -> pl.DataFrame | None: ...
        @property
        def item_features(self) -> pl.DataFrame | None: ...
        @property
        def name(self) -> str: ...
        def __len__(self) -> int: ...

    def to_frame(self) -> pl.DataFrame:
        """One row an event, in the log's order: user_id, item_id, rating, time (UTC, without a zone), raw_rating, and
        the columns of the context; what the log does not have is left out. `read` makes the same log of it.

        A column of the context that is called like one of the first gets "_context" at its end. Raises MatineeError for
        times after the year 9999.

        Example: `data.to_frame().group_by("user_id").len()`
        """
        return _frame_at(self, slice(None))

    def to_pandas(self) -> Any:
        """`to_frame`, as a dataframe of pandas. Raises MatineeError where pandas and pyarrow are not installed.

        Example: `data.to_pandas().describe()`
        """
        return in_pandas(self.to_frame())

    @cached_property
    def item_titles(self) -> pl.Series | None:
        """The items' titles in code order, null where an item has none; None where no item table has them."""
        table = self.item_features
        if table is None or "title" not in table.columns:
            return None
        return table["title"]

    def user_titles(self, user: Ints) -> tuple[str | None, ...] | None:
        """The titles of these users, int32 (n,), -1 = unknown, where users are lists (playlists) whose table has a
        column `title`: None where a list has none, and None for all where there is no such column."""
        table = self.user_features
        if table is None or "title" not in table.columns:
            return None
        import polars as pl

        found = table["title"].cast(pl.String).gather(np.where(user < 0, 0, user)).to_list()
        return tuple(None if code < 0 else title for code, title in zip(user.tolist(), found, strict=True))

    @cached_property
    def has_user_titles(self) -> bool:
        """Whether one of the users, as a list (a playlist), has a title."""
        return any(map(plain, self.user_titles(np.arange(len(self.users), dtype=np.int32)) or ()))

    @cached_property
    def titles(self) -> Titles:
        """The items' titles, for finding items by them."""
        return Titles(() if (column := self.item_titles) is None else map(_text, column.to_list()))

    def _repr_html_(self) -> str:
        rows = slice(0, SHOWN)
        frame = _frame_at(self, rows, dated=_dates_fit(self))
        if self.item_titles is not None:
            title = self.item_titles.gather(self.item[rows])
            frame.insert_column(2, title.alias("title_of_item" if "title" in frame.columns else "title"))
        right = [c for c, kind in enumerate(frame.dtypes) if kind.is_numeric()]
        more = len(self) - frame.height
        return html_panel(
            f"{self.name}: {sizes_of(self)}",
            html_notes(*_facts(self)),
            html_table(frame.columns, [[*map(_cell, row)] for row in frame.iter_rows()], numbers=right),
            html_notes(f"… {counted(more, 'more event')}; to_frame() gives them all" if more else ""),
        )


def in_pandas(frame: pl.DataFrame) -> Any:
    """The same as a dataframe of pandas. Raises MatineeError where pandas or pyarrow is not installed."""
    try:
        return frame.to_pandas()
    except ImportError as error:
        package = error.name or "pandas"
        raise MatineeError(f"this needs {package}, which is not installed", hint="pip install pandas pyarrow") from None


def log_size(name: str, events: int, users: int, items: int) -> str:
    """ "ml-100k: 100,000 events, 943 users, 1,682 items"."""
    counts = zip((events, users, items), ("event", "user", "item"), strict=True)
    return f"{name}: {', '.join(counted(n, noun) for n, noun in counts)}"


def sizes_of(log: LogFrames) -> str:
    """ "100,000 events, 943 users, 563 items with events (of 999)": ids that only a side table or a filter left without
    events are not counted with the others. A log without any event has the numbers of its ids."""
    words = [counted(len(log), "event")]
    for ids, codes, noun in ((log.users, log.user, "user"), (log.items, log.item, "item")):
        n = int(np.count_nonzero(np.bincount(codes, minlength=len(ids)))) if len(codes) else len(ids)
        words.append(counted(n, noun) + (f" with events (of {len(ids):,})" if n < len(ids) else ""))
    return ", ".join(words)


def _frame_at(log: LogFrames, rows: slice, *, dated: bool = True) -> pl.DataFrame:
    """These rows of `to_frame`. dated: times become dates."""
    import polars as pl

    columns = {
        "user_id": log.users.series.gather(log.user[rows]),
        "item_id": log.items.series.gather(log.item[rows]),
    }
    if log.value is not None:
        columns["rating"] = pl.Series(log.value[rows])
    if log.timestamp is not None:
        if dated and not _dates_fit(log):
            hint = 'read the log with the unit of its times, such as unit="ms"'
            raise MatineeError(f"{log.name} has times after the year 9999", hint=hint)
        seconds = pl.Series(log.timestamp[rows])
        columns["time"] = pl.from_epoch(seconds, time_unit="s") if dated else seconds
    if log.raw_rating is not None:
        columns["raw_rating"] = pl.Series(log.raw_rating[rows])
    frame = pl.DataFrame(columns)
    if log.context is None:
        return frame
    context = log.context[rows]
    names = {name: f"{name}_context" for name in context.columns if name in columns}
    return frame.hstack(context.rename(names))


def _dates_fit(log: LogFrames) -> bool:
    return log.timestamp is None or int(log.timestamp.max(initial=0)) <= LAST_SECOND


def _facts(log: LogFrames) -> list[str]:
    """What else a log has, in lines."""
    facts = []
    if log.value is not None and len(log):
        facts.append(f"ratings {number_text(float(log.value.min()))} to {number_text(float(log.value.max()))}")
    if log.timestamp is not None and len(log) and _dates_fit(log):
        first, last = (moment_of(int(t)).date() for t in (log.timestamp.min(), log.timestamp.max()))
        facts.append(f"{first} to {last}")
    lines = [" · ".join(facts)] if facts else []
    if log.context is not None:
        lines.append(f"context: {', '.join(log.context.columns)}")
    return lines


def _text(title: Any) -> str | None:
    return None if title is None else str(title)


def _cell(value: Any) -> str | None:
    """A value of a row as people read it."""
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return None if value is None else str(value)
