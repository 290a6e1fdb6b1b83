"""The key figures of a log, computed in a few numpy passes: 20 million events take seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.data.events import looks_like_kinds
from matinee.explore.spread import held_curve

MAX_LEVELS = 21  # more distinct ratings than this are binned
BINS = 40


@dataclass(frozen=True)
class Spread:
    """How a count spreads over users or items that have at least one event (all 0 where there are none)."""

    smallest: int
    lower: float  # a quarter has at most this
    median: float
    upper: float  # three quarters have at most this
    largest: int
    mean: float


@dataclass(frozen=True)
class Bars:
    """A histogram: counts[b] values lie in edges[b] <= x < edges[b + 1] (the last bar includes its right edge)."""

    edges: NDArray[np.float64]  # (n + 1,)
    counts: NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Levels:
    """How often each rating occurs. binned: there are too many levels, so `value` holds the middles of equal bins."""

    value: NDArray[np.float64]  # (n,), ascending
    counts: NDArray[np.int64]  # (n,)
    mean: float
    binned: bool


@dataclass(frozen=True)
class KeyFigures:
    """Users and items without an event are not counted, except in n_catalogue (all known items, side tables included).

    density: distinct (user, item) pairs / (n_users x n_items). first, last: Unix seconds. top_share: share of events on
    the top_items most popular items (a tenth of the items, rounded up). repeated: events whose pair occurred before;
    at_once: events with the same item as the user's previous event. tied: share of a user's events with the same
    timestamp as the user's previous event. ratings: None where there are none, or all are equal. weights: None where
    events have none. dislikes: events that say no, which are no rows. kinds: the events of each kind in a column of
    kinds that was not used, most frequent first.
    """

    n_events: int
    n_users: int
    n_items: int
    n_catalogue: int
    density: float
    user_events: Spread
    item_events: Spread
    top_items: int
    top_share: float
    repeated: int
    at_once: int
    first: int | None
    last: int | None
    tied: float | None
    ratings: Levels | None
    activity: Bars  # events per user, bars growing by a constant factor
    tail: NDArray[np.float64]  # (m, 2): the share x of items, most popular first, holds the share y of events
    over_time: Bars | None  # events, in equal stretches of time
    weights: Levels | None = None
    dislikes: int = 0
    kinds: Mapping[str, int] | None = None


def key_figures(data: Dataset) -> KeyFigures:
    """The key figures of a log. Costs one sort by (user, item) and one by (user, time)."""
    per_user, per_item = data.user_counts(), np.sort(data.item_counts())[::-1]
    per_user, per_item = per_user[per_user > 0], per_item[per_item > 0]
    n_users, n_items, n_events = len(per_user), len(per_item), len(data)
    pair = np.sort(data.user.astype(np.int64) * data.n_items + data.item)
    n_pairs, top = int(np.count_nonzero(np.diff(pair))) + (n_events > 0), -(-n_items // 10)
    at_once, tied = _order_figures(data)
    timestamp = data.timestamp if n_events else None
    return KeyFigures(
        n_events=n_events,
        n_users=n_users,
        n_items=n_items,
        n_catalogue=data.n_items,
        density=n_pairs / max(n_users * n_items, 1),
        user_events=_spread(per_user),
        item_events=_spread(per_item),
        top_items=top,
        top_share=float(per_item[:top].sum() / max(n_events, 1)),
        repeated=n_events - n_pairs,
        at_once=at_once,
        first=None if timestamp is None else int(timestamp.min()),
        last=None if timestamp is None else int(timestamp.max()),
        tied=tied,
        ratings=_levels(data.value),
        activity=_activity(per_user),
        tail=held_curve(per_item),
        over_time=_over_time(timestamp),
        weights=_levels(data.weight, equal=True),
        dislikes=0 if data.dislikes is None else len(data.dislikes),
        kinds=_kinds(data),
    )


def _kinds(data: Dataset) -> dict[str, int] | None:
    """The events of each kind, where a further column looks like kinds."""
    for name in [] if data.context is None else data.context.columns:
        column = data.context[name]  # type: ignore[index]
        if looks_like_kinds(name, column):
            counts = column.value_counts(sort=True)
            return dict(zip(map(str, counts[name].to_list()), counts["count"].to_list(), strict=True))
    return None


def _order_figures(data: Dataset) -> tuple[int, float | None]:
    """at_once and tied of KeyFigures; tied is None without timestamps, or where no user has two events."""
    user, item = data.user[data.order], data.item[data.order]
    neighbours = user[1:] == user[:-1]
    at_once, n = int(np.count_nonzero(neighbours & (item[1:] == item[:-1]))), int(np.count_nonzero(neighbours))
    if data.timestamp is None or not n:
        return at_once, None
    time = data.timestamp[data.order]
    return at_once, int(np.count_nonzero(neighbours & (time[1:] == time[:-1]))) / n


def _spread(counts: NDArray[np.int64]) -> Spread:
    if not len(counts):
        return Spread(0, 0.0, 0.0, 0.0, 0, 0.0)
    lower, median, upper = np.quantile(counts, [0.25, 0.5, 0.75]).tolist()
    return Spread(int(counts.min()), lower, median, upper, int(counts.max()), float(counts.mean()))


def _levels(value: NDArray[np.float32] | None, *, equal: bool = False) -> Levels | None:
    """equal: also of values that are all the same."""
    if value is None or not len(value):
        return None
    low, high, mean = float(value.min()), float(value.max()), float(value.mean(dtype=np.float64))
    if low == high and not equal:
        return None
    level, counts = np.unique(value, return_counts=True)
    if len(level) <= MAX_LEVELS:
        return Levels(level.astype(np.float64), counts.astype(np.int64), mean, binned=False)
    counts, edges = np.histogram(value.astype(np.float64), MAX_LEVELS - 1, (low, high))
    return Levels((edges[:-1] + edges[1:]) / 2, counts.astype(np.int64), mean, binned=True)


def _activity(per_user: NDArray[np.int64]) -> Bars:
    if not len(per_user):
        return Bars(np.array([1.0, 2.0]), np.zeros(1, np.int64))
    low, above = int(per_user.min()), int(per_user.max()) + 1
    edges = np.unique(np.round(np.geomspace(low, above, BINS // 2 + 1)).astype(np.int64))
    counts = np.histogram(per_user, edges)[0]
    return Bars(edges.astype(np.float64), counts.astype(np.int64))


def _over_time(timestamp: NDArray[np.int64] | None) -> Bars | None:
    """None where all events have one timestamp."""
    if timestamp is None or timestamp.min() == timestamp.max():
        return None
    edges: NDArray[Any] = np.linspace(int(timestamp.min()), int(timestamp.max()), BINS + 1)
    return Bars(edges, np.histogram(timestamp.astype(np.float64), edges)[0].astype(np.int64))
