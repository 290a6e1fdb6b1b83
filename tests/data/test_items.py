"""Finding items by title or id."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from matinee.data.dataset import Dataset
from matinee.data.ids import Id, IdMap
from matinee.data.items import find_items, item_cards
from matinee.data.query import history
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
        (999, "no item is called '999'"),
    ],
)
def test_not_found(asked: Id, words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        find_items([asked], films())


def test_a_log_without_titles_is_asked_by_id() -> None:
    bare = Dataset(IdMap([1]), IdMap(["a", "b"]), np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert find_items(["b"], bare) == [1]
    assert title_of(bare, 1) == "b"
    with pytest.raises(MatineeError, match="no item is called 'c'"):
        find_items(["c"], bare)


def test_title_of_falls_back_to_the_id() -> None:
    assert title_of(films(), 0) == "Heat (1995)"
    assert title_of(films(), 7) == "80"


def test_history_is_one_query_of_nobody() -> None:
    queries = history(["Toy Story (1995)", "Heat (1995)"], films())
    assert queries.user.tolist() == [-1]
    assert queries.history.values.tolist() == [1, 0]
    assert queries.exclude.values.tolist() == [1, 0]
    assert len(history([], films()).history[0]) == 0
    one = history("Toy Story (1995)", films(), at=77)
    assert one.history[0].tolist() == queries.history[0][:1].tolist(), "a lone text is one film, not its letters"
    assert one.request_time is not None
    assert one.request_time.tolist() == [77]
    assert history(30, films()).history[0].tolist() == [2]
