"""Expressions against plain Python, cell by cell, and what is refused, with its place."""

from __future__ import annotations

import contextlib
import datetime
import random
import warnings
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.errors import MatineeError, MatineeWarning
from matinee.rules.expression import Expression
from matinee.rules.parsing import MOST_CHARACTERS

ROWS: list[dict[str, Any]] = [
    {"title": "Heat (1995)", "year": 1995, "genres": ["Crime", "Drama"], "score": 8.25, "seen": True},
    {"title": "Amélie", "year": 2001, "genres": ["Comedy"], "score": None, "seen": False},
    {"title": "Lost", "year": None, "genres": [], "score": float("nan"), "seen": None},
    {"title": None, "year": 1994, "genres": None, "score": -3.0, "seen": False},
    {"title": "기생충", "year": 2019, "genres": ["Drama", "Thriller", "Comedy"], "score": 9.5, "seen": True},
]
TABLE = pl.DataFrame(
    {
        "title": [row["title"] for row in ROWS],
        "year": [row["year"] for row in ROWS],
        "genres": pl.Series([row["genres"] for row in ROWS], dtype=pl.List(pl.String)),
        "score": [row["score"] for row in ROWS],
        "seen": [row["seen"] for row in ROWS],
        "Book-Title": ["a", "b", "c", "d", "e"],
        "out": [datetime.date(1995 + n, 1, 2) for n in range(5)],
        "codes": pl.Series([[1, 2], [2], [], None, [3]], dtype=pl.List(pl.Int64)),
    }
)


def rows(text: str) -> list[int]:
    return [n for n, held in enumerate(Expression(text).rows(TABLE, len(TABLE)).tolist()) if held]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("year >= 1995", [0, 1, 4]),
        ("1995 <= year", [0, 1, 4]),
        ("1994 < year < 2019", [0, 1]),
        ("year == 1994", [3]),
        ("year != 1994", [0, 1, 4]),
        ("not year == 1994", [0, 1, 4]),
        ("not (year >= 1995)", [3]),
        ("year == None", [2]),
        ("year is not None", [0, 1, 3, 4]),
        ("None != year", [0, 1, 3, 4]),
        ("score == None", [1, 2]),
        ("score > -3.5", [0, 3, 4]),
        ("score in (8.25, 9.5)", [0, 4]),
        ("year in [1994, 2001, 5]", [1, 3]),
        ("year not in [1994, 2001]", [0, 4]),
        ('"Drama" in genres', [0, 4]),
        ('"Drama" not in genres', [1, 2]),
        ('not "Drama" in genres', [1, 2]),
        ("genres == None", [3]),
        ('"Drama" in genres and "Comedy" in genres', [4]),
        ('"Crime" in genres or "Thriller" in genres and year > 3000', [0]),
        ('("Crime" in genres or "Thriller" in genres) and year > 2000', [4]),
        ('year > 1990 or "Drama" in genres', [0, 1, 3, 4]),
        ('"eat" in title', [0]),
        ('title == "기생충"', [4]),
        ('title >= "H"', [0, 2, 4]),
        ("seen", [0, 4]),
        ("not seen", [1, 3]),
        ("seen == False", [1, 3]),
        ('column("Book-Title") in ["b", "e"]', [1, 4]),
        ('out < "1997-06-01"', [0, 1, 2]),
        ("2 in codes", [0, 1]),
        ("year >= 2000\nand\n  seen", [4]),
        ("  year == 1994  ", [3]),
        ("year > score", [0, 3, 4]),
        ("year in []", []),
        ("year < 1e300", [0, 1, 3, 4]),
    ],
)
def test_the_rows_that_an_expression_finds(text: str, wanted: list[int]) -> None:
    assert rows(text) == wanted


Truth = bool | None


def slow(tree: tuple[Any, ...], row: dict[str, Any]) -> Truth:
    """SQL's three values, by hand."""
    kind = tree[0]
    if kind == "not":
        inner = slow(tree[1], row)
        return None if inner is None else not inner
    if kind in ("and", "or"):
        both = [slow(tree[1], row), slow(tree[2], row)]
        decided = kind == "or"
        return decided if decided in both else None if None in both else not decided
    _, column, sign, value = tree
    cell = row[column]
    missing = cell is None or cell != cell
    if value is None:
        return missing if sign == "==" else not missing
    if missing:
        return None
    if sign == "in":
        return value in cell
    answer: bool = {"==": cell == value, "!=": cell != value, "<": cell < value, ">=": cell >= value}[sign]
    return answer


def written(tree: tuple[Any, ...]) -> str:
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"
    _, column, sign, value = tree
    return f'"{value}" in {column}' if sign == "in" else f"{column} {sign} {value!r}"


def drawn(draw: random.Random, depth: int) -> tuple[Any, ...]:
    if depth and draw.random() < 0.7:
        kind = draw.choice(["not", "and", "or"])
        parts = [drawn(draw, depth - 1) for _ in range(1 if kind == "not" else 2)]
        return (kind, *parts)
    if draw.random() < 0.3:
        return "compare", "genres", "in", draw.choice(["Drama", "Comedy", "Crime"])
    column = draw.choice(["year", "score"])
    if draw.random() < 0.2:
        return "compare", column, draw.choice(["==", "!="]), None
    value = draw.choice([1994, 1995, 2001, 8.25, 9])
    return "compare", column, draw.choice(["==", "!=", "<", ">="]), value


def test_three_values_as_by_hand() -> None:
    draw = random.Random(3)
    found: set[tuple[int, ...]] = set()
    for _ in range(300):
        tree = drawn(draw, 4)
        wanted = [n for n, row in enumerate(ROWS) if slow(tree, row) is True]
        assert rows(written(tree)) == wanted, written(tree)
        found.add(tuple(wanted))
    assert len(found) > 12, "the trees say different things"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yeer > 3", r"no column 'yeer' \(character 1 of 'yeer > 3'\)(.|\n)*did you mean year\?(.|\n)*title, year"),
        ("year > 3 and gnres == None", r"no column 'gnres' \(character 14 "),
        ('title == "기생충" and 별 == 1', r"no column '별' \(character 20 "),
        ("year >", r"character 7 "),
        ("year > 3)", "unmatched"),
        ("", "empty"),
        ("   ", "empty"),
        ("year + 1 > 3", r"arithmetic is not allowed here \(character 1 "),
        ("3 > 2", "two constants"),
        ("2000", "2000 alone is no condition"),
        ("None", "None alone is no condition"),
        ("year", "'year' holds numbers"),
        ("year == 'x'", "holds numbers, not 'x'"),
        ("title == 3", "holds text, not 3"),
        ("seen == 1", "holds true or false, not 1"),
        ("year == True", "holds numbers, not True"),
        ("genres == 'Drama'", r"lists of text(.|\n)*write 'Drama' in genres"),
        ("3 in genres", "'genres' holds text, not 3"),
        ("3 in year", "holds numbers, in which nothing can be"),
        ("year in 3", "needs a list or a column"),
        ("None in genres", "one text or number"),
        ("year == [1]", r"write year in \[\.\.\.\]"),
        ("year < None", "None has no order"),
        ("year in [1, None]", "None is not allowed"),
        ("year in [1, year]", "a column in a list"),
        ("title == year", "do not compare"),
        ("year is 3", "`is` is for None"),
        ("out < 'soon'", "'soon' is no date"),
        ("year > 1e999", "too large"),
        ("year > 3j", "not allowed"),
        ("title == b'x'", "not allowed"),
        ("title == f'{year}'", "f-string"),
        ("year if seen else year", "not allowed"),
        ("__import__('os').system('true')", "a call is not allowed"),
        ("title.__class__", "an attribute is not allowed"),
        ("[x for x in genres]", "not allowed"),
        ("(lambda: 1)()", "a call"),
        ("(year := 3)", ":="),
        ("column(3) == 3", "column takes one text"),
        ("year == 1; year == 2", "invalid syntax"),
        ("year == 1 # " + "x" * MOST_CHARACTERS, "characters"),
        (" or ".join(["seen"] * 260), "more than 500 parts"),
        ("(" * 300 + "seen" + ")" * 300, "nested|cannot be read"),
        ("\0", "cannot be read|null"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        rows(text)


def test_a_text_that_no_cell_has_is_told() -> None:
    with pytest.warns(MatineeWarning, match=r"no item has 'drama' in column 'genres': did you mean Drama\?"):
        assert rows('year > 1990 and "drama" in genres') == []
    with pytest.warns(MatineeWarning, match="no item has 'Xyzzy' in column 'title'"):
        assert rows('title == "Xyzzy" or year == 1994') == [3]


def test_without_a_table_every_column_is_missing() -> None:
    with pytest.raises(MatineeError, match=r"no table of items, so no column 'year' \(character 1"):
        Expression("year > 3").rows(None, 4)


WORDS = ["year", "genres", "title", "score", "seen", "and", "or", "not", "in", "is", "None", "True", "(", ")", "[", "]"]
WORDS += [
    ",",
    "<",
    ">=",
    "==",
    "!=",
    "1995",
    "-",
    "'Drama'",
    '"x"',
    "column(",
    "+",
    ".",
    "lambda",
    ":",
    "=",
    "if",
    "else",
]


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_any_text_is_an_answer_or_a_matinee_error(text: str) -> None:
    with contextlib.suppress(MatineeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        assert Expression(text).rows(TABLE, len(TABLE)).shape == (len(TABLE),)
