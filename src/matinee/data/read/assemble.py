"""Checked columns and side tables -> one Dataset: codes, aligned features, duplicates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Duplicates
from matinee.data.events import EventKinds, apply_events
from matinee.data.ids import IdMap
from matinee.data.read.columns import checked_ids, checked_ratings, id_column, missing_words, rating_column, unify_ids
from matinee.data.read.numbers import Checked, first, integers_of, shown
from matinee.data.read.options import Ids, Unit
from matinee.data.read.tables import Table
from matinee.data.read.times import Times, checked_times, time_column
from matinee.data.side import EntityKind, Unmatched
from matinee.errors import MatineeError, MatineeWarning, counted, either, offered, option, suggestion, worded_for

SCALE = 21  # more levels of ratings than this are no scale


@dataclass(frozen=True)
class Log:
    """The events of one source, n rows. user, item: ids as `id_column` gives them. ids: what they become. weight,
    kinds: the column of the context that says how much an event counts, and what the kinds in another mean."""

    table: Table
    user: pl.Series
    item: pl.Series
    rating: Floats | None = None
    times: Times | None = None
    context: pl.DataFrame | None = None
    ids: Ids = "auto"
    weight: str | None = None
    kinds: EventKinds | None = None


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


def build(
    parts: RawTables, *, name: str, duplicates: Duplicates = "keep", dislike_below: float | None = None
) -> Dataset:
    """Code the ids and align the tables; then weights and dislikes, then duplicates. Ids that are only in a side table
    get codes too, and are counted. Raises MatineeError when the log is empty, a side table has two rows for one id, or
    ids mix types."""
    log = parts.log
    if len(log.user) == 0:
        raise MatineeError("the log holds no events", where=log.table.name, hint="check the file")
    users, user, user_features = _coded(log, log.user, parts.users, "user")
    items, item, item_features = _coded(log, log.item, parts.items, "item")
    context = None if log.context is None or log.context.width == 0 else log.context
    times = None if log.times is None else log.times.seconds
    extra = *_unmatched("users", parts.users, user, len(users)), *_unmatched("items", parts.items, item, len(items))
    data = Dataset(users, items, user, item, log.rating, times, context, user_features, item_features, name, extra)
    data = replace(data, skipped_rows=log.table.n_skipped) if log.table.n_skipped else data
    if duplicates == "error":
        data = deduplicated(data, duplicates, log.table.place)  # by row, whatever the times say
    if log.times is not None and log.times.order is not None:
        data = data.rows(log.times.order)
    data = _with_events(data, log, dislike_below)
    return data if duplicates == "error" else deduplicated(data, duplicates)


def _with_events(data: Dataset, log: Log, dislike_below: float | None) -> Dataset:
    """Weights and dislikes, where the log has any."""
    if log.kinds is None and log.weight is None and dislike_below is None:
        return data
    return apply_events(data, kinds=log.kinds, weight=log.weight, dislike_below=dislike_below)


def deduplicated(data: Dataset, how: Duplicates, place: Callable[[int], str] | None = None) -> Dataset:
    """One event per user and item, in the log's order.

    last, first: by time; in one second the event of the largest weight, then by row. sum: the last event, with the
    ratings (1 each where there are none) and the weights added up; a MatineeWarning where the ratings look like a
    scale. keep: all of them. distinct: of those in one second the one of the largest weight, then the first row (needs
    timestamps). A MatineeWarning counts events that are left out with another weight than the one that stays. error:
    raise MatineeError at the first repeated pair; `place` names its row.
    """
    if how not in get_args(Duplicates):
        raise MatineeError(f"unknown way with duplicates '{how}'", hint=suggestion(str(how), get_args(Duplicates)))
    if how == "keep":
        return data
    if how == "distinct":
        return _distinct(data)
    key = data.user.astype(np.int64) * data.n_items + data.item
    order = _order(data, how)
    _, first, pair = np.unique(key[order], return_index=True, return_inverse=True)
    if len(first) == len(data):
        return data
    rows = order[first]
    if how == "error":
        row = int(np.setdiff1d(order, rows)[0])
        user, item = data.users.decode(data.user[[row]])[0], data.items.decode(data.item[[row]])[0]
        what = f"an earlier row has user {user!r} and item {item!r} already"
        hint = f"choose what to do with repeats: {option('duplicates', 'last')}, or keep, distinct, first, sum"
        raise MatineeError(what, where=place(row) if place else f"event {row + 1}", hint=hint)
    result = data.rows(np.sort(rows))
    if how != "sum":
        _warn_of_weights(data, order, rows[pair], how)
        return result
    at = np.argsort(rows, kind="stable")
    total = np.bincount(pair, weights=None if data.value is None else data.value[order]).astype(np.float32)
    weight = None if data.weight is None else np.bincount(pair, data.weight[order]).astype(np.float32)[at]
    _warn_of_summed_scale(data, total)
    return replace(result, value=total[at], weight=weight)


def _order(data: Dataset, how: Duplicates) -> NDArray[np.intp]:
    """int64 (n,): row numbers, of each pair the event that stays first. In one second the largest weight is first."""
    if how == "error":
        return np.arange(len(data))
    back = -1 if how in ("last", "sum") else 1
    row = back * np.arange(len(data))
    if data.timestamp is None:
        return np.argsort(row)
    return np.lexsort(
        (row, back * data.timestamp) if data.weight is None else (row, -data.weight, back * data.timestamp)
    )


def _warn_of_weights(data: Dataset, left: NDArray[np.intp], stays: NDArray[np.intp], how: Duplicates) -> None:
    """A MatineeWarning that counts events with another weight than the one that stays for them. left, stays: (n,)."""
    n = 0 if data.weight is None else int(np.count_nonzero(data.weight[left] != data.weight[stays]))
    if not n:
        return
    which = {"distinct": "of one second the largest weight stays", "last": "the last event stays"}
    text = f"{data.name}: {counted(n, 'event')} left out as {either(n, 'a repeat', 'repeats')} with another weight than"
    text += f" the event that stays ({which.get(how, 'the first event stays')}); {option('duplicates', 'sum')} adds"
    warnings.warn(f"{text} weights up", MatineeWarning, stacklevel=3)


def _warn_of_summed_scale(data: Dataset, total: NDArray[np.float32]) -> None:
    """A MatineeWarning where the ratings that are added up look like a scale: at most 10, by whole or half steps."""
    levels = np.zeros(0) if data.value is None else np.unique(data.value)
    scale = 2 < len(levels) <= SCALE and levels[0] >= 0 and levels[-1] <= 10 and not np.any(levels * 2 % 1)
    if scale:
        text = f"{data.name}: {option('duplicates', 'sum')} adds up ratings from {levels[0]:g} to {levels[-1]:g}, and"
        text += (
            f" they now go from {total.min():g} to {total.max():g}; on a scale, {option('duplicates', 'last')} keeps"
        )
        warnings.warn(f"{text} the latest", MatineeWarning, stacklevel=3)


def _distinct(data: Dataset) -> Dataset:
    """Of events with equal user, item and timestamp the one of the largest weight, then the first."""
    if data.timestamp is None:
        hint = f"name the column of times: {option('timestamp', 'time')}, or choose {option('duplicates', 'last')}"
        hint = hint if offered("timestamp") else f"choose another way: {option('duplicates', 'last')}"
        raise MatineeError(f"{data.name} has no timestamps, so an event recorded twice looks like a repeat", hint=hint)
    weights = () if data.weight is None else (-data.weight,)
    order = np.lexsort((*weights, data.timestamp, data.item, data.user))
    same = [array[order[1:]] == array[order[:-1]] for array in (data.user, data.item, data.timestamp)]
    stays = np.append(True, ~np.logical_and.reduce(same))[: len(order)]
    _warn_of_weights(data, order, order[stays][np.cumsum(stays) - 1], "distinct")
    return data.rows(np.sort(order[stays]))


def log_of(
    table: Table,
    user_id: str,
    item_id: str,
    rating: str | None,
    timestamp: str | None,
    *,
    unit: Unit = "auto",
    time_format: str | None = None,
    ids: Ids = "auto",
    weight: str | None = None,
    skip: bool = False,
) -> Log:
    """The log in these columns, None: not read. The other columns are its context, the weight among them as numbers.

    skip: rows with a wrong value are left out, and a MatineeWarning counts them. Raises MatineeError for a column that
    is missing or named twice, and for values that are not what they should be."""
    named = [column for column in (user_id, item_id, rating, timestamp, weight) if column is not None]
    table.require(*named)
    if repeated := [column for column in named if named.count(column) > 1]:
        hint = f"name another column: {option('item_id', 'item')}" if offered("item_id") else "name another column"
        raise MatineeError(f"the column '{repeated[0]}' is named for two things", where=table.name, hint=hint)
    if skip:
        checks = [_or_missing(checked_ids(table, column), ids) for column in (user_id, item_id)]
        checks += [checked_ratings(table, rating)] if rating is not None else []
        checks += [checked_ratings(table, weight, "weight")] if weight is not None else []
        checks += [checked_times(table, timestamp, unit, time_format)[0]] if timestamp is not None else []
        table = _without_wrong(table, checks)
    user, item = _smaller(id_column(table, user_id), table), _smaller(id_column(table, item_id), table)
    ratings = None if rating is None else rating_column(table, rating)
    times = None if timestamp is None else time_column(table, timestamp, unit, time_format)
    context = table.frame
    if weight is not None:
        weights = checked_ratings(table, weight, "weight")
        if weights.wrong.any():
            raise weights.error(table)
        context = context.with_columns(weights.values.alias(weight))
    slim = replace(table, frame=table.frame.head(0))  # its columns are read: a large log would be there twice
    return Log(slim, user, item, ratings, times, context.drop([c for c in named if c != weight]), ids, weight)


def _smaller(ids: pl.Series, table: Table) -> pl.Series:
    """The ids of a text file as integers, where nothing is lost."""
    found = integers_of(ids) if table.is_text and ids.dtype == pl.String else None
    return ids if found is None else found


def _or_missing(checked: Checked, ids: Ids) -> Checked:
    """The same ids, those that are a word for a missing value marked as well."""
    if ids == "text" or checked.values.dtype != pl.String:
        return checked
    missing = missing_words(checked.values)

    def reason(row: int) -> str:
        return (
            f"the id {shown(checked.values[row])} stands for a missing value" if missing[row] else checked.reason(row)
        )

    return checked._replace(wrong=checked.wrong | missing, reason=reason)


def _without_wrong(table: Table, checks: Sequence[Checked]) -> Table:
    """The rows that are right in every column, with a MatineeWarning about the others."""
    wrong = pl.Series(np.logical_or.reduce([check.wrong.to_numpy() for check in checks]))
    rows = np.flatnonzero(wrong.to_numpy())[:3].tolist()
    reasons = [(table.number(row), next(c.reason(row) for c in checks if c.wrong[row])) for row in rows]
    n = len(table.skipped) + int(wrong.sum())
    if not n:
        return table
    examples = sorted([*table.skipped[:3], *reasons])[:3]
    text = "; ".join(f"row {line}: {reason}" for line, reason in examples)
    rows_of = f"{n:,} of {len(wrong) + len(table.skipped):,} rows"
    warnings.warn(f"{table.name}: {rows_of} cannot be read and are left out ({text})", MatineeWarning, stacklevel=2)
    return replace(table.without(wrong), n_skipped=n) if rows else replace(table, n_skipped=n)


def side_of(table: Table, column: str, features: pl.DataFrame) -> SideTable:
    """A side table, its ids checked. Raises MatineeError where two rows describe one id."""
    table.require(column)
    with worded_for("python", fallback=True, without=("bad_rows",)):  # an option of logs alone
        ids = id_column(table, column)
    if ids.n_unique() < len(ids):
        row = int(np.flatnonzero(ids.is_first_distinct().not_().to_numpy())[0])
        hint = "keep one row for each id"
        if features.width == 1:  # a row for each genre
            hint += f", for example a list: table.group_by({column!r}).agg({features.columns[0]!r}) in polars"
        raise table.error(f"a second row describes {shown(ids[row])}", row, column, hint=hint)
    return SideTable(table, column, ids, features)


def _unmatched(what: EntityKind, side: SideTable | None, codes: NDArray[np.int32], n: int) -> tuple[Unmatched, ...]:
    """The ids of a side table, of n in all, that are not among the log's codes."""
    if side is None:
        return ()
    there = np.zeros(n, np.bool_)
    there[codes] = True
    ids = n - int(np.count_nonzero(there))  # an id has a code from the log or from the table
    return (*([Unmatched(what, side.table.name, ids)] if ids else []), *side.left_out)


def _coded(
    log: Log, ids: pl.Series, side: SideTable | None, what: str
) -> tuple[IdMap, NDArray[np.int32], pl.DataFrame | None]:
    """The IdMap, the log's codes, int32 (n,), and the side table's rows in code order."""
    is_text = log.table.is_text
    if side is None:
        (ids,) = unify_ids([(ids, is_text)], log.ids)
        known = IdMap.from_series(ids, what=what)
        _refuse_odd_ids(known, log, ids)
        return known, known.encode(ids), None
    ids, table_ids = unify_ids([(ids, is_text), (side.ids, side.table.is_text)], log.ids)
    known = IdMap.from_series(ids, table_ids, what=what)
    _refuse_odd_ids(known, log, ids)
    at = np.full(len(known), -1, np.int64)
    at[known.encode(table_ids)] = np.arange(len(table_ids))
    rows = pl.Series(at)
    gathered = pl.all().gather(rows.replace(-1, None))  # a table without rows has none to be found by number
    features = side.features.select(gathered) if (at < 0).any() else side.features[rows]
    return known, known.encode(ids), features


def _refuse_odd_ids(known: IdMap, log: Log, ids: pl.Series) -> None:
    """Raise MatineeError for ids of the log that are words for missing values, and for line breaks in those of a text
    file. The map is looked at first: it is short."""
    if known.is_integer:
        return
    if log.ids != "text" and missing_words(known.series).any() and (missing := missing_words(ids)).any():
        row = first(missing)
        hint = f"fill it in or remove the row; {option('bad_rows', 'skip')} leaves such rows out, and "
        hint += f"{option('ids', 'text')} takes the word for an id"
        hint = hint if offered("bad_rows", "ids") else "fill it in or remove the row"
        raise log.table.error(f"the id {shown(ids[row])} stands for a missing value", row, _name(log, ids), hint=hint)
    if log.table.is_text and known.series.str.contains(r"[\r\n]").any():
        broken = ids.str.contains(r"[\r\n]").fill_null(False)
        if broken.any():
            row = first(broken)
            hint = f"close the quotation mark, or say {option('quote', None)} where it is an ordinary character"
            hint = hint if offered("quote") else "close the quotation mark"
            raise log.table.error(f"the id {ids[row][:40]!r} goes over a line end", row, _name(log, ids), hint=hint)


def _name(log: Log, ids: pl.Series) -> str | None:
    return ids.name if ids.name in log.table.frame.columns else None
