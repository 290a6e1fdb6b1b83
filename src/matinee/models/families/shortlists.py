"""The few items that can lead a list under some weights: weights are sought without ranking the catalogue again.

An item that no member ranks among its first ones has a weighted sum no larger than that of the members' last listed
scores; where the k-th best listed item is above it, the k best of the list are the k best of all (the threshold of
Fagin, Lotem & Naor, Journal of Computer and System Sciences 2003). Where it is not, the caller ranks all items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Ints, Ragged
from matinee.models.families.fusion import MemberScores, Weights
from matinee.rank import top_k

PER_PLACE = 2
"""Items that are listed of each member, for each place of the lists that are asked for."""
LEAST = 32
"""Items that are listed of each member at least."""
ROUNDING = 1e-5
"""Of sums in float32, as a share of their terms: sums nearer to each other than that are not told apart."""


@dataclass(frozen=True)
class Shortlists:
    """For B queries, the items that a member ranks among its first ones, and what all members make of them.

    item: int32 (B, C), ascending, -1 behind them. known: the members' scores of these, float32 (B, C) each. left_out:
    float64 (M, B), the most that a member gives an item that is not listed; -inf where there is none.
    """

    item: Ints
    known: MemberScores
    left_out: NDArray[np.float64]

    @classmethod
    def of(cls, known: MemberScores, exclude: Ragged, k: int) -> Self | None:
        """For lists of k items; None where this would be most of the catalogue. exclude: what is not to be listed."""
        depth = max(PER_PLACE * k, LEAST)
        n_queries, n_items = known.scorable.shape
        if 2 * depth * len(known.scores) > n_items:
            return None
        listed, left_out = np.zeros((n_queries, n_items), np.bool_), []
        for scores in known.scores:
            own = np.where(known.scorable, scores, np.float32(-np.inf))
            kernels.ranking.mask_rows(0, n_queries, exclude.offsets, exclude.values, own)
            item, score, _ = top_k(own, depth)
            row, place = np.nonzero(item >= 0)
            listed[row, item[row, place]] = True
            left_out.append(score[:, -1].astype(np.float64))
        codes = np.nonzero(listed)[1].astype(np.int32)
        item = Ragged.of_lengths(np.count_nonzero(listed, axis=1), codes).padded()
        there = np.maximum(item, 0)
        few = [np.take_along_axis(scores, there, axis=1) for scores in known.scores]
        return cls(item, MemberScores(few, item >= 0), np.array(left_out).reshape(len(few), n_queries))

    def best(self, weights: Weights, k: int) -> tuple[Ints, Bools]:
        """int32 (B, k): the k best of the listed items, -1 where there are fewer; and bool (B,): whether they surely
        are the k best of all. weights: float64 (M,), none negative."""
        found = np.full((len(self.item), k), -1, np.int32)
        width = min(k, self.item.shape[1])
        place, score, _ = top_k(self.known.mixed(weights), width)
        codes = np.take_along_axis(self.item, np.maximum(place, 0), axis=1)
        found[:, :width] = np.where(place >= 0, codes, -1)
        every = np.isneginf(self.left_out).all(axis=0)  # of the query's items are listed
        terms = weights[:, None] * np.where(every, 0.0, self.left_out)
        most = terms.sum(axis=0) + ROUNDING * (1.0 + np.abs(terms).sum(axis=0))
        last = score[:, k - 1] if width == k else np.full(len(found), -np.inf)
        return found, every | (last > most)

    @property
    def nbytes(self) -> int:
        return self.item.nbytes + self.known.nbytes
