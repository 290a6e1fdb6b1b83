"""The reading options and rules: files read right, refused or warned of, alike from Python, commands and recipes."""

from __future__ import annotations

import ast
import bz2
import gzip
import inspect
import io
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import matinee as mt
from matinee.cli.options import LogOptions
from matinee.data.dataset import Dataset
from matinee.data.read.options import ReadOptions
from matinee.errors import COLUMNS, MatineeError, MatineeWarning, option, worded_for
from matinee.evaluate.files import hidden_pairs
from matinee.models.popularity import Popularity
from matinee.split.options import STRATEGIES
from matinee.study.data_table import DataTable

from .samples import events, file


def times(data: Dataset) -> list[int]:
    assert data.timestamp is not None
    return [int(second) for second in data.timestamp]


def refusal(read: Callable[[], object]) -> MatineeError:
    with pytest.raises(MatineeError) as caught:
        read()
    return caught.value


# --- quotation marks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tag",
    ['"odd al" jankovic', '5" pipe', '"', '"never closed', 'The "Q" Men', 'ends with"', '"a"b"c', '""x'],
)
def test_marks_in_a_file_that_does_not_quote(tmp_path: Path, tag: str) -> None:
    text = f"user_id\titem_id\ttag\n1\ta\t{tag}\n2\tb\tplain\n3\tc\tx, y\n"
    data = mt.read(file(tmp_path, text, "log.tsv"))
    assert events(data) == [(1, "a"), (2, "b"), (3, "c")]
    assert data.context is not None
    assert data.context["tag"].to_list() == [tag, "plain", "x, y"]


def test_a_mark_that_closes_lines_later_swallows_none(tmp_path: Path) -> None:
    path = file(tmp_path, 'user_id\titem_id\ttag\n1\ta\t"big one\n2\tb\tx\n3\tc\ty"\n4\td\tz\n', "log.tsv")
    with pytest.warns(MatineeWarning, match=r"ordinary characters.*row 2 ends.*quote='\"'"):
        data = mt.read(path)
    assert events(data) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    with pytest.warns(MatineeWarning, match="2 line ends within quotation marks"):
        assert len(mt.read(path, quote='"')) == 2


def test_texts_over_several_lines_are_counted(tmp_path: Path) -> None:
    path = file(tmp_path, 'user_id,item_id,review\n1,a,"one, two\nthree"\n2,b,four\n')
    with pytest.warns(MatineeWarning, match="1 line end within quotation marks, so rows are fewer than lines"):
        data = mt.read(path)
    assert events(data) == [(1, "a"), (2, "b")]
    assert data.context is not None
    assert data.context["review"].to_list() == ["one, two\nthree", "four"]


def test_a_line_end_in_an_id_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, 'user_id,item_id,x\n1,"a\nb",2\n2,c,3\n')
    with pytest.warns(MatineeWarning):
        error = refusal(lambda: mt.read(path))
    assert error.where == "log.csv, row 2, column 'item_id'"
    assert "goes over a line end" in error.what


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('user_id,item_id,t\n"1","a","x"\n"2","b","y\n"3","c","z"\n', 3),
        ('user_id,item_id,t\n1,a,"x, y\n2,b,z\n', 2),
        ('user_id,item_id,t\n1,a,"x, y"\n2,b,"p"q, z\n', 3),
    ],
)
def test_broken_quoting_is_refused_with_its_row(tmp_path: Path, text: str, row: int) -> None:
    error = refusal(lambda: mt.read(file(tmp_path, text)))
    assert error.where == f"log.csv, row {row}"
    assert "quote=None" in str(error.hint)


def test_escaped_doubled_and_stray_marks_are_one_text(tmp_path: Path) -> None:
    for cell in (r'"The \"Best\"; Book"', '"The ""Best""; Book"'):
        path = file(tmp_path, f'"user";"item";"t"\r\n"7";"0155";{cell}\r\n"8";"0156";"x"\r\n')
        data = mt.read(path)
        assert events(data) == [(7, "0155"), (8, "0156")]
        assert data.context is not None
        assert data.context["t"].to_list() == ['The "Best"; Book', "x"]
    data = mt.read(file(tmp_path, 'user,item,t\n1,a,Rocky "II"\n2,b,"Good, Bad"\n'))
    assert data.context is not None
    assert data.context["t"].to_list() == ['Rocky "II"', "Good, Bad"]


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "seconds"),
    [
        ("20140407", {}, 1396828800),
        ("2014-04-07 10:51:09 UTC", {}, 1396867869),
        ("2014/04/07 10:51:10", {}, 1396867870),
        ("Mon Apr 07 03:51:09 -0700 2014", {}, 1396867869),
        ("04/07/2014", {"time_format": "%m/%d/%Y"}, 1396828800),
        ("07.04.2014 10:51", {"time_format": "%d.%m.%Y %H:%M"}, 1396867860),
        ("4/7/2014 9:05:58 AM", {"time_format": "%m/%d/%Y %I:%M:%S %p"}, 1396861558),
        ("2014", {"time_format": "%Y"}, 1388534400),
        ("2014", {"unit": "s"}, 2014),
        ("12345678", {}, 12345678),
        ("3", {}, 3),
        ("4102444799", {}, 4102444799),
        ("1960-01-01", {"time_format": "%Y-%m-%d"}, None),
    ],
)
def test_ways_to_write_times(tmp_path: Path, text: str, options: dict[str, Any], seconds: int | None) -> None:
    path = file(tmp_path, f"user,item,time\n1,2,{text}\n")
    if seconds is None:
        assert "1960" in refusal(lambda: mt.read(path, **options)).what
        return
    assert times(mt.read(path, **options)) == [seconds]


@pytest.mark.parametrize(
    ("text", "options", "what", "hint"),
    [
        ("881250949000", {"unit": "s"}, "year 29,895", 'unit="ms"'),
        ("4102444800", {}, "year 2100", "timestamp=None"),
        ("2014", {}, "look like years", 'time_format="%Y"'),
        ("04/07/2014", {}, "cannot be understood", 'time_format="%m/%d/%Y"'),
        ("07.04.2014", {}, "cannot be understood", 'time_format="%d.%m.%Y"'),
    ],
)
def test_times_that_are_refused(tmp_path: Path, text: str, options: dict[str, Any], what: str, hint: str) -> None:
    error = refusal(lambda: mt.read(file(tmp_path, f"user,item,time\n1,2,{text}\n"), **options))
    assert what in error.what
    assert hint in str(error.hint)


def test_a_compact_date_that_is_none_is_named(tmp_path: Path) -> None:
    error = refusal(lambda: mt.read(file(tmp_path, "user,item,time\n1,2,20140407\n1,2,20140408\n1,2,20141408\n")))
    assert error.where == "log.csv, row 4, column 'time'"


# --- ids and columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["nan", "NaN", "null", "None", "NA", "<NA>", "N/A"])
def test_words_for_missing_ids(tmp_path: Path, word: str) -> None:
    path = file(tmp_path, f"user,item\na,x\n{word},y\n")
    error = refusal(lambda: mt.read(path))
    assert error.where == "log.csv, row 3, column 'user'"
    assert "stands for a missing value" in error.what
    frame = pl.DataFrame({"user": ["a", word], "item": ["x", "y"]})
    assert refusal(lambda: mt.read(frame)).where == "the dataframe, row 2, column 'user'"
    assert events(mt.read(path, ids="text")) == [("a", "x"), (word, "y")]
    with pytest.warns(MatineeWarning, match="1 of 2 rows"):
        assert events(mt.read(path, bad_rows="skip")) == [("a", "x")]


def test_kinds_of_ids(tmp_path: Path) -> None:
    path = file(tmp_path, "user,item\n1,7\n2,8\n")
    assert events(mt.read(path, ids="text")) == [("1", "7"), ("2", "8")]
    assert events(mt.read(path, ids="integer")) == [(1, 7), (2, 8)]
    error = refusal(lambda: mt.read(file(tmp_path, "user,item\n1,7\n2,08\n"), ids="integer"))
    assert "'08' is no integer" in error.what


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        ("user,item\n1,2\n", {"item_id": "user"}, "named for two things"),
        ("user,user,item\n1,2,3\n", {}, "two columns are named 'user'"),
        ("user,uid,item\n1,2,3\n", {}, "'user' and 'uid' may both be the user_id"),
        ("user,movie,movieId\n1,2,3\n", {}, "may both be the item_id"),
        ("20010,5550187,49.26\n20010,5550150,17.89\n", {}, "looks like an event"),
        ("u1,a1,big\nu1,a2,big\n", {}, "looks like an event"),
        ("user,item\n1,2\n", {"user_id": 1, "item_id": 2}, "has a header"),
        ("1,2,a,b,c\n", {"header": False}, "its 5 columns may be anything"),
        ("1,2,4000\n", {"header": False}, "may be anything"),
        ("1,2\n", {"header": False, "user_id": 1, "item_id": 3}, "position 3, and there are 2"),
    ],
)
def test_columns_that_are_no_columns(tmp_path: Path, text: str, options: dict[str, Any], what: str) -> None:
    error = refusal(lambda: mt.read(file(tmp_path, text), **options))
    assert what in error.what
    assert error.hint


def test_the_roles_own_name_decides(tmp_path: Path) -> None:
    assert events(mt.read(file(tmp_path, "user,userId,item\n1,2,3\n"))) == [(2, 3)]


def test_files_without_a_header(tmp_path: Path) -> None:
    three = file(tmp_path, "20010\t5550187\t49.26\n20010\t5550150\t17.89\n20011\t5550187\t50.2\n", "sales.data")
    data = mt.read(three, header=False)
    assert events(data) == [(20010, 5550187), (20010, 5550150), (20011, 5550187)]
    assert data.value is not None
    assert data.value.tolist() == pytest.approx([49.26, 17.89, 50.2])
    assert times(mt.read(file(tmp_path, "1,2,978300719\n"), header=False)) == [978300719]
    four = mt.read(file(tmp_path, "1::2::5::978300719\n"), header=False)
    assert (times(four), four.value is not None and four.value.tolist()) == ([978300719], [5.0])
    assert events(mt.read(three, header=False, user_id=2, item_id=1, rating=None)) == [
        (5550187, 20010),
        (5550150, 20010),
        (5550187, 20011),
    ]


def test_an_unnamed_column_that_counts_rows_is_left_out(tmp_path: Path) -> None:
    for name in ("", "Unnamed: 0"):
        with pytest.warns(MatineeWarning, match="numbers the rows"):
            data = mt.read(file(tmp_path, f"{name},user,item\n0,1,2\n1,3,4\n"))
        assert (events(data), data.context) == ([(1, 2), (3, 4)], None)


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    text = "user,item,rating,time\n1,a,5,10\n,b,3,11\n2,c,x,12\n3,d\n4,e,1,13,9\n5,f,2,\n6,g,4,14\n"
    with pytest.warns(MatineeWarning, match=r"5 of 7 rows .*row 3: the id is empty; row 4: .*'x'; row 5: 2 fields"):
        data = mt.read(file(tmp_path, text), bad_rows="skip")
    assert events(data) == [(1, "a"), (6, "g")]
    clean = mt.read(file(tmp_path, "user,item,rating,time\n1,a,5,10\n6,g,4,14\n"))
    assert data.skipped_rows == 5
    assert data.fingerprint != clean.fingerprint
    assert mt.read(tmp_path / "log.csv", bad_rows="skip").fingerprint == clean.fingerprint, "nothing was left out"
    assert refusal(lambda: mt.read(file(tmp_path, text))).where == "log.csv, row 5", "the first that has no place"


def test_columns_that_look_useful_are_named(tmp_path: Path) -> None:
    path = file(tmp_path, "user,item,plays\n1,a,3\n1,b,4.5\n")
    with pytest.warns(MatineeWarning, match='weight="plays"'):
        mt.read(path)
    assert mt.read(path, weight=None).weight is None
    data = mt.read(path, weight="plays")
    assert data.weight is not None
    assert data.weight.tolist() == [3, 4.5]
    assert data.context is None, "the column has done its work"


EVENTS = (
    "user_id,item_id,event_type,timestamp\nu1,a,view,1\nu1,b,purchase,2\nu1,c,dislike,3\n"
    "u2,a,purchase,4\nu2,c,view,5\nu2,d,view,6\n"
)
MEANT: dict[str, Any] = {"column": "event_type", "weights": {"view": 1.0, "purchase": 4.0, "dislike": -1.0}}


def test_kinds_of_events_are_read_in_three_ways(tmp_path: Path) -> None:
    path = file(tmp_path, EVENTS, "events.csv")
    data = mt.read(path, kinds=MEANT)
    assert data.weight is not None
    assert data.weight.tolist() == [1, 4, 4, 1, 1]
    assert data.dislikes is not None
    assert events(data) == [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "c"), ("u2", "d")]
    assert (data.dislikes.user.tolist(), data.dislikes.item.tolist()) == ([0], [2])
    assert mt.read(path, kinds=mt.EventKinds("event_type", MEANT["weights"])).fingerprint == data.fingerprint
    recipe = DataTable.model_validate({"source": str(path), "events": MEANT})
    assert recipe.load().fingerprint == data.fingerprint
    assert DataTable.model_validate(recipe.model_dump(mode="json", exclude_none=True)) == recipe
    typed = LogOptions(kind_column="event_type", kind=["view=1", "purchase=4", "dislike=-1"])
    assert typed.load(str(path)).fingerprint == data.fingerprint
    recs = mt.recommend(Popularity().fit(data), data.queries(["u1"], exclude_seen=False), k=4)
    assert "c" not in data.items.decode(recs.item[recs.item >= 0]), "what u1 dislikes is not recommended"
    kept = mt.read(path, kinds={"column": "event_type", "keep": ["purchase"]})
    assert (events(kept), kept.weight) == ([("u1", "b"), ("u2", "a")], None)
    assert LogOptions(kind_column="event_type", keep_kind=["purchase"]).load(str(path)).fingerprint == kept.fingerprint


def test_kinds_that_are_not_used_are_told_with_the_option_that_uses_them(tmp_path: Path) -> None:
    path = file(tmp_path, EVENTS, "events.csv")
    with pytest.warns(MatineeWarning) as python:
        plain = mt.read(path)
    text = str(python[0].message)
    assert "all count alike: view, purchase, dislike; " in text
    named = re.search(r"kinds=(\{.*\}) gives", text)
    assert named is not None
    advised = ast.literal_eval(named[1])
    assert advised == {"column": "event_type", "weights": {"view": 1, "purchase": 1, "dislike": -1}}
    assert len(mt.read(path, kinds=advised)) == 5
    with pytest.warns(MatineeWarning) as command:
        LogOptions().load(str(path))
    assert "; --kind-column event_type --kind view=1 --kind purchase=1 --kind dislike=-1 gives" in str(
        command[0].message
    )
    with pytest.warns(MatineeWarning) as recipe:
        DataTable(source=str(path)).load()
    told = '; events = { column = "event_type", weights = { "view" = 1, "purchase" = 1, "dislike" = -1 } } gives'
    assert told in str(recipe[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alike = [mt.read(path, kinds=None), LogOptions(kind_column="none").load(str(path))]
        alike.append(DataTable.model_validate({"source": str(path), "events": {"column": "none"}}).load())
    assert {data.fingerprint for data in alike} == {plain.fingerprint}


def test_kinds_by_position_weights_and_dislikes_together(tmp_path: Path) -> None:
    path = file(tmp_path, "1,a,view,2\n1,b,no,5\n2,a,buy,3\n", "log.data")
    where: dict[str, Any] = {"header": False, "user_id": 1, "item_id": 2, "weight": 4}
    data = mt.read(path, **where, kinds={"column": "3", "weights": {"view": 1, "buy": 2, "no": -1}})
    assert data.weight is not None
    assert (data.weight.tolist(), data.dislikes and data.dislikes.item.tolist()) == ([2, 6], [1])
    given: dict[str, Any] = {name: str(value).lower() for name, value in where.items()}
    typed = replace(LogOptions(**given), kind_column="3", kind=["view=1", "buy=2", "no=-1"])
    assert typed.load(str(path)).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": ["a=1"]}, "--kind is given, and no column"),
        ({"keep_kind": ["a"]}, "--keep-kind is given, and no column"),
        ({"kind_column": "event_type"}, "no kind of event"),
        ({"kind_column": "event_type", "kind": ["view"]}, "--kind view is not NAME=VALUE"),
        ({"kind_column": "event_type", "kind": ["view=much"]}, "--kind view=much: the weight is no finite number"),
        ({"kind_column": "event_type", "kind": ["view=nan"]}, "no finite number"),
        ({"kind_column": "event_type", "kind": ["view=1", "view=2"]}, "--kind view is given twice"),
        ({"kind_column": "type", "kind": ["view=1"]}, "no further column 'type'"),
        ({"kind_column": "event_type", "kind": ["view=1"]}, "kinds of events without a weight: 'purchase' (2)"),
        ({"items_option": ["separator=;"]}, "--items-option is about a table that is not named"),
    ],
)
def test_kinds_that_are_wrong_on_the_command_line(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    error = refusal(lambda: LogOptions(**options).load(str(file(tmp_path, EVENTS))))
    assert words in error.what
    assert error.hint


def test_dislikes_are_taken_before_the_filters_see_the_ratings(tmp_path: Path) -> None:
    path = file(tmp_path, "user,item,rating\n1,a,5\n1,b,2\n2,a,4\n2,c,3\n")
    with pytest.warns(MatineeWarning, match="1 item that a user rated below 4 is left out"):
        data = LogOptions(dislike_below=3.0, min_rating=4).load(str(path))
    assert events(data) == [(1, "a"), (2, "a")]
    assert data.dislikes is not None
    assert (data.dislikes.user.tolist(), data.dislikes.item.tolist()) == ([0], [1])
    recipe = DataTable(source=str(path), dislike_below=3.0, min_rating=4).load()
    python = mt.filter_events(mt.read(path, dislike_below=3.0), min_rating=4)
    assert data.fingerprint == recipe.fingerprint == python.fingerprint
    assert mt.read(path, dislike_below=1.0).fingerprint == mt.read(path).fingerprint, "nobody disliked anything"
    error = refusal(lambda: mt.read(path, rating=None, dislike_below=3.0))
    assert 'rating="stars"' in str(error.hint)


def test_repeats_are_counted_after_the_kinds_are_known(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [1, 1, 1], "item": ["a", "a", "b"], "event": ["view", "buy", "view"]})
    data = mt.read(frame, kinds={"column": "event", "weights": {"view": 1, "buy": 4}}, duplicates="sum")
    assert data.weight is not None
    assert data.weight.tolist() == [5, 1]


def test_ratings_that_are_no_likes_are_told_at_the_fit() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "a"], "rating": [1.0, -3.0, 0.0]})
    with pytest.warns(MatineeWarning, match="2 of 3 events of log are rated 0 or less") as told:
        Popularity().fit(mt.read(frame))
    assert "dislike_below=1.0 makes them dislikes" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        disliked = mt.read(frame, dislike_below=1.0)
        Popularity().fit(disliked)
    assert (len(disliked), disliked.dislikes and len(disliked.dislikes)) == (1, 2)
    with (
        worded_for("command"),
        pytest.warns(MatineeWarning, match="--dislike-below 1.0 makes.*--min-rating 1.0 leaves"),
    ):
        Popularity().fit(mt.read(frame))
    none = frame.with_columns(rating=pl.Series([0.0, 0.0, 0.0]))
    with pytest.warns(MatineeWarning, match="rating=None reads no ratings"):
        Popularity().fit(mt.read(none))
    Popularity().fit(mt.read(frame.with_columns(rating=pl.Series([1.0, 2.0, 3.0]))))


# --- sessions, pairs, side tables, hidden pairs -----------------------------------------------------------------------


def test_sessions_cut_by_a_gap() -> None:
    frame = pl.DataFrame({"user": [7, 7, 8, 7], "item": list("abcd"), "time": [0, 1800, 50, 3601]})
    assert events(mt.read(frame, session_gap="30m")) == [("7/1", "a"), ("7/1", "b"), ("8/1", "c"), ("7/2", "d")]
    assert "no" in refusal(lambda: mt.read(frame, session_gap="30m", timestamp=None)).what


def test_lines_of_sequences_that_are_wrong_can_be_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, "7 a b\n8\n7 c\n9 b\n", "s.txt")
    with pytest.warns(
        MatineeWarning, match=r"s.txt: 2 of 4 rows cannot .* \(row 2: user '8' has no items; row 3: user '7'"
    ):
        data = mt.read(path, format="sequences", bad_rows="skip")
    assert (events(data), data.skipped_rows) == ([(7, "a"), (7, "b"), (9, "b")], 2)


def test_pairs_are_not_sessions(tmp_path: Path) -> None:
    pairs = file(tmp_path, "1 10\n1 11\n2 10\n", "pairs.txt")
    with pytest.warns(MatineeWarning, match="users and items"):
        mt.read(pairs, format="sessions")
    log = mt.read(pl.DataFrame({"user": [1, 2, 3], "item": [10, 11, 12]}))
    tabs = file(tmp_path, "1\t12\n2\t12\n", "test.txt")
    error = refusal(lambda: mt.split.provided(log, test=tabs))
    assert "pair of ids" in error.what
    assert "header=False" in str(error.hint)
    split = mt.split.provided(log, test=mt.table(tabs, header=False))
    assert split.test.queries.user.tolist() == [0, 1]


def test_hidden_pairs_have_names_of_their_own(tmp_path: Path) -> None:
    log = mt.read(pl.DataFrame({"user": [1, 2, 3], "item": [10, 11, 12]}))
    path = file(tmp_path, "who;what\n1;12\n3;10\n", "asked.data")
    split = mt.split.provided(log, test={"path": str(path), "user_id": "who", "item_id": "what", "separator": ";"})
    assert split.test.queries.user.tolist() == [0, 2]
    holdout = hidden_pairs(Popularity().fit(log), path, user_id="who", item_id="what", separator=";")
    assert len(holdout) == 2


def test_side_tables_in_their_own_way(tmp_path: Path) -> None:
    log = file(tmp_path, "user,item\n1,0446\n2,034X\n")
    books = file(
        tmp_path, '"ISBN";"Book-Title"\n"0446";"Café"\n"034X";"The \\"Best\\" one"\n'.encode("latin-1"), "b.csv"
    )
    table = mt.table(books, separator=";", encoding="latin-1", item_id="ISBN", title="Book-Title")
    for items in (table, {"path": str(books), "encoding": "latin-1", "item_id": "ISBN"}):
        data = mt.read(log, items=items)
        assert data.item_features is not None
        assert data.item_features["title"].to_list() == ['The "Best" one', "Café"]
    assert "unknown" not in refusal(lambda: mt.table(books, separater=";")).what
    assert "separator" in str(refusal(lambda: mt.table(books, separater=";")).hint)


def test_lists_in_one_text(tmp_path: Path) -> None:
    text = (
        'item_id,name,genres\na,Alpha,"Action, Sci-Fi, Drama"\nb,Beta,"[""Comedy"", ""Drama""]"\n'
        "c,Gamma,\"['Comedy', 'Crime']\"\nd,Delta,Action|Drama\n"
        "e,Eps,Crime; Noir\nf,Phi,\"[{'id': 1, 'name': 'War'}]\"\n"
    )
    data = mt.read(pl.DataFrame({"user": [1] * 6, "item_id": list("abcdef")}), items=file(tmp_path, text, "items.csv"))
    assert data.item_features is not None
    assert data.item_features["genres"].to_list() == [
        ["Action", "Sci-Fi", "Drama"],
        ["Comedy", "Drama"],
        ["Comedy", "Crime"],
        ["Action", "Drama"],
        ["Crime", "Noir"],
        ["War"],
    ]
    assert data.item_features["title"].to_list() == ["Alpha", "Beta", "Gamma", "Delta", "Eps", "Phi"]


# --- one set of options, three ways -----------------------------------------------------------------------------------

LOG = "user_id,item_id,rating,timestamp\n7,b,4.5,100\n7,a,1,90\n30,b,3,100\n"


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("log.csv", content)
    return out.getvalue()


def zstd(content: str) -> bytes:
    out = io.BytesIO()
    pl.read_csv(io.BytesIO(content.encode()), infer_schema=False).write_csv(out, compression="zstd")
    return out.getvalue()


WAYS: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "plain": (LOG, {}),
    "semicolons": (LOG.replace(",", ";").replace(".", ","), {"decimal": ","}),
    "tab": (LOG.replace(",", "\t"), {"separator": "tab"}),
    "spaces": (LOG.replace(",", " "), {"separator": "space"}),
    "colons": (LOG.replace(",", "::"), {"separator": "::"}),
    "quoted": ('"' + LOG[:-1].replace(",", '","').replace("\n", '"\n"') + '"\n', {}),
    "other marks": ("'" + LOG[:-1].replace(",", "','").replace("\n", "'\n'") + "'\n", {"quote": "'"}),
    "utf-16": (LOG.encode("utf-16"), {"encoding": "utf-16"}),
    "comment": ("# made by hand\n" + LOG, {"comment": "#"}),
    "gz": (gzip.compress(LOG.encode()), {}),
    "bz2": (bz2.compress(LOG.encode()), {}),
    "zip": (zipped(LOG.encode()), {}),
    "zst": (zstd(LOG), {}),
    "no header": (LOG.partition("\n")[2], {"header": False, "user_id": 1, "item_id": 2, "rating": 3, "timestamp": 4}),
    "names": (LOG.partition("\n")[2], {"header": ["user_id", "item_id", "rating", "timestamp"]}),
    "other columns": (LOG.replace("rating", "love"), {"rating": "love"}),
    "milliseconds": (LOG.replace("00\n", "00000\n").replace("90\n", "90000\n"), {"unit": "ms"}),
}


def command(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:.*starts? with #")
def test_three_ways_read_the_same(tmp_path: Path, way: str) -> None:
    content, options = WAYS[way]
    expected = mt.read(file(tmp_path, LOG, "expected.csv")).fingerprint
    path = file(tmp_path, content, "log.data")
    assert mt.read(path, **options).fingerprint == expected
    columns = {role: options[role] for role in COLUMNS if role in options}
    rest = {name: value for name, value in options.items() if name not in columns}
    assert DataTable(source=str(path), columns=columns, **rest).load().fingerprint == expected
    typed: dict[str, Any] = {name: command(value) for name, value in options.items()}
    assert LogOptions(**typed).load(str(path)).fingerprint == expected


PROVOKED = [
    ("who,what\n1,2\n", {}, "user_id"),
    ("user,item\n1,\xe9\n".encode("latin-1"), {}, "encoding"),
    ("user,item,rating\n1,2,good\n", {}, "rating"),
    ('user,item,rating\n1,2,"3,5"\n', {}, "decimal"),
    ("user,item,time\n1,2,04/07/2014\n", {}, "time_format"),
    ("user,item,time\n1,2,2014\n", {}, "time_format"),
    ("user,item,time\n1,2,9000000000\n", {}, "timestamp"),
    ("1,2\n3,4\n", {}, "header"),
    ("user,item\n1,2,3\n", {}, "bad_rows"),
    ('user,item,t\n1,2,"3, 4\n', {}, "quote"),
    ("user,item\nnan,2\na,3\n", {}, "ids"),
    ("user,item\n1,2\n1,2\n", {"duplicates": "error"}, "duplicates"),
    ("1 2 3\n", {}, "format"),
]


@pytest.mark.parametrize(("content", "options", "named"), PROVOKED)
def test_hints_name_options_as_the_caller_has_them(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], named: str
) -> None:
    path = file(tmp_path, content)
    of_python = str(refusal(lambda: mt.read(path, **options)).hint)
    of_recipes = str(refusal(lambda: DataTable(source=str(path), **options).load()).hint)
    of_commands = str(refusal(lambda: LogOptions(**options).load(str(path))).hint)
    in_python = set(re.findall(r"\b([a-z_]+)=", of_python))
    assert named in in_python <= set(inspect.signature(mt.read).parameters)
    in_recipes = set(re.findall(r"\b([a-z_]+) = ", of_recipes))
    assert named in in_recipes <= {*DataTable.model_fields, *COLUMNS}
    assert all(f"columns = {{ {role} = " in of_recipes for role in in_recipes & set(COLUMNS))
    in_commands = {each.replace("-", "_") for each in re.findall(r"--([a-z-]+)", of_commands)}
    assert named in in_commands <= set(LogOptions.__dataclass_fields__)
    assert "=" not in of_commands


def test_options_are_spelled_for_whom_they_are() -> None:
    assert option("rating", None) == "rating=None"
    with worded_for("command"):
        assert option("separator", "\t") == "--separator tab"
        assert option("separator", ";") == "--separator ';'"
        with worded_for("recipe", fallback=True):
            assert option("header", False) == "--header false"
        with worded_for("recipe"):
            assert option("header", False) == "header = false"
            assert option("rating", None) == 'columns = { rating = "none" }'
    assert option("header", False) == "header=False"


def test_a_named_set_is_advised_no_option_it_does_not_have(tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    file(folder, b"userId,movieId,rating,timestamp\n1,2,3,\xe9\n", "ratings.csv")
    file(folder, "movieId,title,genres\n2,A,B\n", "movies.csv")
    error = refusal(lambda: DataTable(source=str(folder)).load())
    assert not re.search(r"encoding|quote|separator", str(error.hint))
    for name in ReadOptions.model_fields:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert f"{name} = " not in str(error.hint)


def test_a_table_on_the_command_line_is_written_in_its_own_way(tmp_path: Path) -> None:
    log = file(tmp_path, "user,item\n1,07\n2,08\n")
    books = file(tmp_path, "ISBN;Name;x\n07;Café;1\n08;B;2\n".encode("latin-1"), "books.csv")
    own = {"separator": ";", "encoding": "latin-1", "item_id": "ISBN", "title": "Name"}
    data = mt.read(log, items=mt.table(books, **own))
    assert data.item_features is not None
    assert data.item_features["title"].to_list() == ["Café", "B"]
    typed = LogOptions(items=str(books), items_option=[f"{name}={value}" for name, value in own.items()])
    recipe = DataTable.model_validate({"source": str(log), "items": {"path": str(books), **own}})
    assert typed.load(str(log)).side_fingerprint == recipe.load().side_fingerprint == data.side_fingerprint


@pytest.mark.parametrize(
    ("given", "named", "advised"),
    [
        (["separator=;", "item_id=ISBN"], "encoding", "--items-option encoding=latin-1"),
        (["encoding=latin-1", "separator=;"], "item_id", "--items-option item_id="),
        (["separater=;"], "separator", "did you mean separator"),
    ],
)
def test_hints_about_a_table_name_its_own_options(tmp_path: Path, given: list[str], named: str, advised: str) -> None:
    log = file(tmp_path, "user,item\n1,07\n2,08\n")
    books = file(tmp_path, "ISBN;Name;x\n07;Café;1\n08;B;2\n".encode("latin-1"), "books.csv")
    command = refusal(lambda: LogOptions(items=str(books), items_option=given).load(str(log)))
    assert advised in str(command.hint)
    keys = {"path": str(books), **dict(each.split("=") for each in given)}
    recipe = refusal(lambda: DataTable(source=str(log), items=mt.table(**keys)).load())
    python = refusal(lambda: mt.read(log, items=keys))
    if named != "separator":
        assert f"{named} = " in str(recipe.hint)
        assert "columns = " not in str(recipe.hint)
        assert f"{named}=" in str(python.hint)


SPLIT_LOG = pl.DataFrame({"user": [1, 1, 1, 2, 2, 2], "item": list("abcabc")})
ABOUT_SPLITS: list[tuple[Callable[[Dataset], object], str]] = [
    (lambda data: mt.split.temporal(data), "timestamp"),
    (lambda data: mt.split.random(data, by="day"), "by"),  # type: ignore[arg-type]
    (lambda data: mt.split.random(data, test=2.0), "test"),
    (lambda data: mt.split.random(data, valid=0.6, test=0.6), "valid"),
    (lambda data: mt.filter_events(data, min_rating=3), "rating"),
    (lambda data: mt.filter_events(data, since="2020-01-01"), "timestamp"),
    (lambda data: mt.filter_events(data, label_min=3), "rating"),
    (lambda data: mt.apply_events(data, dislike_below=3), "rating"),
]


@pytest.mark.parametrize(("call", "named"), ABOUT_SPLITS)
def test_hints_of_splits_and_filters_name_options_that_are_there(call: Callable[[Dataset], object], named: str) -> None:
    data = mt.read(SPLIT_LOG)
    splits = {name for split in STRATEGIES.values() for name in inspect.signature(split).parameters}
    filters = set(inspect.signature(mt.filter_events).parameters)
    python = set(re.findall(r"\b([a-z_]+)=", str(refusal(lambda: call(data)).hint)))
    assert named in python <= {*inspect.signature(mt.read).parameters, *splits, *filters}
    with worded_for("recipe"):
        recipe = set(re.findall(r"\b([a-z_]+) = ", str(refusal(lambda: call(data)).hint))) - {"columns"}
    assert named in recipe <= {*DataTable.model_fields, *COLUMNS, *splits}
    with worded_for("command"):
        hint = str(refusal(lambda: call(data)).hint)
    assert "=" not in hint
    command = {each.replace("-", "_") for each in re.findall(r"--([a-z-]+)", hint)}
    assert command <= {*LogOptions.__dataclass_fields__, *splits, "since", "until", "label_min"}


@pytest.mark.parametrize("last", ["30,b,3,100", "30,b,3,2020-01-01", "30,b,x,100", "30,b,3"])
def test_a_large_file_reads_as_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    """Its numbers are not read as text first; where they are none after all, nothing changes."""
    path = file(tmp_path, f"user_id,item_id,rating,timestamp\n7,b,4.5,100\n7,a,1,90\n{last}\n")

    def found() -> str:
        try:
            return mt.read(path).fingerprint
        except MatineeError as error:
            return str(error)

    small = found()
    monkeypatch.setattr("matinee.data.read.log.LARGE", 0)
    assert found() == small


@pytest.mark.parametrize(
    ("header", "options", "likely"),
    [
        ("id_x,track.artists,playlist_id", {}, "playlist_id"),
        ("id_x,track.artists,playlist_id,artist", {"user_id": "playlist_id"}, "id_x"),
        ("customer_id,sku,price", {"user_id": "customer_id"}, "COLUMN"),
        ("user_id,video,film_name", {}, "film_name"),
        ("a,b", {}, "COLUMN"),
    ],
)
def test_the_hint_names_a_column_that_could_be_meant(
    tmp_path: Path, header: str, options: dict[str, Any], likely: str
) -> None:
    (tmp_path / "log.csv").write_text(f"{header}\n{header.upper()}\n{header.title()}\n")
    with pytest.raises(MatineeError, match=f'hint: name it: (user|item)_id="{likely}"$'):
        mt.read(tmp_path / "log.csv", **options)


def test_one_json_document_is_refused_with_the_option_for_published_sets(tmp_path: Path) -> None:
    (tmp_path / "mpd.json").write_text('{\n "lists": []\n}\n')
    with pytest.raises(MatineeError, match=r'row 1: is no JSON: [\s\S]*; format="auto" recognises'):
        mt.read(tmp_path / "mpd.json")


def test_a_table_has_its_ids_in_a_column_called_id(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("playlist,track\n1,a\n2,b\n")
    (tmp_path / "lists.csv").write_text("ID,name\n2,Sleep\n1,Run\n")
    (tmp_path / "tracks.csv").write_text("uri,title\na,Song\n")
    columns: dict[str, Any] = {"user_id": "playlist", "item_id": "track"}
    data = mt.read(tmp_path / "log.csv", users=tmp_path / "lists.csv", **columns)
    assert data.user_features is not None
    assert data.user_features["name"].to_list() == ["Run", "Sleep"]
    with pytest.raises(MatineeError, match=r'hint: name its ids: items=mt.table\(".*tracks.csv", item_id="uri"\)$'):
        mt.read(tmp_path / "log.csv", items=tmp_path / "tracks.csv", **columns)
    given = mt.table(tmp_path / "tracks.csv")
    with pytest.raises(MatineeError, match=r"hint: name it: .*item_id"):
        mt.read(tmp_path / "log.csv", items=given, **columns)


# --- kinds of broken files that mutated logs found --------------------------------------------------------------------

FOUR = b"user_id,item_id,rating,tag\r1,a,5,x\r2,b,4,\r3,c,3,z\r"


def test_lines_that_end_with_cr_alone(tmp_path: Path) -> None:
    assert events(mt.read(file(tmp_path, FOUR))) == [(1, "a"), (2, "b"), (3, "c")]
    assert events(mt.read(file(tmp_path, FOUR.decode().encode("utf-16")), encoding="utf-16")) == events(
        mt.read(file(tmp_path, FOUR))
    )
    quoted = b'"1","a","x"\r"2","b","y"\r"3","c","z"'
    data = mt.read(file(tmp_path, quoted), header=False, user_id=1, item_id=2)
    assert events(data) == [(1, "a"), (2, "b"), (3, "c")]
    assert (
        refusal(lambda: mt.read(file(tmp_path, FOUR.replace(b"4,", b"four,")))).where
        == "log.csv, row 3, column 'rating'"
    )


def test_a_cr_within_a_line_is_no_line_end(tmp_path: Path) -> None:
    """The slow reader, which an empty last field calls, takes it as the fast one does."""
    data = mt.read(file(tmp_path, b"user_id,item_id,tag,x\n1,a,p\rq,5\n2,b,r,\n"))
    assert events(data) == [(1, "a"), (2, "b")]
    assert data.context is not None
    assert data.context["tag"].to_list() == ["p\rq", "r"]
    error = refusal(lambda: mt.read(file(tmp_path, b"user_id,item_id,tag\n1,a,\n2,b\rc,\n")))
    assert "goes over a line end" in error.what


@pytest.mark.parametrize(
    ("text", "pairs", "skipped"),
    [
        ('1,a,5,"x\n2,b,4,y\n3,c,3,z\n4,d\n', [(2, "b"), (3, "c")], 2),
        ('1,a,5,x\n2,b,4,"y\n3,c,3,z,\n4,d,1,w', [(1, "a"), (4, "d")], 2),
        ('1,a,5,"x"y\n2,b,4,y\n3,c,\n', [(2, "b")], 2),
    ],
)
def test_a_broken_quotation_mark_costs_its_own_row(
    tmp_path: Path, text: str, pairs: list[tuple[int, str]], skipped: int
) -> None:
    path = file(tmp_path, "user_id,item_id,rating,tag\n" + text)
    with pytest.warns(MatineeWarning, match=f"{skipped} of {skipped + len(pairs)} rows cannot be read"):
        data = mt.read(path, bad_rows="skip")
    assert events(data) == pairs
    assert data.skipped_rows == skipped


def test_line_ends_in_a_file_with_bad_rows_are_counted_once(tmp_path: Path) -> None:
    path = file(tmp_path, 'user_id,item_id,tag\n1,a,"x\ny"\n2,b\n3,c,z\n')
    with pytest.warns(MatineeWarning) as caught:
        data = mt.read(path, bad_rows="skip")
    assert events(data) == [(1, "a"), (3, "c")]
    assert [str(each.message)[:46] for each in caught] == [
        "log.csv: 1 line end within quotation marks, so",
        "log.csv: 1 of 3 rows cannot be read and are le",
    ]
    assert "row 4: 2 fields where 3 are expected" in str(caught[1].message)


def test_names_that_come_twice_in_a_file_with_bad_rows(tmp_path: Path) -> None:
    path = file(tmp_path, "user_id,item_id,x,x\n1,a,1,2\n2,b\n")
    assert refusal(lambda: mt.read(path, bad_rows="skip")).what == "two columns are named 'x'"


def test_a_long_field(tmp_path: Path) -> None:
    """The slow reader, which an empty last field calls, takes any length; messages do not."""
    path = file(tmp_path, "user_id,item_id,review,x\n1,a," + "w" * 200_000 + ",\n2,b,short,1\n")
    data = mt.read(path)
    assert events(data) == [(1, "a"), (2, "b")]
    error = refusal(lambda: mt.read(path, rating="review"))
    assert error.what == f"the rating is not a finite number: '{'w' * 59}... (200,000 characters)"
    assert len(str(refusal(lambda: mt.read(file(tmp_path, "w" * 200_000 + ",b\n1,2\n"))))) < 400


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", ["", ',""', ",x"])
def test_blank_lines_before_the_first_row(tmp_path: Path, bom: bytes, last: str) -> None:
    """Also where an empty last field has the slow reader look for blank lines, which counts them."""
    rows = f"1,a,5{last}\n\n2,b,4{last}\n".encode()
    places: dict[str, Any] = {"user_id": 1, "item_id": 2}
    assert events(mt.read(file(tmp_path, bom + b"\n\r\n" + rows), header=False, **places)) == [(1, "a"), (2, "b")]
    names = ["user_id", "item_id", "rating", "note"][: 4 if last else 3]
    assert events(mt.read(file(tmp_path, bom + b"\n\n" + rows), header=names)) == [(1, "a"), (2, "b")]
    first = ",".join(names).encode() + b"\n"
    assert events(mt.read(file(tmp_path, b"\n\n" + bom + first + rows))) == [(1, "a"), (2, "b")]
    assert events(mt.read(file(tmp_path, bom + b"\n\n" + first + rows))) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("name", ["a\x0bb", "a\rb", '"a\rb"', "a\u2028b"])
def test_strange_spaces_in_the_header_end_no_line(tmp_path: Path, name: str) -> None:
    assert events(mt.read(file(tmp_path, f"{name};user_id;item_id\nq;1;x\n"))) == [(1, "x")]


def test_two_carriage_returns_before_a_line_end(tmp_path: Path) -> None:
    """The first belongs to the field, for the reader that leaves rows out as for the fast one."""
    rows = b"b,11\r\nc\r,12,\r\nd\r,13\r\n"
    path = file(tmp_path, b"user_id,item_id\r\n" + rows)
    with pytest.warns(MatineeWarning, match="1 of 3 rows"):
        assert events(mt.read(path, bad_rows="skip")) == [("b", 11), ("d", 13)]
    path = file(tmp_path, b"user_id,item_id\r\n" + rows + b"a,10\r\r\n")
    with pytest.warns(MatineeWarning, match="1 of 4 rows"):
        assert "'10\\r' goes over a line end" in refusal(lambda: mt.read(path, bad_rows="skip")).what
    path = file(tmp_path, b"user_id,item_id\r\na,10\r\r\n")
    assert "'10\\r' goes over a line end" in refusal(lambda: mt.read(path)).what


@pytest.mark.parametrize(("odd", "what"), [("0", "look like years"), ("881250949", "look like years")])
def test_years_are_no_seconds_whatever_stands_among_them(tmp_path: Path, odd: str, what: str) -> None:
    path = file(tmp_path, f"user_id,item_id,timestamp\n1,a,2014\n2,b,2013\n3,c,{odd}\n")
    assert what in refusal(lambda: mt.read(path)).what


def test_one_number_among_dates_is_named(tmp_path: Path) -> None:
    path = file(tmp_path, "user_id,item_id,timestamp\n1,a,20140407\n2,b,20140408\n3,c,0\n")
    error = refusal(lambda: mt.read(path))
    assert (error.where, error.what) == ("log.csv, row 4, column 'timestamp'", "0 is no date, as the other times are")


def test_ids_that_a_float_cannot_hold(tmp_path: Path) -> None:
    """pandas makes floats of integers beside a gap: 2**53 + 1 has become 2**53 there."""
    frame = pl.DataFrame({"user_id": [1.0, 2.0**53 + 2], "item_id": ["a", "b"]})
    error = refusal(lambda: mt.read(frame))
    assert error.where == "the dataframe, row 2, column 'user_id'"
    assert "floats are not exact" in error.what
    assert events(mt.read(frame.with_columns(user_id=pl.Series([1.0, 2.0**53])))) == [(1, "a"), (2**53, "b")]


def test_a_column_of_several_types_is_named() -> None:
    frame = pd.DataFrame({"item_id": [1, 2], "user_id": ["a", 1]})
    assert refusal(lambda: mt.read(frame)).where == "column 'user_id'"


def test_a_broken_file_among_those_of_one_log(tmp_path: Path) -> None:
    """It is not left out as some other file."""
    kinds = {"uid": [1, 2], "timestamp": [5, 6], "item_id": [9, 8]}
    pl.DataFrame(kinds).write_parquet(tmp_path / "likes.parquet")
    (tmp_path / "listens.parquet").write_bytes((tmp_path / "likes.parquet").read_bytes()[:-30])
    assert "is not a readable Parquet file" in refusal(lambda: mt.read(tmp_path, format="yambda")).what


def test_a_unit_that_puts_every_event_into_1970(tmp_path: Path) -> None:
    path = file(tmp_path, "user_id,item_id,timestamp\n1,a,881250949\n2,b,893286638\n")
    said = r"column 'timestamp': by the unit ms every event is of 1970; unit=\"s\" has them end in 1998$"
    with pytest.warns(MatineeWarning, match=said):
        assert seconds(mt.read(path, unit="ms")) == [881250, 893286]
    with warnings.catch_warnings():  # as given: a clock that begins with the study, and what really is of 1970
        warnings.simplefilter("error")
        assert seconds(mt.read(path, unit="s")) == [881250949, 893286638]
        clock = file(tmp_path, "user_id,item_id,timestamp\n1,a,0\n2,b,600000000\n")
        assert seconds(mt.read(clock, unit="ms")) == [0, 600000]


@pytest.mark.parametrize("before", ["", "x", "x,y"])
def test_an_escaped_mark_in_a_field_without_marks_escapes_nothing(tmp_path: Path, before: str) -> None:
    path = file(tmp_path, f'{before}\\""1";"10";"5";"881250949";""\n')
    found = mt.read(path, separator=";", header=False, user_id=1, item_id=2, rating=3, timestamp=4)
    assert events(found) == [(before + '\\""1"', 10)]
    path = file(tmp_path, b'user_id,item_id\n"a\\"b",10\n')
    assert events(mt.read(path)) == [('a"b', 10)]


@pytest.mark.parametrize("bad_rows", ["skip", "error"])
def test_a_control_character_beside_a_separator_of_two_signs(tmp_path: Path, bad_rows: Any) -> None:
    path = file(tmp_path, "user_id::item_id\n\x1f1::10\n1::10\n")
    assert "control character 0x1f" in refusal(lambda: mt.read(path, bad_rows=bad_rows)).what


def seconds(data: Dataset) -> list[int]:
    assert data.timestamp is not None
    found: list[int] = data.timestamp.tolist()
    return found


def test_hours_of_one_digit(tmp_path: Path) -> None:
    path = file(
        tmp_path, "user_id,item_id,timestamp\n1,a,1997-12-04T15:55:49\n2,b,1997-12-04 5:5:9\n3,c,1997-12-04T5:55Z\n"
    )
    assert seconds(mt.read(path)) == [881250949, 881211909, 881214900]


def test_a_last_line_of_a_carriage_return_is_blank(tmp_path: Path) -> None:
    path = file(tmp_path, b'user_id,item_id,note\n1,a,"x ""y"""\n2,b,""\n\r')
    assert events(mt.read(path)) == [(1, "a"), (2, "b")]
