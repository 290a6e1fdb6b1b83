"""What trees learn from: rows of numbers with labels, of which none knows its own.

Rows are asked of a state, and of histories, that their own event is not in: the log is cut into folds of events, and a
fold's rows are made from the others (`training_examples`). So no row knows its own label, and it sees nearly as much of
its user and item as a query will. Statistics of earlier events alone would be poor in training and rich in answering;
leaving out one event at a time would give the label away, for among a user's rows (sum - label) / (n - 1) is smaller
exactly where the label is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Queries
from matinee.data.features.requests import ContextTables
from matinee.models.families.boosted_features import FeatureBuilder, Index, LogState
from matinee.nn.sampling import Positives, Sampler, negatives

GROUP = 1000
"""Rows of a user that are ranked together: LightGBM takes at most 10,000."""


@dataclass(frozen=True)
class RankingExamples:
    """X: float32 (n, columns). label: float32 (n,), 1 where the item was watched, or liked. group: sizes of runs of
    rows that are ranked together, n in sum."""

    X: Floats
    label: Floats
    group: NDArray[np.int64]

    @classmethod
    def joined(cls, several: list[RankingExamples]) -> RankingExamples:
        return cls(*(np.concatenate([getattr(one, name) for one in several]) for name in ("X", "label", "group")))


@dataclass(frozen=True)
class Draw:
    """n: negatives for each watched item; 0 where rows have labels of their own. alpha: drawn among what has events, in
    proportion to events^alpha. nearest: if not 0, among so many items that resemble the history most, and a watched
    item that is none of them is no example: what a first stage does not bring is not for a second to judge."""

    n: int
    alpha: float
    nearest: int = 0

    def there(self, rows: FeatureBuilder, queries: Queries, row: Index) -> Ints | None:
        """int32 (len(row), nearest): what `beside` draws among for each of queries row[r]; None: among all."""
        return rows.nearest(queries, self.nearest)[row] if self.nearest else None

    def beside(
        self,
        row: Index,
        item: Ints,
        watched: Positives,
        data: Dataset,
        rng: np.random.Generator,
        there: Ints | None,
    ) -> tuple[Index, Ints, Floats]:
        """Which of the rows each of the new rows is made of, its item and its label; a row's own comes first. row:
        that of `watched`. there: if nearest, the items that resemble each row's history most, (len(row), nearest)."""
        if there is not None:
            column = rng.integers(0, self.nearest, (len(row), self.n))
            others = np.take_along_axis(there, column, axis=1)
            others[watched.contain(np.repeat(row, self.n), np.maximum(others, 0).ravel()).reshape(others.shape)] = -1
            every = np.concatenate([item[:, None], others], axis=1)
            every[~(there == item[:, None]).any(axis=1)] = -1
        else:
            sampler = Sampler.popularity(data.item_counts(), self.alpha)
            every = np.concatenate([item[:, None], negatives(row, self.n, sampler, watched, rng)], axis=1)
        source, column = np.nonzero(every >= 0)  # who watched everything has no negatives
        return source, every[source, column].astype(np.int32), (column == 0).astype(np.float32)


def training_examples(
    data: Dataset,
    tables: ContextTables,
    draw: Draw,
    state_of: Callable[[Dataset], LogState],
    *,
    folds: int,
    most: int,
    seed: int,
) -> RankingExamples:
    """The rows of a training log, by (user, time): each fold of its events asked of the others, with their values as
    labels (draw.n = 0) or 1 and negatives beside them. Users are left out at random where rows were more than `most`.
    """
    rng = np.random.default_rng([seed, 1])
    fold = rng.integers(0, folds, len(data))
    some = np.zeros(data.n_users, np.bool_)
    users = rng.permutation(data.n_users)
    up_to = np.cumsum(data.user_counts()[users]) * (1 + draw.n)
    some[users[: max(1, int(np.searchsorted(up_to, most, side="right")))]] = True
    some |= not some[data.user].any()
    watched = Positives.of(data)
    found = []
    for k in range(folds):
        # Features of this fold's events come from the log without the fold.
        rest, asked = data.rows(fold != k), data.rows((fold == k) & some[data.user])
        if len(asked):
            rows = FeatureBuilder(state_of(rest), tables)
            found.append(_asked(rows, rest, asked, data, watched, draw, rng))
    return RankingExamples.joined(found)


def _asked(
    rows: FeatureBuilder,
    rest: Dataset,
    asked: Dataset,
    data: Dataset,
    watched: Positives,
    draw: Draw,
    rng: np.random.Generator,
) -> RankingExamples:
    users, row = np.unique(asked.user, return_inverse=True)
    queries = rest.queries_of(users)
    if draw.n:
        source, item, label = draw.beside(asked.user, asked.item, watched, data, rng, draw.there(rows, queries, row))
        row = row[source]
        return RankingExamples(
            rows.of(queries, row, item), label, groups_of(row)
        )  # a list is asked for at a history's end
    assert asked.value is not None
    X = rows.of(queries, row, asked.item, asked.timestamp, asked.context)
    return RankingExamples(X, asked.value, groups_of(row))


def validation(
    rows: FeatureBuilder, data: Dataset, valid: Holdout | None, draw: Draw, *, most: int, seed: int
) -> RankingExamples | None:
    """The rows of a holdout, in the way of `lessons`: its pairs with their labels, or what was hidden and negatives
    beside it. None where it hides nothing."""
    if valid is None or not len(valid):
        return None
    pairs = valid.pairs
    if not draw.n:
        if pairs is None or pairs.label is None or not len(pairs):
            return None
        order = np.argsort(pairs.query, kind="stable")
        time = None if pairs.timestamp is None else pairs.timestamp[order]
        context = None if pairs.context is None else pairs.context[order]
        X = rows.of(valid.queries, pairs.query[order], pairs.item[order], time, context)
        return RankingExamples(X, pairs.label[order], groups_of(pairs.query[order]))
    # so many queries, evenly spread over the holdout, that about `most` rows come of them
    n = max(1, int(np.searchsorted(np.cumsum(valid.truth.lengths) * (1 + draw.n), most, side="right")))
    chosen = valid.spread(n)
    queries, truth = valid.queries.take(chosen), valid.truth.take(chosen)
    if not len(truth.values):
        return None
    # a negative is neither in the history nor another hidden item
    known = queries.history.join(queries.exclude).join(truth).matrix(data.n_items)
    watched = Positives(Ragged(known.indptr.astype(np.int64), known.indices.astype(np.int32)), data.n_items)
    rng = np.random.default_rng([seed, 2])
    there = draw.there(rows, queries, truth.rows)
    source, item, label = draw.beside(truth.rows, truth.values, watched, data, rng, there)
    row = truth.rows[source]
    return RankingExamples(rows.of(queries, row, item), label, groups_of(row))


def groups_of(row: Index) -> NDArray[np.int64]:
    """int64 (groups,): sizes of the runs of equal numbers, none above GROUP."""
    cuts = np.flatnonzero(np.diff(row)) + 1
    sizes = np.diff(np.concatenate([[0], cuts, [len(row)]]))
    whole, left = sizes // GROUP, sizes % GROUP
    pieces = np.where(np.arange(2)[None] == 0, whole[:, None], (left > 0)[:, None]).ravel()
    return np.repeat(np.stack([np.full(len(sizes), GROUP), left], axis=1).ravel(), pieces).astype(np.int64)
