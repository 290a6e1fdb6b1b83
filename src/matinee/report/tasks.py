"""How good the lists are for each task of a test (a title alone, with the first five items, ...)."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.report.lists import ListTable
from matinee.report.metric_groups import places
from matinee.report.scores import Table, rows_behind


def task_tables(per_query: pl.DataFrame | pl.LazyFrame, tables: Sequence[Table]) -> list[ListTable]:
    """For each metric of the test a table, a model a row and a task a column: means over the queries of all seeds.
    Empty where the test has no tasks. per_query: see Study."""
    test = [table for table in tables if table.split == "test"]
    if not test:
        return []
    rows = rows_behind(per_query, test[0].split, test[0].fingerprint)
    if "task" not in rows.collect_schema().names():
        return []
    keys = ["label", "metric", "k", "task"]
    found = rows.drop_nulls("task").group_by(keys).agg(pl.col("value").mean()).collect()
    tasks = rows.drop_nulls("task").select("query", "task").unique().sort("query").collect()
    names = tasks.unique("task", keep="first", maintain_order=True)["task"].to_list()
    labels = [row.label for row in test[0].rows]
    asked = dict.fromkeys(test[0].columns)
    return [_table(found, metric, k, names, labels) for metric, k in asked] if len(names) > 1 else []


def _table(found: pl.DataFrame, metric: str, k: int, tasks: list[str], labels: list[str]) -> ListTable:
    mine = found.filter((pl.col("metric") == metric) & (pl.col("k").fill_null(0) == k))
    value = {(label, task): x for label, task, x in mine.select("label", "task", "value").iter_rows()}
    values = [[value.get((label, task)) for task in tasks] for label in labels]
    rows = [
        [label, *("–" if x is None else f"{x:.4f}" for x in row)] for label, row in zip(labels, values, strict=True)
    ]
    ranks = places(values, [metric in LOWER_IS_BETTER] * len(tasks))
    note = (
        "Means over the queries of a task, all seeds together. Compare models within a column: with more shown, fewer "
    )
    note += "answers are left, and only longer lists are asked about."
    return ListTable(f"{named(metric, k)} by what is shown", ["Model", *tasks], rows, note, ranks)
