"""What each way to split a log would hide: how old it is, how popular, how much of it nobody could have learned."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee import split
from matinee.data.dataset import Dataset, Split
from matinee.errors import MatineeError, MatineeWarning
from matinee.explore.calendar import Seconds, part_of, tenths
from matinee.explore.spread import Quartiles
from matinee.explore.years import release_years

SPLITS: dict[str, Callable[[Dataset, int], Split]] = {
    "random": lambda data, seed: split.random(data, valid=0, seed=seed),
    "mixed": lambda data, seed: split.mixed(data, valid=0, seed=seed),
    "leave_one_out": lambda data, seed: split.leave_one_out(data),
    "temporal": lambda data, seed: split.temporal(data),
}
"""Strategies with their own shares for the test, and without a valid part where they allow it."""


@dataclass(frozen=True)
class SplitFigures:
    """The test of one split. Known is everything but the test (train and valid).

    words: the split as its protocol names it. queries: users with a hidden event. hidden: hidden events. answers:
    distinct hidden items of each query that are not excluded; left_out: those that are, as they repeat a known event.
    history: known events of a query. cold_queries: the share of queries without a known event; cold_items: the share of
    hidden events whose item has no known event. popularity: known events of the hidden events' items; head: the share
    of hidden events on the most popular tenth of the known items; known_head: the same share of the known events.

    With times, else None: own_future: the share of hidden events before the same user's latest known event; future: the
    share of known events that are later than a hidden one, on average; over_time: the share of hidden events in each
    tenth of the log; first, last: seconds of hidden events. With release years, else None: years, known_years.
    """

    strategy: str
    words: str
    queries: int
    hidden: int
    answers: int
    left_out: int
    history: Quartiles
    cold_queries: float
    cold_items: float
    popularity: Quartiles
    head: float
    known_head: float
    own_future: float | None = None
    future: float | None = None
    over_time: tuple[float, ...] | None = None
    first: int | None = None
    last: int | None = None
    years: Quartiles | None = None
    known_years: Quartiles | None = None


def split_figures(data: Dataset, *, seed: int = 0) -> tuple[tuple[SplitFigures, ...], dict[str, str]]:
    """One for each of SPLITS that is possible here, and why the others are not."""
    found, refused = [], {}
    for name, make in SPLITS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MatineeWarning)
                found.append(_figures(data, name, make(data, seed)))
        except MatineeError as error:
            refused[name] = error.what
    return tuple(found), refused


def _figures(data: Dataset, name: str, made: Split) -> SplitFigures:
    test, known = made.test, made.train_valid
    assert test.pairs is not None and known is not None  # noqa: PT018 - these splits have both
    counts = known.item_counts()
    of_hidden = counts[test.pairs.item]
    head = np.zeros(len(counts), bool)
    head[np.argsort(-counts, kind="stable")[: -(-int(np.count_nonzero(counts)) // 10)]] = True
    history = known.user_counts()[test.queries.user]
    pair = np.unique(test.pairs.query.astype(np.int64) * data.n_items + test.pairs.item)
    years = release_years(data)
    found = SplitFigures(
        strategy=name,
        words=test.protocol.split,
        queries=len(test),
        hidden=len(test.pairs),
        answers=len(test.truth.values),
        left_out=len(pair) - len(test.truth.values),
        history=Quartiles.of(history),
        cold_queries=float(np.mean(history == 0)),
        cold_items=float(np.mean(of_hidden == 0)),
        popularity=Quartiles.of(of_hidden),
        head=float(head[test.pairs.item].mean()),
        known_head=float(head[known.item].mean()),
        years=None if years is None else _known(years[test.pairs.item]),
        known_years=None if years is None else _known(years[known.item]),
    )
    if data.timestamp is None or known.timestamp is None or test.pairs.timestamp is None:
        return found
    return _in_time(found, data.timestamp, known, test.pairs.user, test.pairs.timestamp)


def _known(years: NDArray[np.float64]) -> Quartiles:
    return Quartiles.of(years[np.isfinite(years)])


def _in_time(
    found: SplitFigures, every: Seconds, known: Dataset, user: NDArray[np.int32], hidden: Seconds
) -> SplitFigures:
    """With the figures in time. every: the times of the log; user, hidden: of the hidden events."""
    assert known.timestamp is not None
    latest: Seconds = np.full(known.n_users, -1)
    np.maximum.at(latest, known.user, known.timestamp)
    times, edges = np.sort(known.timestamp), tenths(every)
    later = len(times) - np.searchsorted(times, hidden, side="right")
    over = np.bincount(part_of(hidden, edges), minlength=len(edges) - 1) / len(hidden)
    return replace(
        found,
        own_future=float(np.mean(hidden < latest[user])),
        future=float(later.mean() / len(times)),
        over_time=tuple(over.tolist()),
        first=int(hidden.min()),
        last=int(hidden.max()),
    )
