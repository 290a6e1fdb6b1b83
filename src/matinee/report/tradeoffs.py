"""What accuracy costs: against seconds to fit and to answer, and against coverage, diversity and the like."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Against:
    """What accuracy is set against. xs: by label."""

    xs: Mapping[str, float]
    across: Across
    caption: str


def tradeoffs(
    study: Study, tables: Sequence[Table], lists: Mapping[str, ListFigures], looks: Mapping[str, Look]
) -> dict[str, Any] | None:
    """Drawings of the first table's first metric, in groups; None where fewer than two models have it."""
    if not tables:
        return None
    ways = orders_anew(study, tables[0])
    said = [f"{way[0]} to {listed(way[1:])}" for way in ways]
    groups = []
    for title, against, lines in (
        ("Against time", _of_time(study), ()),
        ("Against coverage and diversity", _of_lists(study, lists, ordered=bool(ways)), ways),
    ):
        plots = [plot for one in against if (plot := _plot(tables[0], one, looks, lines)) is not None]
        if plots:
            groups.append({"title": title, "plots": plots, "lines": listed(said) if lines else ""})
    return {"groups": groups, "column": named(*tables[0].columns[0])} if groups else None


def orders_anew(study: Study, table: Table) -> list[list[str]]:
    """Of each model that orders the lists of another one by a lam: the base, then what differs in lam alone, by lam."""
    found: dict[str, list[tuple[float, str]]] = {}
    there = {row.label for row in table.rows}
    for row in table.rows:
        values = dict(study.hyper_parameters.get(row.label, {}))
        base, lam = values.get("base"), values.pop("lam", None)
        if isinstance(base, str) and base in there and isinstance(lam, int | float):
            key = json.dumps([base, row.model, values], sort_keys=True, default=str)
            found.setdefault(key, []).append((float(lam), row.label))
    return [[json.loads(key)[0], *(label for _, label in sorted(some))] for key, some in found.items()]


def _of_time(study: Study) -> list[Against]:
    out = []
    answering = medians(study.costs, "recommend_seconds")
    for took, verb in ((fit_seconds(study), "fit"), (answering, "answer the test")):
        across = Across(f"seconds to {verb} (logarithmic)", _seconds, logarithmic=True, less_is_better=True)
        shown = {label: max(value, SHORTEST) for label, value in took.items()}
        out.append(Against(shown, across, f"Accuracy against seconds to {verb}"))
    return out


def _of_lists(study: Study, lists: Mapping[str, ListFigures], *, ordered: bool) -> list[Against]:
    """ordered: whether a model orders lists anew; what only such models seek is left out otherwise."""
    share = Across("share of the catalogue recommended", _share, less_is_better=False)
    out = [Against({label: f.coverage for label, f in lists.items()}, share, "Accuracy against coverage")]
    if (analysis := study.analysis) is not None:
        for metric, title, less in (
            ("diversity", "diversity of genres within a list", False),
            ("calibration_error", "calibration error of genres", True),
        ):
            xs = {label: x for label in lists if (x := analysis.value(metric, label)) is not None and x == x}
            if ordered or metric == "diversity":
                caption = f"Accuracy against {metric.replace('_', ' ')}"
                out.append(Against(xs, Across(title, "{:.3g}".format, less_is_better=less), caption))
    if lists:
        head = next(iter(lists.values())).head
        popular = Across(f"share of picks among the {head:,} most popular", _share)
        xs = {label: f.head_share for label, f in lists.items()}
        out.append(Against(xs, popular, "Accuracy against popular picks"))
    return out


def _plot(
    table: Table, against: Against, looks: Mapping[str, Look], lines: Sequence[Sequence[str]] = ()
) -> Plot | None:
    metric, name = table.columns[0][0], named(*table.columns[0])
    xs, across, caption = against.xs, against.across, against.caption
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
    return Plot(caption, scatter(f"tradeoff-{across.title}", spots, name, across, alt, lower=lower, lines=lines))


def _seconds(value: float) -> str:
    """For an axis: 10 ms, 1 s, 100 s, 1 h."""
    if value < 0.0995:
        return f"{1000 * value:.2g} ms"
    return f"{value:.2g} s" if value < 99.5 else words.seconds(value) if value >= 1000 else f"{value:.0f} s"


def _share(value: float) -> str:
    """For an axis: 24 %, 98.5 %; nothing beyond the whole."""
    return "" if not 0 <= value <= 1 else f"{100 * value:.4g} %"
