"""What a model is asked: histories, and what a request says beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ints, Ragged

if TYPE_CHECKING:
    import polars as pl

BESIDE_HISTORY = ("history_ratings", "history_times", "history_weights")
"""What Queries hold in parallel with history.values."""


@dataclass(frozen=True)
class Queries:
    """What a model is asked, B rows.

    user: int32 (B,) codes; -1 = never seen. history: what the model may see, oldest first; history_ratings float32,
    history_times int64 and history_weights float32 (above 0; None: 1 each) are in parallel with history.values.
    exclude: items never to be recommended (usually those seen, and those disliked). request_time: int64 (B,) Unix
    seconds. context, user_features: B rows. title: B texts (a playlist's name). candidates: int32 (B, C), -1 = padding;
    None = the whole catalogue.

    Example: `queries = data.queries([196, 7])`
    """

    user: Ints
    history: Ragged
    exclude: Ragged
    history_ratings: Floats | None = None
    history_times: NDArray[np.int64] | None = None
    request_time: NDArray[np.int64] | None = None
    context: pl.DataFrame | None = None
    user_features: pl.DataFrame | None = None
    title: tuple[str | None, ...] | None = None
    candidates: Ints | None = None
    history_weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Queries({len(self):,}, with histories of {len(self.history.values):,} events)"

    def slice(self, start: int, stop: int) -> Queries:
        """Rows start..stop."""
        stop = min(stop, len(self))
        if start == 0 and stop == len(self):
            return self
        events = slice(self.history.offsets[start], self.history.offsets[stop])
        return self._part(self.history.slice(start, stop), self.exclude.slice(start, stop), events, slice(start, stop))

    def take(self, rows: NDArray[np.integer[Any]]) -> Queries:
        """These rows, in this order."""
        return self._part(self.history.take(rows), self.exclude.take(rows), self.history.positions(rows), rows)

    def keep_events(self, mask: Bools) -> Queries:
        """The same queries with only the history events where mask, bool (len(history.values),), is true."""
        beside = {name: at_index(getattr(self, name), mask) for name in BESIDE_HISTORY}
        return replace(self, history=self.history.keep(mask), **beside)

    def _part(self, history: Ragged, exclude: Ragged, events: Any, rows: Any) -> Queries:
        """events, rows: what indexes arrays in parallel with the history's values, and with the queries."""
        title = self.title
        if title is not None:
            title = title[rows] if isinstance(rows, slice) else tuple(title[row] for row in rows)
        columns = dict.fromkeys(BESIDE_HISTORY, events)
        columns |= dict.fromkeys(("user", "request_time", "context", "user_features", "candidates"), rows)
        taken = {name: at_index(getattr(self, name), index) for name, index in columns.items()}
        return Queries(history=history, exclude=exclude, title=title, **taken)


def at_index(array: Any, index: Any) -> Any:
    """array[index], or None where there is no array."""
    return None if array is None else array[index]
