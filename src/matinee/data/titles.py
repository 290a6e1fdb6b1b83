"""Titles of a catalogue: found as written, regardless of case, or by a similar spelling, and quickly among many."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from matinee.errors import MatineeError, near_misses

COMPARED = 300  # names that are compared letter by letter
_BUCKETS = 64  # of letters, when they are counted


def plain(title: str | None) -> str:
    """A title as models read it: as Unicode sees it (NFKC), case folded, runs of spaces as one."""
    return " ".join(unicodedata.normalize("NFKC", title or "").casefold().split())


class Titles:
    """Item codes by title. titles: in code order, None where an item has none."""

    def __init__(self, titles: Iterable[str | None]) -> None:
        self._titles = [(code, title) for code, title in enumerate(titles) if title is not None]

    def __getitem__(self, key: object) -> str:
        """Raises MatineeError: titles are looked for here, not listed."""
        hint = "data.item_titles is the column of titles, in code order"
        raise MatineeError("data.titles finds items by their title, and is no list", hint=hint)

    def codes(self, text: str) -> list[int]:
        """The items with exactly this title; otherwise those with this title regardless of case."""
        return self._exact.get(text) or self._folded.get(_folded(text), [])

    def near(self, text: str, n: int = 5) -> list[int]:
        """One item for each of at most n titles: those that contain the text first, then similar spellings."""
        key, known = _folded(text), list(self._folded)
        containing = sorted((title for title in known if key and key in title), key=len)[:n]
        alike = [title for title in nearest_names(key, known, n, 0.5) if title not in containing]
        return [self._folded[title][0] for title in [*containing, *alike][:n]]

    @cached_property
    def _exact(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for code, title in self._titles:
            found.setdefault(title, []).append(code)
        return found

    @cached_property
    def _folded(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for code, title in self._titles:
            found.setdefault(_folded(title), []).append(code)
        return found


def nearest_names(word: str, known: Sequence[str], n: int, cutoff: float) -> list[str]:
    """`errors.near_misses`, quickly for many names: only those that share most letters with the word are compared."""
    if len(known) <= COMPARED:
        return near_misses(word, known, n, cutoff)
    key, counts = _letters([word.lower()]), _letters([name.lower() for name in known])
    # what difflib calls the quick ratio: no name is more alike than its letters in any order
    ratio = 2.0 * np.minimum(key, counts).sum(axis=1) / np.maximum(key.sum() + counts.sum(axis=1), 1)
    best = np.argsort(-ratio, kind="stable")[:COMPARED]
    return near_misses(word, [known[row] for row in best if ratio[row] >= cutoff], n, cutoff)


def _letters(names: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """int64 (len(names), 64): how often each name has each letter; some rare letters share a column."""
    letters = np.frombuffer("".join(names).encode("utf-32-le", "surrogatepass"), np.uint32) % _BUCKETS
    row = np.repeat(np.arange(len(names)), [len(name) for name in names])
    return np.bincount(row * _BUCKETS + letters, minlength=len(names) * _BUCKETS).reshape(-1, _BUCKETS)


def _folded(text: str) -> str:
    return text.casefold().strip()
