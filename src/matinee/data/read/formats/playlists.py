"""Slices of the Million Playlist Dataset and its challenge set: one JSON object a file, with playlists in it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable, side_of
from matinee.data.read.formats.base import (
    Format,
    Head,
    Joined,
    Source,
    alike,
    described,
    matching,
    warn,
)
from matinee.data.read.formats.objects import Objects, Place, Placed, columns_of, entry, json_of, log_of_lists, once
from matinee.data.read.numbers import shown
from matinee.data.read.tables import Table
from matinee.errors import MatineeError, counted, either, listed

HINT = 'expected {"playlists": [{"pid": 0, "name": "...", "tracks": [{"track_uri": "..."}, ...]}, ...]}'
DATA = ("*.json", "*.jsonl", "*.csv", "*.tsv", "*.parquet")  # files that could hold events
OF_TRACKS = {"track_name": "title", "artist_name": "artist", "album_name": "album"}
TRACK: dict[str, Any] = dict.fromkeys(("track_uri", *OF_TRACKS), pl.String)
PLAYLIST: dict[str, Any] = {
    **{"pid": pl.Int64, "name": pl.String, "description": pl.String},
    **dict.fromkeys(("num_followers", "num_edits", "modified_at", "num_holdouts"), pl.Int64),
}


def million_playlist(source: Source) -> RawTables:
    slices = [_slice(path) for path in source.logs]
    lists, table = (Joined.of(*tables) for tables in zip(*slices, strict=True))
    if table.frame.height == 0:
        what = f"none of the {counted(lists.frame.height, 'playlist')} has a track"
        raise MatineeError(what, where=lists.name, hint="add a slice with tracks")
    _warn_of_others(source)
    return RawTables(log_of_lists(table, "pid", "track_uri"), _named(once(lists, "pid")), _items(table))


def _warn_of_others(source: Source) -> None:
    """A MatineeWarning that names files of the folder which could hold events, and are no slices."""
    there = [] if source.folder is None else matching(source.folder, DATA)
    others = [path.name for path in there if path not in source.logs]
    if others:
        text = f"{source.folder}: {counted(len(others), 'file')} of the folder {either(len(others), 'is', 'are')} no"
        text += f" {either(len(others), 'slice', 'slices')} of playlists, and not read: {listed(others)}"
        warn(text)


def _slice(path: Path) -> tuple[Table, Table]:
    """Playlists, a row each, and their tracks, a row each. Raises MatineeError where the file is something else."""
    found = json_of(path)
    lists = found.get("playlists") if isinstance(found, dict) else None
    if not isinstance(lists, list) or not lists or not all(isinstance(one, dict) for one in lists):
        raise MatineeError("holds no list of playlists", where=path.name, hint=HINT)
    for number, one in enumerate(lists, start=1):
        # an empty playlist says [], so one without the word is broken
        if type(one.get("pid")) is not int or not isinstance(one.get("tracks"), list):
            raise MatineeError(f"playlist {number} has no pid or no tracks", where=path.name, hint=HINT)
    pids = [one["pid"] for one in lists]  # places must not keep the objects, which are larger than the tables

    def place(row: int) -> str:
        return f"{path.name}, playlist {row + 1} (pid {pids[row]})"

    return Placed(columns_of(lists, PLAYLIST, place), path.name, at=place), _tracks(path.name, lists, place)


def _tracks(name: str, lists: Objects, of_list: Place) -> Table:
    """The tracks of a slice, a row each, in the order of their playlist."""
    tracks = list(itertools.chain.from_iterable(one["tracks"] for one in lists))
    sizes = [len(one["tracks"]) for one in lists]

    def place(row: int) -> str:
        number, position = entry(sizes, row)
        return f"{of_list(number)}, track {position}"

    for row, track in enumerate(tracks):
        if not isinstance(track, dict):
            raise MatineeError(f"{shown(track)} is no track", where=place(row), hint=HINT)
    pids = pl.Series("pid", [one["pid"] for one in lists for _ in one["tracks"]], dtype=pl.Int64)
    return Placed(columns_of(tracks, TRACK, place).insert_column(0, pids), name, at=place)


def _named(lists: Table) -> SideTable | None:
    """Titles and numbers of playlists, those that a slice has."""
    there = [column.name for column in lists.frame.drop("pid") if column.null_count() < len(column)]
    return described(lists, "pid", lists.frame.select(there).rename({"name": "title"}, strict=False), whole=True)


def _items(table: Table) -> SideTable | None:
    """The first row that says something of a track describes it: the others say the same. None where none does."""
    first = table.frame.unique("track_uri", keep="first", maintain_order=True)
    there = [name for name in OF_TRACKS if table.frame[name].null_count() < table.frame.height]
    if any(first[name].null_count() for name in there):
        first = table.frame.group_by("track_uri", maintain_order=True).agg(pl.col(there).drop_nulls().first())
    features = first.select(pl.col(name).alias(OF_TRACKS[name]) for name in there)
    return side_of(Table(first, table.name), "track_uri", features) if there else None


def looks(head: Head) -> bool:
    """Whether a file begins as a slice does."""
    begins = re.match(rb'\s*\{\s*"', head.data) is not None
    return begins and all(re.search(rb'"%s"\s*:' % word, head.data) for word in (b"playlists", b"pid", b"tracks"))


FORMATS = (
    Format(
        "million_playlist",
        "the Million Playlist Dataset",
        "mpd.slice.0-999.json and so on, challenge_set.json; or any JSON file of playlists with pid and tracks",
        "a track of a playlist, in its order; users are the playlists, with their titles",
        looks,
        alike(looks, "*.json"),
        million_playlist,
        together=True,
    ),
)
