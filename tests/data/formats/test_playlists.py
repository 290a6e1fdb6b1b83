"""Slices of playlists with odd values: named with their place, or read alike wherever they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from data.samples import write
from matinee.data.dataset import Dataset
from matinee.data.read.log import read
from matinee.errors import MatineeError, MatineeWarning


def slices(folder: Path, *parts: list[dict[str, Any]]) -> Dataset:
    files = {f"s{number}.json": json.dumps({"playlists": part}) for number, part in enumerate(parts, start=1)}
    write(folder, dict[str, str | bytes](files))
    return read(folder if len(parts) > 1 else folder / "s1.json", format="million_playlist")


def playlist(pid: Any, *tracks: Any, **more: Any) -> dict[str, Any]:
    return {"pid": pid, "name": f"list {pid}", "tracks": list(tracks), **more}


def track(uri: Any, **more: Any) -> dict[str, Any]:
    return {"track_uri": uri, "track_name": f"Song {uri}", "artist_name": "Ann", **more}


def events(data: Dataset) -> list[tuple[Any, Any]]:
    return list(zip(data.users.decode(data.user), data.items.decode(data.item), strict=True))


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (track("c", artist_name=["X", "Y"]), "'artist_name': ['X', 'Y'] is no text"),
        (track("c", track_name={"en": "C"}), "'track_name': {'en': 'C'} is no text"),
        (track("c", album_name=1.5), "'album_name': 1.5 is no text"),
        (track(True), "'track_uri': True is no text"),
        (track("c", track_name="\ud83d"), r"'track_name': '\ud83d' holds half of a character, which UTF-8 cannot say"),
        (track(None), "'track_uri': the id is empty"),
        ({"track_name": "C"}, "'track_uri': the id is empty"),
    ],
)
def test_an_odd_track_is_named_with_its_place(tmp_path: Path, odd: dict[str, Any], message: str) -> None:
    """The playlist, by its place in the file and its pid, and the place of the track there."""
    with pytest.raises(MatineeError) as caught:
        slices(tmp_path, [playlist(40, track("a")), playlist(30), playlist(20, track("a"), odd, track("b"))])
    assert str(caught.value).startswith(f"s1.json, playlist 3 (pid 20), track 2, {message}\n")
    assert caught.value.hint
    assert "bad_rows" not in caught.value.hint  # which files in a format do not have


def test_the_slice_with_an_odd_track_is_named(tmp_path: Path) -> None:
    for odd, what in ((track("c", artist_name=["X"]), "is no text"), (track(None), "is empty"), (5, "is no track")):
        place = re.escape("s2.json, playlist 1 (pid 30), track 2")
        with pytest.raises(MatineeError, match=f"{place}.*{what}"):
            slices(tmp_path, [playlist(40, track("a"), track("b"))], [playlist(30, track("a"), odd)])


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"name": ["a"]}, "(pid 7), 'name': ['a'] is no text"),
        ({"num_followers": 2.5}, "(pid 7), 'num_followers': 2.5 is no whole number"),
        ({"num_holdouts": float("nan")}, "(pid 7), 'num_holdouts': nan is no whole number"),
        ({"pid": 2**70}, f"(pid {2**70}), 'pid': {2**70} does not fit into 64 bits"),
    ],
)
def test_an_odd_playlist_is_named(tmp_path: Path, odd: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError) as caught:
        slices(tmp_path, [playlist(4, track("a")), {**playlist(7, track("b")), **odd}])
    assert str(caught.value).startswith(f"s1.json, playlist 2 {message}\n")


@pytest.mark.parametrize("last", [12, "12"])
def test_whole_numbers_where_text_is_wanted_are_read_as_their_digits(tmp_path: Path, last: Any) -> None:
    """All of them, or one: alike."""
    first = playlist(4, track(5, track_name=1999), name=1, num_followers="3")
    data = slices(tmp_path, [first, playlist(2, track(last, track_name=last), track(5), name=last)])
    assert events(data) == [(4, "5"), (2, "12"), (2, "5")]
    assert data.user_features is not None
    assert data.user_features["title"].to_list() == ["12", "1"]
    assert data.user_features["num_followers"].to_list() == [None, 3]
    assert data.item_features is not None
    assert data.item_features["title"].to_list() == ["12", "1999"]


def test_a_track_that_a_later_row_describes_is_described(tmp_path: Path) -> None:
    bare = {"track_uri": "b"}
    tracks = [bare, track("a", artist_name=None), track("b", artist_name="Bo"), track("a", artist_name="Abe"), bare]
    data = slices(tmp_path, [playlist(4, *tracks)])
    assert data.item_features is not None
    assert data.item_features.to_dict(as_series=False) == {"title": ["Song a", "Song b"], "artist": ["Abe", "Bo"]}


def test_playlists_of_one_pid_are_put_together_with_a_warning(tmp_path: Path) -> None:
    first = [playlist(4, track("a")), playlist(2, track("b"), name="second"), playlist(4, track("c"), name="x")]
    with pytest.warns(MatineeWarning) as caught:
        data = slices(tmp_path, first, [playlist(2, track("a"), name="y"), playlist(4)])
    assert [str(warning.message) for warning in caught] == [
        "s1.json to s2.json: 3 lists have the pid of an earlier one, the first is s1.json, playlist 3 (pid 4); "
        "lists with one pid are put together, under the title of the earliest"
    ]
    assert events(data) == [(4, "a"), (2, "b"), (4, "c"), (2, "a")]
    assert data.user_features is not None
    assert data.user_features["title"].to_list() == ["second", "list 4"]


def test_playlists_of_one_pid_without_titles_are_counted_too(tmp_path: Path) -> None:
    lists = [{"pid": 4, "tracks": [track("a")]}, {"pid": 4, "tracks": [track("b")]}]
    with pytest.warns(MatineeWarning, match="1 list has the pid of an earlier one, the first is s1.json, playlist 2"):
        data = slices(tmp_path, lists)
    assert (events(data), data.user_features) == ([(4, "a"), (4, "b")], None)
