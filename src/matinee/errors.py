"""The error that every part of Matinee raises for what a user can put right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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

    def __reduce__(self) -> tuple[object, tuple[str, str | None, str | None]]:
        return _rebuild, (self.what, self.where, self.hint)


def _rebuild(what: str, where: str | None, hint: str | None) -> MatineeError:
    return MatineeError(what, where=where, hint=hint)


class MatineeWarning(UserWarning):
    """The work goes on, but the result may mislead; the text says why."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean EASE?` for up to three near misses of a word, upper or lower case; nothing where there are none."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=3)
    return f"; did you mean {' or '.join(by_lower[name] for name in near)}?" if near else ""
