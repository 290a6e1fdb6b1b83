"""Histories as sequence models read them: items, and what is known beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ragged


@dataclass(frozen=True)
class Histories:
    """Histories, or pieces of them, and when their events happened, in parallel with item.values.

    weights: what each event counts as a target; None: all the same. waits: how many seconds after an event the next one
    came, or is asked for; None where nothing is known of it.
    """

    item: Ragged
    times: NDArray[np.int64] | None
    gaps: NDArray[np.int64] | None = None
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.item)

    def take(self, rows: NDArray[np.int64]) -> Histories:
        at = self.item.positions(rows)
        return Histories(self.item.take(rows), *self._beside(at))

    def where(self, mask: NDArray[np.bool_]) -> Histories:
        """Only these events."""
        return Histories(self.item.keep(mask), *self._beside(mask))

    def _beside(self, index: NDArray[Any]) -> tuple[Any, ...]:
        return tuple(None if x is None else x[index] for x in (self.times, self.gaps, self.weights))

    def time_gaps(self, asked: NDArray[np.int64] | None = None) -> Histories:
        """With waits, where there are times. asked: int64 (B,), when what follows the last event is asked for; without
        it each history's own median wait stands for it (the upper of two; 0 of a single event)."""
        if self.times is None:
            return self
        lengths = self.item.lengths
        last = self.item.offsets[1:][lengths > 0] - 1
        gaps = np.zeros_like(self.times)
        gaps[:-1] = np.maximum(np.diff(self.times), 0)
        gaps[last] = 0
        if asked is not None:
            gaps[last] = np.maximum(asked[lengths > 0] - self.times[last], 0)
        else:
            own = np.lexsort((gaps, np.isin(np.arange(len(gaps)), last), self.item.rows))  # by row, its last behind
            several = lengths > 1
            middle = self.item.offsets[:-1][several] + (lengths[several] - 1) // 2
            gaps[self.item.offsets[1:][several] - 1] = gaps[own[middle]]
        return Histories(self.item, self.times, gaps, self.weights)
