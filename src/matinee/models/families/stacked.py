"""What trees see of an item for which several models have scores, and the examples they learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Holdout, Queries, Scorer
from matinee.models.families.boosted import import_lightgbm
from matinee.models.families.boosted_examples import RankingExamples
from matinee.models.families.fusion import make_comparable
from matinee.rank import blocks, top_k


class Stacked(NamedTuple):
    """Of a block of B queries: candidates int32 (B, n), -1 where fewer can be scored. X: float32 (B * n, columns), a
    row for each, in their order. total: float32 (B, n_items), the members' reciprocal ranks, added; -inf where no
    member can score."""

    candidates: Ints
    X: Floats
    total: Floats


@dataclass(frozen=True)
class StackedFeatures:
    """Columns of a row: of each member the reciprocal rank (see Ensemble) and the standardised score; then the logs of
    1 + the item's events and of 1 + the events of the history. popularity: float32 (n_items,). n: candidates of a
    query, those that any member ranks highest."""

    members: Sequence[Scorer]
    popularity: Floats
    n: int

    @property
    def columns(self) -> int:
        return 2 * len(self.members) + 2

    def of(self, queries: Queries) -> Stacked:
        """Of as many queries as `recommend` takes at once; what they exclude is no candidate."""
        scores = [member.score(queries) for member in self.members]
        scorable: Bools = np.any([each != -np.inf for each in scores], axis=0)
        ranks = [each.copy() for each in scores]
        for rank, standard in zip(ranks, scores, strict=True):
            make_comparable(rank, queries.exclude, "rank")
            make_comparable(standard, queries.exclude, "zscore")
        best = np.where(scorable, np.max(ranks, axis=0), -np.inf).astype(np.float32)
        best[queries.exclude.rows, queries.exclude.values] = -np.inf
        candidates = top_k(best, min(self.n, best.shape[1]))[0]
        at = np.maximum(candidates, 0).astype(np.int64)
        columns = [np.take_along_axis(each, at, axis=1) for pair in zip(ranks, scores, strict=True) for each in pair]
        columns.append(np.log1p(self.popularity)[at])
        columns.append(np.broadcast_to(np.log1p(queries.history.lengths)[:, None], at.shape))
        X = np.stack(columns, axis=2, dtype=np.float32).reshape(-1, self.columns)
        return Stacked(candidates, X, np.where(scorable, np.sum(ranks, axis=0), -np.inf).astype(np.float32))


def stacked_examples(features: StackedFeatures, holdout: Holdout, n_items: int) -> RankingExamples:
    """The candidates of a holdout's queries, labelled 1 where hidden; queries of which none was found are left out."""
    found = [
        _labelled(features.of(block), truth, n_items)
        for block, truth in _answered(holdout.queries, holdout.truth, n_items)
    ]
    nothing = RankingExamples(
        np.empty((0, features.columns), np.float32), np.empty(0, np.float32), np.empty(0, np.int64)
    )
    return RankingExamples.joined([nothing, *found])


def _answered(queries: Queries, truth: Ragged, n_items: int) -> Iterator[tuple[Queries, Ragged]]:
    """Blocks of the queries that hide anything, the whole catalogue asked for, and what they hide."""
    rows = np.flatnonzero(truth.lengths)
    queries, truth = queries.take(rows), truth.take(rows)
    for start, block in blocks(queries, n_items):
        yield block, truth.slice(start, start + len(block))


def _labelled(stacked: Stacked, truth: Ragged, n_items: int) -> RankingExamples:
    hidden = np.zeros((len(truth), n_items + 1), np.bool_)  # the last column: no candidate
    hidden[truth.rows, truth.values] = True
    label = np.take_along_axis(hidden, stacked.candidates.astype(np.int64), axis=1)
    there = (stacked.candidates >= 0) & label.max(axis=1, keepdims=True)
    group: NDArray[np.int64] = there.sum(axis=1)
    return RankingExamples(stacked.X[there.ravel()], label[there].astype(np.float32), group[group > 0])


def queries_of(holdout: Holdout, rows: NDArray[np.int64]) -> Holdout:
    """These queries of a holdout, the whole catalogue asked for."""
    queries = holdout.queries.take(rows)
    return Holdout(queries, holdout.truth.take(rows), holdout.protocol)


def trees_sums(trees: str, X: Floats) -> Floats:
    """float32 (rows,): what the trees make of each row."""
    found: Floats = booster_of(trees).predict(X, raw_score=True, num_threads=kernels.n_threads()).astype(np.float32)
    return found


@lru_cache(maxsize=4)
def booster_of(trees: str) -> Any:
    return import_lightgbm().Booster(model_str=trees)


def ahead_of_others(found: Stacked, sums: Floats) -> Floats:
    """float32 (B, n_items): `sums` for the candidates, and below them the others in the order of their total."""
    there = found.candidates >= 0
    least = np.min(sums, axis=1, keepdims=True, initial=np.inf, where=there)
    most = np.max(found.total, axis=1, keepdims=True, initial=-np.inf)
    scores = found.total + np.where(np.isfinite(least - most), least - most - 1, 0).astype(np.float32)
    row, place = np.nonzero(there)
    scores[row, found.candidates[row, place]] = sums[row, place]
    return scores
