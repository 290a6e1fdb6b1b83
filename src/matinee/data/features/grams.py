"""Titles as rows of pieces of their words, by TF-IDF, so that titles of similar letters have a large dot product."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from matinee.data.arrays import Floats, unit_rows
from matinee.data.titles import plain

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LENGTHS = (2, 3, 4)


@dataclass(frozen=True)
class Grams:
    """pieces: those that are known, sorted. idf: float32 (pieces,), 1 + ln((1 + n) / (1 + n_p)), n titles of which n_p
    have the piece. whole: the only piece of a title is the title itself."""

    pieces: tuple[str, ...]
    idf: Floats
    whole: bool = False

    @classmethod
    def fit(cls, titles: Iterable[str | None], *, whole: bool = False) -> Grams:
        """The pieces of these titles; those that say nothing are not counted."""
        read = [found for title in titles if (found := pieces_of(title, whole=whole))]
        counts = Counter(piece for found in read for piece in found)
        pieces = sorted(counts)
        holders = np.array([counts[piece] for piece in pieces], np.float64)
        return cls(tuple(pieces), (1.0 + np.log((1.0 + len(read)) / (1.0 + holders))).astype(np.float32), whole)

    @property
    def text(self) -> str:
        """The pieces, as JSON."""
        return json.dumps(self.pieces, ensure_ascii=False)

    @classmethod
    def of_text(cls, text: str, idf: Floats, *, whole: bool = False) -> Grams:
        """From `text`, as a model keeps it."""
        return cls(tuple(json.loads(text)), idf, whole)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {piece: place for place, piece in enumerate(self.pieces)}

    def rows(self, titles: Sequence[str | None]) -> csr_array:
        """csr float32 (n, pieces): rows of length 1, the idf of each known piece of a title before that; empty where
        none is known."""
        from scipy.sparse import csr_array

        known = self._place
        places = [
            sorted(known[piece] for piece in pieces_of(title, whole=self.whole) if piece in known) for title in titles
        ]
        offsets = np.cumsum([0, *map(len, places)])
        at = np.array([place for row in places for place in row], np.int32)
        return unit_rows(csr_array((self.idf[at], at, offsets), shape=(len(places), len(self.pieces))))


def pieces_of(title: str | None, *, whole: bool = False) -> set[str]:
    """Runs of 2, 3 and 4 characters of each word with a space on either side; or the title itself."""
    read = plain(title)
    if whole:
        return {read} - {""}
    words = [f" {word} " for word in read.split()]
    return {word[at : at + n] for word in words for n in LENGTHS for at in range(max(1, len(word) - n + 1))}
