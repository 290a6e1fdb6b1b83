"""The one kind of error a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MatineeError(Exception):
    """Says what went wrong, where, and how to mend it.

    what:  one sentence, e.g. "rating is not a finite number: 'nan'"
    where: the place as a user would name it, e.g. "log.csv, row 17, column 'stars'"
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


def listed(names: Iterable[str]) -> str:
    """The first twelve names, for a sentence."""
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "nothing"


def suggestion(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the names most like it, otherwise the known ones."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"use one of {listed(known)}"


class MatineeWarning(UserWarning):
    """A number or a result stands, but should not be trusted blindly; the text says why."""
