"""The error that every part of Matinee raises for what a user can put right."""

from __future__ import annotations

import contextlib
import difflib
import shlex
from collections.abc import Collection, Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Literal

Audience = Literal["python", "command", "recipe"]
COLUMNS = ("user_id", "item_id", "rating", "timestamp", "weight")
"""The roles of a log's columns: arguments of Python, options of a command, and keys of a recipe's `columns`."""
_AUDIENCE: ContextVar[Audience | None] = ContextVar("audience", default=None)
_WITHHELD: ContextVar[frozenset[str]] = ContextVar("withheld", default=frozenset())
_TABLE: ContextVar[str | None] = ContextVar("table", default=None)
_OTHERWISE = {"exclude_seen": "--include-seen", "overwrite": "--overwrite"}  # switches of the command line
_SIGNS = {"\t": "tab", " ": "space", "::": "::"}


class MatineeError(Exception):
    """Says what went wrong, where, and what to do. Printed as "where: what", then "hint: ..." on a line of its own.

    what:  one sentence, e.g. "rating is not a finite number: 'nan'"
    where: a file, row or column as the user knows it, e.g. "log.csv, row 17, column 'stars'"
    hint:  what to do now, e.g. "remove the row or pass a mapping with rating=None"
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = what, where, hint
        text = what if where is None else f"{where}: {what}"
        super().__init__(text if hint is None else f"{text}\n  hint: {hint}")

    def __reduce__(self) -> tuple[partial[MatineeError], tuple[()]]:
        return partial(MatineeError, self.what, where=self.where, hint=self.hint), ()


@contextlib.contextmanager
def worded_for(
    audience: Audience, *, fallback: bool = False, without: Iterable[str] = (), table: str | None = None
) -> Iterator[None]:
    """Word hints of this block for users of Python (the default), of the command line, or of recipes.

    fallback: only where no block around this one has chosen. without: options that this call does not have. table:
    "users" or "items", where the options are those of that table."""
    chosen = _AUDIENCE.get() if fallback else None
    tokens = _AUDIENCE.set(chosen or audience), _WITHHELD.set(_WITHHELD.get() | frozenset(without))
    of_table = _TABLE.set(table or _TABLE.get())
    try:
        yield
    finally:
        _AUDIENCE.reset(tokens[0])
        _WITHHELD.reset(tokens[1])
        _TABLE.reset(of_table)


def audience() -> Audience:
    """Whom hints are worded for."""
    return _AUDIENCE.get() or "python"


def offered(*names: str) -> bool:
    """Whether the caller has these options in this call: a hint must not name another."""
    return not _WITHHELD.get() & frozenset(names)


def option(name: str, value: object) -> str:
    """An option with a value, as the caller writes it: encoding="latin-1", --encoding latin-1, or encoding = "latin-1"
    in a recipe. None is spelled "none" where there is no None."""
    if audience() == "python":
        return f"{name}={_quoted(value)}"
    table = _TABLE.get()
    if audience() == "command" and table is not None:
        return f"--{table}-option {shlex.quote(f'{name}={_typed(value)}')}"
    if audience() == "command":
        return _OTHERWISE.get(name) or f"--{name.replace('_', '-')} {shlex.quote(_typed(value))}"
    text = _quoted("none" if value is None else str(value).lower() if isinstance(value, bool) else value)
    text = text.strip('"') if isinstance(value, bool) else text
    return f"columns = {{ {name} = {text} }}" if name in COLUMNS and table is None else f"{name} = {text}"


def option_name(name: str) -> str:
    """An option without a value, as the caller writes it: min_rating, or --min-rating."""
    return f"--{name.replace('_', '-')}" if audience() == "command" else name


def _quoted(value: object) -> str:
    """A value of Python or TOML; texts in double quotes where they can be."""
    if not isinstance(value, str):
        return repr(value)
    return "'\"'" if value == '"' else '"' + value.replace("\\", "\\\\").replace("\t", "\\t").replace('"', '\\"') + '"'


def _typed(value: object) -> str:
    """A value as an argument of a command."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return (
        "none"
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else _SIGNS.get(str(value), str(value))
    )


def listed(names: Iterable[str]) -> str:
    """The first twelve names, for a sentence."""
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"


def counted(n: int, one: str, many: str | None = None) -> str:
    """1 user, 2 users, 1,000 queries. many: None for the usual plural."""
    usual = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{n:,} {either(n, one, many or usual)}"


def either(n: int, one: str, many: str) -> str:
    """The word for 1, or the one for any other number: is, are."""
    return one if n == 1 else many


class MatineeWarning(UserWarning):
    """The work goes on, but the result may mislead; the text says why."""


def near_misses(word: str, known: Iterable[str], n: int = 3, cutoff: float = 0.7) -> list[str]:
    """Up to n known names that look like the word, the nearest first; upper and lower case count as equal."""
    by_lower = {name.lower(): name for name in known}
    return [by_lower[near] for near in difflib.get_close_matches(word.lower(), by_lower, n=n, cutoff=cutoff)]


def did_you_mean(word: str, known: Iterable[str], n: int = 3) -> str:
    """ "did you mean a or b?", from `near_misses`; "" where there are none."""
    near = near_misses(word, known, n, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


def suggestion(word: str, known: Collection[str]) -> str:
    """A hint for a name that is not known: the names most like it, otherwise the known ones."""
    return did_you_mean(word, known) or f"use one of {listed(known)}"


def no_attribute(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """What a module's __getattr__ raises for an unknown name: near misses are in the message."""
    near = ", ".join(near_misses(name, known))
    return AttributeError(f"module {module!r} has no attribute {name!r}" + (f" (it has {near})" if near else ""))
