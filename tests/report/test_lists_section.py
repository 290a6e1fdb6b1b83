"""Tables of what is recommended: each sorts by each of its columns, as a plain sort of its numbers does."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest
from test_report import analysis_of, quiet_study

from matinee.evaluate.predictions import LOWER_IS_BETTER
from matinee.report.format import listed, percent
from matinee.report.lists import LIKE, Frequent, ListTable, list_tables
from matinee.report.metric_groups import places
from matinee.report.names import written
from matinee.report.page import render
from matinee.report.scores import score_tables
from matinee.report.sections import groups
from matinee.report.study import Study

LABELS = ["popularity", "b", "c", "d"]


@pytest.fixture(scope="module")
def study() -> Study:
    made = quiet_study(labels=LABELS, k=(3, 8))
    return replace(made, analysis=analysis_of(made))


@pytest.mark.parametrize("seed", range(5))
def test_places_are_those_of_a_plain_sort(seed: int) -> None:
    draw = random.Random(seed)
    values = [[draw.choice([None, math.nan, 0.25, 0.5, 3, 40]) for _ in range(2)] for _ in range(9)]
    found = places(values, [False, True])
    for column, lower in enumerate((False, True)):
        there = [row for row in range(9) if (x := values[row][column]) is not None and not math.isnan(x)]
        wanted = sorted(there, key=lambda row: (values[row][column] or 0) * (1 if lower else -1))
        wanted += [row for row in range(9) if row not in there]
        assert sorted(range(9), key=lambda row: found[row][column]) == wanted


def test_no_rows_have_no_places() -> None:
    assert places([], [False]) == ()


def number(cell: str | Frequent) -> float:
    assert isinstance(cell, str)
    return 0.0005 if "<" in cell else float(cell.replace(",", ""))


def test_tables_of_lists_sort_by_what_they_show(study: Study) -> None:
    tables = {table.title: table for table in list_tables(study.analysis, LABELS)}
    lower = {name for metric, name in LIKE.items() if metric in LOWER_IS_BETTER} | {"p"}
    assert {title for title, table in tables.items() if not table.ranks} == {"Most frequent genres"}
    for table in tables.values():
        if table.ranks:
            _check(table, lower)


def _check(table: ListTable, lower: set[str]) -> None:
    assert len(table.ranks) == len(table.rows)
    for column, name in enumerate(table.head[1:]):
        ordered = sorted(range(len(table.rows)), key=lambda row: table.ranks[row][column])
        shown = [number(table.rows[row][column + 1]) for row in ordered]
        assert shown == sorted(shown, reverse=name not in lower), (table.title, name)


@pytest.mark.usefixtures("no_drawings")
def test_the_page_has_a_switch_for_each_column(study: Study) -> None:
    page = render(study)
    section = page[page.index('id="recommended"') : page.index('id="data"')]
    for table in re.findall(r"<table.*?</table>", section, re.DOTALL):
        columns = len(re.findall(r'<th scope="col"', table)) - 1
        switches = re.findall(r'class="unseen by(\d+)"', table)
        if "sortable" in table.partition(">")[0]:
            assert switches == [str(at) for at in range(columns)]
            assert all(row.count("--by") == columns for row in re.findall(r"<tr style[^>]*>", table))
        else:
            assert not switches
            assert 'class="overlap"' in table or "<small>" in table


def test_the_pair_that_finds_most(study: Study) -> None:
    """In either list, by the pairs of the analysis; models made of others are left out."""
    found = study.analysis
    assert found is not None
    rows = found.pairs.select("a", "b", "both", "only_a", "only_b", "neither").rows()
    for composites in ((), ("c",)):
        simple = [row for row in rows if not {row[0], row[1]} & set(composites)]
        a, b, *counts, neither = max(simple, key=lambda row: sum(row[2:5]))
        (note,) = [t.note for t in list_tables(found, LABELS, composites) if t.title == "What two models both find"]
        total = sum(counts) + neither
        assert f"Of all pairs {a} and {b} find most together, {sum(counts):,} of {total:,}, in two lists" in note


@pytest.mark.usefixtures("no_drawings")
def test_for_how_many_the_best_finds_nothing(study: Study) -> None:
    tables = score_tables(study.metrics, study.protocols, study.per_query, study.tested)
    found = groups(study, tables)
    assert found is not None
    metric, k = tables[0].columns[0]
    rows = study.per_query.lazy().collect().filter(split="test", label=found["best"], metric=metric, k=k, seed=0)
    lengths = study.split.test.queries.history.lengths
    wanted = []
    for span, _ in found["heads"]:
        low, *high = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", span))
        mine = [x for q, x in rows.select("query", "value").rows() if low <= lengths[q] <= (high or [low])[0]]
        wanted.append(percent(sum(x == 0 for x in mine) / len(mine)))
    assert found["missed"] == wanted
    assert len(set(wanted)) > 1
    name = written(found["best"])
    assert f"For {listed(wanted)} of the queries in these quarters {name} finds nothing." in render(study)
