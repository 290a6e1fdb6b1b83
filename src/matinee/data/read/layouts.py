"""Folders recognised by their files: MovieLens in three official layouts, the film contest, recbole, sessions and
sequences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read import movielens
from matinee.data.read.assemble import RawTables, SideTable, log_of, side_of
from matinee.data.read.columns import guess_types, id_column
from matinee.data.read.sequences import read_attributes, read_sequences
from matinee.data.read.tables import Dialect, Table, text_table
from matinee.errors import MatineeError

KNOWN = """u.data (MovieLens 100K), ratings.dat (MovieLens 1M, 10M), ratings.csv + movies.csv (other MovieLens \
releases), train_ratings.csv (film contest), one NAME.inter (recbole), train_sessions.txt (Diginetica) or NAME.txt + \
NAME_item2attributes.json (Amazon)"""
ATTRIBUTES = "_item2attributes.json"


def read_folder(folder: Path) -> RawTables:
    """All tables of a folder. Raises MatineeError when it is in no known layout."""
    readers = {"u.data": movielens.read_100k, "ratings.dat": movielens.read_dat, "train_ratings.csv": read_contest}
    for file, reader in readers.items():
        if (folder / file).is_file():
            return reader(folder)
    if (folder / "ratings.csv").is_file() and (folder / "movies.csv").is_file():
        return movielens.read_csv(folder)
    if (folder / "train_sessions.txt").is_file():
        return RawTables(read_sequences(folder / "train_sessions.txt", named=False))
    described = [path for path in folder.glob(f"*{ATTRIBUTES}") if _sequences(path).is_file()]
    if len(described) == 1:
        log, items = read_sequences(_sequences(described[0]), named=True), read_attributes(described[0])
        return RawTables(log, items=items)
    logs = sorted(folder.glob("*.inter"))
    if len(logs) == 1:
        return read_recbole(logs[0])
    there = ", ".join(sorted(p.name for p in folder.iterdir())[:12]) or "nothing"
    hint = f"pass one log file, or a folder with {KNOWN}"
    raise MatineeError(f"the folder is in no known layout; it holds {there}", where=str(folder), hint=hint)


def _sequences(attributes: Path) -> Path:
    """NAME.txt beside NAME_item2attributes.json: one user a line, with their items."""
    return attributes.with_name(attributes.name.removesuffix(ATTRIBUTES) + ".txt")


def read_contest(folder: Path) -> RawTables:
    """train_ratings.csv (user, item, time) with titles, years, genres, directors and writers as TSV tables."""
    log = log_of(text_table(folder / "train_ratings.csv", Dialect(",")), "user", "item", None, "time")
    frames = []
    for column in ("title", "year", "genre", "director", "writer"):
        table = _contest_table(folder, f"{column}s", column)
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


def _contest_table(folder: Path, name: str, column: str) -> Table | None:
    path = folder / f"{name}.tsv"
    if not path.is_file():
        return None
    table = text_table(path, Dialect("\t"))
    table.require("item", column)
    id_column(table, "item")
    return table


def read_recbole(path: Path) -> RawTables:
    """NAME.inter, NAME.item and NAME.user: tab-separated, with typed headers such as `user_id:token`."""
    table = _typed(path)
    rating, time = (name if name in table.frame.columns else None for name in ("rating", "timestamp"))
    log = log_of(table, "user_id", "item_id", rating, time)
    if log.context is not None:
        log = replace(log, context=guess_types(log.context))
    return RawTables(log, _recbole_side(path, "user"), _recbole_side(path, "item"))


def _recbole_side(log: Path, what: str) -> SideTable | None:
    path = log.with_suffix(f".{what}")
    if not path.is_file():
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
