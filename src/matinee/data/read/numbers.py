"""Columns of text, numbers or anything -> numbers, and what is said of values that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from matinee.data.read.tables import Table
from matinee.errors import MatineeError


class Checked(NamedTuple):
    """A column with its wrong values marked. wrong: bool (n,). reason: what is wrong with row r."""

    column: str
    values: pl.Series
    wrong: pl.Series
    reason: Callable[[int], str]
    hint: str

    def error(self, table: Table) -> MatineeError:
        """Of the first row that is wrong."""
        row = first(self.wrong)
        return table.error(self.reason(row), row, self.column, hint=self.hint)


def shown(value: object) -> str:
    """A value for a message, which may be long where a file is broken."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text) - 2:,} characters)"


def first(mask: pl.Series) -> int:
    return mask.arg_max() or 0


def integers_of(text: pl.Series) -> pl.Series | None:
    """Int64 when every value is a canonical integer, else None."""
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() > text.null_count():
        return None
    if (text.str.starts_with("+") | text.str.starts_with("-0")).any():
        return None
    return None if (text.str.starts_with("0") & (text.str.len_bytes() > 1)).any() else numbers


def numbers_of(raw: pl.Series, decimal: str = ".") -> pl.Series:
    """Numbers, null where a value is not one; Float64, or the integers of the column."""
    if raw.dtype == pl.String:
        text = raw.str.strip_chars()
        integers = text.cast(pl.Int64, strict=False)
        if integers.null_count() == raw.null_count():
            return integers
        text = text if decimal == "." else text.str.replace(decimal, ".", literal=True)
        return text.cast(pl.Float64, strict=False)
    if raw.dtype.is_integer() or raw.dtype.is_float():
        return raw
    if raw.dtype == pl.Boolean or raw.dtype.is_decimal():
        return raw.cast(pl.Float64)
    return pl.Series(raw.name, [None] * len(raw), dtype=pl.Float64)
