"""Files of whole histories: one user with their items a line, or one anonymous session a line."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl

from matinee.data.read.assemble import Log, SideTable
from matinee.data.read.tables import Table, decoded
from matinee.errors import MatineeError, MatineeWarning, option


def read_sequences(path: Path, encoding: str = "utf-8", *, named: bool, skip: bool = False) -> Log:
    """One user (named: the user's id, then items) or one anonymous session (items alone) a line, in time order.

    Spaces or tabs separate ids; blank lines are left out, and sessions numbered from 1. Raises MatineeError for a user
    with two lines, or with no item; skip: such lines are left out, and a MatineeWarning counts them.
    """
    if not path.is_file():
        raise MatineeError("there is no such file", where=str(path), hint="check the path")
    users: list[str] = []
    lengths: list[int] = []
    items: list[str] = []
    seen: dict[str, int] = {}
    skipped: list[str] = []
    for number, line in enumerate(decoded(path, encoding).split("\n"), start=1):
        ids = line.split()
        if not ids:
            continue
        if named:
            user = ids.pop(0)
            if skip and (user in seen or not ids):
                skipped.append(
                    f"row {number}: user {user!r} {f'has row {seen[user]}' if user in seen else 'has no items'}"
                )
                continue
            where = f"{path.name}, row {number}"
            if user in seen:
                hint = f"put all items of a user on one line; {option('format', 'log')} reads an event a line"
                raise MatineeError(f"user {user!r} already has a line, row {seen[user]}", where=where, hint=hint)
            if not ids:
                raise MatineeError(f"user {user!r} has no items", where=where, hint="remove the line")
            seen[user] = number
            users.append(user)
        lengths.append(len(ids))
        items.extend(ids)
    if not named:
        _warn_of_pairs(lengths, items, path)
    user_ids = pl.Series("user_id", users, dtype=pl.String) if named else pl.Series(range(1, len(lengths) + 1))
    item = pl.Series("item_id", items, dtype=pl.String)
    table = Table(pl.DataFrame({"item_id": item}), path.name, path, n_skipped=len(skipped))
    if skipped:
        text = f"{path.name}: {len(skipped):,} of {len(skipped) + len(lengths):,} rows cannot be read and are left out"
        warnings.warn(f"{text} ({'; '.join(skipped[:3])})", MatineeWarning, stacklevel=2)
    return Log(table, user_ids.gather(np.repeat(np.arange(len(lengths)), lengths)), item)


def _warn_of_pairs(lengths: list[int], items: list[str], path: Path) -> None:
    """A MatineeWarning where every line has two fields and first ones come again, as in a file of users and items."""
    firsts = items[::2]
    if lengths and set(lengths) == {2} and len(set(firsts)) < len(firsts):
        how = ", ".join(option(*each) for each in (("format", "log"), ("header", False), ("separator", " ")))
        text = f"{path.name}: every line has two fields, and first ones come again: "
        warnings.warn(f"{text}if these are users and items, say {how}", MatineeWarning, stacklevel=2)


def read_attributes(path: Path) -> SideTable:
    """A JSON object {item id: [attribute, ...]}: one feature column `attributes`, a list of text for each item. Raises
    MatineeError for anything else, naming the item."""
    try:
        found = json.loads(decoded(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise MatineeError(f"is no JSON: {error}", where=str(path), hint="fetch or write it again") from None
    hint = 'write one object, {"item id": [attribute, ...], ...}'
    if not isinstance(found, dict):
        raise MatineeError(f"is a {type(found).__name__}, not an object", where=str(path), hint=hint)
    for item, values in found.items():
        if not item or not isinstance(values, list) or any(type(value) not in (int, str) for value in values):
            raise MatineeError("is no list of attributes", where=f"{path.name}, item {item!r}", hint=hint)
    ids = pl.Series("item_id", list(found), dtype=pl.String)
    names = pl.Series("attributes", [[str(v) for v in values] for values in found.values()], dtype=pl.List(pl.String))
    frame = names.to_frame()
    return SideTable(Table(frame, path.name, path), "item_id", ids, frame)
