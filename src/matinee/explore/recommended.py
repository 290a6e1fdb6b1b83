"""What models recommend as a whole: share of the catalogue, popularity, overlap of models, quality by activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError
from matinee.evaluate import Evaluation, by_activity
from matinee.rank import Recommendations

_CELLS = 1 << 24  # comparisons held at once by overlap


@dataclass(frozen=True)
class ListFigures:
    """One model's lists. coverage: distinct items recommended / items with a training event.

    head_share: share of all recommendations that are one of the `head` items with the most training events.
    median_events: training events of the median recommendation. fallback, tied: shares of the queries.
    """

    n_queries: int
    n_recommended: int
    n_distinct: int
    coverage: float
    head: int
    head_share: float
    median_events: float
    fallback: float
    tied: float


def list_figures(recs: Recommendations, train: Dataset, *, head: int = 300) -> ListFigures:
    """head: how many items count as the most popular; of equally popular items, those with lower codes."""
    counts = train.item_counts()
    head = min(head, int(np.count_nonzero(counts)))
    item = recs.item[recs.item >= 0]
    given = np.bincount(item, minlength=len(counts))
    popular = np.argsort(-counts, kind="stable")[:head]
    distinct = int(np.count_nonzero(given))
    return ListFigures(
        n_queries=len(recs),
        n_recommended=len(item),
        n_distinct=distinct,
        coverage=distinct / max(int(np.count_nonzero(counts)), 1),
        head=head,
        head_share=float(given[popular].sum() / max(len(item), 1)),
        median_events=float(np.median(counts[item])) if len(item) else 0.0,
        fallback=float(recs.fallback.mean()) if len(recs) else 0.0,
        tied=float(recs.tied.mean()) if len(recs) else 0.0,
    )


def overlap(recommendations: Mapping[str, Recommendations]) -> NDArray[np.float64]:
    """float64 (M, M): how many items two models both recommend for one query, on average; on the diagonal, the length
    of the lists.

    Raises MatineeError where two models did not answer the same queries.
    """
    lists = list(recommendations.items())
    out = np.zeros((len(lists), len(lists)))
    for a, (name, one) in enumerate(lists):
        for b, (other_name, other) in enumerate(lists[: a + 1]):
            if not np.array_equal(one.user, other.user):
                what = f"{name} and {other_name} did not answer the same queries"
                raise MatineeError(what, hint="compare recommendations for one holdout")
            out[a, b] = out[b, a] = _common(one.item, other.item) / max(len(one), 1)
    return out


def _common(a: NDArray[np.int32], b: NDArray[np.int32]) -> int:
    """Items that are in the same row of both, summed over rows. A row holds an item once; -1 pads."""
    step = max(1, _CELLS // max(a.shape[1] * b.shape[1], 1))
    total = 0
    for start in range(0, len(a), step):
        left, right = a[start : start + step, :, None], b[start : start + step, None, :]
        total += int(np.count_nonzero((left == right) & (left >= 0)))
    return total


def activity_groups(
    per_query: pl.DataFrame, holdout: Holdout, metric: str, k: int, *, n_groups: int = 4
) -> pl.DataFrame:
    """Means of one metric per quarter of the queries by length of history, in the columns of evaluate.by_activity.

    per_query: columns query (row of the holdout), user_id, label, metric, k, value, of one seed and one holdout.
    """
    part = per_query.filter((pl.col("metric") == metric) & (pl.col("k") == k))
    evaluation = Evaluation.from_frame(part, holdout.protocol, queries="")
    return by_activity(evaluation, holdout.queries.history.lengths[: len(evaluation)], n_groups=n_groups)
