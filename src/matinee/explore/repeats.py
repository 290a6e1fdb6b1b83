"""Pairs of user and item that occur more than once, those whose ratings contradict each other, and equal titles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools
from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.data.items import item_cards

EXAMPLES = 5


@dataclass(frozen=True)
class Conflict:
    """A user's different ratings of one item, oldest first."""

    user: Id
    item: Id
    title: str
    ratings: tuple[float, ...]


@dataclass(frozen=True)
class RepeatFigures:
    """pairs: distinct (user, item) pairs. repeated_pairs: those with two events or more; extra: their events beyond the
    first; users: who has such a pair; most: events of the most frequent pair. exact: events that equal an earlier one
    of the same pair in rating and time too. conflicts: pairs with different ratings (None without ratings), width: the
    mean distance of the highest from the lowest of them; examples: those farthest apart. same_title: items with an
    event that share their title (without case) with another such item, None without titles."""

    pairs: int
    repeated_pairs: int
    extra: int
    users: int
    most: int
    exact: int
    conflicts: int | None
    width: float
    examples: tuple[Conflict, ...]
    same_title: int | None


def repeat_figures(data: Dataset, *, examples: int = EXAMPLES) -> RepeatFigures:
    """Costs a sort of the log by pair and time."""
    order = data.order
    key = data.user[order].astype(np.int64) * data.n_items + data.item[order]
    by_pair = np.argsort(key, kind="stable")
    order, key = order[by_pair], key[by_pair]  # pair by pair, each oldest first
    first = np.diff(key, prepend=-1) > 0
    start, length = np.flatnonzero(first), np.diff(np.flatnonzero(np.append(first, True)))
    repeated = length > 1
    wide, apart = _apart(data, order, start)
    shown = np.argsort(-wide, kind="stable")[: min(examples, apart or 0)]
    return RepeatFigures(
        pairs=len(start),
        repeated_pairs=int(repeated.sum()),
        extra=len(key) - len(start),
        users=len(np.unique(data.user[order[start[repeated]]])),
        most=int(length.max(initial=0)),
        exact=_exact(data, order[np.repeat(repeated, length)]),
        conflicts=apart,
        width=float(wide[wide > 0].mean()) if apart else 0.0,
        examples=tuple(_conflict(data, order[start[p] : start[p] + length[p]]) for p in shown),
        same_title=_same_title(data),
    )


def _apart(data: Dataset, order: NDArray[np.int64], start: NDArray[np.int64]) -> tuple[NDArray[np.float64], int | None]:
    """(float64 (P,): highest minus lowest rating of each pair, how many are above 0; None without ratings)."""
    if data.value is None or not len(data):
        return np.zeros(len(start)), None if data.value is None else 0
    value = data.value[order].astype(np.float64)
    wide = np.maximum.reduceat(value, start) - np.minimum.reduceat(value, start)
    return wide, int(np.count_nonzero(wide))


def _exact(data: Dataset, rows: NDArray[np.int64]) -> int:
    """How many of these rows equal an earlier one in user, item, rating and time."""
    columns: list[NDArray[Any]] = [data.user[rows], data.item[rows]]
    columns += [column[rows] for column in (data.value, data.timestamp) if column is not None]
    at = np.lexsort(columns[::-1])
    same: Bools = np.ones(max(len(rows) - 1, 0), bool)
    for column in columns:
        same &= column[at][1:] == column[at][:-1]
    return int(same.sum())


def _conflict(data: Dataset, rows: NDArray[np.int64]) -> Conflict:
    assert data.value is not None
    card = item_cards(data, data.item[rows[:1]])[0]
    user = data.users.decode(data.user[rows[:1]])[0]
    return Conflict(user, card.item_id, card.name, tuple(data.value[rows].tolist()))


def _same_title(data: Dataset) -> int | None:
    table = data.item_features
    if table is None or "title" not in table.columns:
        return None
    titles = table["title"].to_list()
    known = [str(titles[i]).strip().casefold() for i in np.flatnonzero(data.item_counts()) if titles[i] is not None]
    _, times = np.unique(np.array(known, dtype=str), return_counts=True)
    return int(times[times > 1].sum())
