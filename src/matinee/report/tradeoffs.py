"""What accuracy costs: against seconds to fit and to answer, and against how much of the catalogue is recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.explore.recommended import ListFigures
from matinee.report import format as words
from matinee.report.format import listed
from matinee.report.palette import Look
from matinee.report.scatter import Across, Spot, front, scatter
from matinee.report.scores import Table
from matinee.report.seconds import fit_seconds, medians
from matinee.report.sections import Plot
from matinee.report.study import Study

SHORTEST = 1e-3  # seconds; what took less stands here on a logarithmic axis


def tradeoffs(
    study: Study, tables: Sequence[Table], lists: Mapping[str, ListFigures], looks: Mapping[str, Look]
) -> dict[str, Any] | None:
    """Drawings of the first table's first metric; None where fewer than two models have it."""
    if not tables:
        return None
    plots = [
        plot
        for xs, across, caption in _axes(study, lists)
        if (plot := _plot(tables[0], xs, across, caption, looks)) is not None
    ]
    return {"plots": plots, "column": named(*tables[0].columns[0])} if plots else None


def _axes(study: Study, lists: Mapping[str, ListFigures]) -> list[tuple[dict[str, float], Across, str]]:
    out = []
    answering = medians(study.costs, "recommend_seconds")
    for took, verb in ((fit_seconds(study), "fit"), (answering, "answer the test")):
        across = Across(f"seconds to {verb} (logarithmic)", _seconds, logarithmic=True, less_is_better=True)
        shown = {label: max(value, SHORTEST) for label, value in took.items()}
        out.append((shown, across, f"Accuracy against seconds to {verb}"))
    share = Across("share of the catalogue recommended", _share, less_is_better=False)
    out.append(({label: f.coverage for label, f in lists.items()}, share, "Accuracy against coverage"))
    if lists:
        head = next(iter(lists.values())).head
        popular = Across(f"share of picks among the {head:,} most popular", _share)
        out.append(({label: f.head_share for label, f in lists.items()}, popular, "Accuracy against popular picks"))
    return out


def _plot(
    table: Table, xs: Mapping[str, float], across: Across, caption: str, looks: Mapping[str, Look]
) -> Plot | None:
    metric, name = table.columns[0][0], named(*table.columns[0])
    spots = [
        Spot(row.label, xs[row.label], cell, looks[row.label])
        for row in table.rows
        if row.label in xs and (cell := row.cells[0]) is not None
    ]
    if len(spots) < 2:
        return None
    lower = metric in LOWER_IS_BETTER
    alt = f"{caption}. " + "; ".join(
        f"{spot.label}: {name} {spot.cell.value:.4f} at {across.tick(spot.x)}" for spot in spots
    )
    if across.less_is_better is not None:
        best = [spot.label for spot in front(spots, across, lower=lower)]
        alt += f". No other beats in both: {listed(best)}"
    return Plot(caption, scatter(f"tradeoff-{across.title}", spots, name, across, alt, lower=lower))


def _seconds(value: float) -> str:
    """For an axis: 10 ms, 1 s, 100 s, 1 h."""
    if value < 0.0995:
        return f"{1000 * value:.2g} ms"
    return f"{value:.2g} s" if value < 99.5 else words.seconds(value) if value >= 1000 else f"{value:.0f} s"


def _share(value: float) -> str:
    """For an axis: 24 %, 98.5 %."""
    return f"{100 * value:.4g} %"
