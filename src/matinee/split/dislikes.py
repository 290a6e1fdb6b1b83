"""Which dislikes a part of a split knows: none that a model could not know when it is asked.

A dislike is known to a user's query where it is earlier than the first of the user's events that are hidden from it, or
not later than the last that is not: as much as the events themselves tell. Under `temporal` it is earlier than the cut.
Dislikes without times are known from the start. train has the known dislikes of its users; known ones are excluded from
what is recommended; `Holdout.dislikes` has the others too (in valid those that the test knows), for the metric
`disliked`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ragged
from matinee.data.dataset import Dataset, Holdout, Split

DISLIKES = "dislikes"
FIRST, LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
Limits = NDArray[np.int64]


def known_until(data: Dataset, known: Bools, cut: int | None = None) -> Limits | None:
    """int64 (n_users,): before which second a user's dislikes are known, where these rows, bool (n,), are known; None
    where all dislikes are. cut: the second from which everything is hidden."""
    if data.dislikes is None or data.timestamp is None:
        return None
    if cut is not None:
        return np.full(data.n_users, cut, np.int64)
    first_hidden, last_known = np.full(data.n_users, LAST), np.full(data.n_users, FIRST)
    np.minimum.at(first_hidden, data.user[~known], data.timestamp[~known])
    np.maximum.at(last_known, data.user[known], data.timestamp[known] + 1)
    limits: Limits = np.maximum(first_hidden, last_known)
    return limits


def of_part(data: Dataset, rows: Bools, until: Limits | None) -> Dataset:
    """These rows of the log, bool (n,), with the dislikes of their users that are known."""
    part = data.rows(rows)
    if data.dislikes is None:
        return part
    kept = (part.user_counts() > 0)[data.dislikes.user]
    if until is not None:
        kept &= data.dislikes.before(until)
    return replace(part, dislikes=data.dislikes.rows(kept))


def allowing_dislikes(split: Split) -> Split:
    """The same split, where what a user dislikes may be recommended: for the metric `disliked`. Answers do not change.
    Another protocol, with another fingerprint, where the log has dislikes."""
    return replace(split, valid=_allowing(split.valid), test=_allowing(split.test))


def _allowing(holdout: Holdout) -> Holdout:
    if holdout.dislikes is None:
        return holdout
    queries = holdout.queries

    def keys(rows: Ragged) -> NDArray[np.int64]:
        return rows.rows << 32 | rows.values

    freed = np.setdiff1d(keys(holdout.dislikes), keys(queries.history))
    exclude = queries.exclude.keep(~np.isin(keys(queries.exclude), freed))
    words = holdout.protocol.exclude.removesuffix(DISLIKES).removesuffix(" + ") or "nothing"
    return replace(
        holdout, queries=replace(queries, exclude=exclude), protocol=replace(holdout.protocol, exclude=words)
    )


def excluded_words(words: str | None, data: Dataset) -> str:
    """How a protocol names what is excluded: these rows (None: none), and dislikes where the log has some."""
    if data.dislikes is None:
        return words or "nothing"
    return f"{words} + {DISLIKES}" if words else DISLIKES
