"""When somebody will ask: the moment of a request, predicted from the intervals of the history alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Holdout, Split
from matinee.data.queries import Queries
from matinee.errors import MatineeError, option

Between = Literal["events", "sessions"]

SESSION = 1_800
"""Two events lie in two sessions when at least this many seconds are between them."""
WORDS: Mapping[str, str] = {
    between: f", asked the median time between a user's {between} after the last event"
    for between in ("events", "sessions")
}
"""What a protocol says of its split."""


def predicted_moments(split: Split, between: Between = "events") -> Split:
    """The same split, asked when its users are likely to come back: `predict` for the queries of valid and test. It is
    another protocol. Raises MatineeError for histories without times.

    Example: `later = mt.split.predicted_moments(split, "sessions")`
    """
    return replace(split, valid=_asked(split.valid, between), test=_asked(split.test, between))


def predict(queries: Queries, between: Between = "events") -> NDArray[np.int64]:
    """int64 (B,), Unix seconds: the last event of each history, and the median interval between its events, or between
    its sessions (intervals of half an hour or more). A history without an interval has the median of all histories'
    medians, 0 where there is none; an empty one has -1, which is no time.

    Raises MatineeError for histories without times, and for other words than "events" and "sessions".
    """
    if between not in WORDS:
        raise MatineeError(f"intervals between {between!r} are not known", hint='say "events" or "sessions"')
    times, lengths = queries.history_times, queries.history.lengths
    if times is None:
        hint = f"name the log's column of times where it is read: {option('timestamp', 'time')}"
        raise MatineeError("the histories have no times, so no moment can be predicted from them", hint=hint)
    rows = queries.history.rows
    interval, within = np.diff(times), rows[1:] == rows[:-1]
    if between == "sessions":
        within &= interval >= SESSION
    median = _medians(rows[1:][within], interval[within], len(queries))
    known = ~np.isnan(median)
    median[~known] = np.median(median[known]) if known.any() else 0.0
    found = np.full(len(queries), -1, np.int64)
    some = lengths > 0
    found[some] = times[queries.history.offsets[1:][some] - 1] + np.floor(median[some]).astype(np.int64)
    return found


def predicted_again(holdout: Holdout) -> Holdout:
    """The holdout with its moments predicted from the histories that it now has, if they were predicted."""
    words = holdout.protocol.split
    between: Between | None = next((b for b in ("events", "sessions") if WORDS[b] in words), None)
    if between is None:
        return holdout
    return replace(holdout, queries=replace(holdout.queries, request_time=predict(holdout.queries, between)))


def _asked(holdout: Holdout, between: Between) -> Holdout:
    if not len(holdout):
        return holdout
    queries = replace(holdout.queries, request_time=predict(holdout.queries, between))
    protocol = replace(holdout.protocol, split=holdout.protocol.split + WORDS[between])
    return replace(holdout, queries=queries, protocol=protocol)


def _medians(row: NDArray[np.int64], value: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """float64 (n,): the median of each row's values, NaN where it has none. row: ascending."""
    value = value[np.lexsort((value, row))]
    count = np.bincount(row, minlength=n)
    some = count > 0
    first, many = (np.cumsum(count) - count)[some], count[some]
    found = np.full(n, np.nan)
    found[some] = (value[first + (many - 1) // 2] + value[first + many // 2]) / 2
    return found
