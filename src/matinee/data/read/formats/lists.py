"""Titled lists of items: tables with a row an entry, Melon's playlists in JSON, and tags as the titles of films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from matinee.data.read.formats.objects import Placed, columns_of, entry, json_of, log_of_lists, once
from matinee.data.read.tables import Dialect, Table, decoded, table_of, text_table
from matinee.errors import MatineeError, counted, either, listed

# usual names without case and signs; the first that is there counts
LISTS = ("listid", "playlistid", "pid", "list", "playlist", "watchlist")
EITHER = ("title", "name")  # a list's, or an item's
TITLES = ("listtitle", "playlisttitle", "listname", "playlistname", *EITHER)
ITEMS = ("itemid", "trackid", "trackuri", "songid", "movieid", "item", "track", "song", "movie")
ITEM_TITLES = ("itemtitle", "itemname", "trackname", "tracktitle", "songname", "songtitle", "movietitle", *EITHER)

# --- a row an entry ---------------------------------------------------------------------------------------------------


def titled_lists(source: Source) -> RawTables:
    """Columns that say the same of an item in all its rows describe the item; others stay with the entry. An empty
    cell says nothing."""
    table = table_of(source.log)
    which, item = _one_of(table, LISTS), _one_of(table, ITEMS)
    time = find_column(table, "timestamp", "auto", required=False)
    roles = (which, item, title := _title_of_lists(table, which, item), time)
    rest = [name for name in table.frame.columns if name not in roles]
    kinds = guess_types(table.frame.select(rest)) if table.is_text and rest else table.frame.select(rest)
    entries = table.frame.select(pl.col(item).alias(" item")).hstack(kinds)
    of_item = _constant(entries, " item", rest)
    context = [name for name in rest if name not in of_item]
    log, lists = events(table, which, item, None, time, context=context), _titles(table, which, title)
    if not of_item:
        return RawTables(log, lists)
    items = entries.group_by(" item", maintain_order=True).agg(pl.col(of_item).drop_nulls().first()).drop(" item")
    shown = None if "title" in items.columns else _one_of(replace(table, frame=items), ITEM_TITLES, needed=False)
    features = side.described(items if shown is None else items.rename({shown: "title"}))
    first = table.frame.filter(table.frame[item].is_first_distinct())
    return RawTables(log, lists, side_of(replace(table, frame=first), item, features))


def _constant(frame: pl.DataFrame, by: str, names: Sequence[str]) -> list[str]:
    """The columns that say at most one thing in all rows of an id."""
    if not names or not frame.height:
        return []
    most = frame.group_by(by).agg(pl.col(names).drop_nulls().n_unique()).select(pl.col(names).max()).row(0)
    return [name for name, values in zip(names, most, strict=True) if values <= 1]


def _title_of_lists(table: Table, which: str, item: str) -> str | None:
    """The column of the lists' titles. One that is called `title` or `name` alone is the items' where it differs within
    a list, and an item has the same one everywhere."""
    for title in [found for word in TITLES if (found := _one_of(table, (word,), needed=False)) is not None]:
        varies = plain(title) in EITHER and not _constant(table.frame, which, [title])
        if not varies or not _constant(table.frame, item, [title]):
            return str(title)
    return None


def _titles(table: Table, which: str, title: str | None) -> SideTable | None:
    """The first title that the rows of a list say. A MatineeWarning counts the lists whose rows say others."""
    if title is None:
        return None
    said = pl.col(title).drop_nulls()
    lists = table.frame.group_by(which, maintain_order=True).agg(said.first(), n=said.n_unique())
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


def melon(source: Source) -> RawTables:
    parts = [_objects(path, MELON) for path in source.logs]
    lists, table = Joined.of(*parts), Joined.of(*map(_songs, parts))
    if not table.frame.height:
        what = f"none of the {counted(lists.frame.height, 'playlist')} has a song"
        raise MatineeError(what, where=lists.name, hint=MELON_HINT)
    meta = source.beside("song_meta.json")
    lists = once(lists, "id")
    told = lists.frame.select(pl.col("plylst_title").alias("title"), "tags", "like_cnt")
    log, users = log_of_lists(table, "id", "songs"), described(lists, "id", told, whole=True)
    return RawTables(log, users, None if meta is None else _meta(meta))


def _songs(lists: Table) -> Table:
    """The songs of playlists, a row each."""
    sizes = lists.frame["songs"].list.len().to_list()

    def place(row: int) -> str:
        number, position = entry(sizes, row)
        return f"{lists.place(number)}, song {position}"

    filled = lists.frame.select("id", "songs").filter(pl.col("songs").list.len() > 0)
    return Placed(filled.explode("songs"), lists.name, at=place)


def _meta(path: Path) -> SideTable | None:
    """Title, album, artists, genres (their codes) and the year of each song."""
    songs = _objects(path, SONG_META)
    year = pl.col("issue_date").str.head(4).cast(pl.Int64, strict=False)
    kept = {"song_name": "title", "album_name": "album", **SONG_TEXTS}
    told = [pl.col(name).alias(new) for name, new in kept.items()]
    return described(songs, "id", songs.frame.select(*told, pl.when(year > 0).then(year).alias("year")))


def _objects(path: Path, schema: dict[str, Any]) -> Table:
    """A JSON list of objects as a table. Raises MatineeError naming the first that is none."""
    found = json_of(path)
    if not isinstance(found, list) or not found:
        raise MatineeError("holds no list of objects", where=path.name, hint=MELON_HINT)
    for number, one in enumerate(found, start=1):
        if not isinstance(one, dict) or type(one.get("id")) is not int:
            raise MatineeError(f"object {number} has no id", where=path.name, hint=MELON_HINT)
        if "songs" in schema and not isinstance(one.get("songs"), list):
            raise MatineeError(f"object {number} has no songs", where=path.name, hint=MELON_HINT)
    ids = [one["id"] for one in found]

    def place(row: int) -> str:
        return f"{path.name}, object {row + 1} (id {ids[row]})"

    return Placed(columns_of(found, schema, place), path.name, at=place)


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
