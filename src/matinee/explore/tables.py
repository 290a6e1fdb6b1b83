"""What side tables hold: missing and distinct values of each column, and groups of items and users by their size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.data.side_table_report import said

Table = Literal["users", "items", "events"]


@dataclass(frozen=True)
class ColumnFigures:
    """kind: "number", "text", "list", "time", "truth" or "other". missing: rows without a value (an empty text or list
    and NaN are none). unique: distinct values; of a list, distinct members, and members is their number in all rows.
    smallest, median, largest: of numbers. commonest: the most frequent value as text, the first in alphabetical order
    of several; None where no value occurs twice."""

    name: str
    kind: str
    missing: int
    unique: int
    members: int | None = None
    smallest: float | None = None
    median: float | None = None
    largest: float | None = None
    commonest: str | None = None
    commonest_n: int = 0


@dataclass(frozen=True)
class TableFigures:
    """rows: users or items with an event, or events, where columns stand beside the log's own."""

    what: Table
    rows: int
    columns: tuple[ColumnFigures, ...]


@dataclass(frozen=True)
class ValueFigures:
    """One value. n: users or items that have it. events: their events. rating: the mean of these, None without."""

    value: str
    n: int
    events: int
    rating: float | None


@dataclass(frozen=True)
class AttributeFigures:
    """A column whose values are groups: lists such as genres or directors, or texts that two or more share on average.

    distinct: values. known: users or items with an event that have one. mean: values of each of those. once: values
    of a single one. top: those with the most users or items; of equally many those with more events, then by name.
    """

    what: Literal["users", "items"]
    column: str
    distinct: int
    known: int
    mean: float
    once: int
    top: tuple[ValueFigures, ...]


def table_figures(data: Dataset) -> tuple[TableFigures, ...]:
    """One for each table that there is."""
    described: list[tuple[Table, pl.DataFrame | None, NDArray[np.bool_]]] = [
        ("users", data.user_features, data.user_counts() > 0),
        ("items", data.item_features, data.item_counts() > 0),
        ("events", data.context, np.ones(len(data), bool)),
    ]
    return tuple(
        TableFigures(what, int(rows.sum()), tuple(_column(column.filter(pl.Series(rows))) for column in table))
        for what, table, rows in described
        if table is not None and table.width
    )


def attribute_figures(data: Dataset, *, top: int = 15) -> tuple[AttributeFigures, ...]:
    """Lists first, then texts, of items and then of users. A text that is nearly each one's own (a title, a zip code),
    or the same for all, is no group."""
    found = []
    rated = None if data.value is None else data.value.astype(np.float64)
    tables: list[tuple[Literal["users", "items"], pl.DataFrame | None, NDArray[np.int32], int]] = [
        ("items", data.item_features, data.item, data.n_items),
        ("users", data.user_features, data.user, data.n_users),
    ]
    for what, table, code, n in tables:
        if table is None:
            continue
        events = np.bincount(code, minlength=n)
        total = None if rated is None else np.bincount(code, rated, minlength=n).astype(np.float64)
        columns = [c for c in table if isinstance(c.dtype, pl.List)] + [c for c in table if c.dtype == pl.String]
        found += [each for column in columns if (each := _attribute(what, column, events, total, top)) is not None]
    return tuple(found)


def _attribute(
    what: Literal["users", "items"], column: pl.Series, events: NDArray[np.int64], rated: NDArray[np.float64] | None,
    top: int,
) -> AttributeFigures | None:  # fmt: skip
    """events, rated: (n,), the events of each code and the sum of their ratings."""
    frame = pl.DataFrame({"code": np.arange(len(column)), "value": column, "events": events})
    frame = frame.with_columns(rated=pl.Series(np.zeros(len(column)) if rated is None else rated))
    frame = frame.filter(pl.col("events") > 0)
    if isinstance(column.dtype, pl.List):
        frame = frame.explode("value")
    frame = frame.with_columns(pl.col("value").cast(pl.String)).filter(pl.col("value") != "").unique(["code", "value"])
    per_value = frame.group_by("value").agg(pl.len().alias("n"), pl.col("events", "rated").sum())
    text = not isinstance(column.dtype, pl.List)
    if not len(per_value) or (text and not 1 < len(per_value) <= len(frame) / 2):
        return None
    first = per_value.sort("n", "events", "value", descending=[True, True, False]).head(top)
    known = frame["code"].n_unique()
    rows = [
        ValueFigures(value, n, total, None if rated is None else stars / total)
        for value, n, total, stars in first.select("value", "n", "events", "rated").iter_rows()
    ]
    once = int((per_value["n"] == 1).sum())
    return AttributeFigures(what, column.name, len(per_value), known, len(frame) / known, once, tuple(rows))


def _column(column: pl.Series) -> ColumnFigures:
    there = column.filter(pl.Series(said(column)))
    missing, members = len(column) - len(there), None
    kind = _kind(column.dtype)
    if kind == "list":
        there = there.list.explode().drop_nulls() if isinstance(column.dtype, pl.List) else there
        members = len(there)
    if kind == "other":  # objects and structures are compared by how they are written
        there = pl.Series(column.name, [str(value) for value in there.to_list()], dtype=pl.String)
    numbers: dict[str, Any] = {}
    if kind == "number" and len(there):
        levels = there.cast(pl.Float64)
        numbers = {"smallest": levels.min(), "median": levels.median(), "largest": levels.max()}
    commonest, times = _commonest(there)
    return ColumnFigures(
        column.name, kind, missing, there.n_unique(), members, **numbers, commonest=commonest, commonest_n=times
    )


def _kind(dtype: pl.DataType) -> str:
    if dtype == pl.Boolean:
        return "truth"
    if isinstance(dtype, pl.List):
        return "list"
    if dtype.is_numeric():
        return "number"
    if dtype.is_temporal():
        return "time"
    return "text" if dtype in (pl.String, pl.Categorical, pl.Enum) else "other"


def _commonest(values: pl.Series) -> tuple[str | None, int]:
    """The most frequent value, and how often it occurs."""
    if not len(values):
        return None, 0
    counts = values.alias("value").value_counts(name="n")
    counts = counts.filter(pl.col("n") == pl.col("n").max())
    times = int(counts["n"][0])
    if times == 1:
        return None, 0
    texts = sorted(f"{value:g}" if isinstance(value, float) else str(value) for value in counts["value"].to_list())
    return texts[0], times
