"""Delimited logs that differ in little but their columns: clicks, plays, check-ins, ratings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable
from matinee.data.read.columns import guess_types
from matinee.data.read.formats.base import (
    Format,
    Head,
    Joined,
    Source,
    alike,
    described,
    events,
    head_of,
    like,
    moments,
    named,
    of_kind,
)
from matinee.data.read.tables import Dialect, Table, text_table

TABS = Dialect("\t", quote=None)
ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"


def _headed(path: Path, dialect: Dialect, *columns: str) -> Table:
    """A table without a header line."""
    return text_table(path, replace(dialect, header=columns))


# --- Steam: user, game, purchase or play, hours, 0 ----------------------------------------------------------------


def steam(source: Source) -> RawTables:
    table = _headed(source.log, Dialect(","), "user_id", "item_id", "event_type", "hours", "zero")
    hours = pl.when(pl.col("event_type") == "play").then("hours").alias("hours")  # of a purchase it is always 1.0
    table = replace(table, frame=table.frame.with_columns(hours))
    return RawTables(events(table, "user_id", "item_id", context=("event_type", "hours")))


def _steam(head: Head) -> bool:
    return head.rows(r'\d+,("[^\n]*"|[^",]*),(purchase|play),\d+(\.\d+)?,0')


# --- Last.fm ------------------------------------------------------------------------------------------------------


def lastfm_360k(source: Source) -> RawTables:
    table = _headed(source.log, TABS, "user_id", "artist_id", "title", "plays")
    table = replace(table, frame=table.frame.with_columns(pl.coalesce("artist_id", "title").alias("item_id")))
    users = _profiles(source.beside("usersha1-profile.tsv"), header=("user_id", "gender", "age", "country", "signup"))
    return RawTables(events(table, "user_id", "item_id", "plays"), users, _titles(table, "title"))


def _sha1(head: Head) -> bool:
    return head.rows(r"[0-9a-f]{40}\t.*")


def lastfm_1k(source: Source) -> RawTables:
    names = ("user_id", "time", "artist_id", "artist", "track_id", "title")
    table = _headed(source.log, TABS, *names)
    written = pl.concat_str("artist", pl.lit(" - "), "title")
    table = replace(table, frame=table.frame.with_columns(pl.coalesce("track_id", written).alias("item_id")))
    users = _profiles(source.beside("userid-profile.tsv"), header=None)
    return RawTables(events(table, "user_id", "item_id", time="time"), users, _titles(table, "title", "artist"))


def _titles(table: Table, *columns: str) -> SideTable | None:
    """What the rows of a log say of its items: the first row of each."""
    frame = table.frame.select("item_id", *columns).unique("item_id", keep="first", maintain_order=True)
    return described(replace(table, frame=frame), "item_id", frame.select(columns))


def _profiles(path: Path | None, header: tuple[str, ...] | None) -> SideTable | None:
    if path is None:
        return None
    table = text_table(path, replace(TABS, header=header)).rename({"#id": "user_id", "registered": "signup"})
    table.require("user_id")
    return described(table, "user_id", guess_types(table.frame.drop("user_id")))


# --- check-ins ----------------------------------------------------------------------------------------------------


def gowalla(source: Source) -> RawTables:
    table = _headed(source.log, TABS, "user_id", "time", "latitude", "longitude", "item_id")
    places = table.frame.select("item_id", "latitude", "longitude")
    places = guess_types(places.unique("item_id", keep="first", maintain_order=True), keep=("item_id",))
    items = described(replace(table, frame=places), "item_id", places.drop("item_id"))
    return RawTables(events(table, "user_id", "item_id", time="time"), items=items)


def _gowalla(head: Head) -> bool:
    number = r"-?\d+(\.\d+)?(E-?\d+)?"
    return head.rows(rf"\d+\t{ISO}\t{number}\t{number}\t[0-9a-f]+")


# --- shops --------------------------------------------------------------------------------------------------------


def yoochoose(source: Source) -> RawTables:
    """Clicks, buys, or both as two kinds of events: the number of columns tells which a file holds."""
    tables = [_yoochoose_table(path) for path in source.logs]
    if len(tables) > 1:
        kinds = ["buy" if "price" in table.frame.columns else "click" for table in tables]
        tables = [of_kind(table, kind) for table, kind in zip(tables, kinds, strict=True)]
    table = Joined.of(*tables)
    return RawTables(events(table, "session_id", "item_id", time="time", context=table.frame.columns[3:]))


def _yoochoose_table(path: Path) -> Table:
    first = "".join(head_of(path).lines[:1])
    rest = ("category",) if first.count(",") < 4 else ("price", "quantity")
    return _headed(path, Dialect(",", None), "session_id", "time", "item_id", *rest)


def _yoochoose(head: Head) -> bool:
    return head.rows(rf"\d+,{ISO},\d+,[^,]+(,\d+)?")


def diginetica(source: Source) -> RawTables:
    """Views. Their time is the day, and the milliseconds since the session began: right within a session."""
    usual = {"sessionid": "session_id", "userid": "user_id", "itemid": "item_id"}
    table = _renamed(text_table(source.log, Dialect(";")), usual)
    table.require("session_id", "item_id", "timeframe", "eventdate")
    table = moments(table, "eventdate", "%Y-%m-%d")
    waited = table.frame["timeframe"].cast(pl.Int64, strict=False)
    if waited.has_nulls():
        row = waited.is_null().arg_max() or 0
        what = f"{table.frame['timeframe'][row]!r} is no number of milliseconds"
        raise table.error(what, row, "timeframe", hint="correct or remove the row")
    time = table.frame["eventdate"] + waited.cast(pl.Duration("ms"))
    table = replace(table, frame=table.frame.with_columns(time.alias("eventdate")))
    return RawTables(events(table, "session_id", "item_id", time="eventdate"), items=_diginetica_items(source))


def _diginetica_items(source: Source) -> SideTable | None:
    path = source.beside("products.csv")
    if path is None:
        return None
    table = _renamed(text_table(path, Dialect(";")), {"itemid": "item_id", "product.name.tokens": "name_tokens"})
    table.require("item_id")
    frame = table.frame
    if (categories := source.beside("product-categories.csv")) is not None:
        other = _renamed(text_table(categories, Dialect(";")), {"itemid": "item_id", "categoryid": "category"})
        other.require("item_id", "category")
        first = other.frame.unique("item_id", keep="first", maintain_order=True)
        frame = frame.join(first, on="item_id", how="left", maintain_order="left")
    names = [pl.col("name_tokens").str.split(",")] if "name_tokens" in frame.columns else []
    return described(table, "item_id", guess_types(frame.drop("item_id").with_columns(names)))


def retailrocket(source: Source) -> RawTables:
    usual = {"visitorid": "user_id", "itemid": "item_id", "event": "event_type", "transactionid": "transaction_id"}
    table = _renamed(text_table(source.log, Dialect(",")), usual)
    context = ("event_type", *(name for name in ("transaction_id",) if name in table.frame.columns))
    return RawTables(events(table, "user_id", "item_id", time="timestamp", unit="ms", context=context))


def _renamed(table: Table, usual: dict[str, str]) -> Table:
    """Column names that publishers write in several ways, by their letters alone."""
    plain = {name: usual.get(name.lower().replace("_", ""), name) for name in table.frame.columns}
    return table.rename(plain)


FORMATS = (
    Format(
        "steam",
        "Steam, purchases and plays",
        "steam-200k.csv",
        "a purchase or a game that was played, as two kinds of events; of those played, hours may be the weight",
        _steam,
        alike(_steam, "*.csv"),
        steam,
    ),
    Format(
        "lastfm_360k",
        "Last.fm 360K",
        "usersha1-artmbid-artname-plays.tsv, with usersha1-profile.tsv",
        "a user's artist; the rating is the number of plays; an artist without an id goes by the name",
        lambda head: head.rows(r"[^\t]+\t([0-9a-f]{8}-[0-9a-f-]{27})?\t[^\t]*\t\s*\d+") and _sha1(head),
        like(lambda head: head.lines != [], "usersha1-artmbid-artname-plays.tsv"),
        lastfm_360k,
    ),
    Format(
        "lastfm_1k",
        "Last.fm 1K",
        "userid-timestamp-artid-artname-traid-traname.tsv, with userid-profile.tsv",
        'a track somebody played, with its time; a track without an id goes by "artist - title"',
        lambda head: head.rows(rf"user_\d+\t{ISO}(\t[^\t]*){{4}}"),
        like(lambda head: head.lines != [], "userid-timestamp-artid-artname-traid-traname.tsv"),
        lastfm_1k,
    ),
    Format(
        "gowalla",
        "Gowalla and Brightkite check-ins",
        "loc-gowalla_totalCheckins.txt, loc-brightkite_totalCheckins.txt",
        "a check-in, with its time; places have latitude and longitude",
        _gowalla,
        alike(_gowalla, "*.txt"),
        gowalla,
    ),
    Format(
        "yoochoose",
        "Yoochoose, RecSys 2015",
        "yoochoose-clicks.dat, yoochoose-buys.dat, or the folder",
        "a click or a purchase of a session, with its time; as two kinds of events where both files are there",
        _yoochoose,
        like(_yoochoose, "yoochoose-clicks.dat", "yoochoose-buys.dat"),
        yoochoose,
        together=True,
    ),
    Format(
        "diginetica",
        "Diginetica, raw",
        "train-item-views.csv, with products.csv and product-categories.csv",
        "a view of a session; its time is the day and the milliseconds since the session began",
        lambda head: head.header("sessionId", "itemId", "timeframe", "eventdate") and not head.header("ordernumber"),
        named("train-item-views.csv"),
        diginetica,
    ),
    Format(
        "retailrocket",
        "RetailRocket",
        "events.csv",
        "view, addtocart or transaction, as kinds of events; time in milliseconds",
        lambda head: head.header("timestamp", "visitorid", "event", "itemid"),
        alike(lambda head: head.header("timestamp", "visitorid", "event", "itemid"), "events.csv"),
        retailrocket,
    ),
)
