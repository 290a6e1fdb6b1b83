"""What items are like, as rows of length 1: values of columns, words of titles, and dense vectors, side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from matinee.data.arrays import Floats, unit_rows
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import item_column
from matinee.data.features.side_columns import Fields, kinds
from matinee.data.features.vectors import dense, dense_of, holds_vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from matinee.data.features.vocabulary import Kind

SHARED = 2
"""A value of fewer items says nothing of other items, and is unknown."""
WORD = r"[\p{L}\p{N}]+"


@dataclass(frozen=True)
class Contents:
    """How a table of items becomes features. fields: the vocabularies of columns of values and words. idf: float32
    (columns of fields,), what a value weighs. vectors: column -> length, of those with dense vectors."""

    fields: Fields
    idf: Floats
    vectors: dict[str, int]

    @classmethod
    def fit(cls, table: pl.DataFrame, columns: tuple[str, ...] = ()) -> Contents:
        """Learn the values of these columns; (): of all whose kind is clear, of dense vectors, and of titles.

        Lists have several values; numbers are put into up to 32 buckets; titles, and text of which less than half of
        the rows share their value, are bags of words. idf = 1 + ln((1 + n) / (1 + n_v)), n items of which n_v have the
        value. Raises MatineeError for a column that cannot be read so.
        """
        names = columns or tuple(name for name in table.columns if _clear(table, name))
        vectors = {name: dense(table[name]).shape[1] for name in names if holds_vectors(table[name])}
        read = {name: _kind(table, name) for name in names if name not in vectors}
        fields = Fields.fit(
            _words(table, read), {name: kind or "multi" for name, kind in read.items()}, min_count=SHARED
        )
        there = fields.encode(_words(table, read)).matrix() if read else None
        holders = np.zeros(0) if there is None else np.bincount(there.indices, minlength=there.shape[1])
        idf = 1.0 + np.log((1.0 + len(table)) / (1.0 + holders))
        return cls(fields, idf.astype(np.float32), vectors)

    @property
    def text(self) -> str:
        """The vocabularies and the vectors' lengths, as JSON."""
        return json.dumps({"fields": self.fields.to_dict(), "vectors": self.vectors}, ensure_ascii=False)

    @classmethod
    def of_text(cls, text: str, idf: Floats) -> Contents:
        """From `text`, as a model keeps it."""
        known = json.loads(text)
        return cls(Fields.from_dict(known["fields"]), idf, known["vectors"])

    def rows(self, table: pl.DataFrame) -> csr_array:
        """csr float32 (n, features): what each row of the table is like. Each column, and then the whole row, has the
        Euclidean length 1, so that dot products are cosines to which all columns count alike; empty where nothing is
        known. Absent columns are missing, new values unknown. Raises MatineeError where a column is of another kind."""
        from scipy.sparse import csr_array, hstack

        parts: list[Any] = [csr_array((len(table), 0), dtype=np.float32)]
        if self.fields.fields:
            there = {field.name: None for field in self.fields.fields if field.name not in table.columns}
            whole = table.with_columns(**{name: pl.lit(None) for name in there})
            values = self.fields.encode(
                _words(whole, {field.name: field.kind for field in self.fields.fields})
            ).matrix()
            values.data *= self.idf[values.indices]
            stops = np.cumsum([0, *(len(field.labels) for field in self.fields.fields)])
            parts += [unit_rows(values[:, a:b]) for a, b in pairwise(stops.tolist())]
        for name, size in self.vectors.items():
            parts.append(unit_rows(csr_array(_vectors(table, name, size))))
        return unit_rows(csr_array(hstack(parts, format="csr"), dtype=np.float32))


def described(data: Dataset, columns: tuple[str, ...] = ()) -> pl.DataFrame:
    """The log's table of items, a row an item; without columns where it has none. Raises MatineeError where it has none
    of these columns."""
    for name in columns:
        item_column(data.item_features, name)
    return pl.DataFrame(height=data.n_items) if data.item_features is None else data.item_features


def _clear(table: pl.DataFrame, name: str) -> bool:
    column = table[name]
    return name == "title" or holds_vectors(column) or name in kinds(table.select(name))


def _kind(table: pl.DataFrame, name: str) -> Kind | None:
    """How a column is read; None for text that is a bag of words."""
    column = table[name]
    if isinstance(column.dtype, pl.List | pl.Array):
        return "multi"
    if name == "title" or (column.dtype == pl.String and not kinds(table.select(name))):
        return None
    return "bucket" if column.dtype.is_numeric() and not name.endswith("_id") else "categorical"


def _words(table: pl.DataFrame, read: Any) -> pl.DataFrame:
    """The columns that are read, with the words of each text, in lower case, as a list."""
    listed = [name for name, kind in read.items() if kind in (None, "multi") and table[name].dtype == pl.String]
    words = [pl.col(name).str.normalize("NFKC").str.to_lowercase().str.extract_all(WORD) for name in listed]
    return table.select(*read).with_columns(words)


def _vectors(table: pl.DataFrame, name: str, size: int) -> Floats:
    """float32 (n, size): the vectors of a column, 0 where it is absent. Raises MatineeError for another length."""
    if name not in table.columns:
        return np.zeros((len(table), size), np.float32)
    return dense_of(table[name], size)
