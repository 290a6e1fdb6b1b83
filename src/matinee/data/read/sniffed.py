"""What `sniff` says of a file, and the lines of TOML that read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import tomli_w

from matinee.data.read.options import TextOptions
from matinee.errors import COLUMNS

WHOLE_LINES = ("sequences", "sessions")


@dataclass(frozen=True)
class Sniffed:
    """What a file or folder looks like.

    kind: "log", "items" or "users" (a table that describes them), "folder", or "other", where nothing here can be read
    as a log, and `problem` says why. file: "text", "json", "parquet" or "folder". read: what of it was read.
    separator, quote, header: of text; quote None: nothing is quoted. columns: each column -> its likely role, "" for
    none. guessed: roles that no name told. options: those of `read` that it needs, columns among them. time: "dates",
    a format, or the unit s, ms, us or ns. first, last: the times of the first and the last event of what was read.
    rows: all of the file; rows_exact False: estimated by bytes. rows None: not known. first_rows: as they would be
    read. doubts: what may be otherwise, a sentence each. files: those of a folder. suggested: further keys of [data]
    that change what events count, such as a column of weights; they are comments in `toml`, and not in `table`.

    Example: `print(mt.sniff("log.csv").doubts)`
    """

    path: str
    kind: str
    file: str
    n_bytes: int
    read: str = "nothing"
    compression: str | None = None
    encoding: str | None = None
    separator: str | None = None
    quote: str | None = None
    header: bool | None = None
    format: str | None = None
    columns: Mapping[str, str] | None = None
    options: Mapping[str, Any] | None = None
    time: str | None = None
    first: datetime | None = None
    last: datetime | None = None
    rows: int | None = None
    rows_exact: bool = False
    first_rows: tuple[Mapping[str, Any], ...] = ()
    doubts: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    problem: str | None = None
    files: tuple[Sniffed, ...] = ()
    suggested: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> dict[str, Any]:
        """The keys of a recipe's [data] that read it; {} where it is no log."""
        if self.kind not in ("log", "folder") or self.options is None:
            return {}
        given = dict(self.options)
        columns = {role: given.pop(role) for role in COLUMNS if role in given}
        return {"source": self.path} | ({"columns": columns} if columns else {}) | given

    @property
    def toml(self) -> str:
        """`table` as a [data] table to paste; the line `items` or `users` of it for a table that describes these."""
        if self.kind in ("items", "users"):
            given = {name: value for name, value in (self.options or {}).items() if name in _OF_TABLES}
            return _line(self.kind, {"path": self.path, **given} if given else self.path)
        lines = ["[data]", *(_line(*each) for each in self.table.items()), *self.comments]
        return "\n".join(lines) if self.table else ""

    @property
    def comments(self) -> list[str]:
        """What is suggested, as lines that are comments."""
        keys = dict(self.suggested)
        if "weight" in keys:
            columns = {**self.table.get("columns", {}), "weight": keys.pop("weight")}
            keys = {"columns": columns, **keys}
        return [f"# {_line(*each)}" for each in keys.items()]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, with the table and its text."""
        plain = asdict(self) | {"files": [each.to_dict() for each in self.files]}
        return plain | {"table": self.table, "toml": self.toml}


_OF_TABLES = (*TextOptions.model_fields, "user_id", "item_id", "title")


def _line(key: str, value: Any) -> str:
    """One line of TOML."""
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", key) is not None
    return f"{key if bare else _value(key)} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_line(*each) for each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return tomli_w.dumps({"x": value}).strip().removeprefix("x = ")
