"""Several logs side by side: a row for each number, and what two logs have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import counted
from matinee.explore.hidden import SplitFigures
from matinee.explore.log import KeyFigures
from matinee.explore.ratings import RatingFigures
from matinee.explore.repeats import RepeatFigures
from matinee.explore.spread import Shares
from matinee.explore.times import TimeFigures
from matinee.explore.wording import count, date, duration, percent, typed
from matinee.explore.years import YearFigures

Kind = Literal["count", "share", "number", "date", "seconds", "year"]


class Numbers(NamedTuple):
    """The parts of an exploration that a comparison reads."""

    figures: KeyFigures
    activity: Shares
    popularity: Shares
    ratings: RatingFigures | None
    repeats: RepeatFigures
    years: YearFigures | None
    times: TimeFigures | None
    splits: tuple[SplitFigures, ...]


@dataclass(frozen=True)
class Row:
    """One number of each log; None where a log has none. kind: how it is written."""

    name: str
    kind: Kind
    values: tuple[float | None, ...]

    def texts(self) -> list[str]:
        """Each value as a reader reads it; a dash for none."""
        return ["–" if value is None else typed(_WRITE[self.kind](value)) for value in self.values]


@dataclass(frozen=True)
class Overlap:
    """What two logs share, by ids as text, of users and items with an event. users, items: ids in both; of_a, of_b:
    the shares of their events that are by such a user and of such an item."""

    a: str
    b: str
    users: int
    items: int
    of_a: float
    of_b: float

    def __str__(self) -> str:
        shared = f"{counted(self.users, 'user')} and {counted(self.items, 'item')}"
        of = f"{percent(self.of_a)} of the events of {self.a} and {percent(self.of_b)} of those of {self.b}"
        return typed(f"{self.a} and {self.b} share {shared}, if equal ids mean the same: {of}.")


_WRITE: dict[Kind, Callable[[float], str]] = {
    "count": count,
    "share": percent,
    "number": "{:.2f}".format,
    "date": date,
    "seconds": duration,
    "year": "{:.0f}".format,
}


def rows_of(logs: Sequence[Numbers]) -> tuple[Row, ...]:
    """Rows without a value in any log are left out."""
    each = [_numbers(log) for log in logs]
    names = dict.fromkeys((name, kind) for log in each for name, (kind, _) in log.items())
    rows = [Row(name, kind, tuple(log[name][1] if name in log else None for log in each)) for name, kind in names]
    return tuple(row for row in rows if any(value is not None for value in row.values))


def _numbers(log: Numbers) -> dict[str, tuple[Kind, float | None]]:
    f, users, items = log.figures, log.activity, log.popularity
    found: dict[str, tuple[Kind, float | None]] = {
        "Events": ("count", f.n_events),
        "Users": ("count", f.n_users),
        "Items": ("count", f.n_items),
        "Density": ("share", f.density),
        "From": ("date", f.first),
        "To": ("date", f.last),
    }
    for name, spread in (("user", users), ("item", items)):
        found |= {
            f"Events per {name}, mean": ("count", spread.mean),
            f"Events per {name}, standard deviation": ("count", spread.std),
            f"Events per {name}, minimum": ("count", spread.smallest),
            f"Events per {name}, lower quartile": ("count", spread.lower),
            f"Events per {name}, median": ("count", spread.median),
            f"Events per {name}, upper quartile": ("count", spread.upper),
            f"Events per {name}, maximum": ("count", spread.largest),
            f"Events per {name}, Gini": ("number", spread.gini),
        }
    found |= {
        "Events on the top tenth of the items": ("share", items.top_10),
        "Items with one event": ("share", items.once),
    }
    return found | _ratings_and_times(log) | _hidden(log.splits)


def _ratings_and_times(log: Numbers) -> dict[str, tuple[Kind, float | None]]:
    rated, times, years = log.ratings, log.times, log.years
    found: dict[str, tuple[Kind, float | None]] = {
        "Events that repeat a pair": ("share", _part(log.repeats.extra, log))
    }
    if log.repeats.conflicts is not None:
        found["Pairs with different ratings"] = ("count", log.repeats.conflicts)
    if rated is not None:
        found |= {"Mean rating": ("number", rated.spread.mean), "Levels of rating": ("count", rated.distinct)}
        found["Share of the commonest rating"] = ("share", rated.share)
    if times is not None:
        found["Equal neighbouring times"] = ("share", times.tied)
        found["Median gap between a user’s events"] = ("seconds", times.gaps.median)
        found["Users whose events lie within a day"] = ("share", times.one_day)
        found["Sessions per user, mean"] = ("count", times.user_sessions.mean)
    if years is not None:
        found["Median release year of events"] = ("year", years.events.median)
        if years.age is not None:
            found["Median years from release to event"] = ("count", years.age.median)
    return found


def _hidden(splits: Sequence[SplitFigures]) -> dict[str, tuple[Kind, float | None]]:
    found: dict[str, tuple[Kind, float | None]] = {}
    for each in splits:
        name = each.strategy.replace("_", " ")
        if each.own_future is not None and each.strategy in ("random", "mixed"):
            found[f"Hidden by {name}: before a known event of the user"] = ("share", each.own_future)
        if each.strategy == "temporal":
            found["Hidden by temporal: queries without history"] = ("share", each.cold_queries)
            found["Hidden by temporal: events of unknown items"] = ("share", each.cold_items)
    return found


def _part(n: int, log: Numbers) -> float:
    return n / max(log.figures.n_events, 1)


def overlaps(logs: Sequence[Dataset], names: Sequence[str]) -> tuple[Overlap, ...]:
    """One for each two logs, in their order."""
    pairs = [(a, b) for a in range(len(logs)) for b in range(a + 1, len(logs))]
    return tuple(_overlap(logs[a], logs[b], names[a], names[b]) for a, b in pairs)


def _overlap(a: Dataset, b: Dataset, name_a: str, name_b: str) -> Overlap:
    users = _with_events(a.users, a.user) & _with_events(b.users, b.user)
    items = _with_events(a.items, a.item) & _with_events(b.items, b.item)
    of = [float(np.mean(_in(log, users, items))) if len(log) else 0.0 for log in (a, b)]
    return Overlap(name_a, name_b, len(users), len(items), *of)


def _with_events(ids: IdMap, codes: np.ndarray) -> set[str]:
    return set(map(str, ids.decode(np.unique(codes))))


def _in(log: Dataset, users: set[str], items: set[str]) -> np.ndarray:
    """bool (n,): events by one of these users with one of these items."""
    known = [np.array([str(id_) in shared for id_ in ids.ids.tolist()], bool) for ids, shared in
             ((log.users, users), (log.items, items))]  # fmt: skip
    both: np.ndarray = known[0][log.user] & known[1][log.item]
    return both
