"""Everything that is known of what models recommend, in one typed result: `mt.analyse`, and in every run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError, counted, listed
from matinee.evaluate.evaluate import Evaluation, evaluate, named
from matinee.evaluate.evaluate import by_activity as by_activity_of
from matinee.evaluate.known import head_size
from matinee.evaluate.lists import GENRES, OF_LISTS, OF_MODELS, WITH_COLUMN
from matinee.explore import contents, pairs, recommended
from matinee.files import StrPath
from matinee.notebook import html_notes, html_panel, html_table
from matinee.rank import Recommendations

SCHEMA = 1
COLUMNS = ("genres", "directors", "writers")
FIGURES = {
    "label": pl.String(),
    **{f.name: pl.Int64() if f.type == "int" else pl.Float64() for f in fields(recommended.ListFigures)},
}
FRAMES: Mapping[str, Mapping[str, pl.DataType]] = {
    "metrics": recommended.METRICS,
    "figures": FIGURES,
    "pairs": pairs.PAIRS,
    "by_activity": recommended.ACTIVITY,
    "by_popularity": recommended.POPULARITY,
    "by_k": recommended.BY_K,
    "years": contents.YEARS,
    "top": contents.TOP_VALUES,
}
"""The tables of an Analysis and the types of their columns."""


@dataclass(frozen=True, repr=False, eq=False)
class Analysis:
    """What one or several models recommend to the queries of one holdout. k: items of each list that were looked at.

    metrics: label, metric, k, value, ci_low, ci_high, n_queries: quality, and every metric of what lists are like.
    figures: a row a model, the fields of `explore.ListFigures`.
    pairs: a, b, common, share, total, both, only_a, only_b, neither, p: see `explore.pairs.pairs`.
    by_activity: quality in quarters of the queries by length of history: group (1 = shortest), shortest, longest.
    by_popularity: quality for the answers among the head, the middle and the tail of items: group, n_items, n_answers.
    by_k: label, metric, k, value, at every k.
    years: of ("history", "hidden", "recommended"), label (of a model), year, n, share; empty without years.
    top: column, of, label, rank, value, n, share: the ten most frequent genres, directors and writers.
    left_out: what could not be found, and why, a sentence each.

    Example: `found = mt.analyse(recs, split.test, split.train); found.metrics, found.left_out`
    """

    k: int
    n_queries: int
    labels: tuple[str, ...]
    metrics: pl.DataFrame
    figures: pl.DataFrame
    pairs: pl.DataFrame
    by_activity: pl.DataFrame
    by_popularity: pl.DataFrame
    by_k: pl.DataFrame
    years: pl.DataFrame
    top: pl.DataFrame
    left_out: tuple[str, ...]

    def value(self, metric: str, label: str) -> float | None:
        """A model's mean; None where it was not measured."""
        found = self.metrics.filter((pl.col("metric") == metric) & (pl.col("label") == label))["value"]
        return None if found.is_empty() else found[0]

    def pair(self, a: str, b: str) -> dict[str, Any]:
        """What two models share, the fields of a row of `pairs`, seen from a. Raises MatineeError for an unknown label,
        and for one model twice."""
        for label in (a, b):
            if label not in self.labels:
                raise MatineeError(f"no model is called {label!r}", hint=f"use one of: {', '.join(self.labels)}")
        if a == b:
            raise MatineeError(f"a pair is two models, not {a!r} twice", hint="name another one")
        there = self.pairs.filter(pl.col("a").is_in([a, b]) & pl.col("b").is_in([a, b]))
        row = there.row(0, named=True)
        if row["a"] != a:
            row |= {"a": a, "b": b, "only_a": row["only_b"], "only_b": row["only_a"]}
        return row

    def overlap(self) -> NDArray[np.float64]:
        """float64 (models, models): items that two models have in common for a query, on average, for a heat map; on
        the diagonal the mean length of a model's own lists."""
        place = {label: at for at, label in enumerate(self.labels)}
        given = self.figures["n_recommended"].to_numpy() / np.maximum(self.figures["n_queries"].to_numpy(), 1)
        out = np.diag(given.astype(np.float64))
        for a, b, common in self.pairs.select("a", "b", "common").iter_rows():
            out[place[a], place[b]] = out[place[b], place[a]] = common
        return out

    def year_quartiles(self) -> pl.DataFrame:
        """of, label, lower, median, upper release year."""
        return contents.quartiles(self.years)

    def to_json(self) -> str:
        """All of it, for a file that `read` takes."""
        frames = {name: getattr(self, name).fill_nan(None).to_dict(as_series=False) for name in FRAMES}
        plain = {"k": self.k, "n_queries": self.n_queries, "labels": self.labels, "left_out": self.left_out}
        return json.dumps({"schema_version": SCHEMA, **plain, **frames}, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Raises MatineeError for a file that holds no analysis."""
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            if content.pop("schema_version") != SCHEMA:
                raise ValueError(f"the schema version is not {SCHEMA}")
            frames: dict[str, Any] = {
                name: pl.DataFrame(content.pop(name), dict(schema)) for name, schema in FRAMES.items()
            }
            texts: dict[str, Any] = {name: tuple(content.pop(name)) for name in ("labels", "left_out")}
            return cls(**content, **texts, **frames)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
            what = f"holds no analysis ({error})"
            raise MatineeError(what, where=str(path), hint="run the study again") from None

    def __str__(self) -> str:
        head, rows = self._cells()
        widths = [max(len(row[c]) for row in [head, *rows]) for c in range(len(head))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
        ]
        return "\n".join([*lines, "", *self._notes()])

    def __repr__(self) -> str:
        return f"<Analysis of {listed(self.labels)} on {counted(self.n_queries, 'query', 'queries')}>\n{self}"

    def _repr_html_(self) -> str:
        head, rows = self._cells()
        table = html_table(head, rows, numbers=range(1, len(head)), named=True)
        return html_panel("What is recommended", table, html_notes(*self._notes()))

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """A row a metric, a column a model: there are more metrics than fit beside each other."""
        rows = []
        for metric in self.metrics["metric"].unique(maintain_order=True):
            values = [self.value(metric, label) for label in self.labels]
            rows.append([named(metric, self.k), *("–" if value is None else f"{value:.4f}" for value in values)])
        return ["metric", *self.labels], rows

    def _notes(self) -> list[str]:
        queries = counted(self.n_queries, "query", "queries")
        parts = ", ".join(name for name in FRAMES if name != "metrics" and len(getattr(self, name)))
        return [f"the first {self.k} items for each of {queries}; also {parts}", *self.left_out]


def analyse(
    recs: Recommendations | Mapping[str, Recommendations], holdout: Holdout, train: Dataset, *, k: int | None = None,
    metrics: Sequence[str] = ("recall", "ndcg"), columns: Sequence[str] = COLUMNS, label: str | None = None,
) -> Analysis:  # fmt: skip
    """What one model recommends, or several (label -> recommendations) side by side: every metric of lists, overlap and
    shared hits of each two models, quality by activity, by item popularity and by k, release years, genres and people.

    train: the log that the models were fitted on. k: items of each list that are looked at; when left out the whole of
    the shortest lists. metrics: of quality, wherever it is broken down. columns: of the item table, whose values are
    counted; diversity and calibration are of genres. What the log has not is left out, and said in `left_out`.
    Raises MatineeError as `evaluate`.

    Example: `mt.analyse({"ease": recs}, split.test, split.train, k=10).metrics`
    """
    models = dict(recs) if isinstance(recs, Mapping) else {label or "model": recs}
    k = min((one.k for one in models.values()), default=1) if k is None else k
    listwise, left_out = _measurable(train, holdout)
    wanted = list(dict.fromkeys([*metrics, *listwise]))
    found = evaluate(models, holdout, k=k, metrics=wanted, train=train)
    cut = {name: _first(one, k) for name, one in models.items()}
    there = [column for column in columns if _has(train, column)]
    if absent := [column for column in columns if column not in there]:
        left_out.append(f"no {listed(absent)} in the table of items, so none are counted")
    sources = contents.item_counts(cut, holdout, k, train.n_items)
    years = contents.years(sources, train)
    if years is None:
        left_out.append("no column year in the table of items, so no release years")
    return Analysis(
        k=k,
        n_queries=found.n_queries,
        labels=tuple(models),
        metrics=found.to_frame().select(*recommended.METRICS).cast(dict(recommended.METRICS)),  # type: ignore[arg-type]
        figures=_figures(cut, train),
        pairs=pairs.pairs(cut, holdout, k),
        by_activity=_by_activity(found, holdout, metrics, k),
        by_popularity=recommended.by_popularity(cut, holdout, train, metrics, k),
        by_k=recommended.by_k(cut, holdout, train, metrics),
        years=pl.DataFrame(schema=contents.YEARS) if years is None else years,
        top=contents.top_values(sources, train, there),
        left_out=tuple(left_out),
    )


def _measurable(train: Dataset, holdout: Holdout) -> tuple[list[str], list[str]]:
    """The metrics of lists that this log allows, and what is left out."""
    of_genres = [name for name in OF_LISTS if WITH_COLUMN.get(name, GENRES) == GENRES]  # the others measure accuracy
    names, left_out = [*of_genres, *OF_MODELS], []
    if not _has(train, "genres"):
        names = [name for name in names if name not in WITH_COLUMN]
        left_out.append("no column genres in the table of items, so no diversity by genre and no calibration error")
    if holdout.dislikes is None:
        left_out.append("no dislikes are known, so none are counted")
    else:
        names.append("disliked")
    return names, left_out


def _has(train: Dataset, column: str) -> bool:
    return train.item_features is not None and column in train.item_features.columns


def _first(recs: Recommendations, k: int) -> Recommendations:
    """The first k of each list."""
    return replace(recs, item=recs.item[:, :k], score=recs.score[:, :k])


def _figures(recs: Mapping[str, Recommendations], train: Dataset) -> pl.DataFrame:
    head = head_size(train.item_counts())
    rows = [{"label": label, **asdict(recommended.list_figures(one, train, head=head))} for label, one in recs.items()]
    return pl.DataFrame(rows, FIGURES)


def _by_activity(found: Evaluation, holdout: Holdout, metrics: Sequence[str], k: int) -> pl.DataFrame:
    """Of the metrics of quality alone."""
    values: dict[Any, Any] = {key: value for key, value in found.values.items() if key[1] in metrics}
    if not values:
        return pl.DataFrame(schema=recommended.ACTIVITY)
    rows = by_activity_of(replace(found, values=values), holdout.queries.history.lengths)
    return rows.select(*recommended.ACTIVITY).cast(dict(recommended.ACTIVITY))  # type: ignore[arg-type]
