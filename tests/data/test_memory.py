"""What Python holds in memory, read as a log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from matinee.data.dataset import Dataset
from matinee.data.read.log import read
from matinee.data.read.memory import frame_of
from matinee.errors import MatineeError, MatineeWarning

USERS, ITEMS, RATINGS, TIMES = [7, 7, 3, 9], [20, 10, 20, 30], [5.0, 3.5, 1.0, 4.0], [100, 50, 70, 60]
ROWS = list(zip(USERS, ITEMS, RATINGS, TIMES, strict=True))
COLUMNS: dict[str, list[Any]] = {"user_id": USERS, "item_id": ITEMS, "rating": RATINGS, "timestamp": TIMES}


class Event(NamedTuple):
    user: int
    item: int
    rating: float
    time: int


def events(data: Dataset) -> list[tuple[Any, ...]]:
    """(user, item, rating, time) of each row; what the log does not have is None."""
    n = len(data)
    rating = [None] * n if data.value is None else data.value.tolist()
    times = [None] * n if data.timestamp is None else data.timestamp.tolist()
    ids = data.users.decode(data.user), data.items.decode(data.item)
    return list(zip(*ids, rating, times, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        COLUMNS,
        {name: tuple(values) for name, values in COLUMNS.items()},
        {name: np.array(values) for name, values in COLUMNS.items()},
        {name: pd.Series(values, index=[4, 3, 2, 1]) for name, values in COLUMNS.items()},
        {name: pl.Series("other", values) for name, values in COLUMNS.items()},
        ROWS,
        [list(row) for row in ROWS],
        [Event(*row) for row in ROWS],
        [dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
        tuple(ROWS),
        zip(USERS, ITEMS, RATINGS, TIMES, strict=True),
        np.array(ROWS),
        np.array(ROWS, object),
        np.array(ROWS, [("user_id", "i4"), ("item_id", "i8"), ("rating", "f4"), ("timestamp", "i8")]),
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, index=[9, 8, 7, 6]),
        pd.DataFrame(COLUMNS).set_index("user_id"),
        pl.DataFrame(COLUMNS),
        pl.LazyFrame(COLUMNS),
        pa.table(COLUMNS),
    ],
    ids=lambda source: type(source).__name__,
)
def test_all_ways_give_one_log(source: Any) -> None:
    assert events(read(source)) == ROWS


@pytest.mark.parametrize(("width", "wanted"), [(2, [(7, 20, None, None)]), (3, [(7, 20, 5.0, None)])])
def test_rows_may_end_before_ratings_or_times(width: int, wanted: list[Any]) -> None:
    assert events(read([row[:width] for row in ROWS]))[:1] == wanted
    assert events(read(np.array(ROWS)[:, :width]))[:1] == wanted


def test_texts_whole_numbers_and_dates() -> None:
    assert events(read(np.array([["u1", "7"], ["u2", "8"]]))) == [("u1", "7", None, None), ("u2", "8", None, None)]
    assert events(read([("a", 1, 4), ("b", 2, 4.5)])) == [("a", 1, 4.0, None), ("b", 2, 4.5, None)]
    moment = datetime(2020, 1, 31, 12, tzinfo=UTC)
    assert events(read([("a", 1, 4, moment)])) == [("a", 1, 4.0, 1580472000)]
    days = np.array(["2020-01-31", "1970-01-02"], "datetime64[D]")
    assert read({"user": [1, 2], "item": [1, 1], "time": days}).timestamp is not None
    seconds = read({"user": [1, 2], "item": [1, 1], "time": days.astype("datetime64[s]")}).timestamp
    assert seconds is not None
    assert seconds.tolist() == [1580428800, 86400]
    assert events(read([(np.int32(4), np.str_("x"))])) == [(4, "x", None, None)]


@pytest.mark.parametrize("form", ["csr_array", "csc_array", "coo_array", "lil_array", "csr_matrix", "dok_matrix"])
def test_a_sparse_matrix_is_users_by_items(form: str) -> None:
    dense = np.array([[0, 5.0, 0], [0, 0, 0], [1.5, 0, 2.0]])
    data = read(getattr(sparse, form)(dense))
    assert events(data) == [(0, 1, 5.0, None), (2, 0, 1.5, None), (2, 2, 2.0, None)]
    data = read(getattr(sparse, form)(dense > 0))
    assert events(data) == [(0, 1, None, None), (2, 0, None, None), (2, 2, None, None)]


def test_what_a_sparse_matrix_stores_oddly() -> None:
    twice = sparse.coo_array(([1.0, 1.0, 3.0], ([0, 0, 1], [2, 2, 0])), shape=(2, 3))
    assert events(read(twice)) == [(0, 2, 2.0, None), (1, 0, 3.0, None)]
    assert twice.nnz == 3, "what was given is not changed"
    with pytest.warns(MatineeWarning, match="stores 2 zeros, which are no events"):
        data = read(sparse.csr_array((np.array([0.0, 4.0, 0.0]), np.array([0, 1, 1]), np.array([0, 2, 3]))))
    assert events(data) == [(0, 1, 4.0, None)]
    with pytest.raises(MatineeError, match="has 1 dimensions"):
        read(sparse.coo_array(np.array([1.0, 0.0])))
    with pytest.raises(MatineeError, match="no events"):
        read(sparse.csr_array((3, 3)))


def test_side_tables_may_be_dicts() -> None:
    data = read(ROWS, items={"item_id": [10, 20, 30], "title": ["a", "b", "c"]})
    assert data.item_features is not None
    assert data.item_features["title"].to_list() == ["a", "b", "c"]


def test_a_named_index_of_pandas_is_a_column() -> None:
    frame = pd.DataFrame(COLUMNS).set_index("user_id")
    assert frame_of(frame).columns[0] == "user_id"
    kept = pd.DataFrame(COLUMNS).set_index("user_id", drop=False)
    assert frame_of(kept).columns == list(COLUMNS)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (5, "cannot read a log from int(.|\n)*hint: pass a path; a dataframe"),
        (np.ones(3), "the array has 1 dimensions"),
        (np.ones((2, 2, 2)), "the array has 3 dimensions"),
        (np.ones((4, 9)), r"rows of 9 values(.|\n)*csr_array\(matrix\)"),
        ([(1,)], "rows of 1 values"),
        ([(1, 2), (1, 2, 3)], r"row 2: \(1, 2, 3\) is not a row of 2 values"),
        ([(1, 2), 3], "row 2: 3 is not a row of 2 values"),
        (["ab", "cd"], "row 1: 'ab' is not a row"),
        ([(1, 2), ("a", 3)], "column 'user_id' cannot be read"),
        ([], "the log holds no events"),
        ([(1, None)], "the id is empty"),
        ([(1.5, 2)], "1.5 is not a 64-bit integer"),
        ([(1, 2, "good")], "not a finite number: 'good'"),
        ([(2**70, 1)], "1180591620717411303424 is not a 64-bit integer"),
        ({"user_id": [1, 2], "item_id": [1]}, "not equally long: 'user_id' has 2, 'item_id' has 1"),
        ({"user_id": 5, "item_id": [1]}, "column 'user_id' is 5, not a list"),
        ({"user_id": "abc", "item_id": [1, 2, 3]}, "column 'user_id' is 'abc', not a list"),
        ({1: [1], 2: [2]}, "1 is not the name of a column"),
        ({"user_id": np.ones((2, 2)), "item_id": [1, 2]}, "'user_id' cannot be read: it is an array of 2 dimensions"),
        ({"alice": ["x"], "bob": ["y"]}, "there is no column for user_id"),
        (pd.DataFrame(np.ones((2, 2))), "columns are not all named by a text: 0"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])), r"text: \('a', 'b'\)"),
        (pd.DataFrame(COLUMNS).set_index(["user_id", "item_id"]), "index of several levels(.|\n)*reset_index"),
        (pd.DataFrame([[1, 2]], columns=["user_id", "user_id"]), "two columns 'user_id'"),
        (pd.Series([1, 2]), "the dataframe cannot be read"),
    ],
)
def test_refused(source: Any, words: str) -> None:
    with pytest.raises(MatineeError) as error:
        read(source)
    assert re.search(words, str(error.value)), str(error.value)
