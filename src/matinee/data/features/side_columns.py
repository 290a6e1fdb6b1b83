"""Side tables -> arrays, by vocabularies that are fitted once, shared by training and serving, and kept as JSON.

Row r of the table is row r of the arrays. A category is an int32 code, a list of names a row of codes; nothing is
one-hot in memory. Missing and unknown values are allowed: code 0, an empty row, a number marked as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import field_validator

from matinee.data.arrays import Ints, Ragged
from matinee.data.features.vocabulary import AnyField, Kind, Numbers, Vocabularies, column_of, fitted
from matinee.errors import MatineeError, listed

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Fields(Vocabularies):
    """The fields of a table and their vocabularies, in the table's order. May be empty."""

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
        """Learn the vocabularies of these columns; None: of those whose kind is clear, see `kinds`.

        min_count: the minimum frequency for a value to enter the vocabulary. max_values: the most values to keep, the
        most frequent first, ties by code point; of numbers in buckets the most buckets (None: 32). Codes follow the
        order of code points.
        Raises MatineeError for columns that are missing, cannot be of their kind, or have infinite numbers.
        """
        wanted = kinds(table) if columns is None else columns
        return cls(
            fields=tuple(fitted(column_of(table, name), kind, min_count, max_values) for name, kind in wanted.items())
        )

    def encode(self, table: pl.DataFrame) -> Encoded:
        """The table's rows by these vocabularies. New values are unknown, and the values of absent columns missing.

        Raises MatineeError when the table has none of the fields, a column is of another kind, or a number not finite.
        """
        there = [field for field in self.fields if field.name in table.columns]
        if self.fields and not there:
            what = f"the table has none of the columns {listed([field.name for field in self.fields])}"
            raise MatineeError(what, hint=f"rename its columns; it has {listed(table.columns)}")
        absent = {field.name: pl.lit(None) for field in self.fields if field not in there}
        whole = table.with_columns(**absent)
        return Encoded(self, len(table), {field.name: field.encode(whole[field.name]) for field in self.fields})

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The meaning of each column of `Encoded.matrix`: "gender=F", "year", "year is known"."""
        return tuple(label for field in self.fields for label in field.labels)


@dataclass(frozen=True)
class Encoded:
    """n rows. columns: field name -> int32 (n,) codes, a Ragged of n rows of codes, or Numbers, by the field's kind."""

    fields: Fields
    n: int
    columns: Mapping[str, Ints | Ragged | Numbers]

    def __len__(self) -> int:
        return self.n

    def matrix(self) -> csr_array:
        """csr float32 (n, len(fields.labels)): 1 for each known value; a number, and 1 where it is known. Rows without
        a known value are empty."""
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
    """The columns whose kind is clear. Lists of text or integers are multi-valued; booleans, and text of which at least
    half of the rows share their value with another row, categorical; numbers numeric, unless named `..._id`. The rest,
    such as titles, plots, dates and columns without a value, is left out."""
    found: dict[str, Kind] = {}
    for column in table.iter_columns():
        kind, there = column.dtype, column.drop_nulls()
        if not len(there):
            continue
        shared = kind == pl.String and 2 * int(there.is_duplicated().sum()) >= len(there)
        if isinstance(kind, pl.List) and (kind.inner == pl.String or kind.inner.is_integer()):
            found[column.name] = "multi"
        elif shared or kind == pl.Boolean or isinstance(kind, (pl.Categorical, pl.Enum)):
            found[column.name] = "categorical"
        elif kind.is_numeric() and not column.name.endswith("_id"):
            found[column.name] = "numeric"
    return found
