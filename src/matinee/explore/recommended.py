"""What models recommend as a whole: share of the catalogue, popularity; quality by activity, by popularity, by k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout
from matinee.evaluate import Evaluation, by_activity
from matinee.evaluate.hits import find_hits
from matinee.evaluate.intervals import clusters_of, mean_of
from matinee.evaluate.known import HEAD, Known
from matinee.evaluate.metrics import formulas_of, ranking
from matinee.evaluate.predictions import UNBOUNDED
from matinee.rank import Recommendations

GROUPS = ("head", "middle", "tail")
_MEAN = {"label": pl.String(), "metric": pl.String(), "k": pl.Int64()}
_INTERVAL = {**dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64()), "n_queries": pl.Int64()}
METRICS = {**_MEAN, **_INTERVAL}
ACTIVITY = {**_MEAN, **dict.fromkeys(("group", "shortest", "longest"), pl.Int64()), **_INTERVAL}
POPULARITY = {**_MEAN, "group": pl.String(), "n_items": pl.Int64(), "n_answers": pl.Int64(), **_INTERVAL}
BY_K = {**_MEAN, "value": pl.Float64()}


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


def list_figures(recs: Recommendations, train: Dataset, *, head: int = HEAD) -> ListFigures:
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


def activity_groups(
    per_query: pl.DataFrame, holdout: Holdout, metric: str, k: int, *, n_groups: int = 4
) -> pl.DataFrame:
    """Means of one metric per quarter of the queries by length of history, in the columns of evaluate.by_activity.

    per_query: columns query (row of the holdout), user_id, label, metric, k, value, of one seed and one holdout.
    """
    part = per_query.filter((pl.col("metric") == metric) & (pl.col("k") == k))
    evaluation = Evaluation.from_frame(part, holdout.protocol, queries="")
    return by_activity(evaluation, holdout.queries.history.lengths[: len(evaluation)], n_groups=n_groups)


def popularity_groups(train: Dataset) -> NDArray[np.int64]:
    """int64 (n_items,): 0 head, 1 middle, 2 tail, by training events. The items of each, from the most popular on, hold
    a third of the events (the item that reaches into the next third included); items without an event are tail."""
    counts = train.item_counts()
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    group = np.full(len(counts), 2)
    group[order] = np.where(counts[order] > 0, np.minimum(3 * before // max(int(counts.sum()), 1), 2), 2)
    return group


def by_popularity(
    recommendations: Mapping[str, Recommendations], holdout: Holdout, train: Dataset, metrics: Sequence[str], k: int
) -> pl.DataFrame:
    """Means where only the answers of one group of items count (see `popularity_groups`): label, metric, k, group,
    n_items, n_answers, value, ci_low, ci_high, n_queries, of the queries with such an answer."""
    group, truth = popularity_groups(train), holdout.truth
    of_answer = np.append(group, 2)[np.minimum(truth.values, len(group))]  # one that the log does not know: tail
    clusters, rows = clusters_of(holdout.queries.user), []
    for at, name in enumerate(GROUPS):
        answers = truth.keep(of_answer == at)
        size = int(np.count_nonzero(group == at)), len(answers.values)
        known = Known(train, holdout.queries, answers)
        for label, recs in recommendations.items() if size[1] else ():
            found = ranking(recs.item, answers, k=k, metrics=metrics, dislikes=holdout.dislikes, known=known)
            for metric in metrics:
                mean = mean_of(found[metric, k], None, clusters, bounded=metric not in UNBOUNDED)
                rows.append((label, metric, k, name, *size, *mean))
    return pl.DataFrame(rows, POPULARITY, orient="row")


def by_k(
    recommendations: Mapping[str, Recommendations], holdout: Holdout, train: Dataset, metrics: Sequence[str]
) -> pl.DataFrame:
    """Means at every k up to the length of the lists, for a curve: label, metric, k, value."""
    known, formulas, rows = Known(train, holdout.queries, holdout.truth), formulas_of(metrics, "matinee"), []
    for label, recs in recommendations.items():
        hits = find_hits(recs.item, holdout.truth, dislikes=holdout.dislikes, known=known)
        for metric, compute in formulas.items():
            for k in range(1, recs.k + 1):
                value = compute(hits, k)
                there = value[~np.isnan(value)]
                rows.append((label, metric, k, float(there.mean()) if len(there) else None))
    return pl.DataFrame(rows, BY_K, orient="row")
