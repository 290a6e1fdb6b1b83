"""Tables by task, against means in plain Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from test_report import page_of, quiet_study

from matinee.report.scores import score_tables
from matinee.report.tasks import task_tables


def test_a_mean_for_each_model_and_task_over_all_seeds() -> None:
    study = quiet_study(labels=["a", "b"])
    asked = study.per_query.lazy().collect()
    tasks = ["title", "title + first 5"]
    asked = asked.with_columns(task=pl.Series([tasks[q % 3 % 2] for q in asked["query"].to_list()]))
    study = replace(study, per_query=asked)
    tables = score_tables(study.metrics, study.protocols, study.per_query, study.tested)
    found = task_tables(study.per_query, tables)
    assert [table.title for table in found] == [
        f"{metric}@{k} by what is shown" if k else f"{metric} by what is shown" for metric, k in tables[0].columns
    ]
    for table, (metric, k) in zip(found, tables[0].columns, strict=True):
        assert list(table.head) == ["Model", *tasks]
        for row in table.rows:
            for task, cell in zip(tasks, row[1:], strict=True):
                values = [
                    r["value"]
                    for r in asked.iter_rows(named=True)
                    if (r["label"], r["metric"], r["k"] or 0, r["task"]) == (row[0], metric, k, task)
                    and r["split"] == "test"
                ]
                assert cell == f"{np.mean(values):.4f}"
    page = page_of(study)
    assert "title + first 5" in page.words


def test_without_tasks_there_is_no_table() -> None:
    study = quiet_study(labels=["a", "b"])
    tables = score_tables(study.metrics, study.protocols, study.per_query, study.tested)
    assert task_tables(study.per_query, tables) == []
    assert "by what is shown" not in page_of(study).words
