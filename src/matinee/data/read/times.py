"""A column of times -> Unix seconds: numbers by their unit, ISO dates, usual ways to write them, or a given format."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.filters import utc
from matinee.data.read.numbers import Checked, first, numbers_of, shown
from matinee.data.read.options import Unit
from matinee.data.read.tables import Table
from matinee.errors import MatineeError, MatineeWarning, offered, option

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MICRO = _PER_SECOND["us"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = r"^\d{4}-\d\d-\d\d"
_ENGLISH = "%a %b %d %H:%M:%S %z %Y"  # Mon Apr 07 03:51:09 -0700 2014
_LAST = 4_102_444_800  # 2100-01-01
_YEAR, _SINCE = 31_536_000, 631_152_000  # seconds; 1990-01-01
_COMPACT = (19_000_101, 21_001_231)
_YEARS = (1900, 2100)


class Times(NamedTuple):
    """seconds: int64 (n,) Unix seconds, none negative. order: int64 (n,), the rows sorted by the times as written,
    where these are finer than seconds and the rows are not in that order."""

    seconds: NDArray[np.int64]
    order: NDArray[np.int64] | None = None


def time_column(table: Table, column: str, unit: Unit = "auto", time_format: str | None = None) -> Times:
    """Unix seconds of a column of numbers, dates or text, see `checked_times`. Raises MatineeError."""
    checked, per_second = checked_times(table, column, unit, time_format)
    if checked.wrong.any():
        raise checked.error(table)
    whole = checked.values.to_numpy()
    if per_second == 1:
        return Times(whole)
    # a log's order is that of time within a second, so what is finer than a second is kept as an order
    finer = bool((whole % per_second).any()) and bool((np.diff(whole) < 0).any())
    return Times(whole // per_second, np.argsort(whole, kind="stable") if finer else None)


def checked_times(table: Table, column: str, unit: Unit, time_format: str | None) -> tuple[Checked, int]:
    """Ticks, and the number of ticks in a second. Dates and times without a zone are UTC.

    unit "auto": numbers are seconds below 1e11 (the year 5138), milliseconds below 1e14, microseconds below 1e17 and
    nanoseconds above; a log whose numbers disagree is refused. Whole numbers that are dates (20140407) are read as
    dates, and bare years refused. Times before 1970 or after 2100 are wrong, unless a format is given.
    """
    raw = table.frame[column]
    if raw.dtype == pl.Date or isinstance(raw.dtype, pl.Datetime):
        fine: Literal["us", "ns"] = "ns" if getattr(raw.dtype, "time_unit", None) == "ns" else "us"
        ticks, per_second = raw.cast(pl.Datetime(fine)).dt.epoch(fine), _PER_SECOND[fine]
    elif time_format is not None:
        ticks, per_second = _by_format(raw.cast(pl.String), time_format), _MICRO
    else:
        plain = raw if raw.dtype != pl.Boolean else pl.Series(raw.name, [None] * len(raw), dtype=pl.Int64)
        numbers = numbers_of(plain, table.dialect.decimal)
        numeric = raw.dtype != pl.String or numbers.count() * 2 >= raw.count()
        ticks, per_second = _from_numbers(table, column, numbers, unit) if numeric else (_from_text(raw), _MICRO)
    late = pl.Series([False]) if time_format is not None else ticks >= _LAST * per_second
    wrong = (ticks.is_null() | (ticks < 0) | late).fill_null(True)

    def reason(row: int) -> str:
        if raw[row] is None:
            return "the time is empty"
        if ticks[row] is None:
            return f"the time {shown(raw[row])} cannot be understood"
        number = raw.dtype.is_numeric() or re.fullmatch(r"\s*-?[\d.]+\s*", str(raw[row])) is not None
        if ticks[row] < 0 and number:
            return f"the time {shown(raw[row])} is negative"
        how = f" (read in {_words(per_second)})" if number and time_format is None else ""
        return f"the time {shown(raw[row])} lies in the year {_year(ticks[row] // per_second)}{how}"

    hint = _hint(raw, ticks, wrong, per_second) if wrong.any() else ""
    return Checked(column, ticks, wrong, reason, hint), per_second


def _words(per_second: int) -> str:
    return {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}[per_second]


def _year(second: int) -> str:
    """The year of a second, however far away."""
    return (
        f"{1970 + int(second // 31_556_952):,}"
        if abs(second) > 250_000_000_000
        else str((_EPOCH + timedelta(seconds=int(second))).year)
    )


def _hint(raw: pl.Series, ticks: pl.Series, wrong: pl.Series, per_second: int) -> str:
    row = first(wrong)
    none = f"or read the log without times ({option('timestamp', None)})"
    if not offered("timestamp", "time_format", "unit"):
        return "correct that row"
    if ticks[row] is None and isinstance(raw[row], str) and re.match(r"\s*\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}", raw[row]):
        sign = re.sub(r"\d", "", raw[row].strip())[0]
        american, european = (
            option("time_format", sign.join(order)) for order in (("%m", "%d", "%Y"), ("%d", "%m", "%Y"))
        )
        return f"say how dates are written: {american} (month first) or {european} (day first), with %H:%M:%S for hours"
    if ticks[row] is not None and ticks[row] > 0:
        fits = [name for name, n in _PER_SECOND.items() if 946_684_800 <= ticks[row] // n < _LAST and n != per_second]
        return f"the unit may be another: {option('unit', fits[0] if fits else 'ms')}, {none}"
    return (
        f"use Unix seconds or ISO dates (2020-01-31T12:00:00), name another {option('time_format', '%Y-%m-%d')}, {none}"
    )


def _by_format(text: pl.Series, time_format: str) -> pl.Series:
    """Microseconds of texts in a format of strptime, null where one does not fit."""
    try:
        moments = text.str.strip_chars().str.to_datetime(time_format, time_unit="us", strict=False)
        return moments.dt.epoch("us")
    except pl.exceptions.PolarsError:
        return pl.Series(text.name, [_strptime(value, time_format) for value in text], dtype=pl.Int64)


def _strptime(value: str | None, time_format: str) -> int | None:
    try:
        return (
            None
            if value is None
            else (utc(datetime.strptime(value.strip(), time_format)) - _EPOCH) // timedelta(microseconds=1)
        )
    except ValueError:
        return None


def _from_numbers(table: Table, column: str, numbers: pl.Series, unit: Unit) -> tuple[pl.Series, int]:
    """Ticks, null where a value is no number, and the number of ticks in a second."""
    if numbers.dtype.is_float():
        numbers = numbers.cast(pl.Float64).fill_nan(None)
        numbers = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()
    if (days := _compact(table, column, numbers, unit)) is not None:
        return days, _MICRO
    if unit == "auto":
        sizes = numbers.filter(numbers > 0)
        guesses = {_guess(float(value)) for value in (sizes.min(), sizes.max()) if isinstance(value, (int, float))}
        if len(guesses) > 1:
            what = f"the times mix units ({' and '.join(sorted(guesses))})"
            hint = f"say which unit they are in: {option('unit', 's')}, ms, us or ns"
            raise MatineeError(what, where=f"{table.name}, column '{column}'", hint=hint)
        factor = _PER_SECOND[guesses.pop()] if guesses else 1
    else:
        factor = _PER_SECOND[unit]
        _warn_of_1970(numbers, unit, f"{table.name}, column '{column}'")
    if numbers.dtype.is_float():
        micros = numbers / (factor / _MICRO) if factor >= _MICRO else numbers * (_MICRO / factor)
        return micros.floor().cast(pl.Int64, strict=False), _MICRO
    return numbers.cast(pl.Int64, strict=False), factor


def _warn_of_1970(numbers: pl.Series, unit: str, where: str) -> None:
    """A MatineeWarning where a unit that was given puts every time into 1970, and a coarser one does not."""
    last = numbers.max()
    if not isinstance(last, (int, float)) or not 0 < last < _PER_SECOND[unit] * _YEAR:
        return
    guess = _guess(float(last))
    if _PER_SECOND[guess] < _PER_SECOND[unit] and _PER_SECOND[guess] * _SINCE <= last < _PER_SECOND[guess] * _LAST:
        when = (_EPOCH + timedelta(seconds=last / _PER_SECOND[guess])).year
        text = f"{where}: by the unit {unit} every event is of 1970; {option('unit', guess)} has them end in {when}"
        warnings.warn(text, MatineeWarning, stacklevel=2)


def _compact(table: Table, column: str, numbers: pl.Series, unit: Unit) -> pl.Series | None:
    """Microseconds of whole numbers that are dates, such as 20140407. Raises MatineeError for bare years and where some
    numbers are dates and others none. None: they are neither. With a unit they are numbers, with a MatineeWarning."""
    if numbers.dtype.is_float() and (numbers != numbers.floor()).any():
        return None
    where = f"{table.name}, column '{column}'"
    years = numbers.is_between(*_YEARS)
    if unit == "auto" and _most(years):
        found = numbers.filter(years).cast(pl.Int64).sort()
        hint = f"say {option('time_format', '%Y')} if they are years, or {option('unit', 's')} if they count seconds"
        raise MatineeError(f"the times from {found[0]} to {found[-1]} look like years", where=where, hint=hint)
    if not _most(numbers.is_between(*_COMPACT)):
        return None
    text = numbers.cast(pl.Int64, strict=False).cast(pl.String)
    days = text.str.to_date("%Y%m%d", strict=False)
    if unit != "auto":
        if days.null_count() * 2 < len(days):
            text_of = f"{where}: numbers such as {text[0]} look like dates, and are read by the unit"
            warnings.warn(text_of, MatineeWarning, stacklevel=2)
        return None
    if days.null_count() > numbers.null_count():
        if (days.null_count() - numbers.null_count()) * 2 > len(days):
            return None
        row = first(days.is_null() & numbers.is_not_null())
        hint = f"correct that row, or say {option('unit', 's')} if the times count seconds"
        raise table.error(f"{text[row]} is no date, as the other times are", row, column, hint=hint)
    return days.cast(pl.Datetime("us")).dt.epoch("us")


def _most(which: pl.Series) -> bool:
    """Whether most values that are there are of a kind."""
    return int(which.sum()) * 2 > which.count()


def _guess(value: float) -> str:
    return "s" if value < 1e11 else "ms" if value < 1e14 else "us" if value < 1e17 else "ns"


def _from_text(raw: pl.Series) -> pl.Series:
    """Microseconds, null where a text is no date. polars reads the usual form at once, Python each of the rest."""
    text = raw.str.strip_chars()
    plain = text.str.contains(_DAY).fill_null(False).all() and not text.str.ends_with("C").any()
    if not plain:
        text = text.str.replace(r"\s*(UTC|GMT)$", "Z").str.replace(r"^(\d{4})/(\d\d)/(\d\d)", "$1-$2-$3")
    iso = text.str.contains(_DAY).fill_null(False)
    try:
        moments = text.str.to_datetime(time_unit="us", strict=False)
    except pl.exceptions.ComputeError:  # not even the first value fits a pattern
        moments = pl.Series(raw.name, [None] * len(raw), dtype=pl.Datetime("us"))
    micros = pl.select(pl.when(iso).then(moments.dt.epoch("us"))).to_series()
    if (micros.is_null() & iso).any():
        by_text = {value: _iso_micros(value) for value in text.filter(micros.is_null() & iso).unique().to_list()}
        late = text.replace_strict(by_text, default=None, return_dtype=pl.Int64)
        micros = pl.select(pl.coalesce(micros, late)).to_series()
    if not plain and (~iso).any():
        english = text.str.to_datetime(_ENGLISH, time_unit="us", strict=False).dt.epoch("us")
        micros = pl.select(pl.coalesce(micros, english)).to_series()
    return micros


def _iso_micros(text: str) -> int | None:
    if re.match(_DAY, text) is None:
        return None
    text = text[:10] + re.sub(r"(?<![\d.])(\d)(?!\d)", r"0\1", text[10:])  # 5:07 for 05:07, as polars reads it
    try:
        return (utc(datetime.fromisoformat(text.strip())) - _EPOCH) // timedelta(microseconds=1)
    except ValueError:
        return None
