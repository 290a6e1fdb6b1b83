"""What an error prints, that it survives a process border, and near misses of names."""

from __future__ import annotations

import pickle

import pytest

from matinee.errors import MatineeError, near_misses


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MatineeError("no rows"), "no rows"),
        (MatineeError("no rows", where="log.csv"), "log.csv: no rows"),
        (MatineeError("no rows", where="log.csv", hint="add some"), "log.csv: no rows\n  hint: add some"),
        (MatineeError("no rows", hint="add some"), "no rows\n  hint: add some"),
    ],
)
def test_what_is_printed(error: MatineeError, text: str) -> None:
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.what, again.where, again.hint) == (text, error.what, error.where, error.hint)


@pytest.mark.parametrize(
    ("word", "near"),
    [("Ease", ["EASE"]), ("slimm", ["SLIM"]), ("zzz", []), ("", [])],
)
def test_near_misses(word: str, near: list[str]) -> None:
    assert near_misses(word, ["EASE", "SASRec", "SLIM"]) == near
