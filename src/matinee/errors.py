"""The one kind of error a user can mend."""

from __future__ import annotations


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


class MatineeWarning(UserWarning):
    """A number or a result stands, but should not be trusted blindly; the text says why."""
