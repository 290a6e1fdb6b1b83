"""Titled lists of items: tables with a row an entry, Melon's playlists in JSON, and tags as the titles of films."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import RawTables, SideTable, side_of
from matinee.data.read.columns import find_column, guess_types, plain
from matinee.data.read.formats.base import (
    Format,
    Head,
    Joined,
    Source,
    described,
    events,
    like,
    named,
    nowhere,
    old_text,
    warn,
)
from matinee.data.read.tables import Dialect, Table, content, decoded, table_of, text_table
from matinee.errors import MatineeError, counted, either, listed

# usual names without case and signs; the first that is there counts
LISTS = ("listid", "playlistid", "pid", "list", "playlist", "watchlist")
TITLES = ("listtitle", "playlisttitle", "listname", "playlistname", "title", "name")
ITEMS = ("itemid", "trackid", "trackuri", "songid", "movieid", "item", "track", "song", "movie")
ITEM_TITLES = ("itemtitle", "itemname", "trackname", "tracktitle", "songname", "songtitle", "movietitle")

# --- a row an entry ---------------------------------------------------------------------------------------------------


def titled_lists(source: Source) -> RawTables:
    """Columns that say the same of an item in all its rows describe the item; others stay with the entry."""
    table = table_of(source.log)
    which, item = _one_of(table, LISTS), _one_of(table, ITEMS)
    time = find_column(table, "timestamp", "auto", required=False)
    roles = (which, item, title := _one_of(table, TITLES, needed=False), time)
    rest = [name for name in table.frame.columns if name not in roles]
    kinds = guess_types(table.frame.select(rest)) if table.is_text and rest else table.frame.select(rest)
    entries = table.frame.select(pl.col(item).alias(" item")).hstack(kinds)
    several = entries.group_by(" item").n_unique().drop(" item").max().row(0) if rest else ()
    of_item = [name for name, most in zip(rest, several, strict=True) if most is not None and most <= 1]
    context = [name for name in rest if name not in of_item]
    log = events(table, which, item, None, time, context=context)
    if not of_item:
        return RawTables(log, _titles(table, which, title))
    first = table.frame[item].is_first_distinct()
    shown = _one_of(replace(table, frame=kinds.select(of_item)), ITEM_TITLES, needed=False)
    features = kinds.select(of_item).filter(first).rename({} if shown is None else {shown: "title"})
    items = side_of(replace(table, frame=table.frame.filter(first)), item, side.described(features))
    return RawTables(log, _titles(table, which, title), items)


def _titles(table: Table, which: str, title: str | None) -> SideTable | None:
    """The title that the first row of a list says. A MatineeWarning counts the lists whose rows say others."""
    if title is None:
        return None
    lists = table.frame.group_by(which, maintain_order=True).agg(pl.col(title).first(), n=pl.col(title).n_unique())
    if other := int((lists["n"] > 1).sum()):
        have = either(other, "list has several titles", "lists have several titles")
        warn(f"{table.name}: {other:,} {have}; that of the first row is taken")
    features = lists.select(pl.col(title).alias("title"))
    return side_of(Table(lists, table.name, table.source), which, features)


def _one_of(table: Table, words: Sequence[str], *, needed: bool = True) -> Any:
    """The table's first column with one of these names. Raises MatineeError where one is needed and there is none."""
    there = {plain(name.replace(".", "")): name for name in table.frame.columns}
    found = next((there[word] for word in words if word in there), None)
    if found is None and needed:
        what = f"there is no column {listed(words)}; it has {listed(table.frame.columns)}"
        raise MatineeError(what, where=table.name, hint="rename a column, or name the columns and leave out the format")
    return found


def _titled(head: Head) -> bool:
    return any(head.header(a, b, c) for a in LISTS for b in TITLES for c in ITEMS)


# --- Melon ------------------------------------------------------------------------------------------------------------

SONG_TEXTS = {"artist_name_basket": "artists", "song_gn_gnr_basket": "genres"}
SONGS = {"id": pl.Int64, "song_name": pl.String, "album_name": pl.String, "issue_date": pl.String}
SONG_META: dict[str, Any] = {**SONGS, **dict.fromkeys(SONG_TEXTS, pl.List(pl.String))}
MELON: dict[str, Any] = {
    **{"id": pl.Int64, "plylst_title": pl.String, "tags": pl.List(pl.String), "like_cnt": pl.Int64},
    "songs": pl.List(pl.Int64),
}
MELON_HINT = 'expected [{"id": 1, "plylst_title": "...", "tags": ["..."], "songs": [2, 3]}, ...]'


@dataclass(frozen=True)
class Objects(Table):
    """A table of the objects of a JSON list, which stand at places 1, 2, ... there."""

    def place(self, row: int, column: str | None = None) -> str:
        return f"{self.name}, object {row + 1}" + ("" if column is None else f", '{column}'")


def melon(source: Source) -> RawTables:
    parts = [_objects(path, MELON) for path in source.logs]
    lists = Joined.of(*parts)
    entries = [Table(_songs(part.frame), part.name) for part in parts]
    table = Joined.of(*entries)
    if not table.frame.height:
        what = f"none of the {counted(lists.frame.height, 'playlist')} has a song"
        raise MatineeError(what, where=lists.name, hint=MELON_HINT)
    told = lists.frame.select(pl.col("plylst_title").alias("title"), "tags", "like_cnt")
    meta = source.beside("song_meta.json")
    return RawTables(
        events(table, "id", "songs"), described(lists, "id", told, whole=True), None if meta is None else _meta(meta)
    )


def _songs(lists: pl.DataFrame) -> pl.DataFrame:
    return lists.select("id", "songs").filter(pl.col("songs").list.len() > 0).explode("songs")


def _meta(path: Path) -> SideTable | None:
    """Title, album, artists, genres (their codes) and the year of each song."""
    songs = _objects(path, SONG_META)
    year = pl.col("issue_date").str.head(4).cast(pl.Int64, strict=False)
    kept = {"song_name": "title", "album_name": "album", **SONG_TEXTS}
    columns = [*(pl.col(name).alias(new) for name, new in kept.items())]
    return described(songs, "id", songs.frame.select(*columns, pl.when(year > 0).then(year).alias("year")))


def _objects(path: Path, schema: dict[str, Any]) -> Table:
    """A JSON list of objects as a table. Raises MatineeError naming the first that is none."""
    try:
        found: Any = json.loads(content(path))
    except (ValueError, RecursionError) as error:
        raise MatineeError(f"is no JSON: {error}", where=path.name, hint="fetch the file again") from None
    if not isinstance(found, list) or not found:
        raise MatineeError("holds no list of objects", where=path.name, hint=MELON_HINT)
    for number, one in enumerate(found, start=1):
        if not isinstance(one, dict) or type(one.get("id")) is not int:
            raise MatineeError(f"object {number} has no id", where=path.name, hint=MELON_HINT)
        if "songs" in schema and not isinstance(one.get("songs"), list):
            raise MatineeError(f"object {number} has no songs", where=path.name, hint=MELON_HINT)
    try:
        return Objects(pl.from_dicts(found, schema=schema), path.name)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise MatineeError(what, where=path.name, hint=MELON_HINT) from None


def _of_melon(head: Head) -> bool:
    begins = head.data.lstrip()[:1] == b"["
    return begins and all(b'"%s"' % word in head.data for word in (b"plylst_title", b"songs", b"tags"))


# --- tags -------------------------------------------------------------------------------------------------------------


def tag_lists(source: Source) -> RawTables:
    """A list is what one user gave one tag; the tag is its title, and USER/TAG its id (HetRec: the tag's number)."""
    hetrec = source.log.name.startswith("user_tagged")
    dialect = Dialect("\t", quote=None) if hetrec else Dialect(",")
    table = text_table(source.log, dialect)
    user, film, tag = ("userID", "movieID", "tagID") if hetrec else ("userId", "movieId", "tag")
    table.require(user, film, tag)
    title = pl.col(tag).str.strip_chars()
    if hetrec and (names := source.beside("tags.dat")) is not None:
        words = text_table(names, old_text(names, dialect)).frame.select(pl.col("id").alias(tag), title="value")
        table = replace(table, frame=table.frame.join(words, on=tag, how="left", maintain_order="left"))
        title = pl.coalesce("title", tag)
    frame = table.frame.with_columns(title.alias("title"))
    which = pl.col(user) + "/" + pl.col(tag if hetrec else "title")
    table = replace(table, frame=frame.with_columns(which.alias("list")))
    time = next((name for name in ("timestamp",) if name in frame.columns), None)
    once = table.frame.unique("list", keep="first", maintain_order=True)
    lists = side_of(Table(once, table.name, table.source), "list", once.select("title"))
    items = _films_hetrec(source) if hetrec else _films(source)
    return RawTables(events(table, "list", film, None, time), lists, items)


def _films(source: Source) -> SideTable | None:
    """movies.csv of MovieLens: titles and genres."""
    path = source.beside("movies.csv")
    table = None if path is None else text_table(path, Dialect(","))
    return None if table is None else described(table, "movieId", table.frame.drop("movieId", strict=False))


def _films_hetrec(source: Source) -> SideTable | None:
    """movies.dat with the years, and the directors, genres and countries of the files beside it."""
    path = source.beside("movies.dat")
    if path is None:
        return None
    dialect = Dialect("\t", quote=None)
    table = text_table(path, old_text(path, dialect))
    frame = table.frame.select(pl.col("id").alias("movieID"), "title", "year")
    several = {"movie_directors.dat": ["movieID", "directorID", "directors"], "movie_genres.dat": ["movieID", "genres"]}
    for name, columns in several.items():
        if (other := source.beside(name)) is not None:
            values = side.gathered(_below_header(other, columns), "movieID", columns[-1], columns[-1])
            frame = frame.join(values, on="movieID", how="left", maintain_order="left")
    return described(Table(frame, table.name, path), "movieID", frame.drop("movieID"))


def _below_header(path: Path, columns: list[str]) -> pl.DataFrame:
    """The rows of a table whose header is not to be trusted: one of them has a space where its rows have a tab."""
    lines = decoded(path, old_text(path, Dialect("\t")).encoding).splitlines()
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) < len(columns):
            what = f"has {len(row)} fields where {len(columns)} are expected"
            raise MatineeError(what, where=f"{path.name}, row {number}", hint="correct that row")
    return pl.DataFrame(
        [row[: len(columns)] for row in rows[1:]], schema=dict.fromkeys(columns, pl.String), orient="row"
    )


def _of_tags(head: Head) -> bool:
    csv = bool(head.lines) and head.lines[0] == "userId,movieId,tag,timestamp"
    return csv or (bool(head.lines) and head.lines[0].split("\t")[:3] == ["userID", "movieID", "tagID"])


def _hetrec(folder: Path) -> list[Path]:
    return named("user_taggedmovies-timestamps.dat")(folder) or named("user_taggedmovies.dat")(folder)


FORMATS = (
    Format(
        "titled_lists",
        "titled lists, a row an entry",
        "a table whose columns name a list (playlist_id), its title and an item (track_id)",
        "an entry of a list, in the order of the rows; users are the lists, with their titles",
        _titled,
        nowhere,
        titled_lists,
    ),
    Format(
        "melon",
        "the Melon Playlist Dataset",
        "train.json, val.json and test.json, with song_meta.json",
        "a song of a playlist, in its order; users are the playlists, with titles and tags",
        _of_melon,
        like(_of_melon, "train.json", "val.json", "test.json"),
        melon,
        together=True,
    ),
    Format(
        "tag_lists",
        "taggings of MovieLens and HetRec 2011 as titled lists",
        "tags.csv with movies.csv, or user_taggedmovies-timestamps.dat with movies.dat",
        "a film that a user gave a tag; users are pairs of a user and a tag, with the tag as title",
        _of_tags,
        _hetrec,
        tag_lists,
    ),
)
