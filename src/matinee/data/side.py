"""Side columns in their known kinds: title (text), year (integer), genres and people's names (lists of text)."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

EntityKind = Literal["users", "items"]

LIST_COLUMNS = ("genres", "directors", "writers", "actors", "tags")
TITLES = (
    "title",
    "name",
    "movietitle",
    "booktitle",
    "itemtitle",
    "itemname",
    "filmtitle",
    "productname",
    "primarytitle",
)
"""Usual names of titles without case and signs; the first that is there counts."""
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


def with_title(frame: pl.DataFrame, column: str | None = None) -> pl.DataFrame:
    """The column, by default one with a usual name (TITLES), under the name `title`."""
    if column is None:
        by_word = {re.sub(r"[\s_-]", "", name.lower()): name for name in frame.columns}
        column = next((by_word[word] for word in TITLES if word in by_word), None)
    if column is None or column == "title":
        return frame
    return frame.drop("title", strict=False).rename({column: "title"})


def described(frame: pl.DataFrame) -> pl.DataFrame:
    """Titles trimmed, a year column from titles that end in one, lists split (a missing list stays null)."""
    if "title" in frame.columns and frame["title"].dtype == pl.String:
        frame = with_year(frame)
    return frame.with_columns(
        _lists(frame[c]) for c in LIST_COLUMNS if c in frame.columns and frame[c].dtype == pl.String
    )


def _lists(column: pl.Series) -> pl.Series:
    """Lists of text: from JSON or Python lists, or texts with |, ; or (genres and tags) commas between their parts."""
    each = column.unique()
    lists = pl.Series("lists", [_parts(value, column.name) for value in each.to_list()], dtype=pl.List(pl.String))
    by_text = pl.DataFrame([each.alias("text"), lists])
    asked = column.alias("text").to_frame()
    found = asked.join(by_text, on="text", how="left", maintain_order="left", nulls_equal=True)
    return found["lists"].alias(column.name)


def _parts(value: str | None, column: str) -> list[str] | None:
    if value is None or value == "(no genres listed)":
        return None if value is None else []
    if value.strip()[:1] == "[" and value.strip()[-1:] == "]" and (members := _members(value)) is not None:
        return members
    if "|" in value:
        return value.split("|")
    sign = ";" if ";" in value else "," if column in ("genres", "tags") else None
    return (
        [value] if sign is None or sign not in value else [part.strip() for part in value.split(sign) if part.strip()]
    )


def _members(value: str) -> list[str] | None:
    """The texts of a JSON or Python list, or the names of its objects; None for something else."""
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    names = [one.get("name") if isinstance(one, dict) else one for one in found]
    return [str(name) for name in names if name is not None]


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
