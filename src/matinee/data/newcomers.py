"""A log with further items that nobody watched yet, and what is known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.data.read.options import ReadOptions
from matinee.data.read.side_files import side_table
from matinee.errors import MatineeError, counted

if TYPE_CHECKING:
    import polars as pl


def with_new_items(data: Dataset, table: Any) -> tuple[Dataset, Ints]:
    """The log with the items of a table, which has a column of ids as in `mt.read(..., items=table)`; and the new code
    of each old item, int32 (n_items,): ids are sorted, so codes move. Columns that one of the two tables lacks are
    missing there. Raises MatineeError for items that are known, ids of another type, and columns of another kind."""
    read = side_table(table, "item_id", "item_id", ReadOptions())
    if read is None or not len(read.ids):
        raise MatineeError("there is no new item", hint="pass a table with a row an item and a column item_id")
    ids = _ids(data, read.ids)
    known = data.items.encode(ids) >= 0
    if known.any():
        what = f"{counted(int(known.sum()), 'item')} of the table known already, such as {ids[int(known.argmax())]!r}"
        raise MatineeError(what, where=read.table.name, hint="leave them out: only new items are added")
    items = IdMap.from_series(data.items.series, ids, what="item")
    place, new = items.encode(data.items.series), items.encode(ids)
    order = np.argsort(np.concatenate([place, new]))
    dislikes = data.dislikes
    wider = replace(
        data,
        items=items,
        item=place[data.item],
        item_features=_joined(data, read.features, read.table.name)[order],
        dislikes=None if dislikes is None else dislikes.recoded(np.arange(data.n_users, dtype=np.int32), place),
    )
    return wider, place


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
    parts = [
        table.select(*(pl.col(c) if c in table.columns else pl.lit(None).alias(c) for c in columns))
        if table.width
        else pl.DataFrame({c: [None] * len(table) for c in columns})
        for table in (old, features)
    ]
    try:
        return pl.concat(parts, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        said = str(error).splitlines()[0]
        what = f"a column has another kind than in the log's table of items ({said})"
        raise MatineeError(what, where=name, hint="write both tables alike") from None
