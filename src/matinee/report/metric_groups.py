"""A table of many metrics in groups that fit the page, without metrics that say the same twice; how to sort each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.report.format import listed
from matinee.report.scores import Table

MOST = 7  # columns beside the names that the page has room for


@dataclass(frozen=True)
class Group:
    """heads: metric -> its cut-offs. order: places of the columns in the table's cells. ranks: for each row its place
    by each column, from 0; rows without a value last."""

    heads: dict[str, tuple[int, ...]]
    order: tuple[int, ...]
    ranks: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Grouped:
    """folded: a sentence on each metric that is not shown, because another one says the same."""

    groups: tuple[Group, ...]
    folded: tuple[str, ...]

    @property
    def columns(self) -> list[int]:
        """Places of the shown columns."""
        return [at for group in self.groups for at in group.order]


def grouped(table: Table, one_answer: bool) -> Grouped:
    """one_answer: whether each query hides one item: then metrics that agree in every cell agree by definition."""
    cut_offs: dict[str, list[int]] = {}
    for metric, k in table.columns:
        cut_offs.setdefault(metric, []).append(k)
    folded = folds(table, cut_offs) if one_answer else {}
    shown = {metric: tuple(ks) for metric, ks in cut_offs.items() if metric not in folded}
    packs = packed([len(ks) for ks in shown.values()])
    metrics = list(shown)
    groups = [_group(table, {metrics[at]: shown[metrics[at]] for at in pack}) for pack in packs]
    return Grouped(tuple(groups), _said(folded))


def folds(table: Table, cut_offs: dict[str, list[int]]) -> dict[str, tuple[str, bool]]:
    """Metrics that repeat an earlier one -> (its name, whether they are it divided by k)."""
    found: dict[str, tuple[str, bool]] = {}
    kept: list[str] = []
    for metric, ks in cut_offs.items():
        mine = _values(table, metric, ks)
        for other in kept:
            if cut_offs[other] != ks or np.isnan(mine).all():
                continue
            theirs = _values(table, other, ks)
            for divided in (False, True):
                by = np.maximum(ks, 1) if divided else np.ones(len(ks))
                if metric not in found and np.allclose(mine, theirs / by, rtol=1e-6, atol=1e-9, equal_nan=True):
                    found[metric] = (other, divided)
        if metric not in found:
            kept.append(metric)
    return found


def _values(table: Table, metric: str, ks: Sequence[int]) -> np.ndarray:
    """float64 (rows, ks)."""
    places = [table.columns.index((metric, k)) for k in ks]
    cells = [[row.cells[at] for at in places] for row in table.rows]
    return np.array([[np.nan if cell is None else cell.value for cell in row] for row in cells], np.float64)


def _said(folded: dict[str, tuple[str, bool]]) -> tuple[str, ...]:
    if not folded:
        return ()
    equal = [f"{metric} is {other}{' divided by k' if divided else ''}" for metric, (other, divided) in folded.items()]
    return (f"Each query hides one item, so {listed(equal)}: shown once.",)


def packed(sizes: Sequence[int]) -> list[list[int]]:
    """Neighbours together, at most MOST columns in a group where a metric alone has no more, groups about alike."""
    aim = sum(sizes) / max(-(-sum(sizes) // MOST), 1)
    groups: list[list[int]] = [[]]
    filled = 0
    for at, size in enumerate(sizes):
        if groups[-1] and (filled + size > MOST or filled + size / 2 > aim):
            groups.append([])
            filled = 0
        groups[-1].append(at)
        filled += size
    return groups


def _group(table: Table, heads: dict[str, tuple[int, ...]]) -> Group:
    order = [table.columns.index((metric, k)) for metric, ks in heads.items() for k in ks]
    values = [[None if (cell := row.cells[at]) is None else cell.value for at in order] for row in table.rows]
    return Group(heads, tuple(order), places(values, [table.columns[at][0] in LOWER_IS_BETTER for at in order]))


def places(values: Sequence[Sequence[float | None]], lower: Sequence[bool]) -> tuple[tuple[int, ...], ...]:
    """For each row its place by each column, from 0: the largest first, or the lowest where `lower` says so; of equal
    ones the upper row; rows without a value last."""
    keys = np.array([[np.nan if x is None else x for x in row] for row in values], np.float64)
    keys = keys.reshape(len(values), len(lower)) * np.where(lower, 1.0, -1.0)
    order = np.argsort(np.where(np.isnan(keys), np.inf, keys), axis=0, kind="stable")
    return tuple(tuple(row) for row in np.argsort(order, axis=0, kind="stable").tolist())
