"""Slices of the Million Playlist Dataset and its challenge set: one JSON object a file, with playlists in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
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
    events,
    matching,
    warn,
)
from matinee.data.read.tables import Table, content
from matinee.errors import MatineeError, counted, either, listed

HINT = 'expected {"playlists": [{"pid": 0, "name": "...", "tracks": [{"track_uri": "..."}, ...]}, ...]}'
DATA = ("*.json", "*.jsonl", "*.csv", "*.tsv", "*.parquet")  # files that could hold events
OF_TRACKS = {"track_name": "title", "artist_name": "artist", "album_name": "album"}
TRACK = pl.Struct(dict.fromkeys(("track_uri", *OF_TRACKS), pl.String))
PLAYLIST: dict[str, Any] = {
    **{"pid": pl.Int64, "name": pl.String, "description": pl.String},
    **dict.fromkeys(("num_followers", "num_edits", "modified_at", "num_holdouts"), pl.Int64),
    "tracks": pl.List(TRACK),
}


@dataclass(frozen=True)
class Tracks(Table):
    """The tracks of a slice, a row each, in the order of their playlist."""

    def place(self, row: int, column: str | None = None) -> str:
        pid = self.frame["pid"][row]
        return f"{self.name}, playlist {pid}" + ("" if column is None else f", '{column}'")


def million_playlist(source: Source) -> RawTables:
    slices = [_slice(path) for path in source.logs]
    lists = Joined.of(
        *(Table(frame.drop("tracks"), path.name) for path, frame in zip(source.logs, slices, strict=True))
    )
    table = Joined.of(*(_tracks(path, frame) for path, frame in zip(source.logs, slices, strict=True)))
    if table.frame.height == 0:
        what = f"none of the {counted(lists.frame.height, 'playlist')} has a track"
        raise MatineeError(what, where=lists.name, hint="add a slice with tracks")
    _warn_of_others(source)
    return RawTables(events(table, "pid", "track_uri"), _named(lists), _items(table))


def _warn_of_others(source: Source) -> None:
    """A MatineeWarning that names files of the folder which could hold events, and are no slices."""
    there = [] if source.folder is None else matching(source.folder, DATA)
    others = [path.name for path in there if path not in source.logs]
    if others:
        text = f"{source.folder}: {counted(len(others), 'file')} of the folder {either(len(others), 'is', 'are')} no"
        text += f" {either(len(others), 'slice', 'slices')} of playlists, and not read: {listed(others)}"
        warn(text)


def _slice(path: Path) -> pl.DataFrame:
    """Playlists, a row each, and their tracks as a list. Raises MatineeError where the file is something else."""
    try:
        found: Any = json.loads(content(path))
    except (ValueError, RecursionError) as error:
        raise MatineeError(f"is no JSON: {error}", where=path.name, hint="fetch the file again") from None
    lists = found.get("playlists") if isinstance(found, dict) else None
    if not isinstance(lists, list) or not lists or not all(isinstance(one, dict) for one in lists):
        raise MatineeError("holds no list of playlists", where=path.name, hint=HINT)
    for number, one in enumerate(lists, start=1):
        tracks = one.get("tracks")  # an empty playlist says [], so one without the word is broken
        listed = isinstance(tracks, list) and all(isinstance(track, dict) for track in tracks)
        if type(one.get("pid")) is not int or not listed:
            raise MatineeError(f"playlist {number} has no pid or no tracks", where=path.name, hint=HINT)
    try:
        return pl.from_dicts(lists, schema=PLAYLIST)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise MatineeError(what, where=path.name, hint=HINT) from None


def _tracks(path: Path, lists: pl.DataFrame) -> Table:
    filled = lists.select("pid", "tracks").filter(pl.col("tracks").list.len() > 0)
    return Tracks(filled.explode("tracks").unnest("tracks"), path.name)


def _named(lists: Table) -> SideTable | None:
    """Titles and numbers of playlists, those that a slice has."""
    there = [column.name for column in lists.frame.drop("pid") if column.null_count() < len(column)]
    return described(lists, "pid", lists.frame.select(there).rename({"name": "title"}, strict=False), whole=True)


def _items(table: Table) -> SideTable | None:
    """The first row of each track describes it: the others say the same. None where none is described."""
    first = table.frame.unique("track_uri", keep="first", maintain_order=True)
    there = [name for name in OF_TRACKS if first[name].null_count() < first.height]
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
