"""Side columns and groups against plain loops over rows."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from explore_logs import make_log, rows_of, with_tables

from matinee.explore.tables import ColumnFigures, attribute_figures, table_figures


def column(name: str, *, what: str = "items") -> ColumnFigures:
    tables = table_figures(with_tables(make_log()))
    return next(each for table in tables if table.what == what for each in table.columns if each.name == name)


def test_columns_of_items_with_an_event() -> None:
    data = with_tables(make_log())
    there = sorted(set(data.item.tolist()))
    assert data.item_features is not None
    rows = [data.item_features.row(item, named=True) for item in there]
    tables = {table.what: table for table in table_figures(data)}
    assert tables["items"].rows == len(rows) < data.n_items
    years = [row["year"] for row in rows if row["year"] is not None]
    found = column("year")
    assert (found.kind, found.missing, found.unique) == ("number", len(rows) - len(years), len(set(years)))
    assert (found.smallest, found.median, found.largest) == (min(years), statistics.median(years), max(years))
    times = Counter(map(str, years)).most_common()
    assert found.commonest_n == times[0][1]
    assert found.commonest == min(value for value, n in times if n == times[0][1])
    genres = [row["genres"] for row in rows]
    found = column("genres")
    assert (found.kind, found.missing) == ("list", sum(not each for each in genres))
    assert (found.unique, found.members) == (4, sum(map(len, genres)))
    lengths = [row["length"] for row in rows]
    assert column("length").missing == sum(np.isnan(lengths)) > 0
    assert column("title").commonest is None


def test_empty_texts_are_missing() -> None:
    data = with_tables(make_log())
    users = set(data.user.tolist())
    found = column("work", what="users")
    assert found.missing == sum(user % 5 in (0, 4) for user in users)
    assert (found.unique, found.commonest) == (2, "nurse")


def test_columns_beside_events() -> None:
    data = make_log(n=5)
    context = pl.DataFrame(
        {
            "when": pl.Series(["2020-01-02", None, "2020-01-02", "2021-05-06", "2021-05-07"]).str.to_date(),
            "live": [True, False, True, None, True],
            "place": [{"x": 1}, {"x": 2}, {"x": 1}, None, {"x": 3}],
        }
    )
    (table,) = table_figures(replace(data, context=context))
    assert (table.what, table.rows) == ("events", 5)
    told = {each.name: (each.kind, each.missing, each.unique, each.commonest_n) for each in table.columns}
    assert told == {"when": ("time", 1, 3, 2), "live": ("truth", 1, 2, 3), "place": ("other", 1, 3, 2)}


@pytest.mark.parametrize("name", ["genres", "directors"])
def test_groups_of_items(name: str) -> None:
    data = with_tables(make_log(3))
    assert data.item_features is not None
    values = data.item_features[name].to_list()
    items, ratings = defaultdict(set), defaultdict(list)
    for _, item, rating, _ in rows_of(data):
        for value in values[item] or ():
            items[value].add(item)
            ratings[value].append(rating)
    found = next(each for each in attribute_figures(data, top=3) if each.column == name)
    known = set().union(*items.values())
    assert (found.what, found.distinct, found.known) == ("items", len(items), len(known))
    assert found.mean == pytest.approx(sum(map(len, items.values())) / len(known))
    assert found.once == sum(len(each) == 1 for each in items.values())
    ordered = sorted(items, key=lambda value: (-len(items[value]), -len(ratings[value]), value))
    assert [each.value for each in found.top] == ordered[:3]
    for each in found.top:
        assert (each.n, each.events) == (len(items[each.value]), len(ratings[each.value]))
        assert each.rating == pytest.approx(statistics.fmean(ratings[each.value]))


def test_texts_that_are_groups() -> None:
    data = with_tables(make_log())
    found = {(each.what, each.column) for each in attribute_figures(data)}
    assert found == {("items", "genres"), ("items", "directors"), ("users", "work")}
    unrated = attribute_figures(replace(data, value=None))
    assert {each.rating for every in unrated for each in every.top} == {None}


def test_a_value_twice_in_a_list_counts_once() -> None:
    data = make_log()
    table = pl.DataFrame({"tags": [["a", "a", ""] if i % 2 else ["b"] for i in range(data.n_items)]})
    (found,) = attribute_figures(replace(data, item_features=table))
    assert found.mean == 1
    assert sum(each.events for each in found.top) == len(data)


def test_without_tables() -> None:
    assert table_figures(make_log()) == ()
    assert attribute_figures(make_log()) == ()
