"""Tables that are no list of events: Jester's wide ratings, click-through rows, and Parquet with list columns."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data.events import EventKinds
from matinee.data.read.assemble import Log, RawTables
from matinee.data.read.formats.base import (
    ENOUGH,
    Format,
    Head,
    Joined,
    Source,
    alike,
    events,
    head_of,
    matching,
    of_kind,
    part,
    warn,
)
from matinee.data.read.tables import Dialect, Table, table_of, text_table

UNRATED = 99
NUMBERS, CATEGORIES = 13, 26
KINDS = ("listen", "like", "dislike", "unlike", "undislike")
NO_LIKES = {"dislike": -1.0, "unlike": 0.0, "undislike": 0.0}
"""What kinds count that are no likes; all others count 1."""


# --- Jester: a user a row, a joke a column --------------------------------------------------------------------------


def jester(source: Source) -> RawTables:
    """The users are the rows, counted from 1, and the items the jokes; the first column counts a user's ratings."""
    width = len(re.split(r"[,;\t]", head_of(source.log).lines[0])) if head_of(source.log).lines else 1
    jokes = [str(joke) for joke in range(1, width)]
    table = text_table(source.log, Dialect(header=["count", *jokes]))
    frame = table.frame.with_row_index("row")
    long = frame.unpivot(jokes, index=["row"], variable_name="item_id", value_name="rating").sort(
        "row", maintain_order=True
    )
    unrated = pl.col("rating").cast(pl.Float64, strict=False).eq(UNRATED).fill_null(False)
    long = long.filter(~unrated).with_columns((pl.col("row") + 1).alias("user_id"))
    _count_again(table, long)
    return RawTables(events(part(table, long, long["row"]), "user_id", "item_id", "rating"))


def _count_again(table: Table, long: pl.DataFrame) -> None:
    found = long.group_by("row").len("found")
    said = table.frame.select(pl.col("count").cast(pl.Int64, strict=False)).with_row_index("row")
    both = said.join(found, on="row", how="left").with_columns(pl.col("found").fill_null(0))
    other = both.filter(pl.col("count").ne_missing(pl.col("found").cast(pl.Int64)))
    if other.height:
        rows = f"{other.height:,} of {both.height:,} rows have another number of ratings than their first column says"
        warn(f"{table.name}: {rows}, the first in row {int(other['row'][0]) + 1}")


def _jester(head: Head) -> bool:
    """All numbers, and each row counts its own ratings in the first column."""
    rows = [re.split(r"[,;\t]", line) for line in head.lines]
    if not rows or len(rows[0]) < 11 or not head.rows(r"\d+([,;\t]-?\d+(\.\d+)?)+"):
        return False
    counted = [
        row for row in rows if len(row) == len(rows[0]) and row[0] == str(len(row) - 1 - row.count(str(UNRATED)))
    ]
    return len(counted) >= ENOUGH * len(rows)


# --- click-through: a label, 13 numbers, 26 categories ---------------------------------------------------------------


def criteo(source: Source) -> RawTables:
    """Every row is an impression of one user and one item, "all": the file names neither. The rating is the label, and
    the other columns are the context."""
    numbers = [f"i{n}" for n in range(1, NUMBERS + 1)]
    categories = [f"c{n}" for n in range(1, CATEGORIES + 1)]
    table = text_table(source.log, Dialect("\t", None, header=["label", *numbers, *categories]))
    one = [pl.lit("all").alias("user_id"), pl.lit("all").alias("item_id")]
    typed = [pl.col(name).cast(pl.Int64, strict=False) for name in numbers]
    for name in numbers:
        wrong = table.frame[name].is_not_null() & table.frame[name].cast(pl.Int64, strict=False).is_null()
        if wrong.any():
            row = wrong.arg_max() or 0
            raise table.error(f"{table.frame[name][row]!r} is no whole number", row, name, hint="correct the row")
    table = replace(table, frame=table.frame.with_columns(*one, *typed))
    return RawTables(events(table, "user_id", "item_id", "label", context=(*numbers, *categories)))


def _criteo(head: Head) -> bool:
    return head.rows(rf"[01](\t(-?\d+)?){{{NUMBERS}}}(\t([0-9a-f]{{8}})?){{{CATEGORIES}}}")


# --- Yambda and its like: Parquet, an event a row or a user a row ----------------------------------------------------


def yambda(source: Source) -> RawTables:
    """Events, or lists of them a user. Files of one kind each (listens, likes ...) become kinds of events."""
    tables = [_exploded(table_of(path)) for path in source.logs]
    if len(tables) > 1:
        kinds = [path.stem.removesuffix("s") for path in source.logs]
        tables = [of_kind(table, kind) for table, kind in zip(tables, kinds, strict=True)]
    table = Joined.of(*tables)
    context = [name for name in table.frame.columns if name not in ("uid", "item_id", "timestamp", "row")]
    log = events(table, "uid", "item_id", time="timestamp", unit="s", context=context)
    return RawTables(replace(log, kinds=_kinds(log)))


def _kinds(log: Log) -> EventKinds | None:
    """What the kinds count where there are any that are no likes."""
    if log.context is None or "event_type" not in log.context.columns:
        return None
    there = log.context["event_type"].drop_nulls().unique(maintain_order=True).cast(pl.String).to_list()
    return (
        EventKinds("event_type", {kind: NO_LIKES.get(kind, 1.0) for kind in there})
        if set(there) & set(NO_LIKES)
        else None
    )


def _exploded(table: Table) -> Table:
    table.require("uid", "item_id", "timestamp")
    lists = [name for name, kind in table.frame.schema.items() if isinstance(kind, pl.List)]
    if not lists:
        return table
    lengths = [table.frame[name].list.len() for name in lists]
    for name, length in zip(lists, lengths, strict=True):
        if (wrong := length.ne_missing(lengths[0])).any():
            row = wrong.arg_max() or 0
            what = f"has {length[row]} values where {lists[0]} has {lengths[0][row]}"
            raise table.error(what, row, name, hint="lists of a row belong together, one value an event")
    frame = table.frame.with_row_index("row").filter(lengths[0] > 0).explode(lists)
    return part(table, frame, frame["row"])


def _yambda(head: Head) -> bool:
    return {"uid", "item_id", "timestamp"} <= set(head.columns)


def _yambda_logs(folder: Path) -> list[Path]:
    files = [path for path in matching(folder, ["multi_event.parquet"]) if _yambda(head_of(path))]
    heads = [head_of(path) for kind in KINDS for path in matching(folder, [f"{kind}s.parquet"])]
    good = any(map(_yambda, heads))  # beside a good one, a file that is not readable is no other's: reading it says so
    return files or [head.path for head in heads if _yambda(head) or (good and not head.columns)]


FORMATS = (
    Format(
        "jester",
        "Jester jokes",
        "jester-data-1.csv, or jesterfinal151cols.csv: the spreadsheet saved as CSV",
        "a rating from -10 to 10; 99 is none; users are the rows, counted from 1",
        _jester,
        alike(_jester, "*.csv"),
        jester,
    ),
    Format(
        "criteo",
        "Criteo display advertising",
        "train.txt",
        "an impression, with the label 0 or 1 for its rating and 39 columns of context; its one user and one item are "
        "called all, so split it with exclude_seen = false",
        _criteo,
        alike(_criteo, "*.txt", "*.tsv"),
        criteo,
    ),
    Format(
        "yambda",
        "Yambda",
        "multi_event.parquet, listens.parquet, likes.parquet ...; flat or a user a row",
        "a listen or like, with its time in seconds; of files or rows of several kinds a dislike is no like, and what "
        "takes one back (unlike, undislike) is left out",
        _yambda,
        _yambda_logs,
        yambda,
        together=True,
    ),
)
