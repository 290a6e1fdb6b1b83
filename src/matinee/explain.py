"""Why this item: its score with and without each item of the history. Works for every Scorer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Queries, Scorer
from matinee.errors import MatineeError
from matinee.rank import blocks


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
    if len(queries) != 1:
        raise MatineeError(f"{len(queries)} queries cannot be explained at once", hint="pass one query")
    if model.fallback(queries)[0]:
        raise MatineeError("the model knows nothing in this history, so popularity answers", hint="add an item")
    last = len(queries.history.values) - 1 - np.unique(queries.history.values[::-1], return_index=True)[1]
    history = queries.history.values[np.sort(last)]
    # row 0: the whole history; row r: without history[r - 1]; nothing else of the query changes
    n = len(history) + 1
    every = queries.take(np.zeros(n, np.int64))
    left = every.keep_events(every.history.values != np.append(-1, history)[every.history.rows])
    variants = replace(left, user=np.full(n, -1, np.int32), exclude=Ragged.empty(n), candidates=None)
    scores = np.empty(len(variants), np.float32)
    for start, block in blocks(variants, len(model.items)):
        rows = slice(start, start + len(block))
        scores[rows] = model.score(block)[:, item]
        scores[rows][model.fallback(block)] = np.nan
    if not np.isfinite(scores[0]):
        raise MatineeError("the model cannot score this item: it never saw it", hint="explain another item")
    return Explanation(item, float(scores[0]), history, scores[1:])
