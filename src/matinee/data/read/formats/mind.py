"""MIND: behaviors.tsv, whose cells hold lists of news, and news.tsv."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable
from matinee.data.read.formats.base import Format, Head, Source, described, events, like, moments, never, nowhere, part
from matinee.data.read.tables import Dialect, Table, text_table

TABS = Dialect("\t", quote=None)
COLUMNS = ("impression_id", "user_id", "time", "history", "shown")
NEWS = ("item_id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities")
TIME = "%m/%d/%Y %I:%M:%S %p"
LABELLED = r"^\S+-[01](\s+\S+-[01])*\s*$"


def clicks(source: Source) -> RawTables:
    """The news a user clicked. Those of the history have no time in the file: they stand, in order, at the user's first
    impression, before its clicks."""
    table = _behaviours(source)
    numbered = table.frame.with_row_index("row").lazy()
    first = numbered.sort("time", "row", maintain_order=True).unique("user_id", keep="first", maintain_order=True)
    history = first.select(
        "row",
        "user_id",
        pl.col("history").str.extract_all(r"\S+").alias("item_id"),
        "time",
        pl.lit(None, pl.String).alias("impression_id"),
    )
    clicked = numbered.select(
        "row",
        "user_id",
        pl.col("shown").str.extract_all(r"\S+-1\b").list.eval(pl.element().str.strip_suffix("-1")).alias("item_id"),
        "time",
        "impression_id",
    )
    rows = pl.concat([history, clicked]).explode("item_id").filter(pl.col("item_id").is_not_null()).collect()
    cells = part(table, rows, rows["row"])
    return RawTables(events(cells, "user_id", "item_id", time="time", context=("impression_id",)), items=_news(source))


def impressions(source: Source) -> RawTables:
    """The news that a user was shown, labelled 1 where they clicked it."""
    table = _behaviours(source)
    numbered = table.frame.lazy().with_row_index("row").drop("history")
    rows = numbered.with_columns(pl.col("shown").str.extract_all(r"\S+")).explode("shown")
    pair = pl.col("shown")
    rows = rows.with_columns(pair.str.head(-2).alias("item_id"), pair.str.tail(1).alias("rating")).drop("shown")
    frame = rows.collect()
    cells = part(table, frame, frame["row"])
    log = events(cells, "user_id", "item_id", "rating", "time", context=("impression_id",))
    return RawTables(log, items=_news(source))


def _behaviours(source: Source) -> Table:
    """The rows of behaviors.tsv, each cell checked."""
    table = moments(text_table(source.log, replace(TABS, header=COLUMNS)), "time", TIME)
    wrong = ~table.frame["shown"].str.contains(LABELLED).fill_null(False)
    if wrong.any():
        row = wrong.arg_max() or 0
        cell = table.frame["shown"][row] or ""
        hint = "expected news with labels, such as N1-1 N2-0; the test part of the set has none"
        raise table.error(f"{cell[:60]!r} is no list of labelled news", row, "shown", hint=hint)
    return table


def _news(source: Source) -> SideTable | None:
    path = source.beside("news.tsv")
    if path is None:
        return None
    table = text_table(path, replace(TABS, header=NEWS))
    return described(table, "item_id", table.frame.select("title", "category", "subcategory", "abstract"))


def _looks(head: Head) -> bool:
    return head.rows(r"\d+\t\S+\t\d+/\d+/\d{4} \d+:\d\d:\d\d [AP]M\t[^\t]*\t\S+-[01]( \S+-[01])*\s*")


FORMATS = (
    Format(
        "mind",
        "MIND news, clicks",
        "behaviors.tsv, with news.tsv",
        "a click, with the time of its impression; the history of a user stands at their first impression",
        _looks,
        like(_looks, "behaviors.tsv"),
        clicks,
    ),
    Format(
        "mind_impressions",
        "MIND news, everything that was shown",
        "behaviors.tsv, with news.tsv",
        "a news item that was shown; the rating is 1 where it was clicked, else 0",
        never,
        nowhere,
        impressions,
    ),
)
