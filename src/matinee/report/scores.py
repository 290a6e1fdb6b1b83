"""The tables of models: means over seeds, their intervals, the best, and which are not significantly worse.

One table per protocol. A value is the mean over its runs (one per seed, or per fold of a seed). Its interval is half of
the 95 % interval over the queries of one run, averaged over the runs: each run asks the same users, so more runs do not
make it narrower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Protocol
from matinee.evaluate.intervals import symmetric
from matinee.evaluate.paired import CORRECTIONS, NAMES, TESTS, Correction, Test
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.split.candidates import OBSERVED

ALPHA = 0.05
RULES = {Protocol.candidates: "all items", OBSERVED: "own hidden rows"}  # what was ranked, for a table's head

Column = tuple[str, int]  # metric, k (0 where a metric has no cut-off)


@dataclass(frozen=True)
class HowTested:
    """How models are tested against the best: names of `paired.TESTS` and `paired.CORRECTIONS`."""

    test: Test = "t"
    correction: Correction = "holm"

    @property
    def words(self) -> str:
        correction = "not corrected" if self.correction == "none" else f"{NAMES[self.correction]}’s correction"
        return f"paired {NAMES[self.test]} by user, {correction}"


TESTED = HowTested()


@dataclass(frozen=True)
class Cell:
    """half: of the interval, None where unknown. runs: the mean of each run. close: not significantly worse than the
    best. bounds: the ends of an interval that is not symmetric, as below 30 queries. p: of its test against the best,
    after the correction; None for the best, and where nothing could be tested."""

    value: float
    half: float | None
    runs: tuple[float, ...]
    best: bool = False
    close: bool = False
    bounds: tuple[float, float] | None = None
    p: float | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of the interval, None where it is unknown."""
        return self.bounds or (None if self.half is None else (self.value - self.half, self.value + self.half))


@dataclass(frozen=True)
class Row:
    label: str
    model: str
    cells: tuple[Cell | None, ...]  # one per column, None = not measured


@dataclass(frozen=True)
class Table:
    """rows: best in the first column first. tested: whether `close` was tested; test_words: how. n_queries: (fewest,
    most) of a run. n_folds: 1 without cross-validation."""

    fingerprint: str
    split: str
    protocol: Protocol | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    n_queries: tuple[int, int]
    seeds: tuple[int, ...]
    n_folds: int
    tested: bool
    test_words: str = TESTED.words

    @property
    def words(self) -> str:
        return "protocol not described" if self.protocol is None else str(self.protocol)


def score_tables(
    metrics: pl.DataFrame, protocols: Mapping[str, Protocol], per_query: pl.DataFrame | pl.LazyFrame,
    how: HowTested = TESTED,
) -> list[Table]:  # fmt: skip
    """One table per protocol, the test's first; otherwise in the order of `metrics`."""
    if metrics.is_empty():
        return []
    metrics = _with_fold(metrics).with_columns(pl.col("k").fill_null(0))
    parts = metrics.partition_by("protocol", "split", maintain_order=True)
    parts.sort(key=lambda part: part["split"][0] != "test")
    return [_table(part, protocols, per_query, how) for part in parts]


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
        (
            RULES.get(rules.candidates, rules.candidates.removeprefix("as given in ")),
            {row.label: row.cells for row in table.rows},
        )
        for table, rules in test
        if table.columns == first.columns and replace(rules, candidates=protocol.candidates) == protocol
    ]
    if len(alike) < 2:
        return None

    missing = (None,) * len(first.columns)
    rows = (
        (row.label, tuple(zip(*(cells.get(row.label, missing) for _, cells in alike), strict=True)))
        for row in first.rows
    )
    return CandidateRuleTable(tuple(rule for rule, _ in alike), first.columns, tuple(rows))


def _table(
    part: pl.DataFrame, protocols: Mapping[str, Protocol], per_query: pl.DataFrame | pl.LazyFrame, how: HowTested
) -> Table:
    fingerprint, split = str(part["protocol"][0]), str(part["split"][0])
    rows_of = rows_behind(per_query, split, fingerprint)
    columns = list(part.select("metric", "k").unique(maintain_order=True).iter_rows())
    models = dict(part.select("label", "model").unique("label", maintain_order=True).iter_rows())
    marked = [_marked(_cells(part, models, column), column, rows_of, how) for column in columns]
    rows = [Row(label, model, tuple(cells.get(label) for cells, _ in marked)) for label, model in models.items()]
    sign = 1 if columns[0][0] in LOWER_IS_BETTER else -1
    rows.sort(key=lambda row: np.inf if row.cells[0] is None else sign * row.cells[0].value)
    queries = part["n_queries"].to_numpy()
    return Table(
        fingerprint=fingerprint,
        split=split,
        protocol=protocols.get(fingerprint),
        columns=tuple(columns),
        rows=tuple(rows),
        n_queries=(int(queries.min()), int(queries.max())),
        seeds=tuple(part["seed"].unique().sort().to_list()),
        n_folds=part["fold"].n_unique(),
        tested=any(tested for _, tested in marked),
        test_words=how.words,
    )


def _cells(part: pl.DataFrame, labels: Iterable[str], column: Column) -> dict[str, Cell]:
    """A column's cells, by the labels of the models that have one."""
    of_column = part.filter((pl.col("metric") == column[0]) & (pl.col("k") == column[1])).sort("seed", "fold")
    found = {}
    for label in labels:
        of = of_column.filter(pl.col("label") == label)
        value = of["value"].cast(pl.Float64).to_numpy()
        if len(value) and np.isfinite(value).all():
            half = ((of["ci_high"] - of["ci_low"]) / 2).cast(pl.Float64).fill_null(float("nan")).to_numpy().mean()
            mean, known = float(value.mean()), bool(np.isfinite(half))
            bounds = _skewed(mean, of) if known else None
            found[label] = Cell(mean, float(half) if known else None, tuple(value.tolist()), bounds=bounds)
    return found


def _skewed(mean: float, of: pl.DataFrame) -> tuple[float, float] | None:
    """The ends of the interval, averaged over the runs, where they are not as far below the mean as above it."""
    low, high = (float(of[end].cast(pl.Float64).to_numpy().mean()) for end in ("ci_low", "ci_high"))
    return None if symmetric(mean, low, high) else (low, high)


def _marked(
    cells: dict[str, Cell], column: Column, per_query: pl.LazyFrame, how: HowTested
) -> tuple[dict[str, Cell], bool]:
    """A column's cells, the best and those not significantly worse marked; and whether that could be tested."""
    if len(cells) < 2:
        return cells, False
    sign = -1 if column[0] in LOWER_IS_BETTER else 1
    top = max(sign * cell.value for cell in cells.values())
    best = [label for label, cell in cells.items() if sign * cell.value == top]
    others = [label for label in cells if label not in best]
    p = against(per_query, column, best[0], others, how)
    known = {} if p is None else dict(zip(others, p.tolist(), strict=True))
    close = [label for label, one in known.items() if one >= ALPHA]
    found = {
        label: replace(cell, best=label in best, close=label in close, p=known.get(label))
        for label, cell in cells.items()
    }
    return found, p is not None


def against(
    per_query: pl.DataFrame | pl.LazyFrame, column: Column, best: str, others: list[str], how: HowTested = TESTED
) -> NDArray[np.float64] | None:
    """float64 (len(others),): p of two-sided paired tests of each other model against the best, after the correction;
    None if they cannot be tested.

    Differences on the same query are summed over all queries and runs of a user, so a user counts once; a query of an
    unknown user counts as a user.
    """
    found = differences(per_query, column, best, others)
    if found is None:
        return None
    return CORRECTIONS[how.correction](np.array([TESTS[how.test](d) for d in found[0]]))


def differences(
    per_query: pl.DataFrame | pl.LazyFrame, column: Column, best: str, others: list[str]
) -> tuple[list[NDArray[np.float64]], int] | None:
    """How much more the best has than each other: one float64 (n_users,) each, summed over a user's queries and runs;
    and how many queries of runs that were. None for fewer than two users, and where a model has no values."""
    of_column = (pl.col("metric") == column[0]) & (pl.col("k").fill_null(0) == column[1])
    rows = per_query.lazy().filter(of_column).collect()
    index = ["seed", "fold", "query", "who"]
    unknown = pl.format("query {} of seed {}", "query", "seed")
    rows = _with_fold(rows).with_columns(who=pl.coalesce(pl.format("user {}", pl.col("user_id")), unknown))
    wide = rows.pivot(on="label", index=index, values="value", aggregate_function="first")
    if not others or any(label not in wide.columns for label in (best, *others)):
        return None
    apart = [(pl.col(best) - pl.col(label)).alias(f"d{i}") for i, label in enumerate(others)]
    known = wide.drop_nulls([best, *others])
    sums = known.select("who", *apart).group_by("who", maintain_order=True).sum()
    if len(sums) < 2:
        return None
    return [sums[f"d{i}"].to_numpy() for i in range(len(others))], len(known)


def rows_behind(per_query: pl.DataFrame | pl.LazyFrame, split: str, fingerprint: str) -> pl.LazyFrame:
    """The values behind one table."""
    names = per_query.lazy().collect_schema().names()
    if not {"query", "split"} <= set(names):  # there are none
        return pl.LazyFrame(schema=["seed", "fold", "query", "user_id", "label", "metric", "k", "value"])
    rows = per_query.lazy().filter(pl.col("split") == split)
    return rows.filter(pl.col("protocol") == fingerprint) if "protocol" in names else rows


def _with_fold(frame: pl.DataFrame) -> pl.DataFrame:
    return frame if "fold" in frame.columns else frame.with_columns(fold=pl.lit(None, pl.Int32))
