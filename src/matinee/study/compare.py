"""The models of one or several runs side by side, and whether their differences are more than luck."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import polars as pl

from matinee.errors import MatineeError
from matinee.evaluate import Comparison, Evaluation, PairedTest
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.significance import column_of, joined, paired_tests
from matinee.files import StrPath
from matinee.study.reader import Run, open_run

RUN_ROW = ["seed", "fold", "query"]  # identifies a query within a run


def compare(
    runs: StrPath | Run | Sequence[StrPath | Run], metric: str | None = None, k: int | None = None,
    baseline: str | None = None, part: str = "test", protocol: str | None = None,
) -> Comparison:  # fmt: skip
    """All models of the runs in one table, and paired tests of each pair in one column; with a baseline, of each other
    model against it. All seeds and folds of a run count as one; a user's queries are clustered in every test.

    runs: folders, or runs already opened. metric, k: the column; when left out the first one measured. part: "test" or
    "valid". protocol: the first characters of a fingerprint, for runs under several protocols; when left out the first
    that measured the metric. A label that several runs use is preceded by its run's name.

    Raises MatineeError for numbers under different protocols or of different queries, and for what was not measured.

    Example: `print(mt.compare("runs/small", metric="ndcg", k=10, baseline="popularity"))`
    """
    given = [runs] if isinstance(runs, str | os.PathLike | Run) else runs
    opened = [run if isinstance(run, Run) else open_run(run) for run in given]
    values = _unique_labels(opened, [_values(run, part, metric, protocol) for run in opened])
    parts = [table.partition_by("protocol", maintain_order=True) for table in values]
    evaluations = [_evaluation(run, one) for run, tables in zip(opened, parts, strict=True) for one in tables]
    joint = joined(_same_columns(evaluations))
    return Comparison(joint, _tests(joint, column_of(joint, metric, k), baseline))


def _values(run: Run, part: str, metric: str | None, protocol: str | None) -> pl.DataFrame:
    """The run's values per query under one protocol: the one asked for, else the first that measured the metric (when
    left out, the first metric). Rankings and predictions have protocols of their own, as has each rule of what is
    ranked."""
    parts = list(dict.fromkeys(row.split for row in run.rows))
    if part not in parts:
        hint = f"parts with numbers: {', '.join(parts) or 'none'}"
        raise MatineeError(f"holds no numbers of the split {part!r}", where=str(run.path), hint=hint)
    values = run.per_query().filter(pl.col("split") == part).with_columns(pl.col("fold").fill_null(0)).collect()
    measured = values["protocol"].unique(maintain_order=True).to_list()
    if protocol is not None:
        chosen = [fingerprint for fingerprint in measured if fingerprint.startswith(protocol)]
        if len(chosen) != 1:
            known = "; ".join(f"{fingerprint}: {run.protocols[fingerprint].candidates}" for fingerprint in measured)
            what = f"{len(chosen) or 'no'} protocols begin with {protocol!r}"
            raise MatineeError(what, where=str(run.path), hint=f"use one of: {known}")
    else:
        wanted = metric or values["metric"][0]
        chosen = values.filter(pl.col("metric") == wanted)["protocol"].unique(maintain_order=True).to_list()
    return values.filter(pl.col("protocol") == chosen[0]) if chosen else values


def _unique_labels(runs: Sequence[Run], values: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """The tables, with the run's name before each label that several runs use."""
    labels = [table["label"].unique(maintain_order=True).to_list() for table in values]
    uses = Counter(label for each in labels for label in each)
    names = [run.path.resolve().name for run in runs]
    names = [name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True)]
    return [
        table.with_columns(pl.col("label").replace({label: f"{name}/{label}" for label in each if uses[label] > 1}))
        for name, each, table in zip(names, labels, values, strict=True)
    ]


def _evaluation(run: Run, values: pl.DataFrame) -> Evaluation:
    """All seeds and folds as one: one row for each (seed, fold, query)."""
    rows = values.select(*RUN_ROW, "user_id").unique().sort(*RUN_ROW)
    numbers = rows.select(*RUN_ROW).with_row_index("row")
    numbered = values.join(numbers, on=RUN_ROW, how="left", maintain_order="left")
    numbered = numbered.with_columns(query=pl.col("row").cast(pl.Int32))
    held = run.recipe.split_seed
    seeds = "split by seed" if held is None else f"split seed {held}"
    queries = hashlib.sha256(f"{seeds}\n{rows.write_csv()}".encode()).hexdigest()[:16]
    return Evaluation.from_frame(numbered, run.protocols[values["protocol"][0]], queries)


def _same_columns(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Only the columns that each of them has."""
    shared = [c for c in evaluations[0].columns if all(c in other.columns for other in evaluations)]
    if not shared:
        raise MatineeError("these runs have no metric in common", hint="run them with the same [evaluate] table")
    return [replace(e, values={key: v for key, v in e.values.items() if key[1:] in shared}) for e in evaluations]


def _tests(joint: Evaluation, column: tuple[str, int], baseline: str | None) -> tuple[PairedTest, ...]:
    """Every pair, or all against the baseline, the better model first; p corrected after Holm for their number."""
    sign = 1 if column[0] in LOWER_IS_BETTER else -1
    order = sorted(joint.labels, key=lambda label: sign * joint.mean(*column, label).value)
    if baseline is not None and baseline not in order:
        raise MatineeError(f"no model is called {baseline!r}", hint=f"use one of {', '.join(joint.labels)}")
    pairs = list(combinations(order, 2))
    if baseline is not None:
        pairs = [(label, baseline) for label in order if label != baseline]
    return paired_tests(joint, column, pairs)
