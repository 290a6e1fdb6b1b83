"""Folders that the names of their files tell: the film contest, RecBole, sessions and sequences."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import RawTables, SideTable, log_of, side_of
from matinee.data.read.columns import guess_types, id_column
from matinee.data.read.formats.base import Format, Head, Source, named, never
from matinee.data.read.sequences import read_attributes, read_sequences
from matinee.data.read.tables import Dialect, Table, text_table

ATTRIBUTES = "_item2attributes.json"


def read_sessions(source: Source) -> RawTables:
    """train_sessions.txt: one session a line."""
    return RawTables(read_sequences(source.log, named=False))


def read_described(source: Source) -> RawTables:
    """NAME.txt and NAME_item2attributes.json: one user a line with their items, and the attributes of items."""
    attributes = source.log.with_name(source.log.stem + ATTRIBUTES)
    log = read_sequences(source.log, named=True)
    return RawTables(log, items=read_attributes(attributes) if attributes.is_file() else None)


def _described(folder: Path) -> list[Path]:
    logs = [path.with_name(path.name.removesuffix(ATTRIBUTES) + ".txt") for path in folder.glob(f"*{ATTRIBUTES}")]
    return [log for log in logs if log.is_file()]


def read_contest(source: Source) -> RawTables:
    """train_ratings.csv (user, item, time) with titles, years, genres, directors and writers as TSV tables."""
    log = log_of(text_table(source.log, Dialect(",")), "user", "item", None, "time")
    frames = []
    for column in ("title", "year", "genre", "director", "writer"):
        table = _contest_table(source.beside(f"{column}s.tsv"), column)
        if table is not None and column in ("title", "year"):
            side_of(table, "item", table.frame)  # two titles for one item would double its rows below
            frames.append(table.frame.select("item", column))
        elif table is not None:
            frames.append(side.gathered(table.frame, "item", column, f"{column}s"))
    if not frames:
        return RawTables(log)
    frame = side.joined(frames[0], frames[1:], "item")
    frame = side.described(frame) if "title" in frame.columns else frame
    if "year" in frame.columns:
        frame = frame.with_columns(pl.col("year").cast(pl.Int64, strict=False))
    names = Table(frame, "the item tables", log.table.source)
    return RawTables(log, items=SideTable(names, "item", frame["item"], frame.drop("item")))


def _contest_table(path: Path | None, column: str) -> Table | None:
    if path is None:
        return None
    table = text_table(path, Dialect("\t"))
    table.require("item", column)
    id_column(table, "item")
    return table


def read_recbole(source: Source) -> RawTables:
    """NAME.inter, NAME.item and NAME.user: tab-separated, with typed headers such as `user_id:token`."""
    table = _typed(source.log)
    rating, time = (name if name in table.frame.columns else None for name in ("rating", "timestamp"))
    log = log_of(table, "user_id", "item_id", rating, time)
    if log.context is not None:
        log = replace(log, context=guess_types(log.context))
    return RawTables(log, _recbole_side(source, "user"), _recbole_side(source, "item"))


def _recbole_side(source: Source, what: str) -> SideTable | None:
    path = source.beside(source.log.with_suffix(f".{what}").name)
    if path is None:
        return None
    usual = {"movie_title": "title", "release_year": "year", "class": "genres", "genre": "genres", "zip_code": "zip"}
    table = _typed(path).rename(usual)
    frame = table.frame.drop(f"{what}_id", strict=False)
    if "title" in frame.columns and "year" in frame.columns:
        frame = _official_titles(frame)
    return side_of(table, f"{what}_id", side.described(guess_types(frame, keep=side.TEXT)))


def _official_titles(frame: pl.DataFrame) -> pl.DataFrame:
    """ "Toy Story" + "1995" -> "Toy Story (1995)", as MovieLens writes it; `described` reads the year from it again.
    recbole's copy misspells the film that MovieLens calls "unknown"."""
    title, year = pl.col("title"), pl.col("year")
    whole = pl.when(title == "unkonwn").then(pl.lit("unknown")).when(year.is_null()).then(title)
    return frame.with_columns(whole.otherwise(title + " (" + year + ")").alias("title")).drop("year")


def _typed(path: Path) -> Table:
    """The table with plain column names; sequences are split at spaces, a title's words are not."""
    table = text_table(path, Dialect("\t", quote=None))
    kinds = dict(column.rpartition(":")[::2] for column in table.frame.columns)
    table = table.rename({f"{name}:{kind}": name for name, kind in kinds.items()})
    lists = [name for name, kind in kinds.items() if kind.endswith("_seq") and "title" not in name]
    frame = table.frame.with_columns(side.split(name, " ") for name in lists)
    return Table(frame, table.name, table.source, table.dialect)


def _atomic(head: Head) -> bool:
    names = head.lines[0].split("\t") if head.lines else []
    kinds = r".+:(token|float|token_seq|float_seq)"
    return {"user_id:token", "item_id:token"} <= set(names) and all(re.fullmatch(kinds, name) for name in names)


FORMATS = (
    Format(
        "recbole",
        "RecBole atomic files",
        "one NAME.inter, with NAME.item and NAME.user",
        "a row of NAME.inter; rating and timestamp where it has them",
        _atomic,
        named("*.inter"),
        read_recbole,
    ),
    Format(
        "film_contest",
        "a film contest",
        "train_ratings.csv, with titles.tsv, years.tsv, genres.tsv, directors.tsv, writers.tsv",
        "a film somebody watched, with its time",
        never,
        named("train_ratings.csv"),
        read_contest,
    ),
    Format(
        "diginetica_sessions",
        "Diginetica, as cut into sessions by the literature",
        "train_sessions.txt",
        "a click; each line is a session, and its order is the order of time",
        never,
        named("train_sessions.txt"),
        read_sessions,
    ),
    Format(
        "amazon_sequences",
        "Amazon reviews, as cut into sequences by the literature",
        f"NAME.txt with NAME{ATTRIBUTES}",
        "a review; each line is a user, and its order is the order of time",
        never,
        _described,
        read_described,
    ),
)
