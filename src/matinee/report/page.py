"""A study as one HTML page: sections.py says it in words and drawings, the templates hold structure and escape."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from matinee.errors import MatineeError
from matinee.report import sections, words
from matinee.report.scores import score_tables
from matinee.report.study import Study


def render(study: Study) -> str:
    """The whole page. Raises MatineeError where recommendations do not answer the test's queries."""
    for label, recs in study.recommendations.items():
        if len(recs) != len(study.split.test):
            raise MatineeError(
                f"{len(recs)} rows of recommendations for {len(study.split.test)} test queries",
                where=label,
                mend="pass the recommendations for split.test.queries of the first seed",
            )
    tables = score_tables(study.metrics, study.protocols, study.per_query)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=study.title,
            lede=sections.lede(study, tables),
            figures=sections.key_figures(study.data),
            tables=[sections.scores(number, table) for number, table in enumerate(tables)],
            costs=sections.costs(study.costs),
            recommended=sections.recommended(study),
            groups=sections.groups(study, tables),
            people=sections.sample(study),
            findings=sections.findings(study),
            definitions=sections.definitions(tables),
            facts=study.facts,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("matinee.report"),
        autoescape=True,  # titles and ids come from files: "<script>" is a film
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": words.percent, "listed": words.listed}
    return environment
