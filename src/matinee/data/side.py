"""Side columns in their known kinds: title (text), year (integer), genres and people's names (lists of text)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

EntityKind = Literal["users", "items"]

LIST_COLUMNS = ("genres", "directors", "writers", "actors", "tags")
TEXT = (*LIST_COLUMNS, "title", "zip", "zip_code", "phone", "imdb_id")
_YEAR = r"\((\d{4})\)\s*(?:\([^()]*\)\s*)?$"  # "Toy Story (1995)", and "Land Before Time III (1995) (V)"


@dataclass(frozen=True)
class Unmatched:
    """Ids of a side table that are missing in `absent_from`. Those missing in the log are kept, as ids without an
    event; rows of those missing in the main table of users or items are left out. ids: their number, 1 or more."""

    what: EntityKind
    table: str
    ids: int
    absent_from: str = "the log"

    @property
    def kept(self) -> bool:
        return self.absent_from == "the log"

    def __str__(self) -> str:
        fate = "kept, without an event" if self.kept else "left out"
        return f"not in {self.absent_from}: {self.ids:,} of the {self.what} in {self.table} ({fate})"


def described(frame: pl.DataFrame) -> pl.DataFrame:
    """Titles trimmed, a year column from titles that end in one, lists split at "|" (a missing list stays null)."""
    if "title" in frame.columns and frame["title"].dtype == pl.String:
        frame = with_year(frame)
    return frame.with_columns(split(c) for c in LIST_COLUMNS if c in frame.columns and frame[c].dtype == pl.String)


def with_year(frame: pl.DataFrame) -> pl.DataFrame:
    """title without spaces around it; year: Int64, from its column, otherwise from the end of the title."""
    title = pl.col("title").str.strip_chars()
    parsed = title.str.extract(_YEAR).cast(pl.Int64)
    if "year" in frame.columns:
        return frame.with_columns(title, pl.coalesce(pl.col("year").cast(pl.Int64, strict=False), parsed))
    columns = [c for name in frame.columns for c in ([title, parsed.alias("year")] if name == "title" else [name])]
    return frame.select(columns)


def split(column: str, separator: str = "|") -> pl.Expr:
    """Text -> list of text. MovieLens' "(no genres listed)" is an empty list; null stays null."""
    parts = pl.col(column).str.split(separator)
    nothing = pl.col(column) == "(no genres listed)"
    return pl.when(nothing).then(pl.lit([], dtype=pl.List(pl.String))).otherwise(parts).alias(column)


def person_names(column: str) -> pl.Expr:
    """ "Joss Whedon (screenplay by), Andrew Stanton" -> names, each once, in order; "N/A" is null. Notes in brackets
    are dropped, and a comma inside them does not separate."""
    plain = pl.col(column).str.replace_all(r"\([^()]*\)", "")
    names = plain.str.split(",").list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))
    return pl.when(pl.col(column) != "N/A").then(names.list.unique(maintain_order=True)).alias(column)


def gathered(frame: pl.DataFrame, by: str, column: str, into: str) -> pl.DataFrame:
    """Rows (id, value) -> one row per id with the distinct values as a list, in the order of the file."""
    rows = frame.select(by, pl.col(column).alias(into)).drop_nulls()
    return rows.group_by(by, maintain_order=True).agg(pl.col(into).unique(maintain_order=True))


def joined(frame: pl.DataFrame, others: Sequence[pl.DataFrame], by: str) -> pl.DataFrame:
    """Further columns from other tables, and further rows for ids that only those have."""
    for other in others:
        frame = frame.join(other, on=by, how="full", coalesce=True, maintain_order="left_right")
    return frame
