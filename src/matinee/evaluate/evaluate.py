"""Recommendations against hidden answers: a value per query, means with intervals, and the protocol."""

from __future__ import annotations

import hashlib
import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset, Holdout, Protocol
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning, counted
from matinee.evaluate import metrics as formulas
from matinee.evaluate.intervals import FEW, FEW_WORDS, Mean, Method, clusters_of, mean_of, method_of
from matinee.evaluate.known import Known
from matinee.evaluate.metrics import Values
from matinee.evaluate.predictions import ROOTED, UNBOUNDED
from matinee.evaluate.short_lists import short_lists
from matinee.evaluate.tasks import by_task, task_cells, tasks_of
from matinee.notebook import html_notes, html_panel, html_table
from matinee.rank import Asked, Recommendations

if TYPE_CHECKING:
    import polars as pl

OWN_QUERIES = "pass the recommendations made for this holdout's own `queries`, rows in the same order"
TIED_SHARE = 0.05  # a warning where the cut-off is inside a tie at more queries than this

Key = tuple[str, str, int]  # label, metric, k (0 where the metric has no cut-off)


@dataclass(frozen=True, repr=False)
class Evaluation:
    """One or more models on the same queries.

    values: (label, metric, k) -> float64 (B,), NaN where the query has no relevant item; averages leave these out.
    user: int32 (B,) codes into users, -1 = never seen. weights: (metric, k) -> (B,) for the few conventions whose
    number is not the plain mean over queries. queries: 16 hex digits over the users and the answers: two seeds of one
    split share a protocol, but not this. notes: what a reader of the numbers should know, a sentence each. totals: what
    only all lists of a model together have (coverage, gini), without an interval; n_queries is the number of lists.
    tasks: as in Holdout; `by_task` has the means of each.
    """

    values: Mapping[Key, Values]
    user: Ints
    users: IdMap
    protocol: Protocol
    queries: str
    warnings: tuple[str, ...] = ()
    weights: Mapping[tuple[str, int], Values] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    totals: Mapping[Key, Mean] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(label for label, _, _ in self._keys))

    @property
    def columns(self) -> list[tuple[str, int]]:
        """(metric, k), in the order of `evaluate`'s arguments, those of `totals` last."""
        return list(dict.fromkeys((metric, k) for _, metric, k in self._keys))

    @property
    def _keys(self) -> list[Key]:
        return [*self.values, *self.totals]

    @property
    def n_queries(self) -> int:
        """Queries with at least one relevant item."""
        counts = [int(np.count_nonzero(~np.isnan(v))) for v in self.values.values()]
        return max(counts or [mean.n_queries for mean in self.totals.values()], default=0)

    @cached_property
    def clusters(self) -> NDArray[np.int64] | None:
        """int64 (B,): the user of each query, see `clusters_of`; None where no user has two queries."""
        return clusters_of(self.user)

    def mean(self, metric: str, k: int = 0, label: str | None = None) -> Mean:
        """The mean of one column (of rmse, its root). label may be left out where there is one model."""
        label = self._label(label)
        if (label, metric, k) in self.totals:
            return self.totals[label, metric, k]
        if (label, metric, k) not in self.values:
            hint = f"measured: {', '.join(named(*c) for c in self.columns)}"
            raise MatineeError(f"{named(metric, k)} was not measured", hint=hint)
        mean = mean_of(*self._column(label, metric, k), bounded=metric not in UNBOUNDED)
        if metric not in ROOTED:
            return mean
        value, low, high = np.sqrt(np.maximum(mean[:3], 0.0)).tolist()
        return Mean(value, low, high, mean.n_queries)

    def method(self, metric: str, k: int = 0, label: str | None = None) -> Method:
        """How `mean` finds the interval: "normal" (30 queries or more), "wilson" or "bootstrap" (fewer), "none"."""
        if (self._label(label), metric, k) in self.totals:
            return "none"
        return method_of(*self._column(self._label(label), metric, k), bounded=metric not in UNBOUNDED)

    def to_frame(self) -> pl.DataFrame:
        """label, metric, k (null: no cut-off), value, ci_low, ci_high, n_queries, protocol: one row a mean."""
        import polars as pl

        protocol = self.protocol.fingerprint
        rows = [(name, metric, k or None, *self.mean(metric, k, name), protocol) for name, metric, k in self._keys]
        schema = ["label", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "protocol"]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def by_task(self) -> pl.DataFrame:
        """label, metric, k, task, value, ci_low, ci_high, n_queries: one row a mean over the queries of a task."""
        return by_task(self)

    def per_query(self) -> pl.DataFrame:
        """query (row of the holdout), user_id (null = never seen), label, metric, k, value, and task where there are
        some: answered queries only."""
        import polars as pl

        ids = self.users.series.gather(pl.Series(self.user).replace(-1, None)).alias("user_id")
        base = pl.DataFrame({"query": np.arange(len(self), dtype=np.int32), "user_id": ids})
        base = base.with_columns(task=pl.Series(self.tasks)) if self.tasks else base
        parts = []
        for (label, metric, k), value in self.values.items():
            key = {"label": pl.lit(label), "metric": pl.lit(metric), "k": pl.lit(k or None, pl.Int32)}
            parts.append(base.with_columns(**key, value=pl.Series(value, nan_to_null=True)))
        return pl.concat(parts).drop_nulls("value")

    @classmethod
    def from_frame(cls, per_query: pl.DataFrame, protocol: Protocol, queries: str) -> Evaluation:
        """From `per_query()`, as a run folder keeps it, the protocol and the `queries`."""
        import polars as pl

        users = IdMap.from_series(per_query["user_id"].drop_nulls(), what="user")
        n = 1 + int(per_query["query"].to_numpy().max(initial=-1))
        user = np.full(n, -1, np.int32)
        asked = per_query.unique("query")
        user[asked["query"].to_numpy()] = users.encode(asked["user_id"])
        values: dict[Key, Values] = {}
        for name, part in per_query.group_by("label", "metric", "k", maintain_order=True):
            value = np.full(n, np.nan)
            value[part["query"].to_numpy()] = part["value"].cast(pl.Float64).to_numpy()
            values[str(name[0]), str(name[1]), int(str(name[2] or 0))] = value
        if any(formulas.weight_of(metric, protocol.metrics) for _, metric, _ in values):
            what = f"the means of the convention {protocol.metrics!r} cannot be had from values per query alone"
            raise MatineeError(what, hint="evaluate the recommendations again")
        return cls(values, user, users, protocol, queries, tasks=tasks_of(asked, n))

    def __str__(self) -> str:
        by_task = [line for cells in task_cells(self) for line in ["", *text_table(*cells)]]
        return "\n".join([*text_table(*self._cells()), *by_task, "", *self._notes()])

    def __repr__(self) -> str:
        return f"<Evaluation of {', '.join(self.labels)} on {counted(self.n_queries, 'query', 'queries')}>\n{self}"

    def _repr_html_(self) -> str:
        head, rows = self._cells()
        means = html_table(head, rows, numbers=range(1, len(head)), named=True)
        tasks = [html_table(h, r, numbers=range(1, len(h)), named=True) for h, r in task_cells(self)]
        return html_panel("Evaluation", means, *tasks, html_notes(*self._notes()))

    @property
    def interval_words(self) -> str:
        """What stands beside a mean."""
        by_user = "" if self.clusters is None else ", clustered by user"
        if 0 < self.n_queries < FEW:
            return f"mean and its 95 % interval over queries{by_user}; {FEW_WORDS}"
        return f"mean ± half of the 95 % interval over queries{by_user}"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for label in self.labels:
            means = [self.mean(metric, k, label) for metric, k in self.columns]
            rows.append([label, *map(str, means)])
        return ["model", *(named(*column) for column in self.columns)], rows

    def _notes(self) -> list[str]:
        left_out = len(self) - self.n_queries
        without = f" ({left_out:,} without a relevant item left out)" if left_out else ""
        return [
            f"{counted(self.n_queries, 'query', 'queries')}{without}; {self.interval_words}",
            f"{self.protocol} [{self.protocol.fingerprint}]",
            *self.notes,
            *(f"warning: {text}" for text in self.warnings),
        ]

    def _column(self, label: str, metric: str, k: int) -> tuple[Values, Values | None, NDArray[np.int64] | None]:
        """float64 (B,) values and weights, int64 (B,) clusters; None where there are none."""
        return self.values[label, metric, k], self.weights.get((metric, k)), self.clusters

    def _label(self, label: str | None) -> str:
        if label is None and len(self.labels) == 1:
            return self.labels[0]
        if label not in self.labels:
            what = "name one model" if label is None else f"no model {label!r}"
            raise MatineeError(f"{what} of this evaluation", hint=f"its labels: {', '.join(self.labels)}")
        return label


def evaluate(
    recs: Recommendations | Mapping[str, Recommendations],
    holdout: Holdout,
    *,
    k: int | Sequence[int] = (10, 20),
    metrics: Sequence[str] = ("recall", "ndcg", "hit_rate", "mrr"),
    convention: str = "matinee",
    label: str | None = None,
    train: Dataset | None = None,
) -> Evaluation:
    """Measure recommendations (of one model, or label -> recommendations) against a holdout's hidden answers.

    metrics: names of evaluate.metrics.METRICS and evaluate.lists.OF_MODELS; convention: whose definitions
    (evaluate.metrics.CONVENTIONS); k: one or several cut-offs, none above the length of the lists. train: the log that
    the models were fitted on, for the metrics of what lists are like. "recall:late" is a metric of the answers of one
    kind, where the holdout tells them apart (Holdout.kinds). Intervals: see Evaluation.method.
    Raises MatineeError for recommendations that answer other queries than the holdout's, for a list that names an item
    twice, and for a metric that needs a log, an item table or dislikes that are not there.

    Example: `mt.evaluate(recs, split.test, k=10, metrics=["ndcg", "recall"])`
    """
    if not isinstance(holdout, Holdout):
        raise MatineeError(
            f"recommendations are measured against a Holdout, not a {type(holdout).__name__}",
            hint="pass split.test or split.valid",
        )
    models = dict(recs) if isinstance(recs, Mapping) else {label or "model": recs}
    cuts = formulas.cut_offs(k)
    computed = formulas.formulas_of(metrics, convention)
    weights = {name: weight for name in computed if (weight := formulas.weight_of(name, convention)) is not None}
    of_models, known = formulas.model_formulas_of(metrics), _known(train, holdout, models)
    if not models:
        hint = "pass recommendations, or a label -> recommendations map"
        raise MatineeError("there is nothing to evaluate", hint=hint)
    values: dict[Key, Values] = {}
    weighed: dict[tuple[str, int], Values] = {}
    totals: dict[Key, Mean] = {}
    warned: list[str] = []
    for name, rec in models.items():
        _check(rec, holdout, cuts, name)
        hits = formulas.find_hits(
            rec.item, holdout.truth, k=max(cuts), dislikes=holdout.dislikes, known=known, kinds=holdout.kinds
        )
        for metric, cut in product(of_models, cuts):
            totals[name, metric, cut] = Mean(of_models[metric](hits, cut), np.nan, np.nan, len(holdout))
        for metric, cut in product(computed, cuts):
            values[name, metric, cut] = computed[metric](hits, cut)
            if metric in weights:
                weighed[metric, cut] = weights[metric](hits, cut)
        warned += _tie_warnings(rec, cuts, name)
    if not holdout.truth.lengths.any():
        raise MatineeError("no query has a relevant item, so there is nothing to average", hint="check the split")
    for text in warned:
        python_warnings.warn(text, MatineeWarning, stacklevel=2)
    protocol = replace(holdout.protocol, metrics=convention, candidates=_ranked(models, holdout.protocol))
    users, notes = next(iter(models.values())).users, short_lists(holdout, min(cuts))
    asked, truth = holdout.queries.user, holdout.truth
    queries = fingerprint(asked, truth.offsets, truth.values)
    found = Evaluation(values, asked, users, protocol, queries, tuple(warned), weighed, notes, totals)
    return replace(found, tasks=holdout.tasks)


def by_activity(evaluation: Evaluation, lengths: NDArray[np.integer], *, n_groups: int = 4) -> pl.DataFrame:
    """Means per group of equally many queries by history length: label, metric, k, group (from 1: the least active),
    shortest, longest, value, ci_low, ci_high, n_queries.

    lengths: (B,), usually `holdout.queries.history.lengths`. Equal lengths are in one group, so sizes may differ.
    """
    import polars as pl

    if len(lengths) != len(evaluation):
        raise MatineeError(f"{len(lengths)} history lengths for {len(evaluation)} queries", hint="pass one a query")
    asked = ~np.isnan(next(iter(evaluation.values.values())))
    edges = np.unique(np.quantile(lengths[asked], np.arange(1, n_groups) / n_groups, method="inverted_cdf"))
    group = np.unique(np.searchsorted(edges, lengths, side="left"), return_inverse=True)[1]
    rows = []
    for (label, metric, k), value in evaluation.values.items():
        weight = evaluation.weights.get((metric, k))
        for g in np.unique(group[asked]):
            of = asked & (group == g)
            parts = value[of], None if weight is None else weight[of], clusters_of(evaluation.user[of])
            mean = mean_of(*parts, bounded=metric not in UNBOUNDED)
            rows.append((label, metric, k, int(g) + 1, int(lengths[of].min()), int(lengths[of].max()), *mean))
    schema = ["label", "metric", "k", "group", "shortest", "longest", "value", "ci_low", "ci_high", "n_queries"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def named(metric: str, k: int) -> str:
    """A column as tables head it: ndcg@10, rmse."""
    return f"{metric}@{k}" if k else metric


def _known(train: Dataset | None, holdout: Holdout, models: Mapping[str, Recommendations]) -> Known | None:
    """What metrics of lists ask. Raises MatineeError for a log with other items than the lists."""
    if train is None:
        return None
    for name, rec in models.items():
        if rec.items is not train.items and rec.items != train.items:
            hint = "pass the log that the model was fitted on, split.train"
            raise MatineeError("the lists are of other items than the log", where=name, hint=hint)
    return Known(train, holdout.queries, holdout.truth)


def _ranked(models: Mapping[str, Recommendations], protocol: Protocol) -> str:
    """What was ranked, the rules of the lists included. Raises MatineeError where models kept different rules."""
    kept = list(dict.fromkeys(rec.rules for rec in models.values()))
    if len(kept) > 1:
        different = " and ".join(f"{each or 'none'}" for each in kept[:2])
        hint = "recommend with the same rules for every model, or evaluate them apart"
        raise MatineeError(f"the lists were made under different rules: {different}", hint=hint)
    return f"{protocol.candidates} under the rules: {kept[0]}" if kept[0] else protocol.candidates


def fingerprint(*arrays: NDArray[Any]) -> str:
    """16 hex digits of their bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _check(recs: Recommendations, holdout: Holdout, cuts: tuple[int, ...], label: str) -> None:
    k = recs.item.shape[1]
    if max(cuts) > k:
        hint = f"recommend with k={max(cuts)}, or evaluate with k={k} at most"
        what = f"k = {max(cuts)} is more than the {counted(k, 'item')} of the lists"
        raise MatineeError(what, where=label, hint=hint)
    if len(recs.item) != len(holdout) or not np.array_equal(recs.user, holdout.queries.user):
        rows, asked = counted(len(recs.item), "row"), counted(len(holdout), "query", "queries")
        what = f"the recommendations ({rows}) do not answer the holdout's {asked}"
        raise MatineeError(what, where=label, hint=OWN_QUERIES)
    if recs.asked is not None and (differ := recs.asked.differing(Asked.of(holdout.queries))):
        what = f"the recommendations answer other queries than the holdout's: other {' and '.join(differ)}"
        raise MatineeError(what, where=label, hint=OWN_QUERIES)
    _refuse_repeats(recs, max(cuts), label)


def _refuse_repeats(recs: Recommendations, k: int, label: str) -> None:
    """Raise MatineeError for a list that names an item twice among its first k."""
    ranked = np.sort(recs.item[:, :k], axis=1)
    repeated = (ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] >= 0)
    if not repeated.any():
        return
    row = int(repeated.any(axis=1).argmax())
    item = int(ranked[row, 1:][repeated[row]][0])
    of = f"user {recs.users.decode([recs.user[row]])[0]!r}" if recs.user[row] >= 0 else "someone unknown"
    name = repr(recs.items.decode([item])[0]) if item < len(recs.items) else f"of code {item}"
    lists = counted(int(repeated.any(axis=1).sum()), "list names", "lists name")
    what = f"{lists} an item twice, first that of query {row} ({of}) the item {name}"
    raise MatineeError(what, where=label, hint="give each query a list of distinct items")


def _tie_warnings(recs: Recommendations, cuts: tuple[int, ...], label: str) -> list[str]:
    """Warnings where codes decide which items are recommended: a constant scorer must not look good."""
    warned = []
    for k in cuts:
        inside = recs.tied
        if k < recs.item.shape[1]:
            inside = (recs.item[:, k] >= 0) & (recs.score[:, k] == recs.score[:, k - 1])
        share = float(inside.mean()) if len(inside) else 0.0
        if share > TIED_SHARE:
            warned.append(
                f"{label}: at k = {k} the cut-off falls inside a tie at {share:.1%} of the queries, so which of the "
                "equally scored items were recommended was decided by their codes, not by the model"
            )
    return warned


def text_table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[c]) for row in [head, *rows]) for c in range(len(head))]

    def line(cells: list[str]) -> str:
        aligned = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "  ".join(aligned).rstrip()

    return [line(head), "  ".join("-" * w for w in widths), *(line(row) for row in rows)]
