"""Which events count: by rating, by date, and by a minimum of events per user and item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, distinct
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.data.moments import moment_of
from matinee.errors import MatineeError, counted, offered, option, option_name

if TYPE_CHECKING:
    import polars as pl

Moment = int | str | date | datetime


def filter_events(
    data: Dataset,
    *,
    min_rating: float | None = None,
    drop_ratings: Sequence[float] = (),
    label_min: float | None = None,
    min_user_events: int = 0,
    min_item_events: int = 0,
    min_item_users: int = 0,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Dataset:
    """Keep the events that pass all filters; rows keep their order.

    Ratings and dates first: rating >= min_rating and not in drop_ratings; since <= time < until (Unix seconds, ISO
    text, date or datetime; without a zone: UTC); dates hold for dislikes too. Then items of fewer than min_item_users
    distinct users are removed (of lists: items on fewer than so many lists), counted once. Then users with fewer than
    min_user_events and items with fewer than min_item_events events are removed, again and again until both hold. They
    (and ids without an event) leave the ids and the side tables; a minimum of 0 removes nobody. Repeated events of one
    pair count each.
    label_min: ratings become 1 (at least this) or 0, after the filters on ratings.
    Raises MatineeError when nothing is left, naming the filter, or when a filter needs ratings or times that the log
    does not have.

    Example: `data = mt.filter_events(data, min_rating=4, min_user_events=5)`
    """
    keep = np.ones(len(data), bool)
    if min_rating is not None:
        keep &= _needed(data.value, "min_rating", "rating") >= np.float32(min_rating)
        _check_left(keep, data, f"min_rating = {min_rating}")
    if drop_ratings:
        keep &= ~np.isin(_needed(data.value, "drop_ratings", "rating"), np.asarray(drop_ratings, np.float32))
        _check_left(keep, data, f"drop_ratings = {list(drop_ratings)}")
    if since is not None:
        keep &= _needed(data.timestamp, "since", "time") >= seconds(since)
        _check_left(keep, data, f"since = {since}")
    if until is not None:
        keep &= _needed(data.timestamp, "until", "time") < seconds(until)
        _check_left(keep, data, f"until = {until}")
    if min_item_users > 0:
        keep &= _users_of_items(data, keep)[data.item] >= min_item_users
        _check_left(keep, data, f"min_item_users = {min_item_users}")
    if min_user_events > 0 or min_item_events > 0:
        keep = _k_core(data, keep, min_user_events, min_item_events)
        _check_left(keep, data, f"min_user_events = {min_user_events} with min_item_events = {min_item_events}")
    result = data if keep.all() else data.rows(keep)
    result = _dislikes_between(result, since, until)
    if label_min is not None:
        raw_rating = _needed(result.value, "label_min", "rating")
        result = replace(result, value=(raw_rating >= np.float32(label_min)).astype(np.float32), raw_rating=raw_rating)
    return _without_absent(result, users=min_user_events > 0, items=min_item_events > 0 or min_item_users > 0)


def seen_again(data: Dataset, kept: Dataset, min_rating: float) -> int:
    """How many pairs of a user and an item that are in `kept` have left it for their rating: what such a user has seen
    may be recommended to them as unseen. data: the log before the filters."""
    if data.value is None:
        return 0
    user, item = (np.isin(every.ids, some.ids) for every, some in ((data.users, kept.users), (data.items, kept.items)))
    low = (data.value < np.float32(min_rating)) & user[data.user] & item[data.item]
    pair = data.user.astype(np.int64) * data.n_items + data.item
    left = np.unique(pair[low])
    return int(np.count_nonzero(~np.isin(left, pair[data.value >= np.float32(min_rating)])))


def seconds(moment: Moment) -> int:
    """Unix seconds of a moment. Raises MatineeError for text that is no ISO date."""
    if isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError as error:
            hint = "write it as 2020-01-31 or 2020-01-31T12:00"
            raise MatineeError(f"'{moment}' is not a date", hint=hint) from error
    return int(utc(moment).timestamp() // 1)


def utc(moment: date) -> datetime:
    """The start of a date, or a datetime; UTC unless it has a zone."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _k_core(data: Dataset, keep: Bools, min_user: int, min_item: int) -> Bools:
    """bool (n,): the most events of `keep` with which every user and item has its minimum.

    It is reached in steps: a user who is removed can leave an item with too few events, and the other way round.
    """
    rows = np.flatnonzero(keep)
    while True:
        enough_user = np.bincount(data.user[rows], minlength=data.n_users) >= min_user
        enough_item = np.bincount(data.item[rows], minlength=data.n_items) >= min_item
        good = enough_user[data.user[rows]] & enough_item[data.item[rows]]
        if good.all():
            return np.isin(np.arange(len(data)), rows, assume_unique=True)
        rows = rows[good]


def _users_of_items(data: Dataset, keep: Bools) -> NDArray[np.int64]:
    """int64 (n_items,): distinct users of each item among the events of `keep`, bool (n,)."""
    pairs = distinct(data.user[keep].astype(np.int64) * data.n_items + data.item[keep])
    return np.bincount(pairs % data.n_items, minlength=data.n_items)


def _dislikes_between(data: Dataset, since: Moment | None, until: Moment | None) -> Dataset:
    """The log without dislikes before `since` or from `until` on; those without times stay."""
    dislikes = data.dislikes
    if dislikes is None or dislikes.timestamp is None or (since is None and until is None):
        return data
    kept = np.ones(len(dislikes), bool)
    if since is not None:
        kept &= dislikes.timestamp >= seconds(since)
    if until is not None:
        kept &= dislikes.timestamp < seconds(until)
    return replace(data, dislikes=dislikes.rows(kept) if kept.any() else None)


def _without_absent(data: Dataset, *, users: bool, items: bool) -> Dataset:
    """Remove ids without events; the codes of the others keep their order."""
    if users and not (there := data.user_counts() > 0).all():
        ids, code, features = _shrunk(data.users, data.user_features, there)
        dislikes = data.dislikes and data.dislikes.recoded(code, np.arange(data.n_items, dtype=np.int32))
        data = replace(data, users=ids, user=code[data.user], user_features=features, dislikes=dislikes)
    if items and not (there := data.item_counts() > 0).all():
        ids, code, features = _shrunk(data.items, data.item_features, there)
        dislikes = data.dislikes and data.dislikes.recoded(np.arange(data.n_users, dtype=np.int32), code)
        data = replace(data, items=ids, item=code[data.item], item_features=features, dislikes=dislikes)
    return data


def _shrunk(ids: IdMap, features: pl.DataFrame | None, there: Bools) -> tuple[IdMap, Ints, pl.DataFrame | None]:
    """The ids and features where `there`, bool (n,), is true, and the new code of each old one, int32 (n,), or -1."""
    code = np.where(there, np.cumsum(there) - 1, -1).astype(np.int32)
    kept = None if features is None else features.filter(there)
    return IdMap(ids.ids[there], what=ids.what, grown=ids.grown), code, kept


def _needed(column: NDArray[Any] | None, filter_: str, what: str) -> NDArray[Any]:
    """The column, float32 or int64 (n,). Raises MatineeError where the log has none."""
    if column is None:
        leave = f"leave {option_name(filter_)} out"
        role = {"rating": "rating", "time": "timestamp"}[what]
        hint = f"name the column of {what}s: {option(role, what)}, or {leave}" if offered(role) else leave
        raise MatineeError(f"{filter_} needs {what}s, and the log has none", hint=hint)
    return column


def _check_left(keep: Bools, data: Dataset, filter_: str) -> None:
    if keep.any():
        return
    facts = []
    if data.value is not None:
        facts.append(f"ratings from {data.value.min():g} to {data.value.max():g}")
    if data.timestamp is not None:
        first, last = (moment_of(int(t)).date() for t in (data.timestamp.min(), data.timestamp.max()))
        facts.append(f"dates from {first} to {last}")
    most = data.user_counts().max(), data.item_counts().max()
    facts.append(f"at most {counted(int(most[0]), 'event')} of a user and {most[1]:,} of an item")
    what = f"{filter_} leaves none of the {counted(len(data), 'event')} (the log has {', '.join(facts)})"
    raise MatineeError(what, where=data.name, hint="loosen that filter")
