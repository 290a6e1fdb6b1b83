"""The arrays everything is made of: codes, scores, masks, and rows of unequal length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row r is values[offsets[r] : offsets[r + 1]].

    offsets: int64 (B + 1,), starting at 0. values: int32, item codes.
    """

    offsets: NDArray[np.int64]
    values: Ints

    @classmethod
    def from_lists(cls, rows: Iterable[ArrayLike]) -> Ragged:
        """int32 (B rows) from B lists of codes."""
        arrays = [np.asarray(row, dtype=np.int32).ravel() for row in rows]
        return cls.of_lengths([len(a) for a in arrays], np.concatenate([*arrays, np.empty(0, np.int32)]))

    @classmethod
    def from_rows(cls, row: NDArray[np.integer[Any]], values: Ints, n_rows: int) -> Ragged:
        """int32 (n_rows rows): values grouped by their row number; within a row they keep their order."""
        order = np.argsort(row, kind="stable")
        return cls.of_lengths(np.bincount(row, minlength=n_rows), np.ascontiguousarray(values[order], dtype=np.int32))

    @classmethod
    def of_lengths(cls, lengths: ArrayLike, values: Ints) -> Ragged:
        """int32 (B rows) of these B lengths, one after the other."""
        return cls(_offsets(lengths), values)

    @classmethod
    def empty(cls, n_rows: int) -> Ragged:
        """int32 (n_rows rows) without a value."""
        return cls(np.zeros(n_rows + 1, np.int64), np.empty(0, np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Ragged({len(self):,} rows, {len(self.values):,} values)"

    def __getitem__(self, row: int) -> Ints:
        """int32 (length of the row,), not copied."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (B,): the number of values of each row."""
        return self.offsets[1:] - self.offsets[:-1]  # a tenth of the time of np.diff, of a few

    @property
    def rows(self) -> NDArray[np.int64]:
        """int64 (len(values),): the row number of each value."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def positions(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """int64 (n,): where the values of these rows lie, row after row. Indexes arrays in parallel with `values`."""
        lengths = self.lengths[rows]
        start = np.repeat(self.offsets[:-1][rows] - _offsets(lengths)[:-1], lengths)
        return start + np.arange(lengths.sum(), dtype=np.int64)

    def take(self, rows: NDArray[np.integer[Any]]) -> Ragged:
        """int32 (len(rows) rows): these rows, in this order."""
        return Ragged.of_lengths(self.lengths[rows], self.values[self.positions(rows)])

    def slice(self, start: int, stop: int) -> Ragged:
        """int32 (stop - start rows): rows start..stop, without copying values."""
        offsets = self.offsets[start : stop + 1]
        return Ragged(offsets - offsets[0], self.values[offsets[0] : offsets[-1]])

    def join(self, other: Ragged) -> Ragged:
        """int32 (B rows): this row's values, then the other's."""
        rows = np.concatenate([self.rows, other.rows])
        return Ragged.from_rows(rows, np.concatenate([self.values, other.values]), len(self))

    def above(self, other: Ragged) -> Ragged:
        """int32 (B + C rows): these rows, then the other's C rows."""
        offsets = np.append(self.offsets, self.offsets[-1] + other.offsets[1:])
        return Ragged(offsets, np.append(self.values, other.values))

    def keep(self, mask: Bools) -> Ragged:
        """int32 (B rows): only the values where mask is true; rows may become empty."""
        return Ragged.of_lengths(np.bincount(self.rows[mask], minlength=len(self)), self.values[mask])

    def padded(self) -> Ints:
        """int32 (B, longest row), -1 beyond a row's end."""
        width = int(self.lengths.max(initial=0))
        table: NDArray[np.int32] = np.full((len(self), width), -1, np.int32)
        table[np.arange(width) < self.lengths[:, None]] = self.values
        return table

    def matrix(self, n_columns: int) -> csr_array:
        """csr float32 (B, n_columns), row = query, column = item: 1 per distinct value."""
        return binary_csr(self.rows, self.values, (len(self), n_columns))


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (n,): np.unique of keys from 0, by sorting. On a million keys a tenth of the time of numpy's hash table."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def binary_csr(row: NDArray[Any], column: NDArray[Any], shape: tuple[int, int]) -> csr_array:
    """csr float32 `shape`, (rows, columns): 1 at each distinct pair. Indices are sorted: equal content, equal bytes."""
    from scipy.sparse import csr_array

    key = distinct(row.astype(np.int64) * shape[1] + column)
    indptr = _offsets(np.bincount(key // shape[1], minlength=shape[0]))
    return csr_array((np.ones(len(key), np.float32), key % shape[1], indptr), shape=shape)


def summed_csr(row: NDArray[Any], column: NDArray[Any], value: NDArray[Any], shape: tuple[int, int]) -> csr_array:
    """csr float32 `shape`, (rows, columns): the sum of the values, (n,), at each distinct pair. Indices are sorted."""
    from scipy.sparse import csr_array

    key, pair = np.unique(row.astype(np.int64) * shape[1] + column, return_inverse=True)
    total = np.bincount(pair, value, minlength=len(key)).astype(np.float32)
    indptr = _offsets(np.bincount(key // shape[1], minlength=shape[0]))
    return csr_array((total, key % shape[1], indptr), shape=shape)


def _offsets(lengths: ArrayLike) -> NDArray[np.int64]:
    """int64 (B + 1,): where each of B rows of these lengths starts, and where the last one ends."""
    lengths = np.asarray(lengths)
    offsets = np.zeros(len(lengths) + 1, np.int64)  # half the time of np.append, of a few
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def gini(counts: NDArray[Any]) -> float:
    """Half of the mean difference between two of (n,) counts, over their mean: 0 where all are equal, near 1 where one
    has nearly all. 0 where there are none."""
    n, total = len(counts), float(counts.sum())
    if not total:
        return 0.0
    place = np.arange(1, n + 1)
    return float(2 * np.dot(place, np.sort(counts).astype(np.float64)) / (n * total) - (n + 1) / n)


def unit_rows(rows: csr_array) -> csr_array:
    """csr float32: the rows over their Euclidean lengths; empty ones stay."""
    from scipy.sparse import csr_array

    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), np.float64).ravel())
    scale = np.repeat(1.0 / np.maximum(length, 1e-12), np.diff(rows.indptr))
    return csr_array(((rows.data * scale).astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)
