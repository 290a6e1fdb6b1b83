"""Vocabularies: how one column of a table becomes codes or numbers. Fitted once, kept as JSON.

Code 0 means missing or unknown; a category is an int32 code, a list of names a row of codes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.features.vectors import dense, dense_of
from matinee.errors import MatineeError, suggestion

Kind = Literal["categorical", "multi", "numeric", "bucket"]
DatePart = Literal["year", "month", "decade", "weekday", "hour"]

BUCKETS = 32
LAST_SECOND = 253_402_300_799  # of the year 9999


class Strict(BaseModel):
    """Values of another type, further fields and infinite numbers in JSON are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Vocabularies(Strict):
    """Fitted vocabularies, shared by training and serving, as JSON and back."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """What `to_dict` gave. Raises MatineeError for anything else."""
        try:
            return cls.model_validate_json(json.dumps(values))
        except (ValidationError, TypeError, ValueError, RecursionError) as error:
            said = str(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                said = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
            raise MatineeError(f"not a vocabulary of features ({said})", hint="write it again with to_dict") from None


class _Field(Strict):
    name: str = Field(min_length=1)


class _Vocabulary(_Field):
    """values[c - 1] is the value of code c, as text; 0 is every other value."""

    values: tuple[str, ...]

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if "" in values or len(set(values)) < len(values):
            raise ValueError("the values are not distinct, or one is empty")
        return values

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={value}" for value in self.values)

    @property
    def n_codes(self) -> int:
        """The number of codes without 0."""
        return len(self.values)

    def codes(self, text: pl.Series) -> Ints:
        """int32 codes, (n,): 0 where the text is null or not in the vocabulary."""
        numbered = pl.Series(np.arange(1, len(self.values) + 1, dtype=np.int32))
        known = pl.Series(self.values, dtype=pl.String)
        return text.replace_strict(known, numbered, default=0, return_dtype=pl.Int32).fill_null(0).to_numpy()


class Categorical(_Vocabulary):
    """One value a row."""

    kind: Literal["categorical"] = "categorical"

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> Categorical:
        return cls(name=column.name, values=_frequent(_text(column), min_count, max_values))

    def encode(self, column: pl.Series) -> Ints:
        """int32 (n,)."""
        return self.codes(_text(column))

    def missing(self, column: pl.Series) -> Bools:
        """bool (n,): true where the row has no value, known or not."""
        return _text(column).is_null().to_numpy()


class MultiValued(_Vocabulary):
    """A list of values a row, in no order; a value counts once."""

    kind: Literal["multi"] = "multi"

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> MultiValued:
        return cls(name=column.name, values=_frequent(_exploded(column)["value"], min_count, max_values))

    def encode(self, column: pl.Series) -> Ragged:
        """int32 (n rows) of distinct codes, in the order of the list; one 0 for all unknown values."""
        long = _exploded(column)
        long = long.select("row", code=pl.Series(self.codes(long["value"]))).unique(maintain_order=True)
        return Ragged.from_rows(long["row"].to_numpy(), long["code"].to_numpy(), len(column))


class Numeric(_Field):
    """A number a row, standardised: (x - mean) / scale."""

    kind: Literal["numeric"] = "numeric"
    mean: float
    scale: float = Field(gt=0.0)

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> Numeric:
        raw = _finite(column)
        there = raw[~np.isnan(raw)]
        if not len(there) or there.min() == there.max():  # the std of equal numbers may be a rounding error
            return cls(name=column.name, mean=float(there[0]) if len(there) else 0.0, scale=1.0)
        return cls(name=column.name, mean=float(there.mean()), scale=float(there.std()) or 1.0)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.name, f"{self.name} is known"

    @property
    def n_codes(self) -> int:
        return 1  # for a number that is known

    def encode(self, column: pl.Series) -> Numbers:
        """n numbers. Raises MatineeError where one is infinite, or too large for float32."""
        raw = _numbers(column)
        number = (raw - self.mean) / self.scale
        _check_finite(column, raw, number)
        return Numbers(np.nan_to_num(number).astype(np.float32), np.isnan(raw))


class Bucketed(_Field):
    """A number a row, as its bucket: b has the numbers from lower[b - 2] up to lower[b - 1], the first and the last
    bucket all numbers beyond."""

    kind: Literal["bucket"] = "bucket"
    lower: tuple[float, ...]

    @field_validator("lower")
    @classmethod
    def _ascending(cls, lower: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(lower)):
            raise ValueError("the limits of the buckets do not ascend")
        return lower

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> Bucketed:
        """At most max_values buckets (None: 32): one for each number, or as many of about equal size."""
        numbers = _finite(column)
        numbers = np.sort(numbers[~np.isnan(numbers)])
        n = max(1, BUCKETS if max_values is None else max_values)
        distinct = numbers[np.diff(numbers, prepend=-np.inf) > 0]
        if len(distinct) > n:
            cuts = numbers[len(numbers) * np.arange(1, n) // n]
            distinct = np.concatenate([distinct[:1], cuts[np.diff(cuts, prepend=distinct[0]) > 0]])
        return cls(name=column.name, lower=tuple(distinct[1:].tolist()))

    @property
    def labels(self) -> tuple[str, ...]:
        first = f"{self.name}<{self.lower[0]:.12g}" if self.lower else f"{self.name} is known"
        return first, *(f"{self.name}>={low:.12g}" for low in self.lower)

    @property
    def n_codes(self) -> int:
        return 1 + len(self.lower)

    def encode(self, column: pl.Series) -> Ints:
        """int32 (n,): the bucket, from 1; 0 where there is no number."""
        return self.codes(_finite(column))

    def codes(self, numbers: NDArray[np.floating[Any]]) -> Ints:
        """int32 codes of (n, ...) numbers, as `encode`; NaN has code 0."""
        codes = 1 + np.searchsorted(np.array(self.lower), numbers, side="right").astype(np.int32)
        return np.where(np.isnan(numbers), np.int32(0), codes)


class Vectors(_Field):
    """A dense vector a row, of `size` numbers."""

    kind: Literal["vector"] = "vector"
    size: int = Field(ge=1)

    @classmethod
    def fit(cls, column: pl.Series) -> Vectors:
        """Raises MatineeError where these are no lists of numbers, of one length, or where there is none."""
        size = dense(_lists_of_numbers(column)).shape[1]
        if not size:
            what = f"column '{column.name}' has no vector of a row that has an event"
            raise MatineeError(what, hint="leave the field out, or check whose vectors they are")
        return cls(name=column.name, size=size)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"{self.name} {place}" for place in range(self.size))

    @property
    def n_codes(self) -> int:
        return self.size

    def encode(self, column: pl.Series) -> tuple[Floats, Bools]:
        """float32 (n, size), vectors over their lengths, 0 where there is none, which bool (n,) says. Raises
        MatineeError for vectors of another length."""
        found = dense_of(_lists_of_numbers(column), self.size)
        length = np.sqrt((found.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        return (found / np.maximum(length, 1e-12)).astype(np.float32), column.is_null().to_numpy()


@dataclass(frozen=True)
class Numbers:
    """value: float32 (n,), standardised; 0 where `missing`, bool (n,)."""

    value: Floats
    missing: Bools


AnyField = Annotated[Categorical | MultiValued | Numeric | Bucketed, Field(discriminator="kind")]
_FIELDS = {kind.model_fields["kind"].default: kind for kind in (Categorical, MultiValued, Numeric, Bucketed)}


def fitted(column: pl.Series, kind: Kind, min_count: int, max_values: int | None) -> AnyField:
    """A column's vocabulary. Raises MatineeError where it cannot be of this kind, or has infinite numbers."""
    if min_count < 1 or (max_values is not None and max_values < 0):
        hint = "pass min_count of 1 or more, and max_values of 0 or more, or None"
        raise MatineeError(f"min_count = {min_count}, max_values = {max_values}", hint=hint)
    if kind not in _FIELDS:
        raise MatineeError(f"unknown kind '{kind}' of column '{column.name}'", hint=suggestion(kind, get_args(Kind)))
    return _FIELDS[kind].fit(column, min_count, max_values)


def _lists_of_numbers(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if kind != pl.Null and not (isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()):
        hint = "leave it out, or name it without :vector"
        raise MatineeError(f"column '{column.name}' has the type {kind}, not vectors", hint=hint)
    return column


def column_of(table: pl.DataFrame, name: str) -> pl.Series:
    """Raises MatineeError naming near misses when the table has no such column."""
    if name not in table.columns:
        raise MatineeError(f"the table has no column '{name}'", hint=suggestion(name, table.columns))
    return table[name]


def date_part(column: pl.Series, part: DatePart) -> pl.Series:
    """A part of dates or moments (weekday 1 = Monday .. 7), or the year or decade of whole years: integers, null where
    it is missing. Raises MatineeError for columns of other types."""
    kind = column.dtype
    if kind == pl.Date or isinstance(kind, pl.Datetime):
        if part == "hour" and kind == pl.Date:
            raise MatineeError(f"column '{column.name}' has dates, which have no hour", hint="use its weekday")
        number: pl.Series = getattr(column.dt, "year" if part == "decade" else part)()
    elif part in ("year", "decade") and (kind.is_numeric() or kind == pl.Null):
        number = pl.Series(column.name, np.floor(_finite(column)), nan_to_null=True)
    else:
        hint = 'convert it to dates, e.g. table.with_columns(pl.col("released").str.to_date())'
        raise MatineeError(f"column '{column.name}' has the type {kind}, which has no {part}", hint=hint)
    number = number.cast(pl.Int64, strict=False)
    return (number // 10 * 10 if part == "decade" else number).alias(column.name)


def moments(seconds: NDArray[np.int64]) -> pl.Series:
    """UTC moments of Unix seconds, null where they are negative. Raises MatineeError for times after the year 9999."""
    if len(seconds) and seconds.max() > LAST_SECOND:
        row = int(seconds.argmax())
        hint = 'is it in milliseconds? read the log with unit="ms"'
        raise MatineeError(f"the time {seconds[row]} is after the year 9999", where=f"row {row + 1}", hint=hint)
    known = pl.Series("time", seconds).cast(pl.Int64)
    return pl.from_epoch(known.set(known < 0, None), time_unit="s")


def _text(column: pl.Series) -> pl.Series:
    """Values as text, null where there is none. 7, 7.0 and "7" are equal: a missing value makes integers floats."""
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        hint = "read it as multi, or leave it out"
        raise MatineeError(f"column '{column.name}' has the type {column.dtype}, not single values", hint=hint)
    text = column.cast(pl.String)
    if column.dtype.is_float():
        whole = (column == column.floor()) & (column.abs() < 2.0**53)
        integer = column.cast(pl.Int64, strict=False).cast(pl.String)
        text = pl.select(pl.when(column.is_nan()).then(None).when(whole).then(integer).otherwise(text)).to_series()
    return text.replace("", None).alias(column.name)


def _exploded(column: pl.Series) -> pl.DataFrame:
    """row, value: one row for each distinct value of each list; nothing for missing and empty lists."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if column.dtype == pl.Null:
        column = column.cast(pl.List(pl.String))
    if not isinstance(column.dtype, pl.List):
        hint = 'split it, e.g. table.with_columns(pl.col("genres").str.split("|"))'
        raise MatineeError(f"column '{column.name}' has the type {column.dtype}, not lists", hint=hint)
    long = pl.DataFrame({"row": np.arange(len(column)), "value": column}).explode("value")
    text = _text(long["value"].alias(column.name)).alias("value")
    return long.with_columns(text).drop_nulls().unique(maintain_order=True)


def _frequent(text: pl.Series, min_count: int, max_values: int | None) -> tuple[str, ...]:
    """The most frequent values, sorted by code point."""
    counts = text.drop_nulls().alias("value").value_counts(name="n").filter(pl.col("n") >= min_count)
    counts = counts.sort("n", "value", descending=[True, False])
    return tuple(counts["value"].head(len(counts) if max_values is None else max_values).sort().to_list())


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    """float64 (n,), NaN where it is missing. Text is read as a number."""
    kind = column.dtype
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
        what = f"column '{column.name}' has the type {kind}, not numbers"
        raise MatineeError(what, hint="convert it, or leave it out")
    values = column.replace("", None) if kind == pl.String else column
    numbers = values.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & values.is_not_null()
    if wrong.any():
        _refuse(column, int(wrong.arg_max() or 0))
    return numbers.fill_null(np.nan).to_numpy().astype(np.float64, copy=False)


def _finite(column: pl.Series) -> NDArray[np.float64]:
    """float64 (n,), as `_numbers`, none infinite."""
    numbers = _numbers(column)
    _check_finite(column, numbers, numbers)
    return numbers


def _check_finite(column: pl.Series, raw: NDArray[np.float64], number: NDArray[np.float64]) -> None:
    """Raise MatineeError where a number, or the number made from it, is infinite or too large for float32."""
    wrong = ~np.isnan(raw) & ~(np.abs(number) <= np.finfo(np.float32).max)
    if wrong.any():
        _refuse(column, int(wrong.argmax()))


def _refuse(column: pl.Series, row: int) -> None:
    what = f"{column[row]!r} is not a finite number"
    raise MatineeError(what, where=f"row {row + 1}, column '{column.name}'", hint="correct it, or leave it empty")
