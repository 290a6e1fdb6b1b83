"""Side tables -> arrays, by a vocabulary that is fitted once, shared by training and serving, and written as JSON.

Row r of the table is row r of the arrays. Nothing is one-hot in memory: a category is an int32 code, a list of names a
row of codes. What is missing or unknown is ordinary: code 0, an empty row, a number marked as missing.
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
from matinee.data.features.vocabulary import AnyField, Kind, Numbers, Vocabularies, column_of, fitted, listed
from matinee.errors import MatineeError

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
        """Learn the vocabularies of these columns; None: of those whose kind is plain, see `kinds`.

        min_count, max_values: a value becomes known when at least so many rows have it, and at most so many values do,
        the most frequent first, equal ones by code point. Codes follow the order of code points. Numbers in buckets
        have at most max_values of them, or 32.
        Raises MatineeError for columns that are not there, cannot be of their kind, or hold infinite numbers.
        """
        wanted = kinds(table) if columns is None else columns
        return cls(
            fields=tuple(fitted(column_of(table, name), kind, min_count, max_values) for name, kind in wanted.items())
        )

    def encode(self, table: pl.DataFrame) -> Encoded:
        """The table's rows by these vocabularies. Values never seen are unknown, and absent columns missing.

        Raises MatineeError when not one of the fields is there, a column is of another kind, or a number is not finite.
        """
        there = [field for field in self.fields if field.name in table.columns]
        if self.fields and not there:
            raise MatineeError(
                f"the table has none of the columns {listed([field.name for field in self.fields])}",
                hint=f"name them so; it has {listed(table.columns)}",
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
