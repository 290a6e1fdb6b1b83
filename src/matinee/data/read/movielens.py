"""MovieLens in its official layouts: 100K (u.data), 1M and 10M (`::`), and the CSV releases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from matinee.data import side
from matinee.data.read.assemble import Log, RawTables, SideTable, log_of, side_of
from matinee.data.read.columns import guess_types
from matinee.data.read.tables import DOUBLE_COLON, Dialect, content, text_table
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


def read_100k(folder: Path) -> RawTables:
    """u.data (log order), u.item (latin-1; 19 genre flags) and u.user. The release dates and the dead links of u.item
    are left out: the other source of this set has none, and the same name should mean the same data."""
    log = _log(folder / "u.data", Dialect("\t", quote=None, header=[*_TYPES]))
    names = GENRES_100K.split()
    flags = [f"flag_{genre}" for genre in names]
    header = ["item_id", "title", "released", "video", "url", *flags]
    items = _side(folder / "u.item", Dialect("|", None, header=header), "item_id")
    if items is not None:
        marked = [pl.when(pl.col(f) == "1").then(pl.lit(g)) for f, g in zip(flags, names, strict=True)]
        genres = pl.concat_list(marked).list.drop_nulls().alias("genres")
        items = replace(items, features=side.described(items.features.select("title", genres)))
    header = ["user_id", "age", "gender", "occupation", "zip"]
    users = _side(folder / "u.user", Dialect("|", None, header=header), "user_id")
    if users is not None:
        users = replace(users, features=guess_types(users.features, keep=side.TEXT))
    return RawTables(log, users, items)


def read_dat(folder: Path) -> RawTables:
    """1M and 10M: ratings.dat, movies.dat, and where there are any users.dat, tags.dat and movies_extrainfos.dat."""
    log = _log(folder / "ratings.dat", Dialect(DOUBLE_COLON, None, header=[*_TYPES]))
    items = _side(folder / "movies.dat", Dialect(DOUBLE_COLON, None, header=["item_id", "title", "genres"]), "item_id")
    if items is not None:
        dialect = Dialect(DOUBLE_COLON, None, header=["user_id", "item_id", "tag", "timestamp"])
        extra, tags = folder / "movies_extrainfos.dat", folder / "tags.dat"
        items = _joined(items, {extra.name: _extra(extra), tags.name: _tags(tags, dialect)})
    header = ["user_id", "gender", "age", "occupation", "zip"]
    users = _side(folder / "users.dat", Dialect(DOUBLE_COLON, None, header=header), "user_id")
    if users is not None:
        users = replace(users, features=_decoded_users(users.features))
    return RawTables(log, users, items)


def read_csv(folder: Path) -> RawTables:
    """ratings.csv and movies.csv; tags.csv becomes a list per film, links.csv the columns imdb_id and tmdb_id."""
    names = {"userId": "user_id", "movieId": "item_id"}
    log = _log(folder / "ratings.csv", Dialect(","), names)
    items = _side(folder / "movies.csv", Dialect(","), "item_id", names)
    assert items is not None  # the layout is recognised by this file
    others = {"tags.csv": _tags(folder / "tags.csv", Dialect(","), names)}
    if (folder / "links.csv").is_file():
        columns = {**names, "imdbId": "imdb_id", "tmdbId": "tmdb_id"}
        links = text_table(folder / "links.csv", Dialect(",")).rename(columns)
        tmdb = pl.col("tmdb_id").cast(pl.Int64, strict=False)
        others["links.csv"] = links.frame.with_columns(tmdb).unique("item_id", keep="first", maintain_order=True)
    return RawTables(log, items=_joined(items, others))


def _log(path: Path, dialect: Dialect, names: dict[str, str] | None = None) -> Log:
    """The ratings. Types are tried at once; a file that does not fit them is read as text, to name its bad row."""
    back = {new: old for old, new in (names or {}).items()}
    table = text_table(path, dialect, {back.get(name, name): kind for name, kind in _TYPES.items()})
    return log_of(table.rename(names or {}), *_TYPES, unit="s")


def _side(path: Path, dialect: Dialect, column: str, names: dict[str, str] | None = None) -> SideTable | None:
    """A side table with all its columns as text; None where the file is missing."""
    if not path.is_file():
        return None
    table = text_table(path, _with_encoding(path, dialect)).rename(names or {})
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


def _with_encoding(path: Path, dialect: Dialect) -> Dialect:
    """UTF-8 where the bytes are UTF-8, otherwise latin-1: the old sets use it, and copies of them use either."""
    try:
        content(path).decode()
    except UnicodeDecodeError:
        return replace(dialect, encoding="latin-1")
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
    table = text_table(path, _with_encoding(path, Dialect(DOUBLE_COLON, None, header=_EXTRA.split())))
    plot = pl.when(pl.col("plot") != "N/A").then("plot").alias("plot")
    names = [side.person_names(column) for column in columns[:3]]
    return table.frame.select("item_id", *names, plot).unique("item_id", keep="first", maintain_order=True)


def _decoded_users(frame: pl.DataFrame) -> pl.DataFrame:
    """1M codes ages (the lower end of a group; 1 = under 18) and occupations as numbers."""
    age = pl.col("age").cast(pl.Int64, strict=False)
    group = age.replace_strict(AGES_1M, default=None, return_dtype=pl.String).alias("age_group")
    names = {str(code): name for code, name in enumerate(OCCUPATIONS_1M.split("|"))}
    return frame.select("gender", age, group, pl.col("occupation").replace(names), "zip")
