"""How much of a log its side tables describe."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Bools
from matinee.data.dataset import Dataset
from matinee.data.side import EntityKind, Unmatched
from matinee.errors import MatineeWarning, counted, either


@dataclass(frozen=True)
class SideTableReport:
    """How much of the log a side table describes. Ids that only the table has get codes too.

    in_log: ids with an event. described: those of them of whom the table says anything. without_event: ids that have
    none, as those have that stand in the table only. missing: column -> ids with an event and no value there.
    unmatched: of its files, ids that the log as read had not (before filters), and ids that were left out.
    """

    what: EntityKind
    in_log: int
    described: int
    without_event: int
    missing: Mapping[str, int]
    unmatched: tuple[Unmatched, ...] = ()

    def __str__(self) -> str:
        are = either(self.described, "is", "are")
        text = f"{self.what}: {self.described:,} of {self.in_log:,} in the log {are} described"
        if self.without_event:
            text += f", {self.without_event:,} more without an event"
        gaps = ", ".join(f"{name} {n:,}" for name, n in self.missing.items() if n)
        text = f"{text}; missing: {gaps}" if gaps else text
        return "; ".join([text, *(str(each) for each in self.unmatched if not each.kept)])


def side_table_report(data: Dataset) -> tuple[SideTableReport, ...]:
    """One for each side table there is. A MatineeWarning where tables tell of ids that the log as read had not, and
    where a table says nothing of most of the log's ids. Missing values are no warning: single columns may be mostly
    empty, as tags are."""
    tables: list[tuple[EntityKind, pl.DataFrame | None, NDArray[np.int64]]] = [
        ("users", data.user_features, data.user_counts()),
        ("items", data.item_features, data.item_counts()),
    ]
    found = tuple(
        _covered(what, table, counts > 0, tuple(each for each in data.unmatched if each.what == what))
        for what, table, counts in tables
        if table is not None
    )
    if data.unmatched:
        warnings.warn(f"{data.name}: {'; '.join(map(str, data.unmatched))}", MatineeWarning, stacklevel=2)
    for each in found:
        if 2 * each.described < each.in_log:
            said = f"the table of {each.what} describes {each.described:,} of the {each.in_log:,} in the log"
            have = f"{counted(each.without_event, each.what[:-1])} {either(each.without_event, 'has', 'have')}"
            unused = f"{have} no event: are its ids those of the log?"
            warnings.warn(f"{data.name}: {said}; {unused}", MatineeWarning, stacklevel=2)
    return found


def _covered(what: EntityKind, table: pl.DataFrame, in_log: Bools, unmatched: tuple[Unmatched, ...]) -> SideTableReport:
    found = {column.name: said(column)[in_log] for column in table.iter_columns()}
    n = int(in_log.sum())
    described = np.logical_or.reduce([np.zeros(n, bool), *found.values()])
    missing = {name: n - int(there.sum()) for name, there in found.items()}
    return SideTableReport(what, n, int(described.sum()), int((~in_log).sum()), missing, unmatched)


def said(column: pl.Series) -> Bools:
    """(n,): true where there is a value; an empty list, an empty text and NaN are none."""
    there = column.is_not_null()
    if isinstance(column.dtype, pl.List):
        there &= (column.list.len() > 0).fill_null(False)
    elif column.dtype == pl.String:
        there &= (column != "").fill_null(False)
    elif column.dtype.is_float():
        there &= column.is_not_nan().fill_null(False)
    return there.to_numpy()
