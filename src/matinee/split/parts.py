"""From the hidden rows to a Split: histories, exclusions, truth, pairs and the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Ints, Ragged, distinct
from matinee.data.dataset import BESIDE_HISTORY, Dataset, Holdout, Protocol, Split
from matinee.errors import MatineeError, counted, either, option
from matinee.split.dislikes import Limits, excluded_words, known_until, of_part
from matinee.split.moments import predicted_again
from matinee.split.shares import at_least_one

TRAIN, VALID, TEST = 0, 1, 2
Part = NDArray[np.int8]


class VisibleRows(NamedTuple):
    """Rows of the log and their name: words "train + valid", rows bool (n,)."""

    words: str
    rows: Bools


def assemble(
    data: Dataset,
    part: Part,
    words: str,
    *,
    exclude_seen: bool,
    seed: int | None = None,
    test_sees_valid: bool = False,
    cuts: tuple[int, int] | None = None,
    kinds: Mapping[str, Bools] | None = None,
) -> Split:
    """The split in which row r of the log is in part[r] (TRAIN, VALID or TEST), int8 (n,).

    history = train (train + valid in the test where `test_sees_valid`); excluded = train in valid, train + valid in
    the test. cuts: the request times of valid and test. kinds: name -> bool (n,), how a row was hidden, if it was.
    Dislikes: see split/dislikes.py.
    """
    train = VisibleRows("train", part == TRAIN)
    both = VisibleRows("train + valid", part != TEST)
    seen = both if test_sees_valid else train
    first, second = cuts or (None, None)
    early, late = known_until(data, train.rows, first), known_until(data, both.rows, second)
    asked = exclude_seen and train, exclude_seen and both
    valid = holdout(
        data, part == VALID, ("valid", words), train, asked[0], time=first, until=early, measured=late, kinds=kinds
    )
    test = holdout(data, part == TEST, ("test", words), seen, asked[1], time=second, until=late, kinds=kinds)
    return Split(of_part(data, train.rows, early), valid, test, of_part(data, both.rows, late), seed)


def holdout(
    data: Dataset,
    hidden: Bools,
    name: tuple[str, str],
    history: VisibleRows,
    exclude: VisibleRows | Literal[False],
    *,
    time: int | None = None,
    until: Limits | None = None,
    measured: Limits | None = None,
    kinds: Mapping[str, Bools] | None = None,
) -> Holdout:
    """One query for each user with a hidden row, in code order; pairs are the hidden rows by (user, time).

    hidden: bool (n,). name: (part, words of the split). exclude False: nothing. time: of all requests. until, measured:
    before when dislikes are known, and are counted (None: all), int64 (n_users,); what is known is excluded. kinds: as
    in `assemble`.
    """
    rows = data.order[hidden[data.order]]
    users, query = np.unique(data.user[rows], return_inverse=True)
    seen, past = _of_users(data, users, history.rows)
    if not exclude:
        excluded = Ragged.empty(len(users))
    else:
        excluded = past if exclude.rows is history.rows else _of_users(data, users, exclude.rows)[1]
    disliked = None
    if data.dislikes is not None:
        known, disliked = (data.dislikes.of(users, x if x is None else x[users]) for x in (until, measured))
        excluded = excluded.join(known)
    queries = data.queries_at(seen, users, past, excluded)
    if time is not None:
        queries = replace(queries, request_time=np.full(len(users), time, np.int64))
    words = excluded_words(exclude.words if exclude else None, data)
    protocol = Protocol(data.fingerprint, name[1], name[0], history.words, words)
    pairs = data.pairs_at(rows, query)
    of_kind = {
        name: answers(query[which[rows]], pairs.item[which[rows]], excluded, data.n_items)
        for name, which in (kinds or {}).items()
    }
    return Holdout(queries, answers(query, pairs.item, excluded, data.n_items), protocol, pairs, disliked, of_kind)


def _of_users(data: Dataset, users: Ints, rows: Bools) -> tuple[NDArray[np.int64], Ragged]:
    """The chosen rows of these users (sorted codes), by (user, time): row numbers int64 (n,), and their items int32
    (len(users) rows)."""
    wanted = np.zeros(data.n_users, bool)
    wanted[users] = True
    found = data.order[(rows & wanted[data.user])[data.order]]
    return found, Ragged.from_rows(np.searchsorted(users, data.user[found]), data.item[found], len(users))


def answers(query: NDArray[np.integer[Any]], item: Ints, exclude: Ragged, n_items: int) -> Ragged:
    """int32 (len(exclude) rows): the distinct items of each query, by code, without those that it excludes."""
    pair = distinct(query.astype(np.int64) * n_items + item)
    gone = np.sort(exclude.rows * n_items + exclude.values)
    # np.isin says the same; its hash table takes ten times as long as this
    pair = pair[np.searchsorted(gone, pair, "left") == np.searchsorted(gone, pair, "right")]
    return Ragged.from_rows(pair // n_items, (pair % n_items).astype(np.int32), len(exclude))


def dealt(units: NDArray[np.int64], n: int, valid: float, test: float) -> Part:
    """int8 (n,): of these U units (users, or sessions), in this order, the first max(1, floor(test U)) are TEST and the
    next max(1, floor(valid U)) VALID; all others are TRAIN."""
    n_test, n_valid = (int(at_least_one(share, np.array(len(units)))) for share in (test, valid))
    part = np.full(n, TRAIN, np.int8)
    part[units[:n_test]] = TEST
    part[units[n_test : n_test + n_valid]] = VALID
    return part


def checked(split: Split, *, valid: bool, hint: str) -> Split:
    """The split, with a note for each part that lost answers to the exclusion. Raises MatineeError when train or test
    (or valid, where it is wanted) is empty, or has no answer left."""
    if not len(split.train):
        raise MatineeError("the split leaves no event for train", hint=hint)
    notes = list(split.notes)
    for name, part, wanted in (("valid", split.valid, valid), ("test", split.test, True)):
        if wanted and not len(part):
            raise MatineeError(f"the split leaves no event for {name}", hint=hint)
        if wanted and not len(part.truth.values):
            hint = f"where repeats are answers: {option('exclude_seen', False)}"
            raise MatineeError(f"every event of {name} repeats one that is excluded from the answers", hint=hint)
        if part.pairs is not None:
            hidden = distinct(part.pairs.query.astype(np.int64) * split.train.n_items + part.pairs.item)
            if lost := len(hidden) - len(part.truth.values):
                why = "repeats an excluded event" + (" or was disliked" if part.dislikes is not None else "")
                several = "repeat an excluded event" + (" or were disliked" if part.dislikes is not None else "")
                fate = either(lost, f"{why} and is", f"{several} and are")
                notes.append(f"{counted(lost, 'answer')} of {name} {fate} left out of its truth")
    return replace(split, notes=tuple(dict.fromkeys(notes)))  # a provided test was checked before


def refitted(split: Split) -> tuple[Dataset, Holdout]:
    """What `refit = true` fits on and tests with: (train + valid, the test with train + valid as history). A history
    that is not the log's train stays as it is: a fold-in, a session so far, a file's own. The exclusions and the
    answers do not change. The protocol does, and its fingerprint with it. Raises MatineeError when the split has no
    train_valid (JSON lines bring their own histories)."""
    if split.train_valid is None:
        hint = "set refit = false, or split the log with Matinee"
        raise MatineeError("the train + valid part of this split is not known", hint=hint)
    test, words = split.test, split.test.protocol.history
    if words.startswith("train"):
        queries, words = split.train_valid.queries_of(test.queries.user), "train + valid"
        seen = {name: getattr(queries, name) for name in ("history", *BESIDE_HISTORY)}
        test = predicted_again(replace(test, queries=replace(test.queries, **seen)))
    protocol = replace(test.protocol, history=f"{words} (fitted on train + valid)")
    return split.train_valid, replace(test, protocol=protocol)
