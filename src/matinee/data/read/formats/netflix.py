"""Netflix Prize: blocks of "film:" and then "user,rating,date" lines, a hundred million of them."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from matinee.data.read.assemble import RawTables, SideTable
from matinee.data.read.formats.base import Format, Joined, Lined, Source, described, events, like, old_text
from matinee.data.read.tables import Dialect, Table, content, decoded
from matinee.data.read.text import compression
from matinee.errors import MatineeError

TITLES = ("movie_titles.csv", "movie_titles.txt")
FILM, RATING = r"\d+:", r"\d+,[1-5],\d{4}-\d\d-\d\d"
HINT = 'a block is a line such as "1:" and then lines such as "1488844,3,2005-09-06"'


@dataclass(frozen=True)
class Blocks(Table):
    """Ratings of one file. Row r is the r-th line with a rating."""

    def number(self, row: int) -> int:
        assert self.source is not None
        row = row if self.kept is None else int(self.kept[row])
        ratings = (n for n, line in enumerate(decoded(self.source).splitlines(), start=1) if "," in line)
        return next(itertools.islice(ratings, row, None))


def read(source: Source) -> RawTables:
    table = Joined.of(*map(_blocks, source.logs))
    return RawTables(events(table, "user_id", "item_id", "rating", "date"), items=_titles(source))


def _blocks(path: Path) -> Table:
    """One file: columns user_id, item_id (Int64), rating, date. Lines of films have one field, so the others are null
    there; the film's number is carried down its block."""
    kinds = {"user_id": pl.String, "rating": pl.UInt8, "date": pl.Date}
    try:
        raw = pl.read_csv(
            path if compression(path) is None else content(path),
            has_header=False,
            schema=kinds,
            quote_char=None,
            missing_columns="insert",
            glob=False,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _bad_line(path) from error
    film = raw["date"].is_null()
    numbers = pl.when(film).then(pl.col("user_id").str.strip_suffix(":"))
    rows = raw.lazy().select(
        pl.col("user_id").cast(pl.Int64, strict=False),
        numbers.cast(pl.Int64, strict=False).forward_fill().alias("item_id"),
        "rating",
        "date",
    )
    frame = rows.filter(~film).collect()
    whole = (
        raw.filter(film).select((pl.col("rating").is_null() & pl.col("user_id").str.contains(r"^\d+:$")).all()).item()
    )
    stars = frame["rating"].is_between(1, 5).all()
    if not whole or not stars or sum(frame.null_count().row(0)) or not frame.height:
        raise _bad_line(path)
    return Blocks(frame, path.name, path)


def _bad_line(path: Path) -> MatineeError:
    """The error of a file that is not made of blocks, naming the first line that is wrong."""
    film = False
    for number, line in enumerate(decoded(path).splitlines(), start=1):
        where = f"{path.name}, row {number}"
        if re.fullmatch(FILM, line):
            film = True
        elif line and not re.fullmatch(RATING, line):
            return MatineeError(f"{line[:60]!r} is neither a film nor a rating of it", where=where, hint=HINT)
        elif line and not film:
            return MatineeError("a rating stands before the first film", where=where, hint=HINT)
    return MatineeError("the file holds no ratings, or dates that are none", where=str(path), hint=HINT)


def _titles(source: Source) -> SideTable | None:
    """number,year,title: the year may be NULL, and a title may have commas."""
    path = source.beside(*TITLES)
    if path is None:
        return None
    lines = decoded(path, old_text(path, Dialect()).encoding).splitlines()
    found = [re.fullmatch(r"(\d+),(\d{4}|NULL),(.+)", line) for line in lines]
    for number, (line, match) in enumerate(zip(lines, found, strict=True), start=1):
        if line and match is None:
            what = f"{line[:60]!r} is not number,year,title"
            raise MatineeError(what, where=f"{path.name}, row {number}", hint="correct or remove the line")
    rows = [(match[1], None if match[2] == "NULL" else int(match[2]), match[3]) for match in found if match]
    frame = pl.DataFrame(rows, schema={"item_id": pl.String, "year": pl.Int64, "title": pl.String}, orient="row")
    return described(Lined(frame, path.name, path), "item_id", frame.select("title", "year"))


FORMAT = Format(
    "netflix_prize",
    "Netflix Prize",
    "combined_data_1.txt to combined_data_4.txt or mv_0000001.txt and so on, with movie_titles.csv",
    "a rating from 1 to 5, with its day; each block is a film",
    lambda head: head.rows(f"{FILM}|{RATING}") and re.fullmatch(FILM, head.lines[0]) is not None,
    like(lambda head: head.rows(f"{FILM}|{RATING}"), "combined_data_*.txt", "mv_*.txt", "training_set/mv_*.txt"),
    read,
    together=True,
)
