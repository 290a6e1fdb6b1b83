"""The tables of models: means over seeds, their intervals, the best, and which are not significantly worse.

One table per protocol. A value is the mean over its runs (one per seed, or per fold of a seed). Its interval is half of
the 95 % interval over the queries of one run, averaged over the runs: each run asks the same users, so more runs do not
make it narrower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Protocol
from matinee.evaluate.significance import holm
from matinee.report.format import rule_name

LOWER_IS_BETTER = {"rmse", "mae", "bce", "logloss"}
ALPHA = 0.05

Column = tuple[str, int]  # metric, k (0 where a metric has no cut-off)


@dataclass(frozen=True)
class Cell:
    """half: of the interval, None where unknown. runs: the mean of each run. close: not significantly worse than the
    best."""

    value: float
    half: float | None
    runs: tuple[float, ...]
    best: bool = False
    close: bool = False


@dataclass(frozen=True)
class Row:
    label: str
    model: str
    cells: tuple[Cell | None, ...]  # one per column, None = not measured


@dataclass(frozen=True)
class Table:
    """rows: best in the first column first. tested: whether `close` was tested. n_queries: (fewest, most) of a run.
    n_folds: 1 without cross-validation."""

    fingerprint: str
    split: str
    protocol: Protocol | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    n_queries: tuple[int, int]
    seeds: tuple[int, ...]
    n_folds: int
    tested: bool

    @property
    def words(self) -> str:
        return "protocol not described" if self.protocol is None else str(self.protocol)


def score_tables(
    metrics: pl.DataFrame, protocols: Mapping[str, Protocol], per_query: pl.DataFrame | pl.LazyFrame
) -> list[Table]:
    """One table per protocol, the test's first; otherwise in the order of `metrics`."""
    if metrics.is_empty():
        return []
    metrics = _with_fold(metrics).with_columns(pl.col("k").fill_null(0))
    parts = metrics.partition_by("protocol", "split", maintain_order=True)
    parts.sort(key=lambda part: part["split"][0] != "test")
    return [_table(part, protocols, _values(per_query.lazy(), part)) for part in parts]


@dataclass(frozen=True)
class CandidateRuleTable:
    """The same models and metrics under several rules of what is ranked. rows: label and cells, (columns, rules)."""

    rules: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[tuple[Cell | None, ...], ...]], ...]


def by_candidate_rule(tables: Sequence[Table]) -> CandidateRuleTable | None:
    """The test's tables that differ from the first only in what was ranked, together; None where there is only one."""
    test = [(table, table.protocol) for table in tables if table.split == "test" and table.protocol is not None]
    if not test:
        return None
    first, protocol = test[0]
    alike = [
        (rule_name(rules.candidates), {row.label: row.cells for row in table.rows})
        for table, rules in test
        if table.columns == first.columns and replace(rules, candidates=protocol.candidates) == protocol
    ]
    if len(alike) < 2:
        return None

    def row(label: str) -> tuple[tuple[Cell | None, ...], ...]:
        return tuple(
            tuple(cells[label][c] if label in cells else None for _, cells in alike) for c in range(len(first.columns))
        )

    return CandidateRuleTable(
        tuple(rule for rule, _ in alike), first.columns, tuple((one.label, row(one.label)) for one in first.rows)
    )


def _table(part: pl.DataFrame, protocols: Mapping[str, Protocol], per_query: pl.LazyFrame) -> Table:
    columns = list(part.select("metric", "k").unique(maintain_order=True).iter_rows())
    models = dict(part.select("label", "model").unique("label", maintain_order=True).iter_rows())
    grid = {label: [_cell(part, label, column) for column in columns] for label in models}
    tested = False
    for c, column in enumerate(columns):
        tested |= _mark(list(grid.values()), c, column, list(grid), per_query)
    rows = [Row(label, models[label], tuple(cells)) for label, cells in grid.items()]
    fingerprint = str(part["protocol"][0])
    queries = part["n_queries"].to_numpy()
    return Table(
        fingerprint=fingerprint,
        split=str(part["split"][0]),
        protocol=protocols.get(fingerprint),
        columns=tuple(columns),
        rows=tuple(sorted(rows, key=lambda row: _place(row, columns[0]))),
        n_queries=(int(queries.min()), int(queries.max())),
        seeds=tuple(part["seed"].unique().sort().to_list()),
        n_folds=part["fold"].n_unique(),
        tested=tested,
    )


def _cell(part: pl.DataFrame, label: str, column: Column) -> Cell | None:
    metric, k = column
    of = part.filter((pl.col("label") == label) & (pl.col("metric") == metric) & (pl.col("k") == k)).sort(
        "seed", "fold"
    )
    value = of["value"].cast(pl.Float64).to_numpy()
    if not len(value) or not np.isfinite(value).all():
        return None
    half = float(((of["ci_high"] - of["ci_low"]) / 2).cast(pl.Float64).fill_null(float("nan")).to_numpy().mean())
    return Cell(float(value.mean()), half if np.isfinite(half) else None, tuple(value.tolist()))


def _mark(rows: list[list[Cell | None]], c: int, column: Column, labels: list[str], per_query: pl.LazyFrame) -> bool:
    """Mark the best of a column and those not significantly worse, in place. Returns whether that could be tested."""
    measured = [r for r, cells in enumerate(rows) if cells[c] is not None]
    if len(measured) < 2:
        return False
    sign = -1 if column[0] in LOWER_IS_BETTER else 1
    values = {r: sign * cell.value for r in measured if (cell := rows[r][c]) is not None}
    top = max(values.values())
    best = [r for r in measured if values[r] == top]
    others = [r for r in measured if values[r] < top]
    p = against(per_query, column, labels[best[0]], [labels[r] for r in others])
    for r in measured:
        cell = rows[r][c]
        if cell is not None:
            close = r in others and p is not None and bool(p[others.index(r)] >= ALPHA)
            rows[r][c] = Cell(cell.value, cell.half, cell.runs, r in best, close)
    return p is not None


def against(
    per_query: pl.DataFrame | pl.LazyFrame, column: Column, best: str, others: list[str]
) -> NDArray[np.float64] | None:
    """float64 (len(others),): p of two-sided paired t-tests of each other model against the best, after Holm's
    correction; None if they cannot be tested.

    Differences on the same query are summed over all queries and runs of a user, so a user counts once.
    """
    of_column = (pl.col("metric") == column[0]) & (pl.col("k").fill_null(0) == column[1])
    rows = per_query.lazy().filter(of_column).collect()
    index = ["seed", "fold", "query", "who"]
    wide = _with_who(_with_fold(rows)).pivot(on="label", index=index, values="value", aggregate_function="first")
    if not others or any(label not in wide.columns for label in (best, *others)):
        return None
    differences = [(pl.col(best) - pl.col(label)).alias(f"d{i}") for i, label in enumerate(others)]
    sums = wide.drop_nulls([best, *others]).select("who", *differences).group_by("who", maintain_order=True).sum()
    if len(sums) < 2:
        return None
    return holm(np.array([_student(sums[f"d{i}"].to_numpy()) for i in range(len(others))]))


def _student(d: NDArray[np.float64]) -> float:
    """Two-sided p of the hypothesis that the mean of d is 0."""
    from scipy.stats import t

    error = d.std(ddof=1) / np.sqrt(len(d))
    if error == 0:
        return 1.0 if d[0] == 0 else 0.0
    return float(2 * t.sf(abs(d.mean() / error), len(d) - 1))


def _values(per_query: pl.LazyFrame, part: pl.DataFrame) -> pl.LazyFrame:
    """The rows behind one table."""
    names = per_query.collect_schema().names()
    if not {"query", "split"} <= set(names):  # there are none
        return pl.LazyFrame(schema=["seed", "fold", "query", "label", "metric", "k", "value"])
    rows = per_query.filter(pl.col("split") == part["split"][0])
    return rows.filter(pl.col("protocol") == part["protocol"][0]) if "protocol" in names else rows


def _with_who(rows: pl.DataFrame) -> pl.DataFrame:
    """With a column `who`: the user, or the query itself where the user is unknown."""
    if "who" in rows.columns:
        return rows
    unknown = pl.format("query {} of seed {}", "query", "seed")
    who = pl.coalesce(pl.format("user {}", pl.col("user_id")), unknown) if "user_id" in rows.columns else unknown
    return rows.with_columns(who=who)


def _with_fold(frame: pl.DataFrame) -> pl.DataFrame:
    return frame if "fold" in frame.columns else frame.with_columns(fold=pl.lit(None, pl.Int32))


def _place(row: Row, column: Column) -> float:
    """A sort key: the best first, what was not measured last."""
    cell = row.cells[0]
    if cell is None:
        return np.inf
    return cell.value if column[0] in LOWER_IS_BETTER else -cell.value
