"""MovieLens in its official layouts: 100K (u.data), 1M and 10M (`::`), and the CSV releases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import Log, RawTables, Side, side_of
from matinee.data.read.columns import guess_types, id_column, rating_column, time_column
from matinee.data.read.tables import DOUBLE_COLON, Dialect, content, text_table
from matinee.data.side import Unmatched

# fixed in the README; the file u.genre is not needed, and copies of it circulate cut short
GENRES_100K = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]

AGES_1M = {1: "Under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56+"}

OCCUPATIONS_1M = [
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
]

_LOG = ("user_id", "item_id", "rating", "timestamp")
_TYPES = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
_EXTRA = [
    "item_id",
    "_title",
    "_year",
    "rated",
    "released",
    "_genres",
    "directors",
    "writers",
    "actors",
    "plot",
    "_poster",
]


def read_100k(folder: Path) -> RawTables:
    """u.data (log order), u.item (latin-1; 19 genre flags) and u.user.

    The release dates and the dead links of u.item are left out: the other source of this set has none, and the same
    name should mean the same data.
    """
    log = _log(folder / "u.data", Dialect("\t", quote=None, header=_LOG))
    flags = [f"flag_{genre}" for genre in GENRES_100K]
    header = ["item_id", "title", "released", "video", "url", *flags]
    items = _side(folder / "u.item", Dialect("|", None, header=header), "item_id")
    if items is not None:
        marked = [pl.when(pl.col(f) == "1").then(pl.lit(g)) for f, g in zip(flags, GENRES_100K, strict=True)]
        genres = pl.concat_list(marked).list.drop_nulls().alias("genres")
        items = _with(items, side.described(items.features.select("title", genres)))
    users = _side(
        folder / "u.user", Dialect("|", None, header=["user_id", "age", "gender", "occupation", "zip"]), "user_id"
    )
    if users is not None:
        users = _with(users, guess_types(users.features, keep=side.TEXT))
    return RawTables(log, users, items)


def read_dat(folder: Path) -> RawTables:
    """1M and 10M: ratings.dat, movies.dat, and where there are any users.dat, tags.dat and movies_extrainfos.dat."""
    log = _log(folder / "ratings.dat", Dialect(DOUBLE_COLON, None, header=_LOG))
    items = _side(folder / "movies.dat", Dialect(DOUBLE_COLON, None, header=["item_id", "title", "genres"]), "item_id")
    if items is not None:
        dialect = Dialect(DOUBLE_COLON, None, header=["user_id", "item_id", "tag", "timestamp"])
        extra, tags = folder / "movies_extrainfos.dat", folder / "tags.dat"
        items = _joined(items, {extra.name: _extra(extra), tags.name: _tags(tags, dialect)})
    header = ["user_id", "gender", "age", "occupation", "zip"]
    users = _side(folder / "users.dat", Dialect(DOUBLE_COLON, None, header=header), "user_id")
    if users is not None:
        users = _with(users, _decoded_users(users.features))
    return RawTables(log, users, items)


def read_csv(folder: Path) -> RawTables:
    """ratings.csv and movies.csv; tags.csv becomes a list per film, links.csv the columns imdb_id and tmdb_id."""
    names = {"userId": "user_id", "movieId": "item_id"}
    log = _log(folder / "ratings.csv", Dialect(","), names)
    items = _side(folder / "movies.csv", Dialect(","), "item_id", names)
    assert items is not None  # the layout is recognised by this file
    others = {"tags.csv": _tags(folder / "tags.csv", Dialect(","), names)}
    if (folder / "links.csv").is_file():
        links = text_table(folder / "links.csv", Dialect(",")).rename(
            {**names, "imdbId": "imdb_id", "tmdbId": "tmdb_id"}
        )
        tmdb = pl.col("tmdb_id").cast(pl.Int64, strict=False)
        others["links.csv"] = links.frame.with_columns(tmdb).unique("item_id", keep="first", maintain_order=True)
    return RawTables(log, items=_joined(items, others))


def _log(path: Path, dialect: Dialect, names: dict[str, str] | None = None) -> Log:
    """The ratings. Types are tried at once; a file they do not fit is read as text, and its bad row named."""
    back = {new: old for old, new in (names or {}).items()}
    table = text_table(path, dialect, {back.get(name, name): kind for name, kind in _TYPES.items()})
    table = table.rename(names or {})
    table.require(*_LOG)
    return Log(
        table,
        id_column(table, "user_id"),
        id_column(table, "item_id"),
        rating_column(table, "rating"),
        time_column(table, "timestamp", "s"),
    )


def _side(path: Path, dialect: Dialect, column: str, names: dict[str, str] | None = None) -> Side | None:
    """A side table with all its columns as text; None where the file is missing."""
    if not path.is_file():
        return None
    table = text_table(path, _with_encoding(path, dialect)).rename(names or {})
    table.require(column)
    return side_of(table, column, id_column(table, column), table.frame.drop(column))


def _joined(items: Side, others: dict[str, pl.DataFrame]) -> Side:
    """The films with further columns of other files, by item_id: one row an id. Ids that only they have are counted."""
    frame = items.features.with_columns(items.ids.alias("item_id"))
    left_out = []
    for name, other in others.items():
        if unknown := len(other.join(frame, on="item_id", how="anti")):
            left_out.append(Unmatched("items", name, unknown, absent_from=items.table.name))
        frame = frame.join(other, on="item_id", how="left", maintain_order="left")
    features = _without_empty(side.described(frame.drop("item_id")))
    return replace(items, features=features, left_out=tuple(left_out))


def _with(side: Side, frame: pl.DataFrame) -> Side:
    return replace(side, features=frame)


def _with_encoding(path: Path, dialect: Dialect) -> Dialect:
    """UTF-8 where the bytes are UTF-8, otherwise latin-1: the old sets are, and copies of them may be either."""
    try:
        content(path).decode()
    except UnicodeDecodeError:
        return Dialect(dialect.separator, dialect.quote, "latin-1", dialect.header)
    return dialect


def _tags(path: Path, dialect: Dialect, names: dict[str, str] | None = None) -> pl.DataFrame:
    """item_id, tags: the distinct tags people gave a film, in the order of the file."""
    if not path.is_file():
        return pl.DataFrame(schema={"item_id": pl.String, "tags": pl.List(pl.String)})
    table = text_table(path, _with_encoding(path, dialect)).rename(names or {})
    table.require("item_id", "tag")
    return side.gathered(table.frame, "item_id", "tag", "tags")


def _extra(path: Path) -> pl.DataFrame:
    """item_id with directors, writers, actors and plot, read from another project's file beside the 1M set."""
    columns = ["directors", "writers", "actors", "plot"]
    if not path.is_file():
        kinds = [pl.List(pl.String)] * 3 + [pl.String()]
        return pl.DataFrame(schema={"item_id": pl.String, **dict(zip(columns, kinds, strict=True))})
    table = text_table(path, _with_encoding(path, Dialect(DOUBLE_COLON, None, header=_EXTRA)))
    plot = pl.when(pl.col("plot") != "N/A").then("plot").alias("plot")
    people = [side.people(column) for column in columns[:3]]
    return table.frame.select("item_id", *people, plot).unique("item_id", keep="first", maintain_order=True)


def _decoded_users(frame: pl.DataFrame) -> pl.DataFrame:
    """1M codes ages (the lower end of a group; 1 = under 18) and occupations as numbers."""
    age = pl.col("age").cast(pl.Int64, strict=False)
    group = age.replace_strict(AGES_1M, default=None, return_dtype=pl.String).alias("age_group")
    names = {str(code): name for code, name in enumerate(OCCUPATIONS_1M)}
    return frame.select("gender", age, group, pl.col("occupation").replace(names), "zip")


def _without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop columns of tables that were not there."""
    return frame.drop(column.name for column in frame.iter_columns() if column.null_count() == len(column))
