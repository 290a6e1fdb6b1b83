"""Items and the values of their attributes as the columns of one matrix, and what attributes say of items."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ragged
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import attribute_of
from matinee.errors import MatineeError, listed, suggestion

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NO_ATTRIBUTES = ("title",)  # columns that name an item


@dataclass(frozen=True)
class Columns:
    """n_items columns of items, then one for each value of `names`, the columns of the item table.

    values: of each name, ascending. of_item: csr float32 (n_items, values), 1 where an item has a value.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    of_item: csr_array

    @classmethod
    def fit(cls, data: Dataset, names: tuple[str, ...], min_lists: int) -> Columns:
        """The values that two items or more have, on min_lists lists (users) or more. names (): every column of text,
        or of lists of texts, but titles. Raises MatineeError for a column that is not there."""
        from scipy.sparse import csr_array, hstack

        lists = data.matrix()
        parts, kept_names, kept_values = [], [], []
        for name in names or texts_of(data):
            attribute = attribute_of(data, name)
            entries = np.ones(len(attribute.codes.values), np.float32)
            shape = (data.n_items, len(attribute.values))
            part = csr_array((entries, attribute.codes.values, attribute.codes.offsets), shape=shape)
            events = lists @ part  # of each list, how many of its items have the value
            on = np.bincount(events.indices, minlength=shape[1])
            items = np.bincount(part.indices, minlength=shape[1])
            kept = np.flatnonzero((on >= min_lists) & (items > 1))
            if len(kept):
                parts.append(part[:, kept])
                kept_names.append(name)
                kept_values.append(tuple(attribute.values[code] for code in kept.tolist()))
        of_item: Any = hstack(parts, format="csr") if parts else csr_array((data.n_items, 0))
        return cls(tuple(kept_names), tuple(kept_values), of_item.astype(np.float32))

    def of_log(self, data: Dataset) -> Columns:
        """The same values, for the items of a log with further ones."""
        from scipy.sparse import csr_array

        rows, at, start = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
        for name, values in zip(self.names, self.values, strict=True):
            attribute, place = attribute_of(data, name), {value: start + at for at, value in enumerate(values)}
            column = np.array([place.get(value, -1) for value in attribute.values], np.int64)[attribute.codes.values]
            rows.append(attribute.codes.rows[column >= 0])
            at.append(column[column >= 0])
            start += len(values)
        row, column = np.concatenate(rows), np.concatenate(at)
        ones = np.ones(len(row), np.float32)
        of_item = csr_array((ones, (row, column)), shape=(data.n_items, start))
        return Columns(self.names, self.values, of_item)

    @classmethod
    def of_text(cls, text: str, of_item: csr_array) -> Columns:
        """From `text`, as a model keeps it."""
        named = [(name, tuple(values)) for name, values in json.loads(text)]
        return cls(tuple(name for name, _ in named), tuple(values for _, values in named), of_item)

    @property
    def text(self) -> str:
        """The names and their values, as JSON."""
        return json.dumps(list(zip(self.names, self.values, strict=True)), ensure_ascii=False)

    @property
    def n_items(self) -> int:
        return int(self.of_item.shape[0])

    def __len__(self) -> int:
        return int(sum(self.of_item.shape))

    def rows(self, items: Ragged, known: Bools | None = None) -> Ragged:
        """int32 (B rows): the distinct items of each row, ascending, then the columns of their values. known: bool
        (n_items,), the items that have a column of their own; the others are in a row by their values alone."""
        from scipy.sparse import hstack

        there = items.matrix(self.n_items)
        own = there if known is None else items.keep(known[items.values]).matrix(self.n_items)
        both = hstack([own, there @ self.of_item], format="csr")
        both.sort_indices()
        return Ragged(both.indptr.astype(np.int64), both.indices.astype(np.int32))

    def of(self, name: str) -> tuple[tuple[str, ...], slice]:
        """The values of an attribute and where they lie. Raises MatineeError for one that was not learned."""
        if name not in self.names:
            what = f"{name!r} is no attribute of this model"
            hint = suggestion(name, self.names) if self.names else "fit it on a log whose item table has such columns"
            raise MatineeError(f"{what}, which knows {listed(self.names)}", hint=hint)
        at = self.names.index(name)
        start = self.n_items + sum(map(len, self.values[:at]))
        return self.values[at], slice(start, start + len(self.values[at]))

    def named(self, count: NDArray[np.integer[Any]], most: int) -> tuple[tuple[str, ...], Ragged]:
        """The values, and int32 (values rows): what a list that were called by the value would hold, the items with the
        value that most lists have, at most so many, and the value itself. count: (n_items,), lists with each item."""
        from scipy.sparse import coo_array

        pairs = coo_array(self.of_item)
        item, value = pairs.coords
        there = count[item] > 0
        item, value = item[there], value[there]
        order = np.lexsort((item, -count[item], value))
        item, value = item[order], value[order]
        place = np.arange(len(value)) - np.searchsorted(value, value)
        n = self.of_item.shape[1]
        row = np.concatenate([value[place < most], np.arange(n)])
        column = np.concatenate([item[place < most], self.n_items + np.arange(n)])
        order = np.lexsort((column, row))
        rows = Ragged.from_rows(row[order], column[order].astype(np.int32), n)
        return tuple(value for values in self.values for value in values), rows


def texts_of(data: Dataset) -> list[str]:
    """The columns of the item table that hold texts or lists of texts."""
    table = data.item_features
    if table is None:
        return []
    import polars as pl

    kinds = (pl.String, pl.Categorical, pl.List(pl.String))
    return [name for name, kind in table.schema.items() if kind in kinds and name not in NO_ATTRIBUTES]
