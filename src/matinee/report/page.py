"""A study as one HTML page: sections.py gives text and drawings, the templates give structure and escape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TypeVar

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from matinee.errors import MatineeError
from matinee.report import format as words
from matinee.report import sections, takeaway
from matinee.report.apart import apart
from matinee.report.grids import grids
from matinee.report.lists import list_tables
from matinee.report.metric_groups import grouped
from matinee.report.names import with_names, written
from matinee.report.palette import looks
from matinee.report.scores import by_candidate_rule, score_tables
from matinee.report.seconds import composites
from matinee.report.study import Study
from matinee.report.tasks import task_tables
from matinee.report.tradeoffs import tradeoffs

Part = TypeVar("Part")


def render(study: Study) -> str:
    """The whole page. Raises MatineeError where recommendations do not answer the test's queries."""
    for label, recs in study.recommendations.items():
        if len(recs) != len(study.split.test):
            what = f"{len(recs)} rows of recommendations for {len(study.split.test)} test queries"
            hint = "pass the recommendations for split.test.queries of the first seed"
            raise MatineeError(what, where=label, hint=hint)
    study = with_names(study)
    look = looks(study.metrics["label"] if len(study.metrics) else study.recommendations)
    tables = score_tables(study.metrics, study.protocols, study.per_query, study.tested)
    study = _in_order(study, [row.label for table in tables for row in table.rows])
    lists = sections.lists(study)
    one_answer = bool((study.split.test.truth.lengths == 1).all())
    remarks = [study.remarks.get(one.fingerprint, ()) for one in tables]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=study.title,
            looks=look,
            summary=sections.summary(study),
            takeaway=takeaway.sentences(study, tables, lists),
            joined=any("members" in values for values in study.hyper_parameters.values()),
            remarks=remarks[0] if remarks else (),
            tradeoffs=tradeoffs(study, tables, lists, look),
            figures=sections.key_figures(study.data, study.side_tables),
            tables=[
                sections.scores(at, one, remarks[at], grouped(one, one_answer), look) for at, one in enumerate(tables)
            ],
            by_candidate_rule=by_candidate_rule(tables),
            grids=grids(study, tables),
            calibrations=sections.calibrations(study, look),
            costs=sections.costs(study),
            trainings=sections.trainings(study, look),
            recommended=sections.recommended(study, lists),
            groups=sections.groups(study, tables),
            tasks=task_tables(study.per_query, tables),
            one_answer=one_answer,
            apart=apart(study.recommendations, study.data),
            list_tables=list_tables(study.analysis, list(study.recommendations), composites(study)),
            people=sections.sample(study),
            findings=sections.findings(study),
            passed=sections.passed(study),
            definitions=sections.definitions(tables),
            facts=study.facts,
        )
    )


def _in_order(study: Study, labels: list[str]) -> Study:
    """The study with its models in the order of the first table, so that every section lists them in the same order."""
    place = {label: at for at, label in enumerate(dict.fromkeys(labels))}

    def ordered(parts: Mapping[str, Part]) -> dict[str, Part]:
        return dict(sorted(parts.items(), key=lambda one: place.get(one[0], len(place))))

    rank = pl.col("label").replace_strict(place, default=len(place), return_dtype=pl.Int64)
    costs = study.costs if study.costs.is_empty() else study.costs.sort(rank, maintain_order=True)
    recs, curves, bins = ordered(study.recommendations), ordered(study.curves), ordered(study.calibration)
    return replace(study, recommendations=recs, curves=curves, calibration=bins, costs=costs)


@cache
def environment() -> Environment:
    """What the templates of all pages share."""
    made = Environment(
        loader=PackageLoader("matinee.report"),
        autoescape=True,  # titles and ids come from files, and may hold "<script>"
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": words.percent, "listed": words.listed, "breakable": words.breakable, "written": written}
    return made
