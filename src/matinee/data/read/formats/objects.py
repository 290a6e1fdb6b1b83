"""Objects of a JSON file as columns. Each value has the kind of its column, or an error says where it stands."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.read.assemble import Log
from matinee.data.read.formats.base import events, warn
from matinee.data.read.numbers import shown
from matinee.data.read.tables import Table, content
from matinee.errors import MatineeError, either, worded_for

Objects = Sequence[Mapping[str, Any]]
Place = Callable[[int], str]
EXACT = 2**53  # beyond it a float stands for several integers


@dataclass(frozen=True)
class Placed(Table):
    """A table that knows the place of each row: an object, or an entry of a list."""

    at: Place = lambda row: f"row {row + 1}"

    def place(self, row: int, column: str | None = None) -> str:
        place = self.at(row if self.kept is None else int(self.kept[row]))
        return place if column is None else f"{place}, '{column}'"


def json_of(path: Path) -> Any:
    """What a JSON file holds. Raises MatineeError where it is none."""
    try:
        return json.loads(content(path))
    except (ValueError, RecursionError) as error:
        raise MatineeError(f"is no JSON: {error}", where=path.name, hint="fetch the file again") from None


def columns_of(objects: Objects, kinds: Mapping[str, Any], at: Place) -> pl.DataFrame:
    """The values of these keys, a row an object; null where an object has no such key. Raises MatineeError naming the
    place of the first value that is of another kind than its column.

    kinds: Int64, String, or lists of them. A whole number where text is wanted is read as its digits, and digits where
    a whole number is wanted as that number. at: the place of an object.
    """
    return pl.DataFrame([_column(name, [one.get(name) for one in objects], kind, at) for name, kind in kinds.items()])


def log_of_lists(table: Table, which: str, item: str) -> Log:
    """The log of lists and their items. No hint names `bad_rows`, which is no option of files of objects."""
    with worded_for("python", fallback=True, without=("bad_rows",)):
        return events(table, which, item)


def entry(sizes: Sequence[int], row: int) -> tuple[int, int]:
    """The list, from 0, and the place in it, from 1, of a row of all entries, from 0."""
    ends = list(itertools.accumulate(sizes))
    number = next(number for number, end in enumerate(ends) if row < end)
    return number, row - ends[number] + sizes[number] + 1


def once(lists: Table, column: str) -> Table:
    """The first list of each id; a MatineeWarning counts the others, whose entries become entries of the first."""
    first = lists.frame[column].is_first_distinct()
    if many := int((~first).sum()):
        row = (~first).arg_max() or 0
        have = either(many, "list has", "lists have")
        text = f"{lists.name}: {many:,} {have} the {column} of an earlier one, the first is {lists.place(row)}; "
        warn(f"{text}lists with one {column} are put together, under the title of the earliest")
    return lists.without(~first) if many else lists


def _column(name: str, values: list[Any], kind: Any, at: Place) -> pl.Series:
    """Types are compared at once; only where one is odd, each value is looked at."""
    of = kind.inner if isinstance(kind, pl.List) else kind
    lists = of is not kind
    usual = {type(None), str if of == pl.String else int}
    inner = itertools.chain.from_iterable(filter(None, values)) if lists else iter(values)
    if (not lists or set(map(type, values)) <= {list, type(None)}) and set(map(type, inner)) <= usual:
        with contextlib.suppress(TypeError, ValueError, OverflowError):  # too large a number, or text that is not UTF-8
            return pl.Series(name, values, dtype=kind)
    read = [
        _list(one, of, at, row, name) if lists else _value(one, of, at, row, name) for row, one in enumerate(values)
    ]
    return pl.Series(name, read, dtype=kind)


def _list(found: Any, of: Any, at: Place, row: int, name: str) -> list[Any] | None:
    if found is None:
        return None
    if not isinstance(found, list):
        raise MatineeError(f"{shown(found)} is no list", where=f"{at(row)}, '{name}'", hint="write it as a list: [...]")
    return [_value(one, of, at, row, name, number) for number, one in enumerate(found, start=1)]


def _value(found: Any, of: Any, at: Place, row: int, name: str, number: int | None = None) -> Any:
    """A value as it is read. number: its place in a list."""
    try:
        return None if found is None else _text(found) if of == pl.String else _whole(found)
    except ValueError as error:
        where = f"{at(row)}, '{name}'" if number is None else f"{at(row)}, '{name}', value {number}"
        what = "text" if of == pl.String else "a whole number"
        hint = f"correct it in the file: {what} is expected, or null where there is none"
        raise MatineeError(f"{shown(found)} {error}", where=where, hint=hint) from None


def _text(found: Any) -> str:
    """Text, or the digits of a whole number. Raises ValueError for what else there is."""
    if type(found) is int:
        return str(found)
    if not isinstance(found, str):
        raise ValueError("is no text")
    if any("\ud800" <= sign <= "\udfff" for sign in found):
        raise ValueError("holds half of a character, which UTF-8 cannot say")
    return found


def _whole(found: Any) -> int:
    """A whole number, also one that is written as 2.0 or "2". Raises ValueError for what else there is."""
    whole = found if type(found) is int else None
    if isinstance(found, float) and found.is_integer() and abs(found) <= EXACT:
        whole = int(found)
    if isinstance(found, str) and found.isascii() and found.removeprefix("-").isdigit() and str(int(found)) == found:
        whole = int(found)
    if whole is None:
        raise ValueError("is no whole number")
    if not -(2**63) <= whole < 2**63:
        raise ValueError("does not fit into 64 bits")
    return whole
