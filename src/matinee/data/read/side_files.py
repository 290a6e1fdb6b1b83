"""Tables of users and items beside a log: how they are written, and the column of their ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from matinee.data import side
from matinee.data.read.assemble import SideTable, side_of
from matinee.data.read.columns import find_column, guess_types, plain
from matinee.data.read.options import AUTO, Name, ReadOptions, TableFile, TextOptions, parsed
from matinee.data.read.tables import Dialect, Table, dialect_of, table_of
from matinee.data.read.text import UTF8, is_utf8, start
from matinee.errors import MatineeError, audience, option, worded_for


def needed(table: Table, role: str, name: Name) -> str:
    found = find_column(table, role, name, required=True)
    assert found is not None
    return found


def side_table(source: Any, role: str, like: str, options: ReadOptions) -> SideTable | None:
    """A side table: its ids, in a column named like the log's, by a usual name or "id", and its other columns."""
    if source is None:
        return None
    written = isinstance(source, dict) and "path" in source  # else a dict is the table itself, by its columns
    if written or isinstance(source, TableFile):
        which: Literal["users", "items"] = "users" if role == "user_id" else "items"
        with worded_for(audience(), without=set(ReadOptions.model_fields) - set(TableFile.model_fields), table=which):
            return _written_table(parsed(TableFile, source) if written else source, role, like, options)
    return _written_table(source, role, like, options)


def _written_table(source: Any, role: str, like: str, options: ReadOptions) -> SideTable:
    """The same of a table that is written as its own options say, or as the log."""
    named: Name = AUTO
    title: Name | None = None
    if isinstance(source, TableFile):
        table = table_of(source.path, _own_or_as_the_log(source, options))
        named, title = getattr(source, role) or AUTO, source.title
    else:
        table = table_of(source, like_the_log(source, options))
    usual = named == AUTO and like in table.frame.columns
    column = like if usual else _ids_of(table, role, named, own=isinstance(source, TableFile))
    rest = table.frame.drop(column)
    if role == "item_id" or title is not None:  # a list has a title too, where somebody names its column
        rest = side.with_title(rest, None if title is None else needed(table, "title", title))
    decimal = table.dialect.decimal
    rest = guess_types(rest, keep=side.TEXT, decimal=decimal) if table.is_text else rest
    return side_of(table, column, side.described(rest))


def _own_or_as_the_log(source: TableFile, options: ReadOptions) -> Dialect:
    """How a table with options of its own is written: as these say, and otherwise as the log, where that fits."""
    own, like = dialect_of(source), like_the_log(source.path, options)
    said = source.model_fields_set & TextOptions.model_fields.keys()
    return replace(like, **{name: getattr(own, name) for name in said})


def _ids_of(table: Table, role: str, named: Name, *, own: bool) -> str:
    """The ids of a side table: the column that is named, one with a usual name, or "id". own: the options are its own,
    not the log's."""
    only = [column for column in table.frame.columns if plain(column) == "id"]
    if named == AUTO and len(only) == 1 and find_column(table, role, AUTO, required=False) is None:
        return only[0]
    if own:
        return needed(table, role, named)
    try:
        with worded_for(audience(), without=(role,)):
            return needed(table, role, named)
    except MatineeError as error:
        if table.source is None:
            raise
        raise MatineeError(error.what, where=error.where, hint=_own_option(table, role)) from None


def _own_option(table: Table, role: str) -> str:
    """How the ids of a side table are named: by an option of its own."""
    what, path, columns = f"{role[:-3]}s", str(table.source), table.frame.columns
    once = [column for column in columns if table.frame[column].n_unique() == table.frame.height]
    column = (once or columns)[0]
    if audience() == "python":
        return f"name its ids: {what}=mt.table({path!r}, {role}={column!r})".replace("'", '"')
    if audience() == "recipe":
        return f'name its ids: {what} = {{ path = "{path}", {role} = "{column}" }}'
    with worded_for("command", table=what):
        return f"name its ids: {option(role, column)}"


def like_the_log(source: Any, options: ReadOptions) -> Dialect:
    """How a plain file beside the log is written: as the log, where that fits."""
    if not isinstance(source, (str, Path)) or not Path(source).is_file():
        return Dialect()
    beginning = start(Path(source))
    encoding = options.encoding
    if encoding.lower() not in UTF8 and is_utf8(beginning):
        encoding = "utf-8"
    separator = options.separator
    if separator is not None and separator.encode() not in beginning.partition(b"\n")[0]:
        separator = None
    return Dialect(separator, options.quote, encoding, None, options.escape, options.comment, options.decimal)
