"""The models of one or several runs side by side, and whether their differences are more than luck."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl

from matinee.errors import MatineeError, listed
from matinee.evaluate import Comparison, Evaluation
from matinee.evaluate.evaluate import Key
from matinee.evaluate.intervals import Mean
from matinee.evaluate.lists import OF_MODELS
from matinee.evaluate.paired import Correction, Test, check_names
from matinee.evaluate.power import ALPHA, POWER, Power, pair_powers
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.evaluate.significance import column_of, joined, of_models, paired_tests
from matinee.evaluate.tasks import of_task
from matinee.files import StrPath
from matinee.study.differences import refuse_differences
from matinee.study.reader import Run, open_run
from matinee.study.results import MetricRow

Runs = StrPath | Run | Sequence[StrPath | Run]
RUN_ROW = ["seed", "fold", "query"]  # identifies a query within a run


def compare(
    runs: Runs, metric: str | None = None, k: int | None = None, baseline: str | None = None, part: str = "test",
    protocol: str | None = None, *, test: Test | None = None, correction: Correction | None = None,
    task: str | None = None,
) -> Comparison:  # fmt: skip
    """All models of the runs in one table, and paired tests of each pair in one column; with a baseline, of each other
    model against it. All seeds and folds of a run count as one; a user's queries are clustered in every test.

    runs: folders, or runs already opened. metric, k: the column; when left out the first one measured. part: "test" or
    "valid". protocol: the first characters of a fingerprint, for runs under several protocols; when left out the first
    that measured the metric. A label that several runs use is preceded by its run's name. test: "randomisation", "t",
    "wilcoxon" or "bootstrap"; correction: "holm", "benjamini_hochberg" or "none"; when left out, what the first run's
    recipe says, else randomisation and Holm. task: only the queries of this one ("title + first 5"), where queries have
    tasks (split.lists).

    A number of all lists of a model (coverage, gini) stands in the table without an interval, and is not tested.
    Raises MatineeError for numbers under different protocols or of different queries, and for what was not measured.

    Example: `print(mt.compare("runs/small", metric="ndcg", k=10, baseline="popularity", test="wilcoxon"))`
    """
    opened = opened_runs(runs)
    asked = opened[0].recipe.evaluate
    test, correction = test or asked.test or "randomisation", correction or asked.correction or "holm"
    check_names(test, correction)
    joint = joint_evaluation(opened, metric, part, protocol)
    joint = joint if task is None else of_task(joint, task)
    column = column_of(joint, metric, k)
    pairs = [] if column in of_models(joint) else _pairs(joint, column, baseline)
    tests = paired_tests(joint, column, pairs, test=test, correction=correction)
    return Comparison(joint, tests)


def power(
    runs: Runs, metric: str | None = None, k: int | None = None, baseline: str | None = None, part: str = "test",
    protocol: str | None = None, *, difference: float | str | None = None, power: float = POWER, alpha: float = ALPHA,
) -> Power:  # fmt: skip
    """How many users would be needed to see each difference, and the smallest difference that these users can show: for
    planning the next test. Arguments as in `compare`.

    difference: to be seen, absolute or as "2%" of the second model's mean; when left out the measured one of each pair.
    power: the chance to see it, of a two-sided paired t-test at the level alpha, without correction for several pairs.

    Raises MatineeError as `compare`, and for a difference of 0 and shares that are not between 0 and 1.

    Example: `print(mt.power("runs/small", metric="ndcg", k=10, difference="2%"))`
    """
    joint = joint_evaluation(opened_runs(runs), metric, part, protocol)
    column = column_of(joint, metric, k)
    return pair_powers(joint, column, _pairs(joint, column, baseline), difference=difference, power=power, alpha=alpha)


def opened_runs(runs: Runs) -> list[Run]:
    """The runs, at least one. Raises MatineeError where none is named."""
    given = [runs] if isinstance(runs, str | os.PathLike | Run) else runs
    if not given:
        raise MatineeError("there is nothing to compare", hint="name at least one run")
    return [run if isinstance(run, Run) else open_run(run) for run in given]


def joint_evaluation(
    runs: Sequence[Run], metric: str | None, part: str, protocol: str | None,
    only: Sequence[Sequence[str]] | None = None,
) -> Evaluation:  # fmt: skip
    """All models of the runs under one protocol, labelled by `unique_labels`. only: the labels to read, for each run.

    Raises MatineeError for runs whose numbers do not compare.
    """
    wanted: Sequence[Sequence[str] | None] = [None] * len(runs) if only is None else only
    values = [_values(run, part, metric, protocol, of) for run, of in zip(runs, wanted, strict=True)]
    names = unique_labels(runs, [run.labels for run in runs] if only is None else only)
    renamed = [table.with_columns(pl.col("label").replace(of)) for table, of in zip(values, names, strict=True)]
    evaluations = [_evaluation(run, table) for run, table in zip(runs, renamed, strict=True)]
    evaluations = [
        replace(one, totals=_totals(run, part, one, of)) for run, one, of in zip(runs, evaluations, names, strict=True)
    ]
    refuse_differences(runs, evaluations)
    return joined(_same_columns(evaluations))


def _values(
    run: Run, part: str, metric: str | None, protocol: str | None, labels: Sequence[str] | None
) -> pl.DataFrame:
    """The run's values per query under one protocol: the one asked for, else the first that measured the metric (when
    left out, the first metric). Rankings and predictions have protocols of their own, as has each rule of what is
    ranked."""
    parts = list(dict.fromkeys(row.split for row in run.rows))
    if part not in parts:
        hint = f"parts with numbers: {', '.join(parts) or 'none'}"
        raise MatineeError(f"holds no numbers of the split {part!r}", where=str(run.path), hint=hint)
    rows = run.per_query().filter(pl.col("split") == part).with_columns(pl.col("fold").fill_null(0))
    values = (rows if labels is None else rows.filter(pl.col("label").is_in(labels))).collect()
    if values.is_empty():
        what = f"holds no numbers of {listed(labels or run.labels)} in the split {part!r}"
        raise MatineeError(what, where=str(run.path), hint="a model that cannot rank or predict is not measured by it")
    measured = values["protocol"].unique(maintain_order=True).to_list()
    if protocol is not None:
        chosen = [fingerprint for fingerprint in measured if fingerprint.startswith(protocol)]
        if len(chosen) != 1:
            known = "; ".join(f"{fingerprint}: {run.protocols[fingerprint].candidates}" for fingerprint in measured)
            what = f"{len(chosen) or 'no'} protocols begin with {protocol!r}"
            raise MatineeError(what, where=str(run.path), hint=f"use one of: {known}")
    else:
        wanted = metric or values["metric"][0]
        having = {row.protocol for row in run.rows if row.metric == wanted and row.split == part}
        chosen = [fingerprint for fingerprint in measured if fingerprint in having]
    return values.filter(pl.col("protocol") == (chosen or measured)[0])


def _totals(run: Run, part: str, evaluation: Evaluation, names: Mapping[str, str]) -> dict[Key, Mean]:
    """The numbers of all lists of a model, which have no values per query: means over seeds and folds."""
    found: dict[Key, list[MetricRow]] = {}
    for row in run.rows:
        mine = row.split == part and row.protocol == evaluation.protocol.fingerprint and row.label in names
        if mine and row.metric in OF_MODELS and row.value is not None:
            found.setdefault((names[row.label], row.metric, row.k or 0), []).append(row)
    return {
        key: Mean(sum(row.value or 0.0 for row in rows) / len(rows), np.nan, np.nan, sum(row.n_queries for row in rows))
        for key, rows in found.items()
    }


def unique_labels(runs: Sequence[Run], labels: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """label -> its name in the common table, for each run: with the run's name before a label that several use."""
    uses = Counter(label for each in labels for label in each)
    names = [run.path.resolve().name for run in runs]
    names = [name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True)]
    return [
        {label: f"{name}/{label}" if uses[label] > 1 else label for label in each}
        for name, each in zip(names, labels, strict=True)
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
    return [
        replace(
            e,
            values={key: v for key, v in e.values.items() if key[1:] in shared},
            totals={key: v for key, v in e.totals.items() if key[1:] in shared},
        )
        for e in evaluations
    ]


def _pairs(joint: Evaluation, column: tuple[str, int], baseline: str | None) -> list[tuple[str, str]]:
    """Every pair, or all against the baseline, the better model first."""
    sign = 1 if column[0] in LOWER_IS_BETTER else -1
    order = sorted(joint.labels, key=lambda label: sign * joint.mean(*column, label).value)
    if baseline is None:
        return list(combinations(order, 2))
    if baseline not in order:
        raise MatineeError(f"no model is called {baseline!r}", hint=f"use one of {', '.join(joint.labels)}")
    return [(label, baseline) for label in order if label != baseline]
