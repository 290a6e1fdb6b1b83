"""Submissions: whose lists, in which order, what is told, and the check against a sample."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.ease import EASE
from matinee.models.popularity import Popularity
from matinee.submissions import user_ids


def log() -> Dataset:
    """Users 1 to 6; user u watched the items 10 u, 10 u + 10 and 10 u + 20 (10 to 80)."""
    user = np.repeat(np.arange(6, dtype=np.int32), 3)
    item = user + np.tile(np.arange(3, dtype=np.int32), 6)
    return Dataset(IdMap(np.arange(1, 7), what="user"), IdMap(np.arange(10, 90, 10), what="item"), user, item)


@pytest.fixture(scope="module")
def model() -> EASE:
    return EASE(l2=1.0).fit(log())


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- whose lists ------------------------------------------------------------------------------------------------------


def test_exactly_these_users_in_their_order(model: EASE) -> None:
    table = mt.submission(model, [5, 2], k=3)
    lists = mt.recommend(model, model.data.queries([5, 2]), k=3)
    assert table.columns == ["user_id", "item_id"]
    assert table["user_id"].to_list() == [5, 5, 5, 2, 2, 2]
    assert table["item_id"].to_list() == lists.to_frame()["item_id"].to_list()


def test_a_wide_row_joins_the_same_items(model: EASE) -> None:
    long = mt.submission(model, [5, 2], k=3)
    wide = mt.submission(model, [5, 2], k=3, wide=True, columns=("customer", "prediction"))
    assert wide.columns == ["customer", "prediction"]
    items = [" ".join(map(str, long.filter(user_id=user)["item_id"])) for user in (5, 2)]
    assert wide.rows() == [(5, items[0]), (2, items[1])]


def test_strangers_get_popular_items_and_are_counted(model: EASE) -> None:
    with pytest.warns(MatineeWarning, match=r"^1 of 2 users is not in the model's log: popular items answer$"):
        table = mt.submission(model, [77, 1], k=2)
    popular = Popularity().fit(log())
    stranger = mt.recommend(popular, mt.history([], log()), k=2).to_frame()["item_id"].to_list()
    assert table.filter(user_id=77)["item_id"].to_list() == stranger
    assert table["user_id"].to_list() == [77, 77, 1, 1]


def test_lists_that_end_early_are_counted(model: EASE) -> None:
    """Eight items, three watched: five are left; with two allowed ones user 1 (who watched 10) has one left."""
    with pytest.warns(MatineeWarning, match="2 of 2 users get fewer than 9 items, the fewest 5"):
        assert len(mt.submission(model, [1, 2], k=9)) == 10
    with pytest.warns(MatineeWarning, match="1 of 2 users gets fewer than 2 items, the fewest 1"):
        table = mt.submission(model, [1, 6], k=2, allow=[10, 50])
    assert table.rows() == [(1, 50), *[(6, item) for item in table.filter(user_id=6)["item_id"]]]
    with pytest.warns(MatineeWarning, match="the fewest 0"):
        nothing = mt.submission(model, [1, 6], k=1, allow=[10], wide=True)
    assert nothing.rows() == [(1, ""), (6, "10")], "a wide table keeps its row"
    assert len(mt.submission(model, [1, 2], k=8, exclude_seen=False)) == 16


def test_who_is_named_again_is_answered_once_where_they_came_first(model: EASE) -> None:
    with pytest.warns(MatineeWarning, match="2 rows name a user again: users are answered once, where they come"):
        table = mt.submission(model, [4, 2, 4, 4], k=1)
    assert table["user_id"].to_list() == [4, 2]


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("u.txt", "3\n1\n\n2\n", [3, 1, 2]),
        ("u.txt", "user_id\r\n3\r\n1\r\n", [3, 1]),
        ("u", "007\nx\n", ["007", "x"]),
        ("u.csv", "item,user,n\n7,3,x\n8,1,y\n", [3, 1]),
        ("u.tsv", "userId\tn\n3\t1\n1\t2\n", [3, 1]),
        ("u.csv", "user_id\n3\n1\n", [3, 1]),
        ("u.csv", "3\n1\n2\n", [3, 1, 2]),
    ],
)
def test_files_of_users(tmp_path: Path, name: str, text: str, ids: list[Any]) -> None:
    assert user_ids(written(tmp_path / name, text)).to_list() == ids


def test_other_sources_of_users(tmp_path: Path) -> None:
    pl.DataFrame({"who": ["b", "a"], "n": [1, 2]}).write_parquet(tmp_path / "u.parquet")
    assert user_ids(tmp_path / "u.parquet", "who").to_list() == ["b", "a"]
    assert user_ids(written(tmp_path / "u.txt", "n,who\n1,b\n"), "who").to_list() == ["b"]
    sample = written(tmp_path / "s.csv", "customer,user\n7,8\n")
    assert [user_ids(sample, usual=name).to_list() for name in ("customer", "user_id")] == [[7], [8]]
    assert user_ids(pl.DataFrame({"user": [3, 1]})).to_list() == [3, 1]
    assert user_ids(np.array([3, 1])).to_list() == [3, 1]
    assert user_ids(pl.Series([3, 1])).to_list() == [3, 1]
    assert user_ids(iter(["007", "8"])).to_list() == ["007", "8"], "ids that are text stay text"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("u.csv", "who,n\n1,2\n", "there is no column of users; it has 'who', 'n'\n.*user_id=\"who\""),
        ("u.csv", "customer\na\nb\n", "there is no column of users; it has 'customer'"),
        ("u.csv", "user,n\n1,2\n,3\n", "u.csv, row 3, column 'user': the id is empty"),
        ("u.txt", "\n\n", "names no user"),
        ("missing.txt", None, "there is no such file"),
    ],
)
def test_files_without_users_are_refused(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        written(tmp_path / name, text)
    with pytest.raises(MatineeError, match=words):
        user_ids(tmp_path / name)


def test_what_cannot_be_answered_is_refused(model: EASE) -> None:
    for users in ([1, "2"], [1.5], [None], [True]):
        with pytest.raises(MatineeError, match="neither all integers nor all text"):
            mt.submission(model, users)
    with pytest.raises(MatineeError, match="there are no users to answer"):
        mt.submission(model, [])
    with pytest.raises(MatineeError, match="not the names of two columns"):
        mt.submission(model, [1], columns=("user", "user"))
    code = np.arange(2, dtype=np.int32)
    spaced = Dataset(IdMap([1, 2], what="user"), IdMap(["a b", "c"], what="item"), code, code)
    with pytest.raises(MatineeError, match="item id 'a b' has a space in it"):
        mt.submission(Popularity().fit(spaced), [2], k=1, wide=True)
    fitted = Popularity().fit(log())
    bare = Popularity().restore(replace(fitted.fitted, data=log().rows(np.zeros(18, bool))))
    with pytest.raises(MatineeError, match="without histories"):
        mt.submission(bare, [1])


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_hold_the_table(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": [3, 1], "item": ["a", "b"]})
    assert mt.write_submission(table, tmp_path / "new" / "s.csv").read_text() == "user,item\n3,a\n1,b\n"
    assert mt.write_submission(table, tmp_path / "s.tsv", header=False).read_text() == "3\ta\n1\tb\n"
    assert pl.read_parquet(mt.write_submission(table, tmp_path / "s.parquet")).equals(table)
    assert pl.read_ndjson(mt.write_submission(table, tmp_path / "s.jsonl")).equals(table)
    with pytest.raises(MatineeError, match=r"unknown kind of file '\.xls'"):
        mt.write_submission(table, tmp_path / "s.xls")
    with pytest.raises(MatineeError, match="can be without a header"):
        mt.write_submission(table, tmp_path / "s.parquet", header=False)


# --- the check --------------------------------------------------------------------------------------------------------

SAMPLE = "user,item\n3,1\n3,2\n1,1\n1,2\n"


def test_a_submission_like_the_sample_passes(tmp_path: Path) -> None:
    sample = written(tmp_path / "sample.csv", SAMPLE)
    mine = pl.DataFrame({"user": [3, 3, 1, 1], "item": [9, 8, 9, 7]})
    mt.check_submission(mine, sample)
    mt.check_submission(mt.write_submission(mine, tmp_path / "mine.csv"), sample)
    bare = written(tmp_path / "bare_sample.csv", SAMPLE.partition("\n")[2])
    mt.check_submission(mt.write_submission(mine, tmp_path / "bare.csv", header=False), bare, header=False)
    wide = pl.DataFrame({"user": ["a", "b"], "item": ["1 2", "3 4"]})
    mt.check_submission(wide, written(tmp_path / "wide.csv", "user,item\na,0 0\nb,0 0\n"))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("user_id,item\n3,9\n3,8\n1,9\n1,8\n", "its columns are user_id, item, in the sample user, item"),
        ("user,item\n3,9\n3,8\n1,9\n", "it has 3 rows, the sample 4"),
        ("user,item\n3,9\n3,8\n1,9\n1,8\n5,6\n", "it has 5 rows, the sample 4"),
        ("user,item\n3,9\n1,8\n3,9\n1,8\n", "2 rows have another user, first sample.csv, row 3 ('1', in the sample '3')"),  # noqa: E501
        ("user,item\n3,9\n3,8\n1,9\n1,8 7\n", "1 row has another number of items, first sample.csv, row 5 (2, in the sample 1)"),  # noqa: E501
        ("user,item\n3,9\n3,x8\n1,9\n1,8\n", "1 row has item ids that are no whole numbers, as the sample's are, first mine.csv, row 3 ('x8')"),  # noqa: E501
        ("user,item\n3,9\n3,9\n1,9\n1,8\n", "1 row has an item that the user's list has already, first mine.csv, row 3 ('9')"),  # noqa: E501
        ("user,item\n3,9\n3,\n1,9\n1,8\n", "1 row has another number of items, first sample.csv, row 3 (0, in the sample 1)"),  # noqa: E501
        ("user,item,n\n3,9,1\n", "has 3 columns, not one of users and one of items"),
    ],
)  # fmt: skip
def test_each_difference_from_the_sample_is_named_by_row(tmp_path: Path, rows: str, words: str) -> None:
    sample, mine = written(tmp_path / "sample.csv", SAMPLE), written(tmp_path / "mine.csv", rows)
    with pytest.raises(MatineeError) as error:
        mt.check_submission(mine, sample)
    assert words in error.value.what
    assert error.value.where == "mine.csv"


def test_several_differences_are_told_together(tmp_path: Path) -> None:
    sample = written(tmp_path / "sample.csv", SAMPLE)
    with pytest.raises(MatineeError) as error:
        mt.check_submission(pl.DataFrame({"user": ["a", "3"], "item": ["1", "1"]}), sample)
    assert error.value.what == (
        "differs from sample.csv: it has 2 rows, the sample 4; "
        "1 row has another user, first sample.csv, row 2 ('a', in the sample '3'); "
        "1 row has user ids that are no whole numbers, as the sample's are, first the submission, row 1 ('a')"
    )


def test_a_whole_line_of_work_says_nothing(model: EASE, tmp_path: Path) -> None:
    sample = written(tmp_path / "sample.csv", "user,item\n5,10\n5,10\n2,10\n2,10\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = mt.submission(model, written(tmp_path / "u.txt", "5\n2\n"), k=2, columns=("user", "item"))
        mt.check_submission(table, sample)
