"""One column of the item table as values of items: genres, directors, a country, a year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError, did_you_mean, listed

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Attribute:
    """The values of one column. values: their names, sorted. codes: int32 (n_items rows), the distinct values of each
    item; none where the cell is missing."""

    name: str
    values: tuple[str, ...]
    codes: Ragged

    def unit_rows(self) -> csr_array:
        """csr float32 (n_items, values): a row a item, equal entries and Euclidean length 1, so that dot products are
        cosines; empty where nothing is known."""
        return self._rows(0.5)

    def shares(self) -> csr_array:
        """csr float32 (n_items, values): equal shares of 1 for the values of an item (Steck's p(g|i)); empty where
        nothing is known."""
        return self._rows(1.0)

    def _rows(self, power: float) -> csr_array:
        """csr float32 (n_items, values): entries n^-power in a row of n values."""
        from scipy.sparse import csr_array

        lengths = self.codes.lengths
        entry = np.repeat(np.maximum(lengths, 1).astype(np.float64) ** -power, lengths).astype(np.float32)
        return csr_array((entry, self.codes.values, self.codes.offsets), shape=(len(lengths), len(self.values)))


def attribute_of(data: Dataset, column: str) -> Attribute:
    """A column of the log's item table. Lists have several values an item; anything else has one, as text.
    Raises MatineeError where there is no such column."""
    return attribute_in(item_column(data.item_features, column))


def attribute_in(column: pl.Series) -> Attribute:
    """The values of a column with a row an item."""
    import polars as pl

    from matinee.data.features.vocabulary import fitted  # loads polars

    several = isinstance(column.dtype, pl.List | pl.Array)
    vocabulary = fitted(column, "multi" if several else "categorical", 1, None)
    encoded = vocabulary.encode(column)
    if not isinstance(encoded, Ragged):
        assert isinstance(encoded, np.ndarray)  # categories
        encoded = Ragged.of_lengths((encoded > 0).astype(np.int64), encoded[encoded > 0])
    by_row = np.lexsort((encoded.values, encoded.rows))
    codes = Ragged(encoded.offsets, encoded.values[by_row] - np.int32(1))
    return Attribute(column.name, getattr(vocabulary, "values", ()), codes)


def item_column(table: pl.DataFrame | None, column: str) -> pl.Series:
    """A column of an item table. Raises MatineeError naming those that exist."""
    if table is None:
        hint = "read the log with a table of items: items=..."
        raise MatineeError(f"the log has no table of items, so no column {column!r}", hint=hint)
    if column not in table.columns:
        near = did_you_mean(column, table.columns)
        hint = f"{near} The table has {listed(table.columns)}".lstrip()
        raise MatineeError(f"the table of items has no column {column!r}", hint=hint)
    return table[column]


def history_shares(queries: Queries, items: csr_array) -> NDArray[np.float64]:
    """float64 (B, values): the mean of the shares of a history's events, which count alike or by their weights; 1 in
    sum, 0 where nothing is known. items: csr (n_items, values), see `Attribute.shares`."""
    from scipy.sparse import csr_array

    history, weights = queries.history, queries.history_weights
    counts = np.ones(len(history.values)) if weights is None else weights.astype(np.float64)
    events = csr_array((counts, history.values, history.offsets), shape=(len(history), items.shape[0]))
    total = np.asarray((events @ items.astype(np.float64)).toarray(), np.float64)
    mass = total.sum(axis=1, keepdims=True)
    return total / np.where(mass > 0, mass, 1.0)
