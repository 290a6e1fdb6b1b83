"""The ways to split a log. Each decides which rows are hidden; parts.py builds the Split.

Each raises MatineeError for shares that leave nothing, and for a part without an event or an answer.
"""

from __future__ import annotations

import contextlib
import math
from datetime import date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset, Holdout, Split
from matinee.data.filters import utc
from matinee.data.moments import moment_of
from matinee.errors import MatineeError, option
from matinee.split import shares
from matinee.split.dislikes import known_until, of_part
from matinee.split.parts import TEST, TRAIN, VALID, Part, VisibleRows, assemble, checked, dealt, holdout
from matinee.split.shares import Counts, at_least_one, generator, place, random_place, share, words_of

By = Literal["user", "row"]
Moment = float | str | date | datetime

FEWEST = 3  # events of a user that is split: one for each part
FEWER = f"choose smaller shares, or read more events per user (at least {FEWEST})"


def random(
    data: Dataset, *, valid: float = 0.1, test: float = 0.1, by: By = "user", seed: int = 0, exclude_seen: bool = True
) -> Split:
    """Events at random. by="user": of each user's n events max(1, floor(test n)) go to the test and
    max(1, floor(valid n)) to valid; users with fewer than 3 events stay in train. by="row": the same numbers, of all
    n rows of the log. valid = 0: no valid part."""
    shares.check_ratios(valid, test)
    key = generator(seed).random(len(data))
    group, fewest = _groups(data, by)
    n = np.bincount(group)[group]
    part = _by_rank(random_place(group, key), at_least_one(valid, n), at_least_one(test, n))
    part[n < fewest] = TRAIN
    words = f"random by {by}, valid {words_of(valid)}, test {words_of(test)}"
    split = assemble(data, _by_row(data, part), words, exclude_seen=exclude_seen, seed=seed)
    return checked(split, valid=valid > 0, hint=FEWER)


def folds(
    data: Dataset, n: int = 5, *, valid: float = 0.1, by: By = "row", seed: int = 0, exclude_seen: bool = True
) -> list[Split]:
    """n splits for cross-validation: each row is in the test of exactly one.

    by="row": all rows are dealt at random into n folds of equal size (give or take one). by="user": each user's rows
    are dealt so, starting with a random fold; users with fewer than 3 events stay in train in every fold. valid: of the
    m rows that a fold leaves (to each user), max(1, floor(valid m)) at random; 0 for none. By user, at least one row of
    a user stays in train. Raises MatineeError for n < 2."""
    shares.check_ratio("valid", valid, zero=True)
    shares.check_folds(n)
    rng = generator(seed)
    group, fewest = _groups(data, by)
    deal, draw = rng.random(len(data)), rng.random(len(data))
    first = rng.integers(n, size=int(group.max(initial=0)) + 1)
    fold = (random_place(group, deal) + first[group]) % n
    fold[np.bincount(group)[group] < fewest] = -1
    words = f"random by {by}, {n} folds, valid {words_of(valid)} of the rest"
    splits = []
    for f in range(n):
        part = np.where(fold == f, TEST, TRAIN)
        rest = np.flatnonzero((fold != f) & (fold >= 0))
        left = np.bincount(group[rest], minlength=len(first))[group[rest]]
        drawn = random_place(group[rest], draw[rest]) < np.minimum(at_least_one(valid, left), left - 1)
        part[rest[drawn]] = VALID
        split = assemble(data, _by_row(data, part), words, exclude_seen=exclude_seen, seed=seed)
        splits.append(checked(split, valid=valid > 0, hint="choose fewer folds, or read more events per user"))
    return splits


def leave_one_out(data: Dataset, *, exclude_seen: bool = True) -> Split:
    """The last event of each user is the test, the one before valid; users with fewer than 3 events stay in train. The
    test's history and exclusion are train + valid. Raises MatineeError when no user has 3 events."""
    one = np.ones(data.n_users, np.int64)
    split = _last(data, one, one, "leave one out", exclude_seen=exclude_seen)
    return checked(split, valid=True, hint="leave-one-out needs users with at least 3 events")


def latest(data: Dataset, *, valid: float = 0.1, test: float = 0.1, exclude_seen: bool = True) -> Split:
    """What comes next: of each user's n events the max(1, floor(test n)) latest are the test, the max(1, floor(valid
    n)) before them valid; users with fewer than 3 events stay in train. valid = 0: no valid part.

    The test's history and exclusion are train + valid: all that is known before the hidden events."""
    shares.check_ratios(valid, test)
    count = data.user_counts()
    words = f"latest, valid {words_of(valid)}, test {words_of(test)}"
    split = _last(data, at_least_one(valid, count), at_least_one(test, count), words, exclude_seen=exclude_seen)
    return checked(split, valid=valid > 0, hint=FEWER)


def temporal(data: Dataset, *, valid: Moment = 0.8, test: Moment = 0.9, exclude_seen: bool = True) -> Split:
    """One global cut: train is before `valid`, the test from `test` on, valid between.

    A moment is a quantile of the events (0 < q < 1: the timestamp of event floor(q n), counted from 0 in time order),
    Unix seconds, or an ISO date or time (UTC unless it names a zone). Events of one timestamp stay together. Users
    first seen after the cut are ordinary queries with an empty history.
    Raises MatineeError when there are no timestamps, a moment cannot be read, or the cuts are not in order."""
    if data.timestamp is None:
        hint = (
            f"name the log's column of times where it is read: {option('timestamp', 'time')}, or split in another way"
        )
        raise MatineeError("a temporal split needs timestamps", hint=hint)
    if not len(data):
        raise MatineeError("the log is empty", hint="loosen its filters")
    times = np.sort(data.timestamp)
    (first, first_words), (second, second_words) = _cut(times, valid, "valid"), _cut(times, test, "test")
    if not first < second:
        hint = "let the test start later (quantiles that fall into equal timestamps give the same moment)"
        raise MatineeError(f"valid starts at {_iso(first)} and the test at {_iso(second)}", hint=hint)
    part = np.select([data.timestamp >= second, data.timestamp >= first], [TEST, VALID], TRAIN).astype(np.int8)
    words = f"temporal, valid from {first_words}, test from {second_words}"
    split = assemble(data, part, words, exclude_seen=exclude_seen, cuts=(first, second))
    hint = f"the log runs from {_iso(int(times[0]))} to {_iso(int(times[-1]))}: choose cuts inside"
    return checked(split, valid=True, hint=hint)


def mixed(data: Dataset, *, valid: float = 0.2, test: float = 0.2, seed: int = 0, exclude_seen: bool = True) -> Split:
    """The film contest's form: of each user's n events h = floor(test n) are hidden, the ceil(h / 2) latest and
    floor(h / 2) drawn uniformly from the rest. Valid is taken the same way from the m events that remain: floor(valid
    m). Users for whom a floor is 0 have no query there. valid = 0: no valid part. `Holdout.kinds` tells the two apart:
    "late" and "random"."""
    shares.check_ratio("valid", valid, zero=True)
    shares.check_ratio("test", test)
    rng = generator(seed)
    user = data.user[data.order]
    part, late = np.full(len(data), TRAIN), np.zeros(len(data), np.bool_)
    for ratio, code in ((test, TEST), (valid, VALID)):
        key = rng.random(len(data))
        rest = np.flatnonzero(part == TRAIN)
        m = np.bincount(user[rest])[user[rest]]
        hidden = share(ratio, m)
        uniform = hidden // 2
        early = m - 1 - place(user[rest]) >= hidden - uniform  # events after it in time: the others are the latest
        part[rest[~early]], late[rest[~early]] = code, True
        rest = rest[early]
        part[rest[random_place(user[rest], key[rest]) < uniform[early]]] = code
    words = f"mixed, valid {words_of(valid)} of the rest, test {words_of(test)}{_untimed(data)}"
    kinds = {"late": _by_row(data, late) == 1, "random": _by_row(data, ~late) == 1}
    split = assemble(data, _by_row(data, part), words, exclude_seen=exclude_seen, seed=seed, kinds=kinds)
    return checked(split, valid=valid > 0, hint="choose larger shares, or read more events per user")


def strong(
    data: Dataset,
    *,
    valid: float = 0.1,
    test: float = 0.1,
    fold_in: float = 0.8,
    seed: int = 0,
    exclude_seen: bool = True,
) -> Split:
    """Strong generalisation: users that training never saw. Of the U users with 2 events or more, max(1, floor(test
    U)) and max(1, floor(valid U)) at random have no row in train. Of such a user's n events max(1, floor((1 - fold_in)
    n)) at random are the answers; the others are history, and excluded. Queries keep the user's code, for reports."""
    shares.check_ratios(valid, test)
    shares.check_ratio("fold_in", fold_in)
    rng = generator(seed)
    count = data.user_counts()
    users = rng.permutation(np.flatnonzero(count >= 2))
    group = dealt(users, data.n_users, valid, test)
    user = data.user[data.order]
    hidden = _by_row(data, random_place(user, rng.random(len(data))) < at_least_one(1 - fold_in, count)[user]) == 1
    part = group[data.user]
    words = f"strong, {words_of(valid)} of the users in valid, {words_of(test)} in test, fold-in {words_of(fold_in)}"

    def held(name: str, code: int) -> Holdout:
        seen = VisibleRows("fold-in", (part == code) & ~hidden)
        until = known_until(data, seen.rows)
        return holdout(data, (part == code) & hidden, (name, words), seen, exclude_seen and seen, until=until)

    train, both = (of_part(data, rows, None) for rows in (part == TRAIN, part != TEST))
    split = Split(train, held("valid", VALID), held("test", TEST), both, seed)
    return checked(split, valid=valid > 0, hint="choose smaller shares, or read more users (with at least 2 events)")


def _last(data: Dataset, n_valid: Counts, n_test: Counts, words: str, *, exclude_seen: bool) -> Split:
    """Of each user u the last n_test[u] events are the test and the n_valid[u] before them valid; users with fewer than
    FEWEST events stay in train. The test's history is train + valid."""
    user = data.user[data.order]
    n = data.user_counts()[user]
    part = _by_rank(n - 1 - place(user), n_valid[user], n_test[user])
    part[n < FEWEST] = TRAIN
    words += _untimed(data)
    return assemble(data, _by_row(data, part), words, exclude_seen=exclude_seen, test_sees_valid=True)


def _by_rank(ranks: Counts, n_valid: Counts, n_test: Counts) -> NDArray[np.int64]:
    """int64 (n,), the part of each event: ranks in its group below n_test are TEST, the next n_valid VALID."""
    return np.select([ranks < n_test, ranks < n_test + n_valid], [TEST, VALID], TRAIN)


def _groups(data: Dataset, by: By) -> tuple[NDArray[np.int64], int]:
    """(int64 (n,) along data.order, ascending: the group each row is drawn from; the events that a group needs)."""
    if by not in ("user", "row"):
        raise MatineeError(f"by={by!r} is unknown", hint=f"choose {option('by', 'user')} or {option('by', 'row')}")
    if by == "user":
        return data.user[data.order].astype(np.int64), FEWEST
    return np.zeros(len(data), np.int64), 0


def _by_row(data: Dataset, along_order: NDArray[np.generic]) -> Part:
    """int8 (n,) by row of the log, from (n,) along data.order."""
    part = np.empty(len(data), np.int8)
    part[data.order] = along_order
    return part


def _untimed(data: Dataset) -> str:
    return ", in the log's order" if data.timestamp is None else ""


def _cut(times: NDArray[np.int64], moment: Moment, name: str) -> tuple[int, str]:
    """The first second of a part, and how the protocol names it. times: int64 (n,), ascending."""
    at = _parsed(moment) if isinstance(moment, str) else moment
    if isinstance(at, date):
        second = math.ceil(utc(at).timestamp())
    elif not isinstance(at, int | float | np.number) or not 0 < at < math.inf:
        hint = "pass a quantile between 0 and 1, Unix seconds, or an ISO date like 2000-12-31"
        raise MatineeError(f"{name}={moment!r} is not a moment in time", hint=hint)
    elif at < 1:
        second = int(times[min(int(share(at, np.array(len(times)))), len(times) - 1)])
        return second, f"quantile {words_of(at)} ({_iso(second)})"
    else:
        second = math.ceil(at)
    return second, _iso(second)


def _parsed(text: str) -> float | datetime | None:
    """An ISO date or a number; None for other text."""
    for read in (datetime.fromisoformat, float):
        with contextlib.suppress(ValueError):
            return read(text)
    return None


def _iso(second: int) -> str:
    """UTC; seconds beyond the calendar are printed as they are."""
    try:
        return moment_of(second).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(second)
