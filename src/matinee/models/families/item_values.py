"""Columns of the item table as the values that items share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged, unit_rows
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import item_column
from matinee.data.features.vectors import dense, holds_vectors

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array

    from matinee.data.features.vocabulary import Kind

SHARED = 2
"""A value of fewer items says nothing of other items, and is unknown."""


def item_values(data: Dataset, columns: Sequence[str]) -> csr_array:
    """csr float32 (n_items, n_values): for each column 1 over the number of an item's known values, at each of these.

    Dense vectors (lists of floats) are so many values, each weighing as its vector of length 1 says, so that what the
    net adds is a learned linear map of them. Other lists have several values; numbers are put into up to 32 buckets,
    unless the column is named `..._id`; anything else is a category. Raises MatineeError where a column is not in the
    item table, or cannot be read so.
    """
    from scipy.sparse import csr_array

    from matinee.data.features.vocabulary import fitted  # loads polars

    rows: list[NDArray[Any]] = []
    at: list[NDArray[Any]] = []
    shares, n_values = [], 0
    for name in columns:
        column = item_column(data.item_features, name)
        if holds_vectors(column):
            vectors = unit_rows(csr_array(dense(column)))
            rows.append(np.repeat(np.arange(data.n_items), np.diff(vectors.indptr)))
            at.append(n_values + vectors.indices.astype(np.int64))
            shares.append(vectors.data)
            n_values += vectors.shape[1]
            continue
        field = fitted(column, kind_of(column), SHARED, None)
        codes = field.encode(column)
        if isinstance(codes, Ragged):
            row, code = codes.rows, codes.values
        else:
            row, code = np.arange(data.n_items), np.asarray(codes)
        row, code = row[code > 0], code[code > 0].astype(np.int64)
        rows.append(row)
        at.append(n_values + code - 1)
        shares.append((1.0 / np.bincount(row, minlength=data.n_items)[row]).astype(np.float32))
        n_values += field.n_codes
    found = np.concatenate(shares), (np.concatenate(rows), np.concatenate(at))
    return csr_array(found, shape=(data.n_items, max(n_values, 1)))


def kind_of(column: pl.Series) -> Kind:
    """How a column is read."""
    import polars as pl

    if isinstance(column.dtype, pl.List | pl.Array):
        return "multi"
    return "bucket" if column.dtype.is_numeric() and not column.name.endswith("_id") else "categorical"
