"""Numbers of the queries of each task apart: how good a list is against how much was known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints
from matinee.errors import MatineeError, suggestion
from matinee.evaluate.intervals import Mean, clusters_of, mean_of
from matinee.evaluate.predictions import UNBOUNDED

if TYPE_CHECKING:
    import polars as pl

Values = NDArray[np.float64]
Restricted = TypeVar("Restricted", bound=Any)


class Measured(Protocol):
    """What is read of an Evaluation."""

    @property
    def values(self) -> Mapping[tuple[str, str, int], Values]: ...
    @property
    def weights(self) -> Mapping[tuple[str, int], Values]: ...
    @property
    def user(self) -> Ints:
        """int32 (B,)."""
        ...

    @property
    def tasks(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> list[str]: ...


def by_task(evaluation: Measured) -> pl.DataFrame:
    """label, metric, k (null: no cut-off), task, value, ci_low, ci_high, n_queries: a row a mean, tasks in the order of
    the queries. Without rows where queries have no tasks."""
    import polars as pl

    schema = {"label": pl.String, "metric": pl.String, "k": pl.Int32, "task": pl.String}
    schema |= dict.fromkeys(("value", "ci_low", "ci_high"), pl.Float64) | {"n_queries": pl.Int64}
    rows = [
        (label, metric, k or None, task, *_mean(evaluation, (label, metric, k), of))
        for label, metric, k in evaluation.values
        for task, of in _masks(evaluation)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def task_cells(evaluation: Measured) -> list[tuple[list[str], list[list[str]]]]:
    """For each metric the head and the rows of a table: a model a row, a task a column. None without tasks."""
    masks = _masks(evaluation)
    columns = dict.fromkeys((metric, k) for _, metric, k in evaluation.values) if masks else {}
    tables = []
    for metric, k in columns:
        head = [f"{metric}@{k}" if k else metric, *(task for task, _ in masks)]
        rows = [
            [label, *(f"{_mean(evaluation, (label, metric, k), of).value:.4f}" for _, of in masks)]
            for label in dict.fromkeys(label for label, *of in evaluation.values if tuple(of) == (metric, k))
        ]
        tables.append((head, rows))
    return tables


def tasks_of(asked: pl.DataFrame, n: int) -> tuple[str, ...]:
    """The tasks of n queries, from a frame with the columns `query` and, where there are some, `task`."""
    if "task" not in asked.columns or asked["task"].null_count() == asked.height:
        return ()
    tasks = np.full(n, "", object)
    tasks[asked["query"].to_numpy()] = asked["task"].fill_null("").to_numpy()
    return tuple(tasks.tolist())


def _masks(evaluation: Measured) -> list[tuple[str, NDArray[np.bool_]]]:
    """Each task, and its queries, bool (B,)."""
    tasks = np.array(evaluation.tasks, object)
    return [(task, tasks == task) for task in dict.fromkeys(evaluation.tasks) if task]


def _mean(evaluation: Measured, key: tuple[str, str, int], of: NDArray[np.bool_]) -> Mean:
    value, weight = evaluation.values[key], evaluation.weights.get(key[1:])
    clusters = clusters_of(evaluation.user[of])
    return mean_of(value[of], None if weight is None else weight[of], clusters, bounded=key[1] not in UNBOUNDED)


def of_task(evaluation: Restricted, task: str) -> Restricted:
    """Only the queries of one task. Raises MatineeError for one that there is not."""
    known = list(dict.fromkeys(name for name in evaluation.tasks if name))
    if task not in known:
        what = f"no query is of the task {task!r}" if known else "these queries are of no tasks"
        raise MatineeError(what, hint=suggestion(task, known) if known else "leave out the task")
    of = np.array(evaluation.tasks, object) == task
    values = {key: value[of] for key, value in evaluation.values.items()}
    weights = {key: value[of] for key, value in evaluation.weights.items()}
    return replace(evaluation, values=values, weights=weights, user=evaluation.user[of], tasks=(), totals={})
