"""The page of explored logs: its numbers are the typed result's, nothing is loaded, nothing escapes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from report_studies import HOSTILE, WORLD, make_data
from test_report import LOADING, Page

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.explore import Exploration
from matinee.explore.years import Ages
from matinee.report import explored_plots
from matinee.report.explored import page
from matinee.report.explored_parts import fine

THIN, SIZE = "\u202f", 3_000_000


def busy(titles: list[str] | None = None) -> Dataset:
    """All that a log may have: repeats with other ratings, tables of users and items with gaps."""
    data = make_data(seed=3) if titles is None else make_data(seed=3, titles=titles)
    data = data.rows(np.concatenate([np.arange(len(data)), np.arange(0, len(data), 7)]))
    assert data.value is not None
    assert data.item_features is not None
    value = data.value.copy()
    value[-20:] = 6 - value[-20:]
    people = [["Agnès Varda", "박찬욱"][: i % 3] or None for i in range(data.n_items)]
    items = data.item_features.with_columns(pl.Series("directors", people))
    users = pl.DataFrame({"work": [["nurse", "", "clerk"][i % 3] for i in range(data.n_users)]})
    return replace(data, value=value, item_features=items, user_features=users)


@pytest.fixture(scope="module")
def log() -> Exploration:
    return mt.explore(busy())


@pytest.fixture(scope="module")
def html(log: Exploration) -> str:
    return page([log], [])


class Tables(HTMLParser):
    """The tables of a page by name, each a row's name -> its cells; and the key figures of each section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, dict[str, list[str]]] = {}
        self.figures: dict[tuple[str, str], str] = {}
        self.section = self.name = self.row = self.term = ""
        self.inside: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self.section = given.get("id") or ""
        label = given.get("aria-label") or ""
        if tag == "div" and label.startswith("Table: "):
            self.name = label.removeprefix("Table: ")
            self.tables[self.name] = {}
        if tag in ("th", "td", "dt", "b"):
            self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "th" and self.name:
            self.row = self.text
        elif tag == "td":
            self.tables[self.name].setdefault(self.row, []).append(self.text)
        elif tag == "dt":
            self.term = self.text
        elif tag == "b":
            self.figures[self.section, self.term] = self.text


def agrees(text: str, value: float) -> bool:
    """Whether a printed number is this value, rounded to the digits it is printed with."""
    plain = text.replace(",", "").replace(THIN, "")
    size = 0.01 if plain.endswith("%") else 1.0
    digits = plain.removesuffix("%")
    places = len(digits.partition(".")[2])
    return bool(abs(float(digits) * size - value) <= size * (0.5 * 10**-places + 1e-9))


def column(tables: Tables, name: str, at: int) -> dict[str, str]:
    return {row: cells[at] for row, cells in tables.tables[name].items()}


MEASURES = {
    "Mean": "mean",
    "Standard deviation": "std",
    "Minimum": "smallest",
    "Lower quartile": "lower",
    "Median": "median",
    "Upper quartile": "upper",
    "Maximum": "largest",
}


def test_how_events_are_shared(log: Exploration, html: str) -> None:
    tables = Tables(html)
    more = {"Gini": "gini", "Events of the top hundredth": "top_1", "Events of the top tenth": "top_10"}
    more |= {"Share that holds half": "half", "With a single event": "once"}
    for at, spread in enumerate((log.activity, log.popularity)):
        told = column(tables, "How events are shared", at)
        assert set(told) == set(MEASURES | more)
        for row, field in (MEASURES | more).items():
            assert agrees(told[row], getattr(spread, field)), (row, told[row])


def test_key_figures(log: Exploration, html: str) -> None:
    told = Tables(html).figures
    f, r = log.figures, log.ratings
    assert r is not None
    numbers = {
        ("shape", "Events"): f.n_events,
        ("shape", "Users"): f.n_users,
        ("shape", "Items"): f.n_items,
        ("shape", "Density"): f.density,
        ("shape", "Long tail"): f.top_share,
        ("ratings", "Mean rating"): r.spread.mean,
        ("ratings", "Commonest"): r.commonest,
        ("ratings", "A user’s mean"): r.users.median,
        ("ratings", "Between users"): r.between,
        ("ratings", "Always the same"): r.alike,
        ("repeats", "Repeats"): log.repeats.extra,
        ("repeats", "Repeated pairs"): log.repeats.repeated_pairs,
        ("repeats", "Exact copies"): log.repeats.exact,
        ("repeats", "Conflicts"): log.repeats.conflicts,
        ("repeats", "Equal titles"): log.repeats.same_title,
    }
    for name, value in numbers.items():
        assert value is not None
        assert agrees(told[name], value), (name, told[name], value)


def test_what_splits_hide(log: Exploration, html: str) -> None:
    tables = Tables(html)
    rows: dict[str, Callable[[Any], float | None]] = {
        "Queries": lambda s: s.queries,
        "Hidden events": lambda s: s.hidden,
        "Answers": lambda s: s.answers,
        "Left out, as they repeat": lambda s: s.left_out,
        "Known events of a query, median": lambda s: s.history.median,
        "Queries without a known event": lambda s: s.cold_queries,
        "Hidden events of unknown items": lambda s: s.cold_items,
        "Known events of a hidden item, median": lambda s: s.popularity.median,
        "Hidden events on the top tenth of items": lambda s: s.head,
        "Known events on the top tenth of items": lambda s: s.known_head,
        "Hidden before a known event of the user": lambda s: s.own_future,
        "Known events later than a hidden one": lambda s: s.future,
        "Release year of hidden events, median": lambda s: s.years.median,
        "Release year of known events, median": lambda s: s.known_years.median,
    }
    assert len(log.splits) == 4
    for at, each in enumerate(log.splits):
        told = column(tables, "What each split hides", at)
        for row, value in rows.items():
            expected = value(each)
            assert expected is not None
            assert agrees(told[row], expected), (each.strategy, row, told[row], expected)
        assert each.over_time is not None
        shares = tables.tables["Hidden events over the tenths of the log"][each.strategy.replace("_", " ")]
        for text, share in zip(shares, each.over_time, strict=True):
            assert share == 0 if text == "·" else agrees(text, share)


def test_tenths(log: Exploration, html: str) -> None:
    assert log.arrivals is not None
    rows = list(Tables(html).tables["Tenths"].values())
    assert len(rows) == len(log.arrivals.periods)
    for cells, p in zip(rows, log.arrivals.periods, strict=True):
        numbers = [p.events, p.users, p.new_users, p.cold_users, p.cold_user_events]
        numbers += [p.items, p.new_items, p.cold_items, p.cold_item_events]
        assert all(map(agrees, cells, numbers))
        assert cells[-1] == "–" if p.kept is None else agrees(cells[-1], p.kept)


def test_years_and_groups(log: Exploration, html: str) -> None:
    tables, y = Tables(html).tables, log.years
    assert y is not None
    assert y.table is not None
    assert y.age is not None
    assert y.age_last is not None
    for row, field in MEASURES.items():
        for text, spread in zip(tables["Years since release"][row], (y.age, y.age_last), strict=True):
            assert agrees(text, getattr(spread, field))
        if row != "Standard deviation":
            for text, spread in zip(tables["Years of release"][row], (y.items, y.events, y.last), strict=True):
                assert agrees(text, getattr(spread, field))
    for when, counts in zip(y.when, y.table, strict=True):
        for text, n in zip(tables["Decade of release by time of the event"][when], counts, strict=True):
            assert n == 0 if text == "·" else agrees(text, n / counts.sum())
    assert {each.column for each in log.attributes} == {"genres", "directors", "work"}
    for each in log.attributes:
        told = tables[f"{each.column} of {each.what}"]
        assert list(told) == [value.value for value in each.top]
        for value in each.top:
            assert value.rating is not None
            numbers = [value.n, value.events / log.figures.n_events, value.rating]
            assert all(map(agrees, told[value.value], numbers))


def test_columns_and_conflicts(log: Exploration, html: str) -> None:
    tables = Tables(html).tables
    for table in log.tables:
        told = tables[f"Columns of {table.what}"]
        assert list(told) == [each.name for each in table.columns]
        for each in table.columns:
            kind, missing, share, unique, _, common = told[each.name]
            assert (kind, missing) == (each.kind, str(each.missing))
            assert agrees(share, each.missing / table.rows)
            assert unique.partition(" in ")[0] == str(each.unique)
            assert common == "–" if each.commonest is None else f"({each.commonest_n})" in common
    assert log.repeats.examples
    told = tables["Conflicting ratings"]
    for user in {each.user for each in log.repeats.examples}:
        mine = [each for each in log.repeats.examples if each.user == user]
        cells = [[each.title, ", ".join(f"{x:g}" for x in each.ratings)] for each in mine]
        assert told[str(user)] == [text for row in cells for text in row]


def test_takeaways_come_first(log: Exploration, html: str) -> None:
    words = Page(html).words
    for each in log.takeaways:
        assert f"{each.found} {each.so}" in words  # its narrow spaces count as spaces
    assert html.index('id="take"') == min(html.index(f'id="{name}"') for name in ("take", "shape", "splits", "ratings"))


def test_loads_nothing_and_is_small(html: str) -> None:
    parsed = Page(html)
    assert not LOADING & set(parsed.tags)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert all(value.startswith("#") for _, name, value in parsed.attributes if name.endswith("href"))
    assert "http" not in html
    assert "@import" not in html
    assert len(html.encode()) < SIZE / 10


@pytest.mark.parametrize("several", [False, True])
def test_ids_are_unique_and_links_arrive(log: Exploration, html: str, several: bool) -> None:
    both = mt.explore(busy(), busy())
    parsed = Page(page(both.logs, both.overlaps) if several else html)
    ids = Counter(value for _, name, value in parsed.attributes if name == "id")
    assert max(ids.values()) == 1
    targets = {value[1:] for _, name, value in parsed.attributes if name == "href"}
    labelled = {value for _, name, value in parsed.attributes if name == "aria-labelledby"}
    assert targets | labelled <= set(ids)
    scopes = [value for tag, name, value in parsed.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == parsed.tags["th"]
    named = [value for tag, name, value in parsed.attributes if tag == "svg" and name == "aria-label"]
    assert len(named) == parsed.tags["svg"] > 4
    assert all(named)


CASES: dict[str, Callable[[], Dataset]] = {
    "bare": lambda: make_data(titles=None, times=False, ratings=False),
    "no times": lambda: replace(busy(), timestamp=None),
    "no ratings": lambda: replace(busy(), value=None),
    "equal ratings": lambda: replace(busy(), value=np.ones(len(busy()), np.float32)),
    "one time": lambda: replace(busy(), timestamp=np.full(len(busy()), 7)),
    "beyond the calendar": lambda: replace(busy(), timestamp=np.arange(len(busy())) + 10**17),
    "one user": lambda: make_data(n_users=1),
    "one event": lambda: busy().rows(np.arange(1)),
    "world": lambda: busy([title for title in WORLD if "(" in title]),
}


@pytest.mark.parametrize("case", CASES)
def test_ordinary_cases(case: str) -> None:
    found = mt.explore(CASES[case]())
    parsed = Page(page([found], []))
    assert "None" not in parsed.words
    assert not re.search(r"\bnan\b", parsed.words)
    for text in found.absent.values():
        assert text in parsed.words
    for why in found.impossible.values():
        assert why in parsed.words
    sections = {value for tag, name, value in parsed.attributes if tag == "section" and name == "id"}
    assert ("time" in sections) == (found.times is not None)
    assert ("ratings" in sections) == (found.ratings is not None)
    assert ("absent" in sections) == bool(found.absent or found.impossible)


def test_hostile_text_stays_text() -> None:
    clean, data = Page(page([mt.explore(busy())], [])), busy(HOSTILE)
    assert data.item_features is not None
    lists = pl.Series("directors", [[HOSTILE[i % len(HOSTILE)]] for i in range(data.n_items)])
    table = data.item_features.with_columns(lists).rename({"genres": HOSTILE[0]})
    dirty = replace(data, name=HOSTILE[1], item_features=table)
    both = mt.explore(dirty, dirty)
    parsed = Page(page(both.logs, both.overlaps))
    assert set(parsed.tags) <= set(clean.tags)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert HOSTILE[0] in parsed.words
    assert HOSTILE[1] in parsed.words


def test_kinds_of_events() -> None:
    data = busy()
    kinds = pl.DataFrame({"event": [["view", "view", "cart"][i % 3] for i in range(len(data))]})
    told = Tables(page([mt.explore(replace(data, context=kinds))], [])).tables["Kinds of events"]
    assert told["cart"][0] == str(len(data) // 3)
    assert agrees(told["view"][1], kinds["event"].to_list().count("view") / len(data))


def test_side_by_side() -> None:
    found = mt.explore(busy(), replace(make_data(seed=5, n_users=12), name="other"))
    html = page(found.logs, found.overlaps)
    told = Tables(html).tables["Side by side"]
    for row in found.side_by_side():
        assert told[row.name] == [fine(text) for text in row.texts()]
    assert str(found.overlaps[0]) in Page(html).words


def test_the_drawn_ages_end_where_hardly_any_event_is() -> None:
    counts = np.array([50, 40, 8, 1, 0, 1])
    found = Ages(np.arange(-1, 5), counts, counts)
    svg = explored_plots.ages("a", found, "ages")
    assert str(svg).startswith("<svg")
