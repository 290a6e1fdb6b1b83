"""Vectors from arrays and .npy files as a column of the table of items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.item_vectors import ids_of_file
from matinee.errors import MatineeError, MatineeWarning
from matinee.study.data_table import DataTable

DATA = mt.read([("u", "b"), ("u", "d"), ("v", "a"), ("v", "c")])


def column(data: mt.Dataset, name: str = "vector") -> list[Any]:
    assert data.item_features is not None
    return data.item_features[name].to_list()


def test_rows_by_id_and_in_code_order(tmp_path: Path) -> None:
    rows = np.array([[1, 2], [3, 4], [5, 6]], np.float16)
    np.save(tmp_path / "v.npy", rows)
    with pytest.warns(MatineeWarning, match="1 vector of items that .* does not have: left out"):
        found = mt.with_item_vectors(DATA, tmp_path / "v.npy", ids=["d", "zz", "a"])
    assert column(found) == [[5.0, 6.0], None, None, [1.0, 2.0]]
    again = mt.with_item_vectors(found, np.arange(8).reshape(4, 2), name="image")
    assert column(again, "image")[2] == [4.0, 5.0]
    assert column(again) == column(found)
    assert column(mt.with_item_vectors(again, np.zeros((4, 3))))[0] == [0.0] * 3


def test_a_parquet_column_of_lists_is_read_as_it_is(tmp_path: Path) -> None:
    table = pl.DataFrame({"item_id": ["a", "b", "d"], "text": [[0.5, 1.0], None, [2.0, 0.0]]})
    table.write_parquet(tmp_path / "items.parquet")
    pl.DataFrame({"user_id": ["u", "u", "v", "v"], "item_id": ["b", "d", "a", "c"]}).write_csv(tmp_path / "log.csv")
    data = mt.read(tmp_path / "log.csv", items=tmp_path / "items.parquet")
    assert column(data, "text") == [[0.5, 1.0], None, None, [2.0, 0.0]]
    mt.save_model(mt.models.Content().fit(data), tmp_path / "model")
    assert column(mt.load_model(tmp_path / "model").data, "text") == column(data, "text")


@pytest.mark.parametrize(
    ("vectors", "ids", "said"),
    [
        (np.zeros((3, 2)), None, "there are 3 vectors for 4 items"),
        (np.zeros((3, 2)), ["a", "b"], "there are 3 vectors for 2 ids"),
        (np.zeros((2, 2)), ["a", "a"], "item 'a' has two vectors"),
        (np.zeros(4), None, r"vectors are float64 \(4,\)"),
        (np.array([["x"] * 2] * 4), None, "not numbers"),
        (np.array([[0.0], [1.0], [np.inf], [0.0]]), None, "row 3"),
        ("nowhere.npy", None, "no array can be read"),
    ],
)
def test_what_does_not_fit_is_said(vectors: Any, ids: Any, said: str) -> None:
    with pytest.raises(MatineeError, match=said):
        mt.with_item_vectors(DATA, vectors, ids=ids)


def test_a_recipe_names_files_and_the_ids_of_their_rows(tmp_path: Path) -> None:
    log = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [20, 40, 10, 30]})
    log.write_csv(tmp_path / "log.csv")
    np.save(tmp_path / "whole.npy", np.arange(8).reshape(4, 2))
    np.save(tmp_path / "some.npy", np.array([[7.0], [9.0]]))
    (tmp_path / "some.txt").write_text("30\n10\n", "utf-8")
    files = {"poster": "whole.npy", "plot": {"path": "some.npy", "ids": "some.txt"}}
    table = DataTable.of("log.csv", {"item_vectors": files, "min_item_users": 1})
    data = table.load(tmp_path)
    assert data.items.ids.tolist() == [10, 20, 30, 40]
    assert column(data, "poster") == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    assert column(data, "plot") == [[9.0], None, [7.0], None]


@pytest.mark.parametrize(
    ("ids", "message"),
    [("30\nten\n", "the id 'ten' is no whole number"), ("30\n", "there are 2 vectors for 1 id"), (None, "no ids can")],
)
def test_ids_that_do_not_fit(tmp_path: Path, ids: str | None, message: str) -> None:
    np.save(tmp_path / "v.npy", np.zeros((2, 1)))
    if ids is not None:
        (tmp_path / "v.txt").write_text(ids, "utf-8")
    data = mt.read([(1, 30), (2, 10)])
    with pytest.raises(MatineeError, match=message):
        mt.with_item_vectors(data, tmp_path / "v.npy", ids=ids_of_file(tmp_path / "v.txt", data))
