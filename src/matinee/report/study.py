"""What a report is made of, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import polars as pl

from matinee.data.dataset import Dataset, Protocol, Split
from matinee.data.side_table_report import SideTableReport
from matinee.evaluate import Bin, Finding
from matinee.explore import Analysis
from matinee.rank import Recommendations
from matinee.report.scores import TESTED, HowTested
from matinee.study.reader import Run
from matinee.study.results import Curve


@dataclass(frozen=True)
class Study:
    """Everything a report shows; any frame may be empty, and any part of the data may be missing. per_query may be a
    LazyFrame over a file: then only the rows behind one column of a table are in memory at a time.

    data: after filters. split: of the first seed, as are the recommendations (label -> for split.test.queries), the
    curves and the calibration. metrics, costs: as Run has them. protocols: by fingerprint. findings: the audit's.
    per_query: label, split, query, user_id, metric, k, value, seed, and protocol where labels alone are not enough.
    facts: printed at the foot, in their order ("command", "cpu", "python"). curves: by label. side_tables: how much of
    the data they describe. remarks: fingerprint -> what a reader of those numbers should know. calibration: label ->
    bins of predicted probabilities in the test. hyper_parameters: label -> all of them but None, in the recipe's order
    of models. tested: how models are tested against the best. analysis: of the same recommendations.
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
    curves: Mapping[str, Curve] = field(default_factory=dict)
    side_tables: Sequence[SideTableReport] = ()
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calibration: Mapping[str, Sequence[Bin]] = field(default_factory=dict)
    hyper_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tested: HowTested = TESTED
    analysis: Analysis | None = None

    @classmethod
    def of(cls, run: Run, data: Dataset, split: Split) -> Self:
        """A finished run's. data: after filters. split: the first, its test as the recommendations answered it."""
        record, asked = run.record, run.recipe.evaluate
        same_ids = split.train.users is data.users and split.train.items is data.items
        return cls(
            title=record.title,
            data=data if same_ids else split.train,  # provided files may bring ids of their own
            split=split,
            metrics=run.metrics,
            protocols=run.protocols,
            findings=record.audit,
            warnings=run.warnings,
            recommendations={label: run.lists(label, split) for label in run.labels},
            per_query=run.per_query(),
            costs=run.costs,
            facts={"command": record.command, **record.machine},
            curves=run.curves,
            side_tables=record.data.side_tables,
            remarks=record.remarks,
            calibration=record.calibration,
            hyper_parameters={
                table.label: table.model_dump(exclude={"name", "label"}, exclude_none=True)
                for table in run.recipe.model
            },
            analysis=run.analysis,
            tested=HowTested(asked.test or TESTED.test, asked.correction or TESTED.correction),
        )
