"""When items were released, against when they were watched or rated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.explore.calendar import in_calendar, last_events, months_of, years_of
from matinee.explore.spread import Quartiles

LAST = 5
FEW = 3  # in fewer years, months are told apart


@dataclass(frozen=True)
class Ages:
    """Years from an item's release to an event, as a histogram: counts over all events, last over each user's last
    five. age: int64 (n,), every whole number from the lowest to the highest that occurs; counts, last: int64 (n,)."""

    age: NDArray[np.int64]
    counts: NDArray[np.int64]
    last: NDArray[np.int64]


@dataclass(frozen=True)
class YearFigures:
    """items, events, last: release years of items with an event, of all events, and of each user's last five events.

    known: the share of events whose item has a year. year: int64 (m,), every release year that occurs; per_year: int64
    (m,), its items. Where the log has times of the calendar, else None: ages; age, age_last: years from release to
    event over all events and over each user's last five; fresh, fresh_last: the share of events in the year of release
    or the one after; before: events before the year of release. when: years, or months "1997-09" where there are fewer
    than three years; decades: their first years; table: int64 (when, decades), events by when and decade of release.
    """

    known: float
    items: Quartiles
    events: Quartiles
    last: Quartiles
    year: NDArray[np.int64]
    per_year: NDArray[np.int64]
    ages: Ages | None = None
    age: Quartiles | None = None
    age_last: Quartiles | None = None
    fresh: float | None = None
    fresh_last: float | None = None
    before: int = 0
    when: tuple[str, ...] = ()
    decades: tuple[int, ...] = ()
    table: NDArray[np.int64] | None = None


def release_years(data: Dataset) -> NDArray[np.float64] | None:
    """float64 (n_items,), NaN where the year is not known; None where no item with an event has one."""
    table = data.item_features
    if table is None or "year" not in table.columns or not table["year"].dtype.is_numeric():
        return None
    years = table["year"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return years if np.isfinite(years[data.item]).any() else None


def year_figures(data: Dataset) -> YearFigures | None:
    """None where no event's item has a year."""
    years = release_years(data)
    if years is None:
        return None
    of_event = years[data.item]
    known = np.isfinite(of_event)
    latest = np.zeros(len(data), bool)
    latest[last_events(data, LAST)] = True
    of_items = years[(data.item_counts() > 0) & np.isfinite(years)]
    year, per_year = np.unique(of_items.astype(np.int64), return_counts=True)
    found = YearFigures(
        known=float(known.mean()),
        items=Quartiles.of(of_items),
        events=Quartiles.of(of_event[known]),
        last=Quartiles.of(of_event[known & latest]),
        year=year,
        per_year=per_year.astype(np.int64),
    )
    if data.timestamp is None or not in_calendar(data.timestamp):
        return found
    return _with_times(found, of_event[known].astype(np.int64), data.timestamp[known], latest[known])


def _with_times(
    found: YearFigures, release: NDArray[np.int64], seconds: NDArray[np.int64], latest: NDArray[np.bool_]
) -> YearFigures:
    """release, seconds: of the n events whose item has a year; latest: bool (n,), those of a user's last five."""
    age = years_of(seconds) - release
    low, n = int(age.min()), int(age.max() - age.min()) + 1
    counts, last = (np.bincount(each - low, minlength=n).astype(np.int64) for each in (age, age[latest]))
    when, decades, table = _by_decade(release, seconds)
    return YearFigures(
        **{name: getattr(found, name) for name in ("known", "items", "events", "last", "year", "per_year")},
        ages=Ages(np.arange(low, low + n), counts, last),
        age=Quartiles.of(age),
        age_last=Quartiles.of(age[latest]),
        fresh=float(np.mean((age >= 0) & (age <= 1))),
        fresh_last=float(np.mean((age[latest] >= 0) & (age[latest] <= 1))) if latest.any() else 0.0,
        before=int(np.count_nonzero(age < 0)),
        when=when,
        decades=decades,
        table=table,
    )


def _by_decade(
    release: NDArray[np.int64], seconds: NDArray[np.int64]
) -> tuple[tuple[str, ...], tuple[int, ...], NDArray[np.int64]]:
    """(names of years or months, decades, int64 (when, decades))."""
    when = years_of(seconds)
    by_month = len(np.unique(when)) < FEW
    levels, row = np.unique(months_of(seconds) if by_month else when, return_inverse=True)
    decades, column = np.unique(release // 10 * 10, return_inverse=True)
    table = np.bincount(row * len(decades) + column, minlength=len(levels) * len(decades))
    names = [f"{level // 12}-{level % 12 + 1:02d}" if by_month else str(level) for level in levels.tolist()]
    return tuple(names), tuple(decades.tolist()), table.reshape(len(levels), len(decades)).astype(np.int64)
