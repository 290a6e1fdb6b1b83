"""The log in tenths along time: how many users and items are new, and how fast popularity changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.explore.calendar import part_of, tenths

HEAD = 100
PARTS = 10


@dataclass(frozen=True)
class Period:
    """A tenth of the events in the order of time; equal times stay together. first, last: seconds of its events.

    new_users, new_items: those without an event before; cold_users, cold_items: the share of its users and items that
    are new; cold_user_events, cold_item_events: the share of its events that are by a new user, of a new item.

    The k most popular items of a set of events are its head, see ArrivalFigures.head. kept: the share of this period's
    head that was in the head of the period before. all_time, recent: the share of its events on the head of everything
    before, and on the head of the period before. All three are None for the first period.
    """

    first: int
    last: int
    events: int
    users: int
    items: int
    new_users: int
    new_items: int
    cold_users: float
    cold_items: float
    cold_user_events: float
    cold_item_events: float
    kept: float | None
    all_time: float | None
    recent: float | None


@dataclass(frozen=True)
class ArrivalFigures:
    """head: how many items count as most popular, 100 or a tenth of the items (rounded up) if that is less; of equally
    popular ones those with lower codes. Fewer than ten periods where many events share a time."""

    head: int
    periods: tuple[Period, ...]


def arrival_figures(data: Dataset) -> ArrivalFigures | None:
    """None where the log has no times, or they are all equal."""
    if data.timestamp is None or not len(data):
        return None
    edges = tenths(data.timestamp, PARTS)
    if len(edges) < 3:
        return None
    part = part_of(data.timestamp, edges)
    head = min(HEAD, -(-int(np.count_nonzero(data.item_counts())) // 10))
    fresh = [_first_part(code, part, n) for code, n in ((data.user, data.n_users), (data.item, data.n_items))]
    periods, so_far, before = [], np.zeros(data.n_items, np.int64), None
    for p in range(len(edges) - 1):
        rows = np.flatnonzero(part == p)
        counts = np.bincount(data.item[rows], minlength=data.n_items)
        heads = (None, None) if before is None else (_head(so_far, head), _head(before, head))
        new = [fresh[0][data.user[rows]] == p, fresh[1][data.item[rows]] == p]
        periods.append(_period(data, rows, new, counts, heads))
        so_far, before = so_far + counts, counts
    return ArrivalFigures(head, tuple(periods))


def _period(
    data: Dataset, rows: NDArray[np.int64], new: list[NDArray[np.bool_]], counts: NDArray[np.int64],
    heads: tuple[NDArray[np.int64] | None, NDArray[np.int64] | None],
) -> Period:  # fmt: skip
    """rows: of the period; new: whether the user and the item of each are new; counts: its events of each item; heads:
    of everything before, and of the period before."""
    assert data.timestamp is not None
    times, n = data.timestamp[rows], len(rows)
    users, items = data.user[rows], data.item[rows]
    n_users, n_items = len(np.unique(users)), len(np.unique(items))
    new_users, new_items = len(np.unique(users[new[0]])), len(np.unique(items[new[1]]))
    every, last = heads
    mine = None if last is None else _head(counts, len(last))
    return Period(
        first=int(times.min()), last=int(times.max()), events=n, users=n_users, items=n_items,
        new_users=new_users, new_items=new_items, cold_users=new_users / n_users, cold_items=new_items / n_items,
        cold_user_events=float(new[0].mean()), cold_item_events=float(new[1].mean()),
        kept=None if mine is None or last is None else len(np.intersect1d(mine, last)) / max(len(mine), 1),
        all_time=None if every is None else float(counts[every].sum() / n),
        recent=None if last is None else float(counts[last].sum() / n),
    )  # fmt: skip


def _first_part(code: NDArray[np.int32], part: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """int64 (n,): the part in which each code occurs first."""
    found: NDArray[np.int64] = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(found, code, part)
    return found


def _head(counts: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """int64 (at most k,): the codes of the largest counts above 0."""
    k = min(k, int(np.count_nonzero(counts)))
    return np.argsort(-counts, kind="stable")[:k]
