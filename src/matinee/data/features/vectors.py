"""Dense vectors of items, given by the user: embeddings of texts or images, as a column of lists of floats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl


def holds_vectors(column: pl.Series) -> bool:
    """Whether a column holds lists of floats, which are vectors and no sets of values."""
    import polars as pl

    return isinstance(column.dtype, pl.List | pl.Array) and column.dtype.inner in (pl.Float32, pl.Float64)


def dense(column: pl.Series) -> Floats:
    """float32 (n, d): the vectors of a column, 0 where it has none. Raises MatineeError naming the row where a vector
    has another length than the first one or a number that is not finite."""
    import polars as pl

    lists = column.cast(pl.List(pl.Float64))
    there = np.flatnonzero(lists.is_not_null().to_numpy())
    lengths = lists.list.len().fill_null(0).to_numpy()
    size = int(lengths[there[0]]) if len(there) else 0
    _refuse(column, there[lengths[there] != size], f"has not {size} numbers, as the first vector")
    flat = lists.drop_nulls().explode() if size else pl.Series([], dtype=pl.Float64)
    numbers = flat.fill_null(np.nan).to_numpy().reshape(len(there), size).astype(np.float32)
    _refuse(column, there[~np.isfinite(numbers).all(axis=1)], "holds a number that is not finite")
    found = np.zeros((len(column), size), np.float32)
    found[there] = numbers
    return found


def dense_of(column: pl.Series, size: int) -> Floats:
    """float32 (n, size): as `dense`, for vectors of the length of training. Raises MatineeError for another one."""
    if column.null_count() == len(column):
        return np.zeros((len(column), size), np.float32)
    found = dense(column)
    if found.shape[1] != size:
        what = f"the vectors of column {column.name!r} have {found.shape[1]} numbers, not {size} as in training"
        raise MatineeError(what, hint="make them with the same encoder")
    return found


def _refuse(column: pl.Series, rows: NDArray[np.int64], what: str) -> None:
    """Raise MatineeError where there are such rows."""
    if len(rows):
        where = f"row {rows[0] + 1}, column {column.name!r}"
        raise MatineeError(f"the vector {what}", where=where, hint="correct it, or leave it empty")
