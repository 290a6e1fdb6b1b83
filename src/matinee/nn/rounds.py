"""The rounds of a fit: the one loop that nets, factor models and boosted trees share. torch is not needed.

for number in rounds:
    loss = ...one pass over the log...
    if rounds.add(loss, measure):
        kept = ...a copy of what was learned...
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

OnRound = Callable[[int, float, float], object]
"""on_round(round, train_loss, measured): called after each round, counted from 0; a true answer ends the fit. Of
`measured` more is better; NaN: not measured."""

CURVE = ("epoch", "train_loss", "valid_metric", "seconds")
"""Columns of a curve, float64 (rounds, 4): a row for each round, NaN where nothing was measured."""


class Rounds:
    """Counts rounds, keeps their curve, knows the best one, and ends early.

    total: most rounds. patience: measurements without a gain before the fit ends; None: it never ends early. every: the
    last round, and every so many before it, are measured. hooks: called after each round.
    """

    def __init__(
        self, total: int, *, patience: int | None = None, every: int = 1, hooks: Sequence[OnRound] = ()
    ) -> None:
        self.total, self.patience, self.every, self.hooks = total, patience, every, hooks
        self.rows: list[list[float]] = []
        self.stopped = False
        self._start = time.perf_counter()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        while not self.done:
            self._start = time.perf_counter()
            yield len(self.rows)

    @property
    def done(self) -> bool:
        return self.stopped or len(self.rows) >= self.total or self._stale()

    def add(self, loss: float, measure: Callable[[], float] | None = None) -> bool:
        """Record a round and call the hooks. Returns whether it is the best so far: without a measurement, the last is.

        loss: mean training loss; NaN where none is known. measure: gives what is measured on the holdout.
        """
        number = len(self.rows)
        looks = measure is not None and (self.total - 1 - number) % self.every == 0
        measured = measure() if measure is not None and looks else math.nan
        earlier = [row[2] for row in self.rows if not math.isnan(row[2])]
        self.rows.append([number, loss, measured, time.perf_counter() - self._start])
        for hook in self.hooks:
            self.stopped = bool(hook(number, loss, measured)) or self.stopped
        return not earlier or measured > max(earlier)

    @property
    def curve(self) -> NDArray[np.float64]:
        """float64 (rounds, 3): CURVE without the seconds, so that equal fits have equal curves."""
        return np.array(self.rows, np.float64).reshape(-1, len(CURVE))[:, :-1]

    def _stale(self) -> bool:
        """True when the best measurement lies `patience` measurements back. A curve of NaN never is."""
        measured = [row[2] for row in self.rows if not math.isnan(row[2])]
        return (
            self.patience is not None
            and bool(measured)
            and len(measured) - 1 - int(np.argmax(measured)) >= self.patience
        )
