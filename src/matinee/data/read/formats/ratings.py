"""Tables of ratings, or of other strengths, whose columns have names or an order of their own."""

from __future__ import annotations

from dataclasses import replace

from matinee.data.read.assemble import Log, RawTables
from matinee.data.read.formats.base import (
    Format,
    Head,
    Source,
    alike,
    events,
    head_of,
    named,
    never,
    nowhere,
    rated,
    warn,
)
from matinee.data.read.tables import Dialect, text_table
from matinee.errors import MatineeError, option

ASIN = r"(B[0-9A-Z]{9}|\d{9}[\dX])"
_REST = r",[1-5](\.0)?,\d{9,10}"
_OTHER = rf"(?!{ASIN},)[^,]+"
_ORDERS = {("user_id", "item_id"): f"{_OTHER},{ASIN}{_REST}", ("item_id", "user_id"): f"{ASIN},{_OTHER}{_REST}"}
"""The names of the first two columns -> what a row looks like then."""


def amazon_ratings(source: Source) -> RawTables:
    """user,item,rating,time (2014), item,user,rating,time (2018) or with a header (2023): product codes tell which."""
    head = head_of(source.log)
    if head.header("parent_asin"):
        return RawTables(_named_ratings(source, "user_id", "parent_asin"))
    if head.header("UserId", "ProductId"):
        return RawTables(_named_ratings(source, "UserId", "ProductId"))
    order = [names for names, row in _ORDERS.items() if head.share(row) > 0]
    if len(order) != 1:
        what = "not one of the first two columns alone holds product codes of ten signs: users and items look alike"
        hint = f"name the columns: {option('header', ['user_id', 'item_id', 'rating', 'timestamp'])}"
        raise MatineeError(what, where=source.log.name, hint=f"{hint}, with {option('format', 'log')}")
    table = text_table(source.log, Dialect(",", header=[*order[0], "rating", "timestamp"]))
    return RawTables(events(table, "user_id", "item_id", "rating", "timestamp", unit="s"))


def _named_ratings(source: Source, user: str, item: str) -> Log:
    table = text_table(source.log, Dialect(","))
    names = {name.lower(): name for name in table.frame.columns}
    return events(table, user, item, names.get("rating", "rating"), names.get("timestamp", "timestamp"))


def _amazon(head: Head) -> bool:
    headed = head.header("user_id", "parent_asin", "rating", "timestamp") and not head.keys("user_id")
    return headed or head.header("UserId", "ProductId", "Rating", "Timestamp") or any(map(head.rows, _ORDERS.values()))


def goodreads_csv(source: Source) -> RawTables:
    table, rating = rated(text_table(source.log, Dialect(",")), "rating", source)
    return RawTables(events(table, "user_id", "book_id", rating, context=("is_read",)))


def kuairec(source: Source) -> RawTables:
    """Videos somebody watched; the rating is the part of it, which repeats and long looks raise above 1."""
    table = text_table(source.log, Dialect(","))
    table.require("timestamp")
    time = "timestamp" if not (gaps := table.frame["timestamp"].null_count()) else None
    if gaps:
        warn(f"{table.name}: {gaps:,} of {table.frame.height:,} rows have no time, so no times are read")
    context = [name for name in ("play_duration", "video_duration") if name in table.frame.columns]
    return RawTables(events(table, "user_id", "video_id", "watch_ratio", time, unit="s", context=context))


def rectools(source: Source) -> RawTables:
    table = text_table(source.log, Dialect(","))
    log = events(table, "user_id", "item_id", time="datetime", context=("weight",))
    return RawTables(replace(log, weight="weight"))


def lenskit(source: Source) -> RawTables:
    """user, item, rating, timestamp, or with _id; the last two where there are any."""
    table = text_table(source.log, Dialect()).rename({"user": "user_id", "item": "item_id"})
    rating, time = (name if name in table.frame.columns else None for name in ("rating", "timestamp"))
    rest = [name for name in table.frame.columns if name not in ("user_id", "item_id", rating, time)]
    return RawTables(events(table, "user_id", "item_id", rating, time, context=rest))


FORMATS = (
    Format(
        "amazon_ratings",
        "Amazon reviews, ratings only",
        "ratings_NAME.csv (2014), NAME.csv (2018, 2023), with or without a header",
        "a review; rating 1 to 5, time in seconds (2023: milliseconds)",
        _amazon,
        alike(_amazon, "*.csv"),
        amazon_ratings,
    ),
    Format(
        "goodreads_csv",
        "Goodreads, interactions as CSV",
        "goodreads_interactions.csv",
        "a book on a shelf; 0 means not rated, so ratings (1 to 5) are read of rated rows, where rating is named",
        lambda head: head.header("user_id", "book_id", "is_read", "rating", "is_reviewed"),
        named("goodreads_interactions.csv"),
        goodreads_csv,
        rating="rating",
    ),
    Format(
        "kuairec",
        "KuaiRec",
        "big_matrix.csv or small_matrix.csv",
        "a video somebody watched; the rating is the part of it, with its time",
        lambda head: head.header("user_id", "video_id", "play_duration", "watch_ratio", "timestamp"),
        alike(lambda head: head.header("user_id", "video_id", "watch_ratio"), "big_matrix.csv", "small_matrix.csv"),
        kuairec,
    ),
    Format(
        "lenskit",
        "LensKit columns",
        "a table with user, item, rating and timestamp, or user_id and item_id",
        "a row; rating and timestamp where it has them",
        never,
        nowhere,
        lenskit,
    ),
    Format(
        "rectools",
        "RecTools columns",
        "a table with user_id, item_id, weight and datetime",
        "a row, with its time; its weight is what it counts, below 0 a dislike",
        never,
        nowhere,
        rectools,
    ),
)
