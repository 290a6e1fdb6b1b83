"""Raw columns -> checked ids and ratings. Each refusal names the table, the row and the column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.read.dialect import SEPARATORS
from matinee.data.read.numbers import Checked, first, integers_of, numbers_of, shown
from matinee.data.read.options import AUTO, Ids, Name
from matinee.data.read.options import Unit as Unit
from matinee.data.read.tables import Table
from matinee.data.read.times import Times as Times
from matinee.data.read.times import time_column as time_column
from matinee.errors import MatineeError, near_misses, offered, option

# Case and underscores do not matter: userId, USER_ID and user_id are one name. Two of them are a question, unless the
# first, the role's own name, is there.
NAMES = {
    "user_id": ("userid", "user", "uid"),
    "item_id": ("itemid", "item", "movieid", "movie"),
    "rating": ("rating", "rate", "stars"),
    "timestamp": ("timestamp", "time", "datetime"),
}
_WORDS = {
    "user_id": ("user", "customer", "client", "visitor", "member", "reader", "session", "playlist"),
    "item_id": ("item", "product", "movie", "film", "book", "track", "song", "article", "isbn", "asin", "id"),
    "rating": ("rating", "score", "star"),
    "timestamp": ("time", "date"),
}
MISSING = frozenset({"nan", "null", "none", "na", "n/a", "<na>", "#n/a"})
_VALUE = r"-?\d+([.,]\d+)?([eE][-+]?\d+)?|\d{4}-\d\d-\d\d.*"  # a number or a date


def plain(name: str) -> str:
    """A column's name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", name.lower())


def find_column(table: Table, role: str, name: Name | None, *, required: bool) -> str | None:
    """The table's column for a role ("user_id", ...): the one named, the one at a position from 1 in a file without a
    header, or the one with a usual name. Raises MatineeError where there are two, or none and it is required."""
    there = table.frame.columns
    if name is None or name in there:
        return None if name is None else str(name)
    if isinstance(name, int) or (name.isdecimal() and table.dialect.header is False):
        return _at(table, role, int(name))
    usual = [column for word in NAMES.get(role, ()) for column in there if plain(column) == word]
    if name in (AUTO, role) and usual:
        if len(usual) > 1 and plain(usual[0]) != plain(role):
            hint = f"name one: {option(role, usual[0])} or {option(role, usual[1])}"
            hint = hint if offered(role) else f"rename one of them to {role}"
            raise MatineeError(f"{_and(usual)} may both be the {role}", where=table.name, hint=hint)
        return usual[0]
    if name == AUTO and not required:
        return None
    raise _absent(table, role, name)


def _at(table: Table, role: str, position: int) -> str:
    """The column at a position from 1."""
    there = table.frame.columns
    if table.is_text and table.dialect.header is None:
        hint = f"say {option('header', False)} where the first row is an event, or name the column"
        raise MatineeError(f"{role} is the position {position}, and the file has a header", where=table.name, hint=hint)
    if not 1 <= position <= len(there):
        hint = f"positions start at 1: {option(role, 1)} is the first column"
        what = f"{role} is the position {position}, and there are {len(there)} columns"
        raise MatineeError(what, where=table.name, hint=hint)
    return there[position - 1]


def _absent(table: Table, role: str, name: Name) -> MatineeError:
    there = table.frame.columns
    if len(there) == 1 and table.is_text and role in ("user_id", "item_id"):
        sign = _other_sign(table)
        hint = f"{option('separator', sign or ' ')} names the sign between columns"
        if sign is None:
            hint += f"; {option('format', 'sequences')} reads a user and their items a line, "
            hint += f"{option('format', 'sessions')} a session of items a line"
        hint = hint if offered("separator", "format") else "correct the file"
        return MatineeError(f"there is only one column, {there[0][:40]!r}", where=table.name, hint=hint)
    if table.is_text and table.dialect.header is None and looks_like_an_event(table):
        what = f"there is no {_wanted(role, name)}: the first row looks like an event, not like names: {_shown(there)}"
        hint = (
            f"say {option('header', False)} and where the columns are: {option('user_id', 1)}, {option('item_id', 2)}"
        )
        return MatineeError(what, where=table.name, hint=hint if offered("header") else "add a header")
    near = [] if name == AUTO else near_misses(str(name), there, 1)
    meant = f"did you mean {near[0]!r}? " if near else "name it: "
    likely = near[0] if near else _likely(role, there)
    hint = f"{meant}{option(role, likely)}" if offered(role) else f"rename the column to {role}"
    if table.dialect.header is False and offered(role):
        hint = f"say where it is: {option(role, 1)} for the first column"
    return MatineeError(f"there is no {_wanted(role, name)}; it has {_shown(there)}", where=table.name, hint=hint)


def _other_sign(table: Table) -> str | None:
    """The sign that would give the only column of a text file several, as its name and its first values have it."""
    (column,) = table.frame.columns
    rows = [column, *(str(value) for value in table.frame[column].head(5))]
    counts = {sign: min(row.count(sign) for row in rows) for sign in SEPARATORS}
    best = max(counts, key=lambda sign: counts[sign])
    return best if table.is_text and counts[best] else None


def _likely(role: str, there: Sequence[str]) -> str:
    """The first column whose name holds a word for such ids or values, as an example; "COLUMN" where none does."""
    users = _WORDS["user_id"] if role == "item_id" else ()
    rest = [name for name in there if len(name) <= 40 and not any(word in plain(name) for word in users)]
    words = enumerate(_WORDS.get(role, ()))
    found = [(not _of_ids(column), rank, column) for rank, word in words for column in rest if word in plain(column)]
    return min(found)[2] if found else "COLUMN"


def _of_ids(column: str) -> bool:
    return plain(column).startswith("id") or plain(column).endswith("id")


def looks_like_an_event(table: Table) -> bool:
    """Whether the names of a file are rather its first row: numbers or dates among them, or values that come again."""
    there = [name.removesuffix("_duplicated_0") for name in table.frame.columns]
    if any(re.fullmatch(_VALUE, name) for name in there):
        return True
    return any((table.frame[column] == name).any() for column, name in zip(table.frame.columns, there, strict=True))


def _wanted(role: str, name: Name) -> str:
    return f"column for {role}" if name == AUTO else f"column '{name}'"


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:20]))


def _and(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names[:2])


_ROLES: dict[tuple[str | None, ...], tuple[str, ...]] = {
    roles: roles for roles in ((), ("rating",), ("timestamp",), ("rating", "timestamp"))
}


def by_position(table: Table) -> dict[str, str]:
    """The columns of a file without a header: two are user and item, a third is a rating or a time, a fourth after a
    rating a time. Raises MatineeError in doubt."""
    there = table.frame.columns
    kinds = [_kind(table.frame[column], table.dialect.decimal) for column in there[2:4]]
    found = _ROLES.get(tuple(kinds)) if len(there) in (2, 3, 4) else None
    if found is None:
        hint = f"say where they are: {option('user_id', 1)}, {option('item_id', 2)}"
        what = f"the file has no header, and its {len(there)} columns may be anything: first "
        what += _shown([str(value) for value in table.frame.row(0)]) if table.frame.height else "nothing"
        if first_row_of_names(table):
            hint = f"leave {option('header', False)} out, where the first row names the columns; or {hint}"
        raise MatineeError(what, where=table.name, hint=hint)
    return dict(zip(("user_id", "item_id", *found), there, strict=False))


def first_row_of_names(table: Table) -> list[str]:
    """The first row of a text file that is read without a header, where it looks like names of columns; else []."""
    if table.dialect.header is None or not table.is_text or not table.frame.height:
        return []
    cells = [str(cell).strip() for cell in table.frame.row(0) if cell is not None]
    roles = {role for role, names in NAMES.items() for cell in cells if plain(cell) in names}
    return cells if len(roles) > 1 or cells == list(table.dialect.header or ()) else []


def _kind(column: pl.Series, decimal: str) -> str | None:
    """ "rating" for numbers up to a thousand, "timestamp" for numbers that are times by their size, and for dates."""
    numbers = numbers_of(column, decimal)
    if numbers.null_count() == 0:
        low, high = numbers.min(), numbers.max()
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        return "rating" if low >= -1000 and high <= 1000 else "timestamp" if low >= 1e8 else None
    return "timestamp" if column.str.contains(r"^\d{4}[-/]\d\d[-/]\d\d").all() else None


def id_column(table: Table, column: str) -> pl.Series:
    """Ids as Int64 or String. A text file's ids stay text here: unify_ids decides for all tables at once."""
    checked = checked_ids(table, column)
    if checked.wrong.any():
        raise checked.error(table)
    return checked.values


def checked_ids(table: Table, column: str) -> Checked:
    """Int64 or String ids, missing ones and numbers that are not whole marked."""
    ids = table.frame[column]
    if isinstance(ids.dtype, (pl.Categorical, pl.Enum)):
        ids = ids.cast(pl.String)
    if len(ids) == 0 or ids.dtype == pl.Null:
        ids = ids.cast(pl.String)  # an empty log is refused as a whole
    if ids.dtype == pl.String:
        wrong = (ids.is_null() | (ids == "")).fill_null(True)
        return Checked(column, ids, wrong, lambda row: "the id is empty", _correct("fill it in or remove the row"))
    if not (ids.dtype.is_integer() or ids.dtype.is_float()):
        what = f"ids of type {ids.dtype} are not supported"
        raise MatineeError(what, where=f"{table.name}, column '{column}'", hint="convert them to integers or text")
    whole = ids.cast(pl.Int64, strict=False)  # pandas turns integers into floats where a column once had a gap
    wrong = (whole.is_null() | (whole.cast(ids.dtype) != ids)).fill_null(True)
    largest = 2**24 if ids.dtype == pl.Float32 else 2**53  # beyond it a float stands for several integers
    inexact = (whole.abs() > (largest if ids.dtype.is_float() else 2**63 - 1)).fill_null(False)
    wrong, odd, plain = wrong | inexact, "too large: floats are not exact there", "not a 64-bit integer"
    empty = ids.is_null() | (ids.is_nan() if ids.dtype.is_float() else False)
    hint = _correct("fill it in or remove the row" if empty[first(wrong)] else "convert the ids to text")
    return Checked(
        column,
        whole,
        wrong,
        lambda row: "the id is empty" if empty[row] else f"{shown(ids[row])} is {odd if inexact[row] else plain}",
        hint,
    )


def _correct(hint: str) -> str:
    return f"{hint}; {option('bad_rows', 'skip')} leaves such rows out" if offered("bad_rows") else hint


def missing_words(ids: pl.Series) -> pl.Series:
    """bool (n,): ids that are a word for a missing value, such as nan or NULL."""
    return ids.str.to_lowercase().is_in(list(MISSING)).fill_null(False)


def unify_ids(columns: Sequence[tuple[pl.Series, bool]], kind: Ids = "auto") -> list[pl.Series]:
    """Give the id columns of several tables one type. columns: (ids, True where they were read from a text file).

    Text becomes Int64 only when every id of every text column is a canonical integer ("7", not "007" or "7.0") and no
    dataframe holds strings: nothing is lost, and 7 in a Parquet log matches "7" in a CSV table. kind "text": all become
    text; "integer": MatineeError for one that is none.
    """
    if kind == "text":
        return [ids.cast(pl.String) for ids, _ in columns]
    if kind == "integer":
        for ids, _ in columns:
            if ids.dtype == pl.String and integers_of(ids) is None:
                wrong = ids.filter((ids.cast(pl.Int64, strict=False).cast(pl.String) != ids).fill_null(True))
                raise MatineeError(
                    f"the id {shown(wrong[0])} is no integer", hint=f"read them as text: {option('ids', 'text')}"
                )
        return [ids if ids.dtype != pl.String else ids.cast(pl.Int64) for ids, _ in columns]
    strings_by_choice = any(ids.dtype == pl.String and not is_text for ids, is_text in columns)
    integers = [integers_of(ids) if ids.dtype == pl.String else ids for ids, _ in columns]
    if strings_by_choice or any(ids is None for ids in integers):
        if all(ids.dtype == pl.String or is_text for ids, is_text in columns):
            return [ids.cast(pl.String) for ids, _ in columns]
        return [ids for ids, _ in columns]  # a real mixture: IdMap refuses it
    return [ids for ids in integers if ids is not None]


def rating_column(table: Table, column: str) -> NDArray[np.float32]:
    """float32 (n,), all finite."""
    checked = checked_ratings(table, column)
    if checked.wrong.any():
        raise checked.error(table)
    return checked.values.to_numpy()


def checked_ratings(table: Table, column: str, what: str = "rating") -> Checked:
    """Float32 ratings, or weights; values that are not finite numbers are marked."""
    raw = table.frame[column]
    values = numbers_of(raw, table.dialect.decimal).cast(pl.Float32)
    wrong = ~values.is_finite().fill_null(False)

    def reason(row: int) -> str:
        return f"the {what} is empty" if raw[row] is None else f"the {what} is not a finite number: {shown(raw[row])}"

    hint = f"correct or remove the row, or read the log without {what}s ({option(what, None)})"
    if wrong.any() and isinstance(raw[first(wrong)], str) and re.fullmatch(r"-?\d+,\d+", raw[first(wrong)].strip()):
        hint = f"say {option('decimal', ',')}, or {hint}"
    return Checked(column, values, wrong, reason, hint if offered(what) else "correct the row")


def guess_types(frame: pl.DataFrame, *, keep: Sequence[str] = (), decimal: str = ".") -> pl.DataFrame:
    """Columns of a text file as numbers where all their values are: canonical integers, or finite decimals."""
    changed = []
    for column in frame.iter_columns():
        if column.dtype != pl.String or column.name in keep or column.null_count() == len(column):
            continue
        typed = integers_of(column)
        if typed is None:
            column = column if decimal == "." else column.str.replace(decimal, ".", literal=True)
            floats = column.cast(pl.Float64, strict=False)
            plain = column.drop_nulls().str.contains(r"^-?(0|[1-9]\d*)(\.\d+)?$").all()
            typed = floats if plain and floats.null_count() == column.null_count() else None
        if typed is not None:
            changed.append(typed)
    return frame.with_columns(changed)
