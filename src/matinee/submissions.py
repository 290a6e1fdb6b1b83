"""Tables for competitions: a model's lists for named users, in their order, and a check against a sample submission."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from matinee.data.dataset import Dataset, Scorer
from matinee.data.filters import Moment
from matinee.data.ids import Id, IdMap
from matinee.data.query import queries_of_codes, refuse_no_histories, with_request_time
from matinee.data.read.options import TableFile
from matinee.errors import MatineeError, MatineeWarning, audience, counted, either, option, worded_for
from matinee.files import StrPath, atomic_path
from matinee.rank import Allowed, Recommendations, recommend
from matinee.rules import Rules

if TYPE_CHECKING:
    import polars as pl

    from matinee.data.read.tables import Table

COLUMNS = ("user_id", "item_id")
AUTO = "auto"
TABLES = (".csv", ".tsv", ".parquet", ".pq")
WHOLE = r"^-?(0|[1-9]\d*)$"


class FittedScorer(Scorer, Protocol):
    """A model that was fitted on a log."""

    @property
    def data(self) -> Dataset: ...


def submission(
    model: FittedScorer, users: StrPath | Iterable[Id] | Any, k: int = 10, *, user_id: str = AUTO,
    columns: Sequence[str] = COLUMNS, wide: bool = False, exclude_seen: bool = True, at: Moment | None = None,
    allow: Allowed | None = None, deny: Allowed | None = None, rules: Rules | None = None, progress: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """A model's k best items for exactly these users, in their order: one row a user and item, best first.

    users: ids; a dataframe; or a file, or a `table` that says how it is written: .csv, .tsv, .parquet with a column of
    users (`user_id` names it; otherwise it is called like the first of `columns`, or by a usual name), or text with an
    id a line. A user who is named again is answered once, at the first place. Ids come back as the model has them.
    columns: the names of the table's two columns. wide: one row a user, the items in one text, separated by spaces.
    exclude_seen, at, allow, deny, rules: as in `query` and `recommend`.

    A MatineeWarning counts users named again, users who are not in the model's log (they get popular items), users of
    whose history the model knows nothing (the same), and users for whom fewer than k items are left.
    Raises MatineeError where no users are found, for a model without histories, and for wide item ids with spaces.

    Example: `mt.submission(model, [196, 7], k=10, columns=("user", "item"))`
    """
    if len(columns) != 2 or len(set(columns)) != 2 or not all(columns):
        what = f"{list(columns)} are not the names of two columns"
        raise MatineeError(what, hint='pass for example columns=("user", "item")')
    refuse_no_histories(model.data)
    named = user_ids(users, user_id, usual=columns[0])
    ids = named.unique(maintain_order=True)
    if again := len(named) - len(ids):
        _warn(
            f"{counted(again, 'row names', 'rows name')} a user again: users are answered once, where they come first"
        )
    ids = _as_in(model.users, ids)
    codes = model.users.encode(ids)
    queries = queries_of_codes(model.data, codes, exclude_seen=exclude_seen)
    queries = queries if at is None else with_request_time(queries, at)
    recs = recommend(model, queries, k, allow=allow, deny=deny, rules=rules, progress=progress)
    for text in _told(recs):
        _warn(text)
    return _wide(recs, ids, columns) if wide else _long(recs, ids, columns)


def user_ids(users: StrPath | Iterable[Id] | Any, user_id: str = AUTO, *, usual: str = COLUMNS[0]) -> pl.Series:
    """The ids of `submission`'s users as they come, repeats included: Int64, or String. usual: a name to try first.
    Raises MatineeError where there are none, and where their column is not found."""
    import polars as pl

    if isinstance(users, str | os.PathLike | TableFile):
        file = users if isinstance(users, TableFile) else TableFile(path=Path(users))
        ids, where = _ids_of_file(file, user_id, usual, _worded(users)), str(file.path)
    elif hasattr(users, "__arrow_c_stream__") and not isinstance(users, pl.Series):
        from matinee.data.read.tables import table_of

        ids, where = _ids_of_table(table_of(users), user_id, usual), "the dataframe"
    else:
        ids, where = _ids_of_values(list(users)), "the users"
    if not len(ids) and where == "the users":
        raise MatineeError("there are no users to answer", hint="pass one id or more")
    if not len(ids):
        raise MatineeError("names no user", where=where, hint="pass one user or more")
    return ids


@contextlib.contextmanager
def _worded(users: object) -> Iterator[None]:
    """Hints about a file of users in the words of its own options; a plain path of Python has none, but `table` has."""
    try:
        with worded_for(audience(), table="for-users"):
            yield
    except MatineeError as error:
        if audience() != "python" or isinstance(users, TableFile) or "encoding=" not in (error.hint or ""):
            raise
        hint = f"name the file's encoding: mt.table({os.fspath(users)!r}, encoding='latin-1')"  # type: ignore[call-overload]
        raise MatineeError(error.what, where=error.where, hint=hint.replace("'", '"')) from error


def _as_in(known: IdMap, ids: pl.Series) -> pl.Series:
    """Ids of the type that a model has, where all can be."""
    import polars as pl

    if not known.is_integer:
        return ids.cast(pl.String)
    whole = ids.dtype == pl.String and ids.str.contains(WHOLE).all()
    numbers = ids.cast(pl.Int64, strict=False) if whole else ids
    return ids if numbers.null_count() else numbers


def write_submission(frame: pl.DataFrame, path: StrPath, *, header: bool = True) -> Path:
    """Write a table to a .csv, .tsv, .parquet or .jsonl file, whole or not at all. header: of .csv and .tsv.

    Example: `mt.write_submission(mt.submission(model, [196, 7]), "submission.csv")`
    """
    path = Path(path)
    check_format(path, header=header)
    with atomic_path(path) as temp:
        if path.suffix in (".csv", ".tsv"):
            frame.write_csv(temp, include_header=header, separator="," if path.suffix == ".csv" else "\t")
        elif path.suffix == ".parquet":
            frame.write_parquet(temp)
        else:
            frame.write_ndjson(temp)
    return path


def check_format(path: Path, *, header: bool = True) -> None:
    """Raise MatineeError for a suffix that `write_submission` does not know."""
    known = (".csv", ".tsv", ".parquet", ".jsonl")
    if path.suffix not in known:
        hint = f"use one of {', '.join(known)}"
        raise MatineeError(f"unknown kind of file {path.suffix!r}", where=str(path), hint=hint)
    if not header and path.suffix not in known[:2]:
        raise MatineeError("only .csv and .tsv can be without a header", where=str(path), hint="write a .csv file")


def check_submission(submission: StrPath | Any, sample: StrPath | Any, *, header: bool = True) -> None:
    """Raise MatineeError where a submission differs from a sample submission in anything but its items.

    Both are files (.csv, .tsv, .parquet) or dataframes of two columns, users and items; cells of several items are
    separated by spaces. Compared are the names of the columns, the number of rows, the user of each row, how many items
    a row has, and whether ids are whole numbers; no list may name an item twice. The error names for each kind of
    difference how many rows have it, and the first. header: False for files without a header line.

    Example: `mt.check_submission(mt.submission(model, [196, 7]), mt.submission(model, [196, 7]))`
    """
    mine, theirs = (_table(source, header=header) for source in (submission, sample))
    if found := list(_differences(mine, theirs)):
        hint = "make the submission for the users of the sample, in their order, with as many items each"
        raise MatineeError(f"differs from {theirs.name}: {'; '.join(found)}", where=mine.name, hint=hint)


# --- users ------------------------------------------------------------------------------------------------------------


def _ids_of_file(
    file: TableFile, user_id: str, usual: str, worded: contextlib.AbstractContextManager[None]
) -> pl.Series:
    """Int64 or String, from a table, or from text with an id a line. worded: for hints of how it is written."""
    from matinee.data.read.tables import decoded, dialect_of, table_of

    path, user_id = Path(file.path), str(file.user_id or user_id)
    plain = path.suffix if path.suffix != ".gz" else Path(path.stem).suffix
    if user_id != AUTO or plain in TABLES or not path.is_file():
        with worded:
            table = table_of(path, dialect_of(file))
        return _ids_of_table(table, user_id, usual)
    with worded:
        lines = [line.strip() for line in decoded(path, file.encoding).splitlines()]
    lines = [line for line in lines if line]
    if lines and _usual(lines[:1], usual) is not None:
        lines = lines[1:]
    return _ids_of_values(lines, text=True)


def _ids_of_table(table: Table, user_id: str, usual: str) -> pl.Series:
    """Int64 or String."""
    import polars as pl

    from matinee.data.read.columns import id_column, unify_ids

    there = table.frame.columns
    column = user_id if user_id in there else _usual(there, usual) if user_id == AUTO else None
    if len(there) == 1 and table.dialect.header is False:
        column = there[0]
    if column is None and len(there) == 1 and user_id == AUTO and table.is_text:
        ids = table.frame[there[0]]
        if ids.str.contains(WHOLE).all() and pl.Series(there).str.contains(WHOLE).all():
            return _ids_of_values([there[0], *ids], text=True)  # no header: a column is not called 17
    if column is None:
        wanted = "column of users" if user_id == AUTO else f"column {user_id!r}"
        what = f"there is no {wanted}; it has {', '.join(map(repr, there[:20]))}"
        raise MatineeError(what, where=table.name, hint=f"name it, e.g. {option('user_id', there[0])}")
    return unify_ids([(id_column(table, column), table.is_text)])[0]


def _usual(names: Sequence[str], first: str) -> str | None:
    """Of these names the one to try first, or one that a column of users usually has."""
    from matinee.data.read.columns import NAMES

    if first in names:
        return first
    plain = {name.lower().replace("_", ""): name for name in reversed(names)}
    return next((plain[usual] for usual in NAMES["user_id"] if usual in plain), None)


def _ids_of_values(values: list[Any], *, text: bool = False) -> pl.Series:
    """Int64 or String. text: they were read from a file, where numbers are text."""
    import polars as pl

    from matinee.data.read.columns import unify_ids

    if all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values):
        return pl.Series("user", [int(value) for value in values], pl.Int64)
    if not all(isinstance(value, str) for value in values):
        raise MatineeError("user ids are neither all integers nor all text", hint="pass ids of one type, without gaps")
    ids = pl.Series("user", values, pl.String)
    return unify_ids([(ids, True)])[0] if text else ids


# --- the table --------------------------------------------------------------------------------------------------------


def _warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=3)


def _told(recs: Recommendations) -> Iterator[str]:
    """Warnings about users who do not get what was asked for."""
    users, unknown = counted(len(recs), "user"), recs.user < 0
    if n := int(unknown.sum()):
        yield f"{n:,} of {users} {either(n, 'is', 'are')} not in the model's log: popular items answer"
    if n := int((recs.fallback & ~unknown).sum()):
        whose = f"{n:,} of {users} {either(n, 'has a history', 'have histories')}"
        yield f"{whose} of which the model knows nothing: popular items answer"
    found = np.count_nonzero(recs.item >= 0, axis=1)
    if n := int((found < recs.k).sum()):
        fewer = f"{n:,} of {users} {either(n, 'gets', 'get')} fewer than {counted(recs.k, 'item')}"
        yield f"{fewer}, the fewest {found.min():,}: nothing else may be recommended"


def _long(recs: Recommendations, ids: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    row, place = np.nonzero(recs.item >= 0)
    items = recs.items.series.gather(recs.item[row, place])
    return pl.DataFrame([ids.gather(row).alias(columns[0]), items.alias(columns[1])])


def _wide(recs: Recommendations, ids: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    long = _long(recs, pl.Series(range(len(ids))), ["row", "item"]).with_columns(pl.col("item").cast(pl.String))
    spaced = long.filter(pl.col("item").str.contains(r"\s"))
    if len(spaced):
        what = f"the item id {spaced['item'][0]!r} has a space in it, which separates items in a wide table"
        raise MatineeError(what, hint="write one row an item")
    joined = long.group_by("row", maintain_order=True).agg(pl.col("item").str.join(" "))
    rows = pl.DataFrame({"row": range(len(ids))}).join(joined, on="row", how="left", maintain_order="left")
    return pl.DataFrame([ids.alias(columns[0]), rows["item"].fill_null("").alias(columns[1])])


# --- the check --------------------------------------------------------------------------------------------------------


def _table(source: StrPath | Any, *, header: bool) -> Table:
    """Two columns."""
    from matinee.data.read.tables import Dialect, table_of

    table = table_of(source) if header else table_of(source, Dialect(header=COLUMNS))
    if not isinstance(source, str | os.PathLike):
        table = replace(table, name="the submission")
    if table.frame.width != 2:
        what = f"has {counted(table.frame.width, 'column')}, not one of users and one of items"
        raise MatineeError(what, where=table.name, hint="leave the other columns out")
    return table


def _differences(mine: Table, theirs: Table) -> Iterator[str]:
    """Each kind of difference: how many rows have it, and the first."""
    if mine.frame.columns != theirs.frame.columns:
        yield f"its columns are {', '.join(mine.frame.columns)}, in the sample {', '.join(theirs.frame.columns)}"
    if mine.frame.height != theirs.frame.height:
        yield f"it has {counted(mine.frame.height, 'row')}, the sample {theirs.frame.height:,}"
    height = min(mine.frame.height, theirs.frame.height)
    users, items = _texts(mine)
    wanted_users, wanted_items = _texts(theirs)
    other = users[:height] != wanted_users[:height]
    yield from _said(other, "another user", theirs, users, wanted_users)
    lengths, wanted = (column.str.count_matches(r"\S+") for column in (items, wanted_items))
    other = lengths[:height] != wanted[:height]
    yield from _said(other, "another number of items", theirs, lengths, wanted)
    for what, ids, sample in (("user", users, wanted_users), ("item", items, wanted_items)):
        pattern = r"^(-?(0|[1-9]\d*)( |$))+$"
        if len(sample) and sample.str.contains(pattern).all():
            wrong = ~ids.str.contains(pattern) & (ids != "")
            yield from _said(wrong, f"{what} ids that are no whole numbers, as the sample's are", mine, ids)
    yield from _said(_repeats(users, items), "an item that the user's list has already", mine, items)


def _texts(table: Table) -> list[pl.Series]:
    """Both columns as String, "" where a cell is empty."""
    import polars as pl

    return [column.cast(pl.String).fill_null("") for column in table.frame]


def _repeats(users: pl.Series, items: pl.Series) -> pl.Series:
    """Boolean (rows,): whether a row names an item that its user's list has already, in this row or above it."""
    import polars as pl

    rows = pl.DataFrame({"row": range(len(users)), "user": users, "item": items.str.split(" ")}).explode("item")
    rows = rows.filter(pl.col("item").fill_null("") != "")
    again = rows.filter(~pl.struct("user", "item").is_first_distinct())["row"].unique()
    return pl.Series(range(len(users)), dtype=pl.Int64).is_in(again.implode())


def _said(rows: pl.Series, what: str, at: Table, mine: pl.Series, sample: pl.Series | None = None) -> Iterator[str]:
    """How many of the rows have something, and the first: its place in this table, and what both tables hold there."""
    if not rows.any():
        return
    row = rows.arg_max() or 0
    there = f"{mine[row]!r}" if sample is None else f"{mine[row]!r}, in the sample {sample[row]!r}"
    yield f"{counted(int(rows.sum()), 'row has', 'rows have')} {what}, first {at.place(row)} ({there})"
