"""Tables with a row an entry: which column is a list's title, which describe an item; and Melon's odd values."""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from data.samples import write
from matinee.data.dataset import Dataset
from matinee.data.read.log import read
from matinee.errors import MatineeError, MatineeWarning


def table(folder: Path, *rows: str, said: str | None = None) -> Dataset:
    """A table read as titled lists. said: a warning; without it there is none."""
    path = write(folder, {"l.csv": "\n".join(rows) + "\n"}) / "l.csv"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MatineeWarning)
        data = read(path, format="titled_lists")
    assert [str(warning.message) for warning in caught] == ([] if said is None else [said])
    return data


def lists(data: Dataset) -> dict[Any, Any]:
    """The title of each list; nothing where lists have none."""
    titles = [] if data.user_features is None else data.user_features["title"].to_list()
    return dict(zip(data.users.ids.tolist(), titles, strict=False))


def items(data: Dataset, *without: str) -> dict[Any, dict[str, Any]]:
    """What is said of each item."""
    assert data.item_features is not None
    return dict(zip(data.items.ids.tolist(), data.item_features.drop(*without).to_dicts(), strict=True))


def test_a_title_beside_the_name_of_the_playlist_is_the_items(tmp_path: Path) -> None:
    header = "playlist_id,playlist_name,track_id,track_name,title"
    data = table(tmp_path, header, "1,rock,t1,A,A (live)", "1,rock,t2,B,B (live)", "2,jazz,t1,A,A (live)")
    assert lists(data) == {1: "rock", 2: "jazz"}
    assert items(data, "year") == {
        "t1": {"track_name": "A", "title": "A (live)"},
        "t2": {"track_name": "B", "title": "B (live)"},
    }
    assert data.context is None


def test_a_title_that_differs_for_an_item_stays_with_the_entry(tmp_path: Path) -> None:
    header = "playlist_id,playlist_name,track_id,track_name,title"
    data = table(tmp_path, header, "1,rock,t1,A,first", "1,rock,t2,B,second", "2,jazz,t1,A,opener")
    assert items(data, "year") == {"t1": {"title": "A"}, "t2": {"title": "B"}}
    assert data.context is not None
    assert data.context["title"].to_list() == ["first", "second", "opener"]


def test_columns_that_differ_by_a_capital_alone(tmp_path: Path) -> None:
    data = table(tmp_path, "playlist_id,list_title,track_id,title,Title", "1,rock,t1,A,B", "2,jazz,t1,A,B")
    assert lists(data) == {1: "rock", 2: "jazz"}
    assert items(data, "year") == {"t1": {"title": "A", "Title": "B"}}


@pytest.mark.parametrize("word", ["title", "name", "Title"])
def test_titles_that_differ_within_lists_and_not_for_an_item_are_the_items(tmp_path: Path, word: str) -> None:
    header = f"playlist_id,track_id,{word},artist"
    data = table(tmp_path, header, "1,t1,A,Ann", "1,t2,B,Bob", "2,t1,A,Ann", "2,t3,C,Bob", "3,t1,A,Ann")
    assert lists(data) == {}
    assert items(data, "year") == {
        "t1": {"title": "A", "artist": "Ann"},
        "t2": {"title": "B", "artist": "Bob"},
        "t3": {"title": "C", "artist": "Bob"},
    }
    assert data.context is None


@pytest.mark.parametrize("header", ["list,title,song,name", "list,name,song,title"])
def test_of_title_and_name_each_finds_what_it_is_of(tmp_path: Path, header: str) -> None:
    data = table(tmp_path, header, "1,rock,t1,A", "1,rock,t2,B", "2,jazz,t1,A", "2,jazz,t3,C")
    assert lists(data) == {1: "rock", 2: "jazz"}
    assert {item: said["title"] for item, said in items(data).items()} == {"t1": "A", "t2": "B", "t3": "C"}


def test_a_title_that_is_constant_for_lists_and_items_is_the_lists(tmp_path: Path) -> None:
    data = table(tmp_path, "playlist_id,track_id,title", "1,t1,rock", "1,t2,rock", "2,t3,jazz")
    assert lists(data) == {1: "rock", 2: "jazz"}
    assert data.item_features is None


def test_a_title_that_differs_in_both_is_the_lists_with_a_warning(tmp_path: Path) -> None:
    said = "l.csv: 1 list has several titles; that of the first row is taken"
    data = table(tmp_path, "playlist_id,track_id,title", "1,t1,rock", "1,t2,pop", "2,t1,jazz", said=said)
    assert lists(data) == {1: "rock", 2: "jazz"}


def test_an_empty_cell_says_nothing(tmp_path: Path) -> None:
    """Neither of an item, which other rows describe, nor of a list; and it makes no column one of entries."""
    header = "playlist_id,title,track_id,track_name,artist,plays"
    rows = ("1,,t1,A,,5", "1,rock,t2,B,Bob,", "2,jazz,t1,,Ann,6", "2,,t2,B,Bob,7", "3,,t4,D,,", "4,pop,t2,B,,7")
    data = table(tmp_path, header, *rows)
    assert lists(data) == {1: "rock", 2: "jazz", 3: None, 4: "pop"}
    assert items(data, "year") == {
        "t1": {"title": "A", "artist": "Ann"},
        "t2": {"title": "B", "artist": "Bob"},
        "t4": {"title": "D", "artist": None},
    }
    assert data.context is not None
    assert data.context.to_dict(as_series=False) == {"plays": [5, None, 6, 7, None, 7]}


@pytest.mark.parametrize("seed", range(12))
def test_columns_find_their_place_as_a_slow_reading_says(tmp_path: Path, seed: int) -> None:
    """Columns of which some cells are empty, and some are spoiled, by a walk through the rows."""
    draw = random.Random(seed)
    names = ("artist", "album", "mood", "note")
    truth = {f"t{n}": {name: f"{name} {draw.randrange(4)}" for name in names} for n in range(7)}
    rows = []
    for number in range(30):
        track = draw.choice(sorted(truth))
        row = {"list_id": str(number // 5), "track_id": track, **truth[track]}
        for name in names:
            row[name] = "" if draw.random() < 0.4 else row[name]
        row["note"] = "odd" if draw.random() < 0.03 else row["note"]
        rows.append(row)
    said: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for row in rows:
        for name in names:
            if row[name]:
                said[name].setdefault(row["track_id"], []).append(row[name])
    of_item = [name for name in names if all(len(set(values)) == 1 for values in said[name].values())]
    data = table(tmp_path, ",".join(rows[0]), *(",".join(row.values()) for row in rows))
    seen = sorted({row["track_id"] for row in rows})
    assert items(data) == {one: {name: said[name].get(one, [None])[0] for name in of_item} for one in seen}
    context = {} if data.context is None else data.context.to_dict(as_series=False)
    assert context == {name: [row[name] or None for row in rows] for name in names if name not in of_item}


# --- Melon ------------------------------------------------------------------------------------------------------------


def melon(folder: Path, *objects: dict[str, Any], **files: list[dict[str, Any]]) -> Dataset:
    parts = {f"{name}.json": json.dumps(content) for name, content in {"train": list(objects), **files}.items()}
    folder = write(folder, dict[str, str | bytes](parts))
    return read(folder if files else folder / "train.json", format="melon")


def playlist(number: int, songs: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "plylst_title": f"list {number}", "tags": ["t"], "songs": songs, "like_cnt": 0, **more}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (playlist(7, [1.5, 2.5]), "'songs', value 1: 1.5 is no whole number"),
        (playlist(7, [3, 2.5]), "'songs', value 2: 2.5 is no whole number"),
        (playlist(7, [3, True]), "'songs', value 2: True is no whole number"),
        (playlist(7, [3, "007"]), "'songs', value 2: '007' is no whole number"),
        (playlist(7, [3, 2**63]), f"'songs', value 2: {2**63} does not fit into 64 bits"),
        (playlist(7, [3, 2**200]), f"'songs', value 2: {2**200} does not fit into 64 bits"),
        (playlist(7, [2.0**60]), "'songs', value 1: 1.152921504606847e+18 is no whole number"),
        (playlist(7, [3], tags="t"), "'tags': 't' is no list"),
        (playlist(7, [3], tags=["t", ["u"]]), "'tags', value 2: ['u'] is no text"),
        (playlist(7, [3], plylst_title=1.5), "'plylst_title': 1.5 is no text"),
        (playlist(7, [3], like_cnt="many"), "'like_cnt': 'many' is no whole number"),
        (playlist(7, [3, None]), "song 2, 'songs': the id is empty"),
    ],
)
def test_an_odd_value_is_named_with_its_place(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError) as caught:
        melon(tmp_path, playlist(2, [5, 6]), playlist(4, []), second)
    assert caught.value.hint
    assert str(caught.value).startswith(f"train.json, object 3 (id 7), {message}\n")


def test_an_odd_song_of_the_table_of_songs_is_named(tmp_path: Path) -> None:
    song = {"id": 5, "song_name": "A", "artist_name_basket": "Ann", "song_gn_gnr_basket": [], "issue_date": "20140512"}
    with pytest.raises(MatineeError, match=r"song_meta\.json, object 1 \(id 5\), 'artist_name_basket': 'Ann' is no l"):
        melon(tmp_path, playlist(2, [5]), song_meta=[song])


@pytest.mark.parametrize("songs", [[[5, 6], [6]], [[5, "6"], [6]], [["5", "6"], ["6"]], [[5.0, 6.0], [6]]])
def test_numbers_are_read_alike_however_they_are_written(tmp_path: Path, songs: list[list[Any]]) -> None:
    data = melon(tmp_path, playlist(2, songs[0], tags=[1, "x"]), playlist(3, songs[1], tags=None, plylst_title=12))
    assert data.users.decode(data.user) == [2, 2, 3]
    assert data.items.decode(data.item) == [5, 6, 6]
    assert data.user_features is not None
    assert data.user_features["tags"].to_list() == [["1", "x"], None]
    assert data.user_features["title"].to_list() == ["list 2", "12"]


def test_lists_of_one_id_are_put_together_with_a_warning(tmp_path: Path) -> None:
    first, more = [playlist(2, [5]), playlist(3, [6]), playlist(2, [7])], [playlist(3, [8]), playlist(9, [5])]
    said = (
        r"train\.json to val\.json: 2 lists have the id of an earlier one, the first is train\.json, object 3 \(id 2\)"
        "; lists with one id are put together, under the title of the earliest"
    )
    with pytest.warns(MatineeWarning, match=said) as caught:
        data = melon(tmp_path, *first, val=more)
    assert len(caught) == 1
    assert list(zip(data.users.decode(data.user), data.items.decode(data.item), strict=True)) == [
        *[(2, 5), (3, 6), (2, 7)],
        *[(3, 8), (9, 5)],
    ]
    assert lists(data) == {2: "list 2", 3: "list 3", 9: "list 9"}
