"""Which artists, directors or genres a list is likely to hold, where a model predicts attributes of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.dataset import Queries
from matinee.errors import MatineeError, counted
from matinee.rank import blocks, top_k

if TYPE_CHECKING:
    import polars as pl


def recommend_attributes(model: Any, queries: Queries, column: str, k: int = 10) -> pl.DataFrame:
    """The k likeliest values of an attribute for each query: query (row number), user_id (null: someone new), value,
    score (a probability), rank (from 1). Values that the list's items have already are not left out. Where the model
    knows nothing of a query's items and title (`model.fallback(queries)`), they are what is likely on any list.

    model: one that predicts attributes, such as MMCF. column: of its item table. Raises MatineeError for a model that
    does not, for an attribute that it did not learn, and for a k that is no whole number from 1.

    Example: `mt.recommend_attributes(mt.models.MMCF(epochs=1).fit(split.train), split.test.queries, "director", k=2)`
    """
    import polars as pl

    if not isinstance(k, int | np.integer) or k < 1:
        raise MatineeError(f"k = {k!r} is not a number of values", hint="pass a whole number from 1")
    if not hasattr(model, "score_attributes"):
        hint = "fit one that does: mmcf"
        raise MatineeError(f"{type(model).__name__} predicts no attributes of items", hint=hint)
    parts: list[pl.DataFrame] = []
    for start, block in blocks(queries, sum(model.fitted.learned.of_item.shape)):
        values, scores = model.score_attributes(block, column)
        best, score, _ = top_k(np.ascontiguousarray(scores), min(int(k), len(values)), first_row=start)
        row, place = np.nonzero(best >= 0)
        found = {"query": row + start, "value": [values[code] for code in best[row, place].tolist()]}
        ids = model.users.series.gather(np.maximum(block.user[row], 0)) if len(model.users) else [None] * len(row)
        frame = pl.DataFrame({**found, "user_id": ids, "score": score[row, place], "rank": place + 1})
        parts.append(frame.with_columns(user_id=pl.when(pl.Series(block.user[row] >= 0)).then("user_id")))
    if not parts:
        raise MatineeError(f"there is {counted(0, 'query')}", hint="ask about one list or more")
    order = "query", "user_id", "value", "score", "rank"
    return pl.concat(parts).select(*order).with_columns(pl.col("query", "rank").cast(pl.Int32))
