"""Raw columns -> checked ids, ratings and times. Each refusal names the table, the row and the column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.filters import utc
from matinee.data.read.options import AUTO, Unit
from matinee.data.read.tables import Table
from matinee.errors import MatineeError


# Tried in this order; case and underscores do not matter: userId, USER_ID and user_id are one name.
NAMES = {
    "user_id": ("userid", "user", "uid"),
    "item_id": ("itemid", "item", "movieid", "movie"),
    "rating": ("rating", "rate", "stars"),
    "timestamp": ("timestamp", "time", "datetime"),
}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MICRO = _PER_SECOND["us"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = r"^\d{4}-\d\d-\d\d"


class Times(NamedTuple):
    """seconds: int64 (n,) Unix seconds, none negative. order: int64 (n,), the rows sorted by the times as written,
    where these are finer than seconds and the rows are not in that order."""

    seconds: NDArray[np.int64]
    order: NDArray[np.int64] | None = None


def find_column(table: Table, role: str, name: str | None, *, required: bool) -> str | None:
    """The table's column for a role ("user_id", ...): the one named, or the first usual name that is there."""
    there = table.frame.columns
    if name is None or name in there:
        return name
    plain = {column.lower().replace("_", ""): column for column in reversed(there)}
    usual = [plain[usual] for usual in NAMES[role] if usual in plain]
    if name in (AUTO, role) and usual:
        return usual[0]
    if name == AUTO and not required:
        return None
    if len(there) == 1 and table.is_text and role in ("user_id", "item_id"):
        hint = 'format = "sequences" reads a user and their items a line, "sessions" a session of items a line; '
        hint += "separator names another sign between columns"
        raise MatineeError(f"there is only one column, {there[0][:40]!r}", where=table.name, hint=hint)
    wanted = f"column for {role}" if name == AUTO else f"column '{name}'"
    hint = f'name it: {role}="..." (--{role.replace("_", "-")} on the command line, columns in a recipe)'
    raise MatineeError(f"there is no {wanted}; it has {', '.join(map(repr, there[:20]))}", where=table.name, hint=hint)


def id_column(table: Table, column: str) -> pl.Series:
    """Ids as Int64 or String. A text file's ids stay text here: unify_ids decides for all tables at once."""
    ids = table.frame[column]
    if isinstance(ids.dtype, (pl.Categorical, pl.Enum)):
        ids = ids.cast(pl.String)
    if len(ids) == 0:
        return ids.cast(pl.String)  # an empty log is refused as a whole
    if ids.null_count() or (ids.dtype == pl.String and (ids == "").any()):
        row = _first(ids.is_null() | (ids == "") if ids.dtype == pl.String else ids.is_null())
        raise table.error("the id is empty", row, column, hint="fill it in or remove the row")
    if ids.dtype == pl.String or ids.dtype == pl.Int64:
        return ids
    if not (ids.dtype.is_integer() or ids.dtype.is_float()):
        what = f"ids of type {ids.dtype} are not supported"
        raise MatineeError(what, where=f"{table.name}, column '{column}'", hint="convert them to integers or text")
    whole = ids.cast(pl.Int64, strict=False)  # pandas turns integers into floats where a column once had a gap
    wrong = whole.is_null() | (whole.cast(ids.dtype) != ids)
    if wrong.any():
        row = _first(wrong)
        raise table.error(f"{ids[row]!r} is not a 64-bit integer", row, column, hint="convert the ids to text")
    return whole


def unify_ids(columns: Sequence[tuple[pl.Series, bool]]) -> list[pl.Series]:
    """Give the id columns of several tables one type. columns: (ids, True where they were read from a text file).

    Text becomes Int64 only when every id of every text column is a canonical integer ("7", not "007" or "7.0") and no
    dataframe holds strings: nothing is lost, and 7 in a Parquet log matches "7" in a CSV table.
    """
    strings_by_choice = any(ids.dtype == pl.String and not is_text for ids, is_text in columns)
    integers = [_integers(ids) if ids.dtype == pl.String else ids for ids, _ in columns]
    if strings_by_choice or any(ids is None for ids in integers):
        if all(ids.dtype == pl.String or is_text for ids, is_text in columns):
            return [ids.cast(pl.String) for ids, _ in columns]
        return [ids for ids, _ in columns]  # a real mixture: IdMap refuses it
    return [ids for ids in integers if ids is not None]


def rating_column(table: Table, column: str) -> NDArray[np.float32]:
    """float32 (n,), all finite."""
    raw = table.frame[column]
    values = _numbers(raw).cast(pl.Float32)
    good = values.is_finite().fill_null(False)
    if good.all():
        return values.to_numpy()
    row = _first(~good)
    what = f"the rating is not a finite number: {raw[row]!r}" if raw[row] is not None else "the rating is empty"
    hint = "correct or remove the row, or read the log without ratings (rating=None)"
    raise table.error(what, row, column, hint=hint)


def time_column(table: Table, column: str, unit: Unit = "auto") -> Times:
    """Unix seconds of a column of numbers, dates or ISO text. Dates and times without a zone are UTC.

    unit "auto": numbers are seconds below 1e11 (the year 5138), milliseconds below 1e14, microseconds below 1e17 and
    nanoseconds above; a log whose numbers disagree is refused.
    """
    raw = table.frame[column]
    if raw.dtype == pl.Date or isinstance(raw.dtype, pl.Datetime):
        fine: Literal["us", "ns"] = "ns" if getattr(raw.dtype, "time_unit", None) == "ns" else "us"
        ticks, per_second = raw.cast(pl.Datetime(fine)).dt.epoch(fine), _PER_SECOND[fine]
    else:
        numbers = _numbers(raw if raw.dtype != pl.Boolean else pl.Series(raw.name, [None] * len(raw), dtype=pl.Int64))
        numeric = raw.dtype != pl.String or numbers.count() * 2 >= raw.count()
        ticks, per_second = _from_numbers(table, column, numbers, unit) if numeric else (_from_iso(raw), _MICRO)
    wrong = (ticks.is_null() | (ticks < 0)).fill_null(True)
    if not wrong.any():
        whole = ticks.to_numpy()
        # a log's order is that of time within a second, so what is finer than a second is kept as an order
        finer = per_second > 1 and bool((whole % per_second).any()) and bool((np.diff(whole) < 0).any())
        return Times(whole // per_second, np.argsort(whole, kind="stable") if finer else None)
    row = _first(wrong)
    text = f"the time {raw[row]!r} " + ("is negative" if ticks[row] is not None else "cannot be understood")
    hint = "use Unix seconds or ISO dates (2020-01-31T12:00:00), or read the log without times (timestamp=None)"
    raise table.error(text if raw[row] is not None else "the time is empty", row, column, hint=hint)


def _iso_micros(text: str) -> int | None:
    if re.match(_DAY, text) is None:
        return None
    try:
        return (utc(datetime.fromisoformat(text.strip())) - _EPOCH) // timedelta(microseconds=1)
    except ValueError:
        return None


def guess_types(frame: pl.DataFrame, *, keep: Sequence[str] = ()) -> pl.DataFrame:
    """Columns of a text file as numbers where all their values are: canonical integers, or finite decimals."""
    changed = []
    for column in frame.iter_columns():
        if column.dtype != pl.String or column.name in keep or column.null_count() == len(column):
            continue
        typed = _integers(column)
        if typed is None:
            floats = column.cast(pl.Float64, strict=False)
            plain = column.drop_nulls().str.contains(r"^-?(0|[1-9]\d*)(\.\d+)?$").all()
            typed = floats if plain and floats.null_count() == column.null_count() else None
        if typed is not None:
            changed.append(typed)
    return frame.with_columns(changed)


def _integers(text: pl.Series) -> pl.Series | None:
    """Int64 when every value is a canonical integer, else None."""
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() > text.null_count() or not (numbers.cast(pl.String) == text).all():
        return None
    return numbers


def _numbers(raw: pl.Series) -> pl.Series:
    """Numbers, null where a value is not one; Float64, or the integers of the column."""
    if raw.dtype == pl.String:
        text = raw.str.strip_chars()
        integers = text.cast(pl.Int64, strict=False)
        return integers if integers.null_count() == raw.null_count() else text.cast(pl.Float64, strict=False)
    if raw.dtype.is_integer() or raw.dtype.is_float():
        return raw
    if raw.dtype == pl.Boolean or raw.dtype.is_decimal():
        return raw.cast(pl.Float64)
    return pl.Series(raw.name, [None] * len(raw), dtype=pl.Float64)


def _from_numbers(table: Table, column: str, numbers: pl.Series, unit: Unit) -> tuple[pl.Series, int]:
    """Ticks, null where a value is no number, and the number of ticks in a second."""
    if numbers.dtype.is_float():
        numbers = numbers.cast(pl.Float64).fill_nan(None)
        numbers = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()
    if unit == "auto":
        sizes = numbers.filter(numbers > 0)
        guesses = {_guess(float(value)) for value in (sizes.min(), sizes.max()) if isinstance(value, (int, float))}
        if len(guesses) > 1:
            what = f"the times mix units ({' and '.join(sorted(guesses))})"
            hint = 'say which unit they are in: unit="s", "ms", "us" or "ns"'
            raise MatineeError(what, where=f"{table.name}, column '{column}'", hint=hint)
        factor = _PER_SECOND[guesses.pop()] if guesses else 1
    else:
        factor = _PER_SECOND[unit]
    if numbers.dtype.is_float():
        micros = numbers / (factor / _MICRO) if factor >= _MICRO else numbers * (_MICRO / factor)
        return micros.floor().cast(pl.Int64, strict=False), _MICRO
    return numbers.cast(pl.Int64, strict=False), factor


def _guess(value: float) -> str:
    return "s" if value < 1e11 else "ms" if value < 1e14 else "us" if value < 1e17 else "ns"


def _from_iso(raw: pl.Series) -> pl.Series:
    """Microseconds, null where a text is no ISO date. polars reads the usual form at once, Python each of the rest."""
    text = raw.str.strip_chars()
    iso = text.str.contains(_DAY).fill_null(False)
    try:
        moments = text.str.to_datetime(time_unit="us", strict=False)
    except pl.exceptions.ComputeError:  # not even the first value fits a pattern
        moments = pl.Series(raw.name, [None] * len(raw), dtype=pl.Datetime("us"))
    micros = pl.select(pl.when(iso).then(moments.dt.epoch("us"))).to_series()
    if (micros.is_null() & iso).any():
        by_text = {value: _iso_micros(value) for value in text.filter(micros.is_null() & iso).unique().to_list()}
        late = text.replace_strict(by_text, default=None, return_dtype=pl.Int64)
        return pl.select(pl.coalesce(micros, late)).to_series()
    return micros


def _first(mask: pl.Series) -> int:
    return mask.arg_max() or 0
