"""What a report is made of, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.data.dataset import Dataset, Protocol, Split
from matinee.files import atomic_write
from matinee.rank import Recommendations

if TYPE_CHECKING:
    import polars as pl

    from matinee.data.side_table_report import SideTableReport
    from matinee.evaluate import Bin, Finding


@dataclass(frozen=True)
class Study:
    """Everything a report shows; any frame may be empty, and any part of the data may be missing. per_query may be a
    LazyFrame over a file: only the rows behind one column of a table are then in memory at a time.

    data: after filters. split: of the first seed, as are the recommendations (label -> for split.test.queries).
    metrics: label, model, split ("valid" | "test"), metric, k, value, ci_low, ci_high, n_queries, seed, protocol.
    protocols: by fingerprint. findings: the audit's. per_query: label, split, query, user_id, metric, k, value,
    seed, and protocol where labels alone do not tell. costs: label, seed, fit_seconds, recommend_seconds, peak_mb.
    facts: printed at the foot, in their order ("command", "date", "cpu", "versions"). curves: label -> an entry a
    round of the fit on train (Model.curve). curve_names: label -> how rounds, loss and validation are called
    (Model.rounds, Model.curve_names). side_tables: how much of the data they describe. remarks: fingerprint -> what a
    reader of those numbers should know. calibration: label -> bins of predicted probabilities in the test, of the first
    seed. hyper_parameters: label -> all of them but None, in the recipe's order of models.
    """

    title: str
    data: Dataset
    split: Split
    metrics: pl.DataFrame
    protocols: Mapping[str, Protocol]
    findings: Sequence[Finding]
    warnings: Sequence[str]
    recommendations: Mapping[str, Recommendations]
    per_query: pl.DataFrame | pl.LazyFrame
    costs: pl.DataFrame
    facts: Mapping[str, str]
    curves: Mapping[str, Sequence[Mapping[str, float | None]]] = field(default_factory=dict)
    curve_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    side_tables: Sequence[SideTableReport] = ()
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calibration: Mapping[str, Sequence[Bin]] = field(default_factory=dict)
    hyper_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_report(study: Study, path: Path) -> None:
    """One HTML file that needs nothing else. Equal studies give equal bytes."""
    from matinee.report.page import render  # matplotlib and jinja2 cost a second that a recipe's check need not pay

    atomic_write(path, render(study))
