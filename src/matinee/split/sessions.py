"""Whole sessions hidden: every prefix of a session is a query for the item that came next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Split
from matinee.errors import MatineeError, option
from matinee.split.dislikes import excluded_words, of_part
from matinee.split.parts import TEST, TRAIN, VALID, answers, checked, dealt
from matinee.split.provided import LINES, PREFIXES, provided
from matinee.split.shares import check_ratio, check_ratios, generator, place, words_of

Which = Literal["random", "last"]
DRAWN = {"random": "drawn at random", "last": "that ended last"}


def sessions(
    data: Dataset,
    *,
    test: str | Path | float = 0.05,
    valid: float = 0.05,
    which: Which = "random",
    seed: int = 0,
    exclude_seen: bool = True,
) -> Split:
    """Sessions (users) of 2 events or more, hidden whole. A session of n events gives n - 1 queries: its first 1, 2,
    ..., n - 1 events are the history, and the event after them is the answer.

    Of the U such sessions max(1, floor(test U)) are the test's and max(1, floor(valid U)) valid's: at random, or
    (which="last") those that ended last, valid's before the test's; without timestamps the log's order decides.
    test may instead be a file of queries, as `provided` reads them (.txt, .jsonl); then the whole log is train + valid.
    valid = 0: no valid part. Queries keep the code of their session, so that intervals know which belong together; the
    sessions of a .txt file are unknown, and each of its queries counts as a user never seen (-1).

    Repeats are answers in most sessions: pass exclude_seen=False. Train holds each session once, as any log does.
    Raises MatineeError for shares that leave nothing, and for a file that cannot be read.
    """
    if which not in DRAWN:
        hint = f"choose {option('which', 'random')} or {option('which', 'last')}"
        raise MatineeError(f"which={which!r} is unknown", hint=hint)
    if isinstance(test, str | Path):
        check_ratio("valid", valid, zero=True)
        given = _given(data, test, exclude_seen)
        log, share, words = given.train, 0.0, given.test.protocol.split.removeprefix("provided, ")
    else:
        check_ratios(valid, test)
        given, log, share, words = None, data, test, f"test {words_of(test)}"
    words = f"sessions {DRAWN[which]}, valid {words_of(valid)}, {words}"
    group = dealt(_in_order(log, which, seed), log.n_users, valid, share)
    part = group[log.user]
    seen = "the session so far"
    protocol = Protocol(data.fingerprint, words, "valid", seen, excluded_words(seen if exclude_seen else None, log))
    if given is None:
        hidden = _prefixes(log, group == TEST, replace(protocol, part="test"), exclude_seen)
    else:
        hidden = replace(given.test, protocol=replace(given.test.protocol, split=words))
    asked = _prefixes(log, group == VALID, protocol, exclude_seen)
    notes = () if given is None else given.notes
    train, both = (of_part(log, rows, None) for rows in (part == TRAIN, part != TEST))
    split = Split(train, asked, hidden, both, seed, notes)
    return checked(split, valid=valid > 0, hint="choose smaller shares, or read more sessions (with at least 2 events)")


def _given(data: Dataset, file: str | Path, exclude_seen: bool) -> Split:
    """The queries of a file. Raises MatineeError for a file of pairs, which has no sessions."""
    if Path(file).suffix.lower() not in (*LINES, PREFIXES):
        what = f"queries of sessions are read from {', '.join((PREFIXES, *LINES))} files"
        raise MatineeError(what, where=str(file), hint="name such a file as test, or use the strategy provided")
    return provided(data, test=file, exclude_seen=exclude_seen)


def _in_order(data: Dataset, which: Which, seed: int) -> NDArray[np.int64]:
    """int64 (U,): the sessions of 2 events or more, the first ones for the test."""
    rng = generator(seed)
    count = data.user_counts()
    long_enough = np.flatnonzero(count >= 2)
    if which == "random":
        return rng.permutation(long_enough)
    last = data.order[np.cumsum(count)[long_enough] - 1]
    end = last if data.timestamp is None else data.timestamp[last]
    return long_enough[np.lexsort((last, end))[::-1]]  # ends in one second: the log's order decides


def _prefixes(data: Dataset, chosen: Bools, protocol: Protocol, exclude_seen: bool) -> Holdout:
    """Every prefix of these sessions as a query, a session's shortest first. chosen: bool (n_users,)."""
    every = data.histories()
    sessions = np.flatnonzero(chosen).astype(np.int32)
    user = np.repeat(sessions, every.lengths[sessions] - 1)
    length = place(user) + 1
    start = every.offsets[user]
    offsets = np.append(0, np.cumsum(length))
    at = np.repeat(start - offsets[:-1], length) + np.arange(offsets[-1])  # row r: start[r], start[r] + 1, ...
    history = Ragged(offsets, every.values[at])
    pairs = data.pairs_at(data.order[start + length], np.arange(len(user)))
    exclude, disliked = history if exclude_seen else Ragged.empty(len(user)), None
    if data.dislikes is not None:  # known are those before the answer
        exclude, disliked = exclude.join(data.dislikes.of(user, pairs.timestamp)), data.dislikes.of(user)
    queries = data.queries_at(data.order[at], user, history, exclude)
    truth = answers(pairs.query, pairs.item, exclude, data.n_items)
    return Holdout(queries, truth, protocol, pairs, disliked)
