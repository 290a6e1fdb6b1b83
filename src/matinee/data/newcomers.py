"""A log with further items that nobody watched yet, and what is known of them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.dataset import Dataset
from matinee.data.read.options import ReadOptions
from matinee.data.read.side_files import side_table
from matinee.errors import MatineeError, MatineeWarning, counted, suggestion

if TYPE_CHECKING:
    import polars as pl


def with_new_items(data: Dataset, table: Any) -> Dataset:
    """The log with the items of a table, which has a column of ids as in `mt.read(..., items=table)`. Codes stay: the
    new items are the last ones. Columns that one of the two tables lacks are missing there. Raises MatineeError for
    items that are known, ids of another type, and columns of another kind."""
    read = side_table(table, "item_id", "item_id", ReadOptions())
    if read is None or not len(read.ids):
        raise MatineeError("there is no new item", hint="pass a table with a row an item and a column item_id")
    ids = _ids(data, read.ids)
    known = data.items.encode(ids) >= 0
    if known.any():
        what = f"{counted(int(known.sum()), 'item')} of the table known already, such as {ids[int(known.argmax())]!r}"
        raise MatineeError(what, where=read.table.name, hint="leave them out: only new items are added")
    items = data.items.with_new(ids)
    features = _joined(data, read.features[np.argsort(items.encode(ids))], read.table.name)
    return replace(data, items=items, item_features=features)


def _ids(data: Dataset, ids: pl.Series) -> pl.Series:
    """The ids in the type of the log's. Raises MatineeError where they are not."""
    kind = data.items.series.dtype
    found = ids.cast(kind, strict=False)
    if found.null_count():
        what = f"item {ids[int(found.is_null().arg_max() or 0)]!r} is no id as those of the log, which are {kind}"
        raise MatineeError(what, hint="use ids of one type")
    return found


def _joined(data: Dataset, features: pl.DataFrame, name: str) -> pl.DataFrame:
    """Rows of the log's items, then those of the new ones."""
    import polars as pl

    old = pl.DataFrame(height=data.n_items) if data.item_features is None else data.item_features
    columns = list(dict.fromkeys([*old.columns, *features.columns]))
    if not columns:
        return pl.DataFrame(height=len(old) + len(features))
    for column in features.columns:
        if column in old.columns and not _alike(old.schema[column], features.schema[column]):
            kinds = f"{features.schema[column]}, and in the log's table of items {old.schema[column]}"
            raise MatineeError(f"the column {column!r} holds {kinds}", where=name, hint="write both tables alike")
        if old.width and column not in old.columns:
            hint = suggestion(column, old.columns)
            said = f"the log's table of items has no column {column!r}, so it says nothing of the new items"
            warnings.warn(f"{name}: {said}; {hint}", MatineeWarning, stacklevel=4)
    parts = [
        table.select(*(pl.col(c) if c in table.columns else pl.lit(None).alias(c) for c in columns))
        if table.width
        else pl.DataFrame({c: [None] * len(table) for c in columns})
        for table in (old, features)
    ]
    return pl.concat(parts, how="vertical_relaxed")


def _alike(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether two columns are of one kind: numbers, texts or lists of one of them; nothing at all is of each."""
    import polars as pl

    lists = [isinstance(kind, pl.List | pl.Array) for kind in (one, other)]
    a, b = (kind.inner if isinstance(kind, pl.List | pl.Array) else kind for kind in (one, other))
    if pl.Null in (one, other, a, b):
        return True
    texts = pl.String, pl.Categorical
    return lists[0] == lists[1] and (a == b or (a.is_numeric() and b.is_numeric()) or (a in texts and b in texts))
