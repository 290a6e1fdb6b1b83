"""Checked columns and side tables -> one Dataset: codes, aligned features, duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Duplicates
from matinee.data.ids import IdMap
from matinee.data.read.columns import Times, Unit, id_column, rating_column, time_column, unify_ids
from matinee.data.read.tables import Table
from matinee.data.side import EntityKind, Unmatched
from matinee.errors import MatineeError, suggestion


@dataclass(frozen=True)
class Log:
    """The events of one source, n rows. user, item: ids as `id_column` gives them."""

    table: Table
    user: pl.Series
    item: pl.Series
    rating: Floats | None = None
    times: Times | None = None
    context: pl.DataFrame | None = None


@dataclass(frozen=True)
class SideTable:
    """A table of users or items: row r of `features` describes ids[r]. `column` is the column of the ids.

    left_out: further tables whose rows of ids that are not in this one were left out.
    """

    table: Table
    column: str
    ids: pl.Series
    features: pl.DataFrame
    left_out: tuple[Unmatched, ...] = ()


@dataclass(frozen=True)
class RawTables:
    """All tables of a source."""

    log: Log
    users: SideTable | None = None
    items: SideTable | None = None


def build(parts: RawTables, *, name: str, duplicates: Duplicates = "keep") -> Dataset:
    """Code the ids and align the tables. Ids that are only in a side table get codes too, and are counted. Raises
    MatineeError when the log is empty, a side table has two rows for one id, or ids mix types."""
    log = parts.log
    if len(log.user) == 0:
        raise MatineeError("the log holds no events", where=log.table.name, hint="check the file")
    users, user, user_features = _coded(log.user, log.table.is_text, parts.users, "user")
    items, item, item_features = _coded(log.item, log.table.is_text, parts.items, "item")
    context = None if log.context is None or log.context.width == 0 else log.context
    times = None if log.times is None else log.times.seconds
    extra = *_unmatched("users", parts.users, user, len(users)), *_unmatched("items", parts.items, item, len(items))
    data = Dataset(users, items, user, item, log.rating, times, context, user_features, item_features, name, extra)
    if duplicates == "error":
        data = deduplicated(data, duplicates, log.table.place)  # by row, whatever the times say
    if log.times is not None and log.times.order is not None:
        data = data.rows(log.times.order)
    return deduplicated(data, duplicates)


def deduplicated(data: Dataset, how: Duplicates, place: Callable[[int], str] | None = None) -> Dataset:
    """One event per user and item, in the log's order.

    last, first: by time, then by row. sum: the last event, with the ratings added up (1 each where there are none).
    keep: all of them. distinct: of those in one second the first row (needs timestamps). error: raise MatineeError at
    the first repeated pair; `place` names its row.
    """
    if how not in get_args(Duplicates):
        raise MatineeError(f"unknown way with duplicates '{how}'", hint=suggestion(str(how), get_args(Duplicates)))
    if how == "keep":
        return data
    if how == "distinct":
        return _distinct(data)
    key = data.user.astype(np.int64) * data.n_items + data.item
    order = np.arange(len(data)) if data.timestamp is None else np.argsort(data.timestamp, kind="stable")
    if how == "error":
        order = np.arange(len(data))
    elif how in ("last", "sum"):
        order = order[::-1]
    _, first, pair = np.unique(key[order], return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data
    rows = order[first]
    if how == "error":
        row = int(np.setdiff1d(order, rows)[0])
        user, item = data.users.decode(data.user[[row]])[0], data.items.decode(data.item[[row]])[0]
        what = f"an earlier row has user {user!r} and item {item!r} already"
        hint = 'choose what to do with repeats: duplicates="keep", "distinct", "last", "first" or "sum"'
        raise MatineeError(what, where=place(row) if place else f"event {row + 1}", hint=hint)
    result = data.rows(np.sort(rows))
    if how != "sum":
        return result
    at = np.argsort(rows, kind="stable")
    total = np.bincount(pair, weights=None if data.value is None else data.value[order]).astype(np.float32)
    weight = None if data.weight is None else np.bincount(pair, data.weight[order]).astype(np.float32)[at]
    return replace(result, value=total[at], weight=weight)


def _distinct(data: Dataset) -> Dataset:
    """Of events with equal user, item and timestamp the first."""
    if data.timestamp is None:
        hint = 'map the timestamp column, or choose another way with duplicates: "keep", "last", "first" or "sum"'
        raise MatineeError(f"{data.name} has no timestamps, so an event recorded twice looks like a repeat", hint=hint)
    order = np.lexsort((data.timestamp, data.item, data.user))
    same = [array[order[1:]] == array[order[:-1]] for array in (data.user, data.item, data.timestamp)]
    return data.rows(np.sort(order[np.append(True, ~np.logical_and.reduce(same))[: len(order)]]))


def log_of(
    table: Table, user_id: str, item_id: str, rating: str | None, timestamp: str | None, *, unit: Unit = "auto"
) -> Log:
    """The log in these columns, None: not read. The other columns are its context. Raises MatineeError for a column
    that is missing, and for values that are not what they should be."""
    named = [column for column in (user_id, item_id, rating, timestamp) if column is not None]
    table.require(*named)
    user, item = id_column(table, user_id), id_column(table, item_id)
    ratings = None if rating is None else rating_column(table, rating)
    times = None if timestamp is None else time_column(table, timestamp, unit)
    return Log(table, user, item, ratings, times, table.frame.drop(named))


def side_of(table: Table, column: str, features: pl.DataFrame) -> SideTable:
    """A side table, its ids checked. Raises MatineeError where two rows describe one id."""
    table.require(column)
    ids = id_column(table, column)
    if ids.n_unique() < len(ids):
        row = int(np.flatnonzero(ids.is_first_distinct().not_().to_numpy())[0])
        raise table.error(f"a second row describes {ids[row]!r}", row, column, hint="keep one row for each id")
    return SideTable(table, column, ids, features)


def _unmatched(what: EntityKind, side: SideTable | None, codes: NDArray[np.int32], n: int) -> tuple[Unmatched, ...]:
    """The ids of a side table, of n in all, that are not among the log's codes."""
    if side is None:
        return ()
    ids = n - len(np.unique(codes))  # an id has a code from the log or from the table
    return (*([Unmatched(what, side.table.name, ids)] if ids else []), *side.left_out)


def _coded(
    ids: pl.Series, is_text: bool, side: SideTable | None, what: str
) -> tuple[IdMap, NDArray[np.int32], pl.DataFrame | None]:
    """The IdMap, the log's codes, int32 (n,), and the side table's rows in code order."""
    if side is None:
        (ids,) = unify_ids([(ids, is_text)])
        known = IdMap.from_series(ids, what=what)
        return known, known.encode(ids), None
    ids, table_ids = unify_ids([(ids, is_text), (side.ids, side.table.is_text)])
    known = IdMap.from_series(ids, table_ids, what=what)
    at = np.full(len(known), -1, np.int64)
    at[known.encode(table_ids)] = np.arange(len(table_ids))
    rows = pl.Series(at)
    features = side.features[rows.replace(-1, None)] if (at < 0).any() else side.features[rows]
    return known, known.encode(ids), features
