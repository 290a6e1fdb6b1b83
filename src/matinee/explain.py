"""Why this item: its score with and without each item of the history. Works for every Scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Queries, Scorer
from matinee.data.ids import Id
from matinee.data.items import find_items
from matinee.data.query import Fitted
from matinee.errors import MatineeError
from matinee.rank import blocks

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Explanation:
    """score: of `item` for the whole history. history: int32 (n,) its distinct items, by their last occurrence.

    without: float32 (n,), the score where that item, repeats included, is left out; NaN where nothing known is left,
    because popularity answers then and its scores mean something else.
    """

    item: int
    score: float
    history: Ints
    without: Floats

    @property
    def push(self) -> Floats:
        """float32 (n,): how much each history item raises the score; negative where it lowers it."""
        return np.float32(self.score) - self.without


def explain(model: Scorer, queries: Queries, item: int) -> Explanation:
    """Explain the score of one item code for one query: n + 1 histories are scored, in blocks of bounded memory.

    The user counts as unseen on both sides, so that models with user vectors fold in each history alike.
    Raises MatineeError for an empty history, an item the model cannot score, or more queries than one.
    """
    return explain_items(model, queries, [item])[0]


def explain_items(
    model: Scorer, queries: Queries, items: Sequence[int] | Ints, *, newest: int | None = None
) -> list[Explanation]:
    """`explain` of several item codes, for the price of one. newest: only so many of the latest distinct items of the
    history are left out in turn, all others stay; None: each."""
    if len(queries) != 1:
        raise MatineeError(f"{len(queries)} queries cannot be explained at once", hint="pass one query")
    if model.fallback(queries)[0]:
        raise MatineeError("the model knows nothing in this history, so popularity answers", hint="add an item")
    last = len(queries.history.values) - 1 - np.unique(queries.history.values[::-1], return_index=True)[1]
    history = queries.history.values[np.sort(last)[-newest if newest else 0 :]]
    # row 0: the whole history; row r: without history[r - 1]; nothing else of the query changes
    n = len(history) + 1
    every = queries.take(np.zeros(n, np.int64))
    left = every.keep_events(every.history.values != np.append(-1, history)[every.history.rows])
    variants = replace(left, user=np.full(n, -1, np.int32), exclude=Ragged.empty(n), candidates=None)
    scores = np.empty((len(variants), len(items)), np.float32)
    for start, block in blocks(variants, len(model.items)):
        rows = slice(start, start + len(block))
        scores[rows] = model.score(block)[:, items]
        scores[rows][model.fallback(block)] = np.nan
    if not np.isfinite(scores[0]).all():
        raise MatineeError("the model cannot score this item: it never saw it", hint="explain another item")
    return [
        Explanation(int(item), float(scores[0, column]), history, scores[1:, column])
        for column, item in enumerate(items)
    ]


class FittedScorer(Scorer, Fitted, Protocol):
    """A model that scores, with the log it was fitted on."""


def reasons(model: FittedScorer, queries: Queries, item: Id, k: int = 10) -> pl.DataFrame:
    """The k items of one person's history that raise an item's score most, best first: item_id, title (null where the
    log has none), push, score_without.

    item: a title or an id. push: the score for the whole history minus score_without, the score without this item; both
    are null, and come first, where nothing known is left without it.
    Raises MatineeError for an item that is not found, a k below 1, and as `explain` does.

    Example: `mt.reasons(model, mt.query(model, user=196), "Heat (1995)", k=3)`
    """
    import polars as pl

    if not isinstance(k, int | np.integer) or k < 1:
        raise MatineeError(f"k = {k!r} is not a number of items", hint="pass a whole number from 1")
    data = model.data
    why = explain(model, queries, find_items(item, data)[0])
    order = np.argsort(-np.nan_to_num(why.push, nan=np.inf), kind="stable")[:k]
    codes = why.history[order]
    titles = [None] * len(codes) if data.item_titles is None else data.item_titles.gather(codes)
    columns = {"push": why.push[order], "score_without": why.without[order]}
    frame = pl.DataFrame({"item_id": data.items.series.gather(codes), "title": titles, **columns})
    return frame.with_columns(pl.col("title").cast(pl.String), pl.col("push", "score_without").fill_nan(None))
