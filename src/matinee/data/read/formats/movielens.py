"""MovieLens in its official layouts: 100K (u.data), 1M and 10M (`::`), and the CSV releases."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import Log, RawTables, SideTable, log_of, side_of
from matinee.data.read.columns import guess_types
from matinee.data.read.formats.base import Format, Head, Source, head_of, matching, old_text
from matinee.data.read.tables import DOUBLE_COLON, Dialect, text_table
from matinee.data.side import Unmatched

# as in the README; the file u.genre is not read, because copies of it circulate cut short
GENRES_100K = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
)
AGES_1M = {1: "Under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}
OCCUPATIONS_1M = (
    "other|academic/educator|artist|clerical/admin|college/grad student|customer service|doctor/health care|"
    "executive/managerial|farmer|homemaker|K-12 student|lawyer|programmer|retired|sales/marketing|scientist|"
    "self-employed|technician/engineer|tradesman/craftsman|unemployed|writer"
)

_TYPES = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
_EXTRA = "item_id _title _year rated released _genres directors writers actors plot _poster"

CSV_HEADER = ("userId", "movieId", "rating", "timestamp")


def looks(head: Head) -> bool:
    """`::`, the CSV releases, and u.data and its parts: four columns of numbers alone could be any log."""
    if head.path.name == "u.data" or re.fullmatch(r"u[1-5ab]\.(base|test)", head.path.name):
        return head.rows(r"\d+\t\d+\t[1-5]\t\d{9}")
    return head.rows(r"\d+::\d+::[0-5](\.\d)?::\d+") or (bool(head.lines) and head.lines[0] == ",".join(CSV_HEADER))


def logs(folder: Path) -> list[Path]:
    """By their names; ratings.csv has movies.csv beside it."""
    others = [folder / name for name in ("u.data", "ratings.dat") if (folder / name).is_file()]
    return others or (matching(folder, ["ratings.csv"]) if matching(folder, ["movies.csv"]) else [])


def read(source: Source) -> RawTables:
    """Whichever of the layouts it is, by its first line and its name."""
    first = "".join(head_of(source.log).lines[:1])
    if "::" in first or source.log.name.startswith("ratings.dat"):
        return read_dat(source)
    return read_csv(source) if ".csv" in source.log.suffixes else read_100k(source)


def read_100k(source: Source) -> RawTables:
    """u.data (log order), u.item (latin-1; 19 genre flags) and u.user. The release dates and the dead links of u.item
    are left out: the other source of this set has none, and the same name should mean the same data."""
    log = _log(source.log, Dialect("\t", quote=None, header=[*_TYPES]))
    names = GENRES_100K.split()
    flags = [f"flag_{genre}" for genre in names]
    header = ["item_id", "title", "released", "video", "url", *flags]
    items = _side(source.beside("u.item"), Dialect("|", None, header=header), "item_id")
    if items is not None:
        marked = [pl.when(pl.col(f) == "1").then(pl.lit(g)) for f, g in zip(flags, names, strict=True)]
        genres = pl.concat_list(marked).list.drop_nulls().alias("genres")
        items = replace(items, features=side.described(items.features.select("title", genres)))
    header = ["user_id", "age", "gender", "occupation", "zip"]
    users = _side(source.beside("u.user"), Dialect("|", None, header=header), "user_id")
    if users is not None:
        users = replace(users, features=guess_types(users.features, keep=side.TEXT))
    return RawTables(log, users, items)


def read_dat(source: Source) -> RawTables:
    """1M and 10M: ratings.dat, movies.dat, and where there are any users.dat, tags.dat and movies_extrainfos.dat."""
    log = _log(source.log, Dialect(DOUBLE_COLON, None, header=[*_TYPES]))
    items = _side(
        source.beside("movies.dat"), Dialect(DOUBLE_COLON, None, header=["item_id", "title", "genres"]), "item_id"
    )
    if items is not None:
        dialect = Dialect(DOUBLE_COLON, None, header=["user_id", "item_id", "tag", "timestamp"])
        extra, tags = _extra(source.beside("movies_extrainfos.dat")), _tags(source.beside("tags.dat"), dialect)
        items = _joined(items, {"movies_extrainfos.dat": extra, "tags.dat": tags})
    header = ["user_id", "gender", "age", "occupation", "zip"]
    users = _side(source.beside("users.dat"), Dialect(DOUBLE_COLON, None, header=header), "user_id")
    if users is not None:
        users = replace(users, features=_decoded_users(users.features))
    return RawTables(log, users, items)


def read_csv(source: Source) -> RawTables:
    """ratings.csv and movies.csv; tags.csv becomes a list per film, links.csv the columns imdb_id and tmdb_id."""
    names = {"userId": "user_id", "movieId": "item_id"}
    log = _log(source.log, Dialect(","), names)
    items = _side(source.beside("movies.csv"), Dialect(","), "item_id", names)
    if items is None:
        return RawTables(log)
    others = {"tags.csv": _tags(source.beside("tags.csv"), Dialect(","), names)}
    if (path := source.beside("links.csv")) is not None:
        columns = {**names, "imdbId": "imdb_id", "tmdbId": "tmdb_id"}
        links = text_table(path, Dialect(",")).rename(columns)
        tmdb = pl.col("tmdb_id").cast(pl.Int64, strict=False)
        others["links.csv"] = links.frame.with_columns(tmdb).unique("item_id", keep="first", maintain_order=True)
    return RawTables(log, items=_joined(items, others))


def _log(path: Path, dialect: Dialect, names: dict[str, str] | None = None) -> Log:
    """The ratings. Types are tried at once; a file that does not fit them is read as text, to name its bad row."""
    back = {new: old for old, new in (names or {}).items()}
    table = text_table(path, dialect, {back.get(name, name): kind for name, kind in _TYPES.items()})
    return log_of(table.rename(names or {}), *_TYPES, unit="s")


def _side(path: Path | None, dialect: Dialect, column: str, names: dict[str, str] | None = None) -> SideTable | None:
    """A side table with all its columns as text; None where the file is missing."""
    if path is None:
        return None
    table = text_table(path, old_text(path, dialect)).rename(names or {})
    return side_of(table, column, table.frame.drop(column, strict=False))


def _joined(items: SideTable, others: dict[str, pl.DataFrame]) -> SideTable:
    """The films with further columns of other files, by item_id, which is unique there. Ids of no film are counted."""
    frame = items.features.with_columns(items.ids.alias("item_id"))
    left_out = []
    for name, other in others.items():
        if unknown := len(other.join(frame, on="item_id", how="anti")):
            left_out.append(Unmatched("items", name, unknown, absent_from=items.table.name))
        frame = frame.join(other, on="item_id", how="left", maintain_order="left")
    features = side.described(frame.drop("item_id"))
    features = features.drop(column.name for column in features if column.null_count() == len(column))  # no such file
    return replace(items, features=features, left_out=tuple(left_out))


def _tags(path: Path | None, dialect: Dialect, names: dict[str, str] | None = None) -> pl.DataFrame:
    """item_id, tags: the distinct tags people gave a film, in the order of the file."""
    if path is None:
        return pl.DataFrame(schema={"item_id": pl.String, "tags": pl.List(pl.String)})
    table = text_table(path, old_text(path, dialect)).rename(names or {})
    table.require("item_id", "tag")
    return side.gathered(table.frame, "item_id", "tag", "tags")


def _extra(path: Path | None) -> pl.DataFrame:
    """item_id with directors, writers, actors and plot, read from another project's file beside the 1M set."""
    columns = ["directors", "writers", "actors", "plot"]
    if path is None:
        kinds = [pl.List(pl.String)] * 3 + [pl.String()]
        return pl.DataFrame(schema={"item_id": pl.String, **dict(zip(columns, kinds, strict=True))})
    table = text_table(path, old_text(path, Dialect(DOUBLE_COLON, None, header=_EXTRA.split())))
    plot = pl.when(pl.col("plot") != "N/A").then("plot").alias("plot")
    names = [side.person_names(column) for column in columns[:3]]
    return table.frame.select("item_id", *names, plot).unique("item_id", keep="first", maintain_order=True)


def _decoded_users(frame: pl.DataFrame) -> pl.DataFrame:
    """1M codes ages (the lower end of a group; 1 = under 18) and occupations as numbers."""
    age = pl.col("age").cast(pl.Int64, strict=False)
    group = age.replace_strict(AGES_1M, default=None, return_dtype=pl.String).alias("age_group")
    names = {str(code): name for code, name in enumerate(OCCUPATIONS_1M.split("|"))}
    return frame.select("gender", age, group, pl.col("occupation").replace(names), "zip")


FORMAT = Format(
    "movielens",
    "MovieLens, every release",
    "u.data, ratings.dat, or ratings.csv with movies.csv",
    "a rating, of 0.5 or 1 to 5; with titles, genres, tags and users where the folder has them",
    looks,
    logs,
    read,
)
