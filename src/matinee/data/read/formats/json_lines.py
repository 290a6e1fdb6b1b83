"""JSON lines: reviews of Amazon, Yelp and Goodreads; and the lines of Python dictionaries of the Steam crawl."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable
from matinee.data.read.columns import guess_types
from matinee.data.read.formats.base import (
    Format,
    Head,
    Lined,
    Source,
    alike,
    described,
    events,
    head_of,
    moments,
    part,
    rated,
    warn,
)
from matinee.data.read.tables import Table, content, decoded
from matinee.data.read.text import compression
from matinee.errors import MatineeError

TEXTS = pl.List(pl.String)
JSON_NAMES = ("*.json", "*.jsonl")
GOODREADS_TIME = "%a %b %d %H:%M:%S %z %Y"


def json_table(path: Path, fields: Mapping[str, Any]) -> Table:
    """The fields of one object a line as columns; what is not text is asked for by its type. Numbers become text as
    they are written: ids keep what they are. Raises MatineeError naming the first line that is none."""
    source: Path | bytes = path if compression(path) is None else content(path)
    try:
        frame = pl.read_ndjson(source, schema=dict(fields))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _bad_line(path, error) from error
    texts = [name for name, kind in fields.items() if kind == pl.String]
    frame = frame.with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in texts)
    return Lined(frame, path.name, path, line=lambda row: _line(path, row))


def _line(path: Path, row: int) -> int:
    """The line, from 1, of the object `row`, from 0: blank lines are none."""
    objects = (number for number, line in enumerate(content(path).split(b"\n"), start=1) if line.strip())
    return next(itertools.islice(objects, row, None))


def _bad_line(path: Path, error: Exception) -> MatineeError:
    first = head_of(path).data.lstrip()
    if re.match(rb"\[\s*\{", first):
        what = "is one JSON list, not an object a line"
        return MatineeError(what, where=str(path), hint="write each object on a line of its own")
    for number, line in enumerate(decoded(path).split("\n"), start=1):
        try:
            if line.strip() and not isinstance(json.loads(line), dict):
                raise ValueError("it is something else")
        except (ValueError, RecursionError) as reason:
            what = f"is no JSON object: {reason}"
            return MatineeError(what, where=f"{path.name}, row {number}", hint="correct or remove the line")
    what = f"cannot be read as JSON lines: {str(error).splitlines()[0]}" if first else "the file is empty"
    return MatineeError(what, where=str(path), hint="check where it came from")


def _texts(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, pl.String)


# --- Amazon -------------------------------------------------------------------------------------------------------


def amazon(source: Source) -> RawTables:
    if head_of(source.log).keys("reviewerID"):  # 2014, 2018
        table = json_table(source.log, _texts("reviewerID", "asin", "overall", "unixReviewTime"))
        log = events(table, "reviewerID", "asin", "overall", "unixReviewTime", unit="s")
        return RawTables(log, items=_amazon_items(source, "asin"))
    extra = ("asin", "verified_purchase", "helpful_vote")
    table = json_table(source.log, _texts("user_id", "parent_asin", "rating", "timestamp", *extra))
    log = events(table, "user_id", "parent_asin", "rating", "timestamp", unit="ms", context=extra)
    return RawTables(log, items=_amazon_items(source, "parent_asin"))


def _amazon_reviews(head: Head) -> bool:
    return head.keys("reviewerID", "asin") or head.keys("rating", "parent_asin", "user_id")


def _amazon_items(source: Source, column: str) -> SideTable | None:
    path = source.beside("meta_*.json", "meta_*.jsonl", looks=lambda head: head.keys(column))
    if path is None:
        return None
    lists = "category" if column == "asin" else "categories"
    table = json_table(path, {**_texts(column, "title", "brand", "store"), lists: TEXTS})
    frame = table.frame.select("title", pl.coalesce("brand", "store").alias("brand"), pl.col(lists).alias("categories"))
    return described(table, column, frame)


# --- Yelp ---------------------------------------------------------------------------------------------------------


def yelp(source: Source) -> RawTables:
    extra = ("useful", "funny", "cool")
    table = json_table(source.log, _texts("user_id", "business_id", "stars", "date", *extra))
    log = events(table, "user_id", "business_id", "stars", "date", context=extra)
    return RawTables(log, _yelp_users(source), _yelp_items(source))


def _yelp_reviews(head: Head) -> bool:
    return head.keys("user_id", "business_id", "stars")


def _yelp_items(source: Source) -> SideTable | None:
    path = source.beside("*business*.json", looks=lambda head: head.keys("business_id", "name"))
    if path is None:
        return None
    table = json_table(path, _texts("business_id", "name", "city", "state", "stars", "review_count", "categories"))
    lists = pl.col("categories").str.split(", ")
    frame = table.frame.drop("business_id").rename({"name": "title"})
    return described(table, "business_id", guess_types(frame, keep=("title", "categories")).with_columns(lists))


def _yelp_users(source: Source) -> SideTable | None:
    path = source.beside("*user*.json", looks=lambda head: head.keys("user_id", "yelping_since"))
    if path is None:
        return None
    table = json_table(path, _texts("user_id", "review_count", "fans", "average_stars"))
    return described(table, "user_id", guess_types(table.frame.drop("user_id")))


# --- Goodreads ----------------------------------------------------------------------------------------------------


def goodreads(source: Source) -> RawTables:
    table = json_table(source.log, _texts("user_id", "book_id", "rating", "date_added"))
    table, rating = rated(table, "rating", source)
    log = events(moments(table, "date_added", GOODREADS_TIME), "user_id", "book_id", rating, "date_added")
    return RawTables(log, items=_goodreads_items(source))


def _goodreads_rows(head: Head) -> bool:
    return head.keys("user_id", "book_id", "rating", "date_added")


def _goodreads_items(source: Source) -> SideTable | None:
    path = source.beside("*books*.json", looks=lambda head: head.keys("book_id", "title"))
    if path is None:
        return None
    table = json_table(path, _texts("book_id", "title", "publication_year", "average_rating", "num_pages"))
    frame = table.frame.drop("book_id").rename({"publication_year": "year"})
    return described(table, "book_id", guess_types(frame, keep=("title", "year")))


# --- Steam, as it was crawled -------------------------------------------------------------------------------------


@dataclass
class _Owned:
    """What was read from the lines of users and the games that they own."""

    users: list[str]
    lines: list[int]
    items: list[str]
    titles: list[str | None]
    minutes: list[int]
    without: int = 0


def steam_users(source: Source) -> RawTables:
    """Games that users own. The file holds Python, not JSON, so each line is parsed as Python's literals."""
    found = _owned(source.log)
    if found.without:
        warn(f"{source.log.name}: {found.without:,} users own no game, and have no event")
    columns = {"user_id": found.users, "item_id": found.items, "title": found.titles, "minutes": found.minutes}
    kinds = {"user_id": pl.String, "item_id": pl.String, "title": pl.String, "minutes": pl.Int64}
    frame, rows = pl.DataFrame(columns, schema=kinds), pl.Series(found.lines, dtype=pl.Int64) - 1
    table = part(Lined(frame, source.log.name, source.log), frame, rows)
    titles = frame.select("item_id", "title").unique("item_id", keep="first", maintain_order=True)
    items = described(replace(table, frame=titles), "item_id", titles.select("title"))
    return RawTables(events(table, "user_id", "item_id", context=("minutes",)), items=items)


def _owned(path: Path) -> _Owned:
    found = _Owned([], [], [], [], [])
    for number, user in _literals(path):
        try:
            name, games = str(user["user_id"]), [_game(game) for game in user["items"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"is no user with a list of games ({type(error).__name__}: {error})"
            raise MatineeError(what, where=f"{path.name}, row {number}", hint="correct or remove the line") from None
        found.without += not games
        found.users += [name] * len(games)
        found.lines += [number] * len(games)
        for columns, values in zip((found.items, found.titles, found.minutes), zip(*games, strict=True), strict=False):
            columns.extend(values)  # type: ignore[attr-defined]
    return found


def _game(game: Any) -> tuple[str, str | None, int]:
    return str(game["item_id"]), game.get("item_name"), int(game["playtime_forever"])


def _literals(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(decoded(path).split("\n"), start=1):
        if line.strip():
            try:
                yield number, ast.literal_eval(line.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
                what = f"is no Python dictionary: {str(error).splitlines()[0]}"
                where = f"{path.name}, row {number}"
                raise MatineeError(what, where=where, hint="correct or remove the line") from None


def _steam_users(head: Head) -> bool:
    return bool(head.lines) and head.lines[0].startswith("{'user_id':") and "'items_count':" in head.lines[0]


def _format(
    name: str, title: str, files: str, rows: str, looks: Callable[[Head], bool], read: Any, rating: str | None = None
) -> Format:
    return Format(name, title, files, rows, looks, alike(looks, *JSON_NAMES), read, rating=rating)


FORMATS = (
    _format(
        "amazon",
        "Amazon reviews",
        "reviews_NAME.json (2014), NAME.json (2018), NAME.jsonl (2023), with meta_NAME.json or .jsonl",
        "a review; rating 1 to 5, time in seconds (2023: milliseconds), item asin (2023: parent_asin)",
        _amazon_reviews,
        amazon,
    ),
    _format(
        "yelp",
        "Yelp reviews",
        "yelp_academic_dataset_review.json, with the tables of businesses and users",
        "a review of a business; rating 1 to 5, with its time",
        _yelp_reviews,
        yelp,
    ),
    _format(
        "goodreads",
        "Goodreads, reviews and interactions",
        "goodreads_reviews_NAME.json, goodreads_interactions_NAME.json, with goodreads_books_NAME.json",
        "a book on a shelf; 0 means not rated, so ratings (1 to 5) are read of rated rows, where rating is named",
        _goodreads_rows,
        goodreads,
        "rating",
    ),
    _format(
        "steam_users",
        "Steam, users and the games that they own",
        "australian_users_items.json",
        "a game somebody owns; minutes played are further information",
        _steam_users,
        steam_users,
    ),
)
