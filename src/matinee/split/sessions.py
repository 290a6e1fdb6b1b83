"""Whole sessions hidden: every prefix of one asks what came next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries, Split
from matinee.errors import MatineeError
from matinee.split.parts import TEST, TRAIN, VALID, answers, checked
from matinee.split.provided import LINES, PREFIXES, provided
from matinee.split.shares import at_least_one, check_ratio, check_ratios, generator, place, words_of

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
    """Sessions (users) of 2 events or more, hidden whole; one of n events is n - 1 queries: its first 1, 2, ..., n - 1
    events are the history, and the event after them is the answer.

    Of the U such sessions max(1, floor(test U)) are the test's and max(1, floor(valid U)) valid's: at random, or
    (which="last") those that ended last, valid's before the test's; without timestamps the log's order says which.
    test may instead be a file of queries, as `provided` reads them (.txt, .jsonl); then the whole log is train + valid.
    valid = 0: no valid part. Queries keep the code of their session, so that intervals know which belong together; a
    .txt file does not tell, and each of its queries counts as one of nobody known (-1).

    Repeats are answers in most sessions: pass exclude_seen=False. Train holds each session once, as any log does.
    Raises MatineeError for shares that leave nothing, or what is wrong with the file.
    """
    if which not in DRAWN:
        raise MatineeError(f"which={which!r} is unknown", hint='choose which="random" or which="last"')
    if isinstance(test, str | Path):
        check_ratio("valid", valid, zero=True)
        given = _given(data, test, exclude_seen)
        log, share, words = given.train, 0.0, given.test.protocol.split.removeprefix("provided, ")
    else:
        check_ratios(valid, test)
        given, log, share, words = None, data, test, f"test {words_of(test)}"
    words = f"sessions {DRAWN[which]}, valid {words_of(valid)}, {words}"
    group = _dealt(log, valid, share, which, seed)
    part = group[log.user]
    seen = "the session so far"
    protocol = Protocol(data.fingerprint, words, "valid", seen, seen if exclude_seen else "nothing")
    of_test = replace(protocol, part="test")
    split = Split(
        train=log.rows(part == TRAIN),
        valid=_prefixes(log, np.flatnonzero(group == VALID).astype(np.int32), protocol, exclude_seen),
        test=_prefixes(log, np.flatnonzero(group == TEST).astype(np.int32), of_test, exclude_seen)
        if given is None
        else replace(given.test, protocol=replace(given.test.protocol, split=words)),
        train_valid=log.rows(part != TEST),
        seed=seed,
        notes=() if given is None else given.notes,
    )
    return checked(split, valid=valid > 0, hint="choose smaller shares, or read more sessions (with at least 2 events)")


def _given(data: Dataset, file: str | Path, exclude_seen: bool) -> Split:
    """The queries of a file. Raises MatineeError for a file of pairs, which hold no session."""
    if Path(file).suffix.lower() not in (*LINES, PREFIXES):
        raise MatineeError(
            f"a session's queries stand in {', '.join((PREFIXES, *LINES))} files",
            where=str(file),
            hint='name such a file as test, or use strategy = "provided"',
        )
    return provided(data, test=file, exclude_seen=exclude_seen)


def _dealt(data: Dataset, valid: float, test: float, which: Which, seed: int) -> NDArray[np.int8]:
    """(n_users,) the part of each session."""
    rng = generator(seed)
    count = data.user_counts()
    askable = np.flatnonzero(count >= 2)
    if which == "random":
        first = rng.permutation(askable)
    else:
        last = data.order[np.cumsum(count)[askable] - 1]
        end = last if data.timestamp is None else data.timestamp[last]
        first = askable[np.lexsort((last, end))[::-1]]  # of two that ended in one second the log's order tells
    n_test, n_valid = (int(at_least_one(share, np.array(len(askable)))) for share in (test, valid))
    group = np.full(data.n_users, TRAIN, np.int8)
    group[first[:n_test]] = TEST
    group[first[n_test : n_test + n_valid]] = VALID
    return group


def _prefixes(data: Dataset, chosen: Ints, protocol: Protocol, exclude_seen: bool) -> Holdout:
    """Every prefix of these sessions (sorted codes) as a query, a session's shortest first."""
    every = data.histories()
    user = np.repeat(chosen, every.lengths[chosen] - 1)
    length = place(user) + 1
    start = every.offsets[user]
    offsets = np.append(0, np.cumsum(length))
    at = np.repeat(start - offsets[:-1], length) + np.arange(offsets[-1])
    history = Ragged(offsets, every.values[at])
    seen, hidden = data.order[at], data.order[start + length]
    queries = Queries(
        user=user,
        history=history,
        exclude=history if exclude_seen else Ragged.empty(len(user)),
        history_ratings=None if data.value is None else data.value[seen],
        history_times=None if data.timestamp is None else data.timestamp[seen],
    )
    pairs = Pairs(
        user=user,
        item=data.item[hidden],
        query=np.arange(len(user), dtype=np.int32),
        timestamp=None if data.timestamp is None else data.timestamp[hidden],
        context=None if data.context is None else data.context[hidden],
        label=None if data.value is None else data.value[hidden],
    )
    truth = answers(np.arange(len(user)), pairs.item, queries.exclude, data.n_items)
    return Holdout(queries, truth, protocol, pairs)
