"""The error that every part of Matinee raises for what a user can put right."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from functools import partial


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


def listed(names: Iterable[str]) -> str:
    """The first twelve names, for a sentence."""
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"


def counted(n: int, one: str, many: str | None = None) -> str:
    """1 user, 2 users, 1,000 queries."""
    return f"{n:,} {either(n, one, many or one + 's')}"


def either(n: int, one: str, many: str) -> str:
    """The word for 1, or the one for any other number: is, are."""
    return one if n == 1 else many


class MatineeWarning(UserWarning):
    """The work goes on, but the result may mislead; the text says why."""


def near_misses(word: str, known: Iterable[str], n: int = 3, cutoff: float = 0.7) -> list[str]:
    """Up to n known names that look like the word, the nearest first; upper and lower case count as equal."""
    by_lower = {name.lower(): name for name in known}
    return [by_lower[near] for near in difflib.get_close_matches(word.lower(), by_lower, n=n, cutoff=cutoff)]


def option(name: str, value: object) -> str:
    """How the caller writes an option."""
    return f"{name}={value!r}"


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
