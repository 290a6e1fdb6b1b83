"""Side tables -> arrays, by a vocabulary that is fitted once, shared by training and serving, and written as JSON.

Row r of the table is row r of the arrays. Nothing is one-hot in memory: a category is an int32 code, a list of names a
row of codes. What is missing or unknown is ordinary: code 0, an empty row, a number marked as missing.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from matinee.data.dataset import Bools, Floats, Ints, Ragged
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Kind = Literal["categorical", "multi", "numeric"]


# --- fields: one column each, and its vocabulary ----------------------------------------------------------------------


class _Field(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str = Field(min_length=1)


class _Vocabulary(_Field):
    """values[c - 1] is what code c stands for, as text; 0 is every other value."""

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

    def codes(self, text: pl.Series) -> Ints:
        """int32, 0 where the text is null or not in the vocabulary."""
        codes = text.replace_strict(
            pl.Series(self.values, dtype=pl.String),
            pl.Series(np.arange(1, len(self.values) + 1, dtype=np.int32)),
            default=0,
            return_dtype=pl.Int32,
        )
        return codes.fill_null(0).to_numpy()


class Categorical(_Vocabulary):
    """One value a row."""

    kind: Literal["categorical"] = "categorical"

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> Categorical:
        return cls(name=column.name, values=_frequent(_text(column), min_count, max_values))

    def encode(self, column: pl.Series) -> Ints:
        """int32 (n,)."""
        return self.codes(_text(column))


class MultiValued(_Vocabulary):
    """A list of values a row, in no order; a value counts once."""

    kind: Literal["multi"] = "multi"

    @classmethod
    def fit(cls, column: pl.Series, min_count: int, max_values: int | None) -> MultiValued:
        return cls(name=column.name, values=_frequent(_exploded(column)["value"], min_count, max_values))

    def encode(self, column: pl.Series) -> Ragged:
        """n rows of distinct codes, in the order of the list; 0 stands once for all that is unknown."""
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
        raw = _numbers(column)
        _check_finite(column, raw, raw)
        there = raw[~np.isnan(raw)]
        if not len(there) or there.min() == there.max():  # the std of equal numbers may be a rounding error
            return cls(name=column.name, mean=float(there[0]) if len(there) else 0.0, scale=1.0)
        return cls(name=column.name, mean=float(there.mean()), scale=float(there.std()) or 1.0)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.name, f"{self.name} is known"

    def encode(self, column: pl.Series) -> Numbers:
        raw = _numbers(column)
        number = (raw - self.mean) / self.scale
        _check_finite(column, raw, number)
        return Numbers(np.nan_to_num(number).astype(np.float32), np.isnan(raw))


@dataclass(frozen=True)
class Numbers:
    """value: float32 (n,), standardised, 0 where `missing` (n,)."""

    value: Floats
    missing: Bools


AnyField = Annotated[Categorical | MultiValued | Numeric, Field(discriminator="kind")]
_FIELDS: dict[Kind, type[Categorical | MultiValued | Numeric]] = {
    "categorical": Categorical,
    "multi": MultiValued,
    "numeric": Numeric,
}


# --- a table's fields together ----------------------------------------------------------------------------------------


class Fields(BaseModel):
    """The fields of a table and their vocabularies, in the table's order. May be empty."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    fields: tuple[AnyField, ...] = ()

    @field_validator("fields")
    @classmethod
    def _named_once(cls, fields: tuple[AnyField, ...]) -> tuple[AnyField, ...]:
        if len({field.name for field in fields}) < len(fields):
            raise ValueError("two fields have one name")
        return fields

    @classmethod
    def fit(
        cls,
        table: pl.DataFrame,
        columns: Mapping[str, Kind] | None = None,
        *,
        min_count: int = 1,
        max_values: int | None = None,
    ) -> Fields:
        """Learn the vocabularies of these columns; None: of those whose kind is plain, see `kinds`.

        min_count, max_values: a value becomes known when at least so many rows have it, and at most so many values do,
        the most frequent first, equal ones by code point. Codes follow the order of code points.
        Raises MatineeError for columns that are not there, cannot be of their kind, or hold infinite numbers.
        """
        if min_count < 1 or (max_values is not None and max_values < 0):
            raise MatineeError(
                f"min_count = {min_count}, max_values = {max_values}", mend="pass 1 or more, and 0 or more or None"
            )
        fields = []
        for name, kind in (kinds(table) if columns is None else columns).items():
            if name not in table.columns:
                near = difflib.get_close_matches(name, table.columns, n=1)
                raise MatineeError(
                    f"the table has no column '{name}'",
                    mend=f"did you mean '{near[0]}'?" if near else f"use some of {_listed(table.columns)}",
                )
            if kind not in _FIELDS:
                raise MatineeError(f"unknown kind '{kind}' of column '{name}'", mend=f"use {_listed(get_args(Kind))}")
            fields.append(_FIELDS[kind].fit(table[name], min_count, max_values))
        return cls(fields=tuple(fields))

    def encode(self, table: pl.DataFrame) -> Encoded:
        """The table's rows by these vocabularies. Values never seen are unknown, and absent columns missing.

        Raises MatineeError when not one of the fields is there, a column is of another kind, or a number is not finite.
        """
        there = [field for field in self.fields if field.name in table.columns]
        if self.fields and not there:
            raise MatineeError(
                f"the table has none of the columns {_listed([field.name for field in self.fields])}",
                mend=f"name them so; it has {_listed(table.columns)}",
            )
        columns = {
            field.name: field.encode(
                table[field.name] if field in there else pl.Series(field.name, [None] * len(table), dtype=pl.Null)
            )
            for field in self.fields
        }
        return Encoded(self, len(table), columns)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each column of `Encoded.matrix` says: "gender=F", "year", "year is known"."""
        return tuple(label for field in self.fields for label in field.labels)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Any) -> Fields:
        """What `to_dict` gave. Raises MatineeError for anything else."""
        try:
            return cls.model_validate_json(json.dumps(values))
        except (ValidationError, TypeError, ValueError, RecursionError) as error:
            said = str(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                said = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
            raise MatineeError(f"not a vocabulary of features ({said})", mend="write it again with to_dict") from None


@dataclass(frozen=True)
class Encoded:
    """n rows. columns: field name -> int32 (n,) codes, a Ragged of n rows of codes, or Numbers, by the field's kind."""

    fields: Fields
    n: int
    columns: Mapping[str, Ints | Ragged | Numbers]

    def __len__(self) -> int:
        return self.n

    def matrix(self) -> csr_array:
        """csr float32 (n, len(fields.labels)): 1 for each known value; a number, and 1 for its being known.

        Rows of which nothing is known are empty.
        """
        from scipy.sparse import csr_array

        rows, at, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        start = 0
        for field in self.fields.fields:
            column = self.columns[field.name]
            if isinstance(column, Numbers):
                there = np.flatnonzero(~column.missing)
                rows += [there, there]
                at += [np.full(len(there), start), np.full(len(there), start + 1)]
                values += [column.value[there], np.ones(len(there), np.float32)]
            else:
                row, code = (column.rows, column.values) if isinstance(column, Ragged) else (np.arange(self.n), column)
                known = code > 0
                rows.append(row[known])
                at.append(start + code[known].astype(np.int64) - 1)
                values.append(np.ones(int(known.sum()), np.float32))
            start += len(field.labels)
        row, column_at, value = np.concatenate(rows), np.concatenate(at), np.concatenate(values)
        order = np.lexsort((column_at, row))
        offsets = np.searchsorted(row[order], np.arange(self.n + 1))
        return csr_array((value[order], column_at[order].astype(np.int32), offsets), shape=(self.n, start))


def kinds(table: pl.DataFrame) -> dict[str, Kind]:
    """The columns whose kind is plain.

    Lists of text or integers are multi-valued; booleans, and text that repeats (at least half of the rows share their
    value with another row), categorical; numbers numeric, unless named `..._id`. The rest, such as titles, plots, dates
    and columns without a value, is left out.
    """
    found: dict[str, Kind] = {}
    for column in table.iter_columns():
        kind, there = column.dtype, column.drop_nulls()
        if not len(there):
            continue
        if isinstance(kind, pl.List):
            if kind.inner == pl.String or kind.inner.is_integer():
                found[column.name] = "multi"
        elif kind == pl.Boolean or isinstance(kind, (pl.Categorical, pl.Enum)):
            found[column.name] = "categorical"
        elif kind == pl.String:
            if 2 * int(there.is_duplicated().sum()) >= len(there):
                found[column.name] = "categorical"
        elif kind.is_numeric() and not column.name.endswith("_id"):
            found[column.name] = "numeric"
    return found


# --- columns in their plain form --------------------------------------------------------------------------------------


def _text(column: pl.Series) -> pl.Series:
    """Values as text, null where there is none. 7, 7.0 and "7" are one: a missing value makes integers floats."""
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        raise MatineeError(
            f"column '{column.name}' holds {column.dtype}, not single values",
            mend="call it multi-valued, or leave it out",
        )
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
        raise MatineeError(
            f"column '{column.name}' holds {column.dtype}, not lists",
            mend='split it, e.g. table.with_columns(pl.col("genres").str.split("|"))',
        )
    long = pl.DataFrame({"row": np.arange(len(column)), "value": column}).explode("value")
    text = _text(long["value"].alias(column.name)).alias("value")
    return long.with_columns(text).drop_nulls().unique(maintain_order=True)


def _frequent(text: pl.Series, min_count: int, max_values: int | None) -> tuple[str, ...]:
    """The values to know, by code point."""
    counts = text.drop_nulls().alias("value").value_counts(name="n").filter(pl.col("n") >= min_count)
    counts = counts.sort("n", "value", descending=[True, False])
    return tuple(counts["value"].head(len(counts) if max_values is None else max_values).sort().to_list())


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    """float64 (n,), NaN where there is none. Text is read as a number."""
    kind = column.dtype
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
        raise MatineeError(f"column '{column.name}' holds {kind}, not numbers", mend="convert it, or leave it out")
    values = column.replace("", None) if kind == pl.String else column
    numbers = values.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & values.is_not_null()
    if wrong.any():
        _refuse(column, int(wrong.arg_max() or 0))
    return numbers.fill_null(np.nan).to_numpy().astype(np.float64, copy=False)


def _check_finite(column: pl.Series, raw: NDArray[np.float64], number: NDArray[np.float64]) -> None:
    """Raise MatineeError where a number, or what became of it, is infinite or more than float32 holds."""
    wrong = ~np.isnan(raw) & ~(np.abs(number) <= np.finfo(np.float32).max)
    if wrong.any():
        _refuse(column, int(wrong.argmax()))


def _refuse(column: pl.Series, row: int) -> None:
    raise MatineeError(
        f"{column[row]!r} is not a finite number",
        where=f"row {row + 1}, column '{column.name}'",
        mend="correct it, or leave it empty",
    )


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "no column"
