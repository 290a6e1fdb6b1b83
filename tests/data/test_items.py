"""Items found by title or id, and the cards that show them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from matinee.data.dataset import Dataset
from matinee.data.ids import Id, IdMap
from matinee.data.items import ItemCard, find_items, item_cards
from matinee.errors import MatineeError

TITLES = ["Heat (1995)", "Toy Story (1995)", "300", "Twins", "Twins", "UP", "Up", None, "Toy Story 2 (1999)"]


def films(ids: list[int] | list[str] | None = None) -> Dataset:
    items = IdMap(ids or [10, 20, 30, 40, 50, 60, 70, 80, 300], what="item")
    return Dataset(
        IdMap([1], what="user"),
        items,
        np.zeros(1, np.int32),
        np.zeros(1, np.int32),
        item_features=pl.DataFrame({"title": TITLES}),
    )


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("Heat (1995)", 0),
        ("heat (1995)", 0),
        ("  TOY STORY (1995) ", 1),
        ("UP", 5),
        ("Up", 6),
        ("300", 2),  # a text is a title first
        (300, 8),  # an integer is an id first
        ("80", 7),
        (40, 3),
    ],
)
def test_found(asked: Id, code: int) -> None:
    assert find_items([asked], films()) == [code]


def test_several_in_order() -> None:
    assert find_items(["Heat (1995)", 20, "Heat (1995)"], films()) == [0, 1, 0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("Twins", r"2 items are called 'Twins'(.|\n)*40, 50"),
        ("up ", r"2 items are called 'up '(.|\n)*60, 70"),
        ("toy story", r"no item(.|\n)*did you mean: Toy Story \(1995\); Toy Story 2 \(1999\)"),
        ("Haet (1995)", r"did you mean: Heat \(1995\)"),
        ("zzzzzzzzzz", "check the spelling"),
        ("", "check the spelling"),
        (999, "no item has the title or id '999'"),
    ],
)
def test_not_found(asked: Id, words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        find_items([asked], films())


def test_many_equal_titles_are_not_all_listed() -> None:
    n = 910
    ids = IdMap(list(range(1, n + 1)))
    table = pl.DataFrame({"title": ["-"] * n})
    data = Dataset(IdMap([1]), ids, np.zeros(1, np.int32), np.zeros(1, np.int32), item_features=table)
    with pytest.raises(MatineeError) as error:
        find_items("-", data)
    assert str(error.value) == "910 items are called '-'\n  hint: name one by its id: 1, 2, 3, 4, 5 and 905 more"


def test_ids_may_be_numpys() -> None:
    assert find_items(np.int64(40), films()) == [3]
    assert find_items(np.array([300, 20]), films()) == [8, 1]
    assert find_items(pl.Series(["Heat (1995)", "300"]), films()) == [0, 2]


def test_a_log_without_titles_is_asked_by_id() -> None:
    bare = Dataset(IdMap([1]), IdMap(["a", "b"]), np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert find_items(["b"], bare) == [1]
    assert item_cards(bare, [1]) == [ItemCard("b")]
    with pytest.raises(MatineeError, match="no item has the title or id 'c'"):
        find_items(["c"], bare)


def test_cards_show_what_the_table_has() -> None:
    table = pl.DataFrame(
        {
            "title": ["Heat (1995)", "Up", None],
            "year": [1995, 2009, None],
            "genres": [["Crime", "Drama"], [], None],
            "plot": ["a", "b", "c"],
        }
    )
    data = Dataset(IdMap([1]), IdMap([10, 20, 30]), np.zeros(1, np.int32), np.zeros(1, np.int32), item_features=table)
    heat, nameless, up = item_cards(data, np.array([0, 2, 1], np.int32))
    assert heat == ItemCard(10, "Heat (1995)", 1995, ("Crime", "Drama"))
    assert (heat.name, heat.name_without_year) == ("Heat (1995)", "Heat")
    assert (up.name, up.name_without_year, up.genres) == ("Up", "Up", ())
    assert nameless == ItemCard(30)
    assert (nameless.name, nameless.name_without_year) == ("30", "30")
    assert item_cards(data, []) == []


def test_cards_read_genres_in_one_text_and_years_as_numbers() -> None:
    table = pl.DataFrame({"genres": ["Drama|Comedy", ""], "year": [1999.0, float("nan")], "title": ["(1999)", "x"]})
    data = Dataset(IdMap([1]), IdMap(["a", "b"]), np.zeros(1, np.int32), np.zeros(1, np.int32), item_features=table)
    first, second = item_cards(data, [0, 1])
    assert first == ItemCard("a", "(1999)", 1999, ("Drama", "Comedy"))
    assert first.name_without_year == "(1999)", "a title that is only a year stays"
    assert second == ItemCard("b", "x", None, ())
