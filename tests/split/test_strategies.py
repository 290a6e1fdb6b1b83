"""Splits against slow plain-Python references: which row is where, and what each query sees."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matinee import split as splits
from matinee.data.dataset import Dataset, Holdout, Split
from matinee.data.ids import IdMap
from matinee.errors import MatineeError

# fourteen cases times four properties: 20 logs each; a busy machine is no failure
few = settings(max_examples=20)

Rows = list[tuple[int, int, int]]  # user, item, time


def dataset(rows: Rows, *, timed: bool = True, valued: bool = True) -> Dataset:
    """A log whose context column "row" is the row number, so that every part can say which rows it holds."""
    user, item, time = (np.array(column) for column in zip(*rows, strict=True))
    users = IdMap.from_series(pl.Series(user * 10), what="user")
    items = IdMap.from_series(pl.Series(item * 7), what="item")
    return Dataset(
        users,
        items,
        users.encode(pl.Series(user * 10)),
        items.encode(pl.Series(item * 7)),
        value=np.arange(len(rows), dtype=np.float32) if valued else None,
        timestamp=time.astype(np.int64) if timed else None,
        context=pl.DataFrame({"row": np.arange(len(rows))}),
    )


@st.composite
def logs(draw: st.DrawFn) -> Dataset:
    """Few users, items and times: ties in time and repeated pairs are common."""
    row = st.tuples(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4]), st.integers(0, 19), st.integers(0, 12))
    rows = draw(st.lists(row, min_size=16, max_size=70))
    return dataset(rows, timed=draw(st.booleans()), valued=draw(st.booleans()))


def in_order(data: Dataset) -> list[int]:
    """Row numbers by user, then time, then row."""
    time = [0] * len(data) if data.timestamp is None else data.timestamp.tolist()
    return sorted(range(len(data)), key=lambda r: (data.user[r], time[r], r))


def by_user(data: Dataset, rows: list[int]) -> dict[int, list[int]]:
    found = defaultdict(list)
    for r in rows:
        found[int(data.user[r])].append(r)
    return found


def keys(data: Dataset, seed: int, draws: int = 1) -> Iterator[dict[int, float]]:
    """A random key per row, dealt along (user, time, row)."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield dict(zip(in_order(data), rng.random(len(data)).tolist(), strict=True))


# The references: the part of each row, in plain loops. "train", "valid", "test".


def slow_random(data: Dataset, seed: int, valid: float = 0.1, test: float = 0.1, by: str = "user") -> dict[int, str]:
    (key,) = keys(data, seed)
    part = dict.fromkeys(range(len(data)), "train")
    groups = by_user(data, in_order(data)).values() if by == "user" else [in_order(data)]
    for rows in groups:
        n = len(rows)
        if by == "user" and n < 3:
            continue
        n_test = max(1, math.floor(test * n + 1e-9))
        n_valid = max(1, math.floor(valid * n + 1e-9)) if valid else 0
        shuffled = sorted(rows, key=lambda r: key[r])
        part |= dict.fromkeys(shuffled[:n_test], "test")
        part |= dict.fromkeys(shuffled[n_test : n_test + n_valid], "valid")
    return part


def slow_leave_one_out(data: Dataset, seed: int) -> dict[int, str]:
    part = dict.fromkeys(range(len(data)), "train")
    for rows in by_user(data, in_order(data)).values():
        if len(rows) >= 3:
            part[rows[-1]], part[rows[-2]] = "test", "valid"
    return part


def slow_latest(data: Dataset, seed: int, valid: float = 0.1, test: float = 0.1) -> dict[int, str]:
    part = dict.fromkeys(range(len(data)), "train")
    for rows in by_user(data, in_order(data)).values():
        left = list(rows)
        for name, ratio in (("test", test), ("valid", valid)):
            for _ in range(max(1, math.floor(ratio * len(rows) + 1e-9)) if ratio and len(rows) >= 3 else 0):
                part[left.pop()] = name
    return part


def slow_temporal(data: Dataset, seed: int, valid: float = 0.8, test: float = 0.9) -> dict[int, str]:
    assert data.timestamp is not None
    times = sorted(data.timestamp.tolist())
    first, second = times[int(valid * len(times) + 1e-9)], times[int(test * len(times) + 1e-9)]
    return {
        r: "test" if t >= second else "valid" if t >= first else "train" for r, t in enumerate(data.timestamp.tolist())
    }


def slow_mixed(data: Dataset, seed: int, valid: float = 0.2, test: float = 0.2) -> dict[int, str]:
    part = dict.fromkeys(range(len(data)), "train")
    for (name, ratio), key in zip((("test", test), ("valid", valid)), keys(data, seed, 2), strict=True):
        rest = [r for r in in_order(data) if part[r] == "train"]
        for rows in by_user(data, rest).values():
            hidden = math.floor(ratio * len(rows) + 1e-9)
            latest = math.ceil(hidden / 2)
            part |= dict.fromkeys(rows[len(rows) - latest :], name)
            early = sorted(rows[: len(rows) - latest], key=lambda r: key[r])
            part |= dict.fromkeys(early[: hidden - latest], name)
    return part


def slow_strong(
    data: Dataset, seed: int, valid: float = 0.1, test: float = 0.1, fold_in: float = 0.8
) -> dict[int, str]:
    rng = np.random.default_rng(seed)
    rows = by_user(data, in_order(data))
    users = [u for u in sorted(rows) if len(rows[u]) >= 2]
    drawn = rng.permutation(users).tolist()
    n_test, n_valid = (max(1, math.floor(ratio * len(users) + 1e-9)) if ratio else 0 for ratio in (test, valid))
    key = dict(zip(in_order(data), rng.random(len(data)).tolist(), strict=True))
    part = dict.fromkeys(range(len(data)), "train")
    for at, u in enumerate(drawn[: n_test + n_valid]):
        name = "test" if at < n_test else "valid"
        shuffled = sorted(rows[u], key=lambda r: key[r])
        n_truth = max(1, math.floor((1 - fold_in) * len(shuffled) + 1e-9))
        part |= dict.fromkeys(shuffled[:n_truth], name)
        part |= dict.fromkeys(shuffled[n_truth:], f"{name} fold-in")
    return part


Case = tuple[Callable[..., Split], Callable[..., dict[int, str]], dict[str, Any]]
CASES: dict[str, Case] = {
    "random": (splits.random, slow_random, {}),
    "random 20/30": (splits.random, slow_random, {"valid": 0.2, "test": 0.3}),
    "random, no valid": (splits.random, slow_random, {"valid": 0.0, "test": 0.25}),
    "random by row": (splits.random, slow_random, {"by": "row", "valid": 0.15, "test": 0.2}),
    "leave_one_out": (splits.leave_one_out, slow_leave_one_out, {}),
    "latest": (splits.latest, slow_latest, {}),
    "latest 20/30": (splits.latest, slow_latest, {"valid": 0.2, "test": 0.3}),
    "latest, no valid": (splits.latest, slow_latest, {"valid": 0.0, "test": 0.25}),
    "temporal": (splits.temporal, slow_temporal, {}),
    "temporal .3/.7": (splits.temporal, slow_temporal, {"valid": 0.3, "test": 0.7}),
    "mixed": (splits.mixed, slow_mixed, {}),
    "mixed .3/.5": (splits.mixed, slow_mixed, {"valid": 0.3, "test": 0.5}),
    "strong": (splits.strong, slow_strong, {}),
    "strong .4/.2": (splits.strong, slow_strong, {"valid": 0.4, "test": 0.2, "fold_in": 0.5}),
}
case = pytest.mark.parametrize("name", CASES)


def by_chance(name: str) -> bool:
    return not name.startswith(("leave_one_out", "latest", "temporal"))


def timed(name: str, data: Dataset) -> Dataset:
    """With times, for the one strategy that needs them."""
    if data.timestamp is None and name.startswith("temporal"):
        return replace(data, timestamp=np.arange(len(data)) // 3)
    return data


def called(name: str, data: Dataset, seed: int, **more: Any) -> Split:
    function, _, options = CASES[name]
    seeds = {"seed": seed} if by_chance(name) else {}
    return function(data, **seeds, **options, **more)


def made(name: str, data: Dataset, seed: int, **more: Any) -> Split:
    """For property tests: gives the example up where the log is too small (errors have their own tests)."""
    try:
        return called(name, data, seed, **more)
    except MatineeError:
        assume(False)
        raise


def rows_of(part: Dataset | Holdout) -> list[int]:
    log = part.pairs if isinstance(part, Holdout) else part
    assert log is not None
    assert log.context is not None
    rows: list[int] = log.context["row"].to_list()
    return rows


def check_holdout(data: Dataset, holdout: Holdout, hidden: list[int], history: list[int], excluded: list[int]) -> None:
    """One query per user with a hidden row; each field against the rows it comes from, all in (user, time, row)."""
    queries, pairs = holdout.queries, holdout.pairs
    order, hidden_of = in_order(data), by_user(data, hidden)
    assert queries.user.tolist() == sorted(hidden_of)
    assert queries.user.dtype == queries.history.values.dtype == holdout.truth.values.dtype == np.int32
    assert pairs is not None
    assert rows_of(holdout) == [r for r in order if r in set(hidden)]
    assert pairs.user.tolist() == queries.user[pairs.query].tolist() == data.user[rows_of(holdout)].tolist()
    assert pairs.item.tolist() == data.item[rows_of(holdout)].tolist()
    for mine, theirs in ((pairs.label, data.value), (pairs.timestamp, data.timestamp)):
        assert (mine is None) == (theirs is None)
        assert mine is None or theirs is None or mine.tolist() == theirs[rows_of(holdout)].tolist()
    seen: list[int] = []
    for b, user in enumerate(queries.user.tolist()):
        past = [r for r in order if r in set(history) and data.user[r] == user]
        seen += past
        no_answer = {int(data.item[r]) for r in excluded if data.user[r] == user}
        assert queries.history[b].tolist() == data.item[past].tolist()
        assert set(queries.exclude[b].tolist()) == no_answer
        assert holdout.truth[b].tolist() == sorted({int(data.item[r]) for r in hidden_of[user]} - no_answer)
    assert (queries.history_ratings is None) == (data.value is None)
    assert queries.history_ratings is None or queries.history_ratings.tolist() == [float(r) for r in seen]
    assert data.timestamp is None or queries.history_times is not None
    assert (
        data.timestamp is None
        or queries.history_times is None
        or queries.history_times.tolist() == data.timestamp[seen].tolist()
    )


@case
@few
@given(data=logs(), seed=st.integers(0, 3), exclude_seen=st.booleans())
def test_every_part_is_what_the_slow_reference_says(name: str, data: Dataset, seed: int, exclude_seen: bool) -> None:
    data = timed(name, data)
    split = made(name, data, seed, exclude_seen=exclude_seen)
    part = CASES[name][1](data, seed, **CASES[name][2])
    rows: dict[str, list[int]] = defaultdict(list)
    for r, p in part.items():
        rows[p].append(r)
    strong, next_in_line = name.startswith("strong"), name.startswith(("leave_one_out", "latest"))
    assert rows_of(split.train) == sorted(rows["train"])
    assert split.train.users is data.users
    assert split.train.items is data.items
    past = {
        "valid": rows["valid fold-in"] if strong else rows["train"],
        "test": rows["test fold-in"] if strong else rows["train"] + (rows["valid"] if next_in_line else []),
    }
    excluded = {"valid": past["valid"], "test": past["test"] if strong else rows["train"] + rows["valid"]}
    for which, holdout in (("valid", split.valid), ("test", split.test)):
        check_holdout(data, holdout, rows[which], past[which], excluded[which] if exclude_seen else [])
    assert split.train_valid is not None
    assert rows_of(split.train_valid) == sorted(r for r, p in part.items() if not p.startswith("test"))


@case
@few
@given(data=logs(), seed=st.integers(0, 3))
def test_no_event_is_lost_doubled_or_seen(name: str, data: Dataset, seed: int) -> None:
    """Without the reference: train, valid and test partition the log (with the fold-in), and no query sees its rows."""
    data = timed(name, data)
    split = made(name, data, seed)
    parts = [rows_of(split.train), rows_of(split.valid), rows_of(split.test)]
    together = [r for part in parts for r in part]
    assert len(together) == len(set(together))
    if not name.startswith("strong"):
        assert sorted(together) == list(range(len(data)))
        return
    held = [*split.valid.queries.user.tolist(), *split.test.queries.user.tolist()]
    assert len(held) == len(set(held))
    assert not set(held) & set(split.train.user.tolist())
    fold_in = [*split.valid.queries.history.values.tolist(), *split.test.queries.history.values.tolist()]
    missing = Counter(data.item.tolist()) - Counter(data.item[together].tolist())
    assert Counter(fold_in) == missing


@case
@few
@given(data=logs(), seed=st.integers(0, 3))
def test_excluded_items_are_no_answers_and_the_notes_count_them(name: str, data: Dataset, seed: int) -> None:
    data = timed(name, data)
    split = made(name, data, seed)
    for which, holdout in (("valid", split.valid), ("test", split.test)):
        assert holdout.pairs is not None
        hidden = set(zip(holdout.pairs.query.tolist(), holdout.pairs.item.tolist(), strict=True))
        kept = set(zip(holdout.truth.rows.tolist(), holdout.truth.values.tolist(), strict=True))
        gone = set(zip(holdout.queries.exclude.rows.tolist(), holdout.queries.exclude.values.tolist(), strict=True))
        assert kept == hidden - gone
        counted = [note for note in split.notes if re.search(rf"answers? of {which} repeats? ", note)]
        assert [note.split()[0] for note in counted] == ([str(len(hidden & gone))] if hidden & gone else [])


def some_log(n: int = 600, *, seed: int = 1, distinct_times: bool = False) -> Dataset:
    rng = np.random.default_rng(seed)
    time = rng.permutation(n) if distinct_times else rng.integers(0, 50, n)
    rows = zip(rng.integers(0, 20, n).tolist(), rng.integers(0, 60, n).tolist(), time.tolist(), strict=True)
    return dataset(list(rows))


def contents(split: Split) -> list[bytes]:
    found = [split.train.user.tobytes(), split.train.item.tobytes()]
    for holdout in (split.valid, split.test):
        assert holdout.pairs is not None
        q = holdout.queries
        found += [a.tobytes() for a in (q.user, q.history.values, q.exclude.values, holdout.truth.values)]
        found += [holdout.pairs.item.tobytes(), holdout.protocol.fingerprint.encode()]
    return found


@case
def test_a_split_is_a_pure_function_of_data_and_seed(name: str) -> None:
    data = some_log()
    assert contents(called(name, data, 5)) == contents(called(name, some_log(), 5))
    assert (contents(called(name, data, 5)) != contents(called(name, data, 6))) == by_chance(name)
    assert called(name, data, 5).seed == (5 if by_chance(name) else None)


@case
def test_shuffled_rows_of_distinct_times_give_the_same_parts(name: str) -> None:
    data = some_log(distinct_times=True)
    other = data.rows(np.random.default_rng(0).permutation(len(data)))
    one, two = called(name, data, 3), called(name, other, 3)
    assert sorted(rows_of(one.train)) == sorted(rows_of(two.train))
    assert rows_of(one.valid) == rows_of(two.valid)
    assert rows_of(one.test) == rows_of(two.test)
    assert one.test.queries.history.values.tolist() == two.test.queries.history.values.tolist()


@case
def test_the_seed_is_no_part_of_the_protocol_but_every_share_is(name: str) -> None:
    data = some_log()
    protocols = {called(name, data, seed).test.protocol.fingerprint for seed in range(3)}
    assert len(protocols) == 1
    others = {n: called(n, data, 0).test.protocol.fingerprint for n in CASES if n != name}
    assert not protocols & set(others.values())
    open_to_repeats = called(name, data, 0, exclude_seen=False).test.protocol
    assert open_to_repeats.exclude == "nothing"
    assert open_to_repeats.fingerprint not in protocols


def test_the_test_does_not_depend_on_the_share_of_valid() -> None:
    data = some_log()
    one, two = splits.random(data, valid=0.1), splits.random(data, valid=0.3)
    assert rows_of(one.test) == rows_of(two.test)


@pytest.mark.parametrize(
    ("ratio", "n", "expected"), [(0.1, 9, 1), (0.1, 30, 3), (0.29, 100, 29), (0.7, 10, 7), (0.1, 19, 1), (0.2, 3, 1)]
)
def test_shares_are_floored_exactly(ratio: float, n: int, expected: int) -> None:
    data = dataset([(0, i, i) for i in range(n)] + [(1, 0, 0), (1, 1, 1)])
    split = splits.random(data, valid=0.1, test=ratio)
    assert np.bincount(split.test.pairs.user if split.test.pairs else []).tolist() == [expected]
    assert (split.train.user == 1).sum() == 2, "users with fewer than 3 events stay in train"


def test_mixed_hides_the_odd_one_among_the_latest() -> None:
    data = dataset([(0, i, i) for i in range(15)])
    split = splits.mixed(data, test=0.2, valid=0.2)
    assert len(rows_of(split.test)) == 3
    assert {13, 14} <= set(rows_of(split.test)), "2 of 3 are the latest"
    assert len(rows_of(split.valid)) == 2, "floor(.2 x 12)"
    assert max(r for r in range(15) if r not in rows_of(split.test)) in rows_of(split.valid)


@few
@given(data=logs(), seed=st.integers(0, 3))
def test_mixed_tells_the_latest_from_those_drawn_anywhere(data: Dataset, seed: int) -> None:
    try:
        split = splits.mixed(data, valid=0.3, test=0.4, seed=seed)
    except MatineeError:
        assume(False)
    gone: set[int] = set()
    for part in (split.test, split.valid):
        hidden, late = set(rows_of(part)), set()
        for rows in by_user(data, [r for r in in_order(data) if r not in gone]).values():
            mine = [r for r in rows if r in hidden]
            late |= set(rows[len(rows) - math.ceil(len(mine) / 2) :]) if mine else set()
        gone |= hidden
        for kind, rows_of_kind in (("late", late), ("random", hidden - late)):
            found = part.kinds[kind]
            answers = {u: set(part.truth[b].tolist()) for b, u in enumerate(part.queries.user.tolist())}
            for b, u in enumerate(part.queries.user.tolist()):
                wanted = {int(data.item[r]) for r in rows_of_kind if data.user[r] == u} & answers[u]
                assert found[b].tolist() == sorted(wanted)


@few
@given(data=logs(), n=st.integers(2, 5), seed=st.integers(0, 3), by=st.sampled_from(["row", "user"]))
def test_folds_test_each_row_once(data: Dataset, n: int, seed: int, by: Any) -> None:
    try:
        all_folds = splits.folds(data, n, by=by, valid=0.1, seed=seed)
    except MatineeError:
        assume(False)
    few = {u for u, rows in by_user(data, in_order(data)).items() if len(rows) < 3} if by == "user" else set()
    tested = [r for split in all_folds for r in rows_of(split.test)]
    assert sorted(tested) == [r for r in range(len(data)) if data.user[r] not in few]
    for split in all_folds:
        assert sorted(rows_of(split.train) + rows_of(split.valid) + rows_of(split.test)) == list(range(len(data)))
        check_holdout(
            data, split.test, rows_of(split.test), rows_of(split.train), rows_of(split.train) + rows_of(split.valid)
        )
    groups = by_user(data, list(range(len(data)))).values() if by == "user" else [list(range(len(data)))]
    for rows in groups:
        if by == "row" or len(rows) >= 3:
            sizes = [len(set(rows) & set(rows_of(split.test))) for split in all_folds]
            assert max(sizes) - min(sizes) <= 1
        for split in all_folds:
            m = len(rows) - len(set(rows) & set(rows_of(split.test)))
            expected = 0 if by == "user" and len(rows) < 3 else min(m - 1, max(1, math.floor(0.1 * m + 1e-9)))
            assert len(set(rows) & set(rows_of(split.valid))) == expected


def test_valid_leaves_each_user_of_a_fold_a_row_in_train() -> None:
    data = dataset([(u, i, i) for u in range(8) for i in range(3)])
    for split in splits.folds(data, 2, by="user"):
        assert set(split.train.user.tolist()) == set(range(8))


def test_folds_depend_on_the_seed_alone() -> None:
    one, again, other = (splits.folds(some_log(), 4, seed=seed) for seed in (0, 0, 1))
    assert [contents(s) for s in one] == [contents(s) for s in again]
    assert all(rows_of(s.test) != rows_of(o.test) for s, o in zip(one, other, strict=True))
    assert len({s.test.protocol.fingerprint for s in one + other}) == 1
    assert rows_of(one[0].test) != rows_of(one[1].test)


def test_leave_one_out_takes_the_last_in_the_log_s_order_where_times_are_equal() -> None:
    split = splits.leave_one_out(dataset([(0, 3, 5), (0, 1, 5), (0, 2, 5), (0, 0, 1)]))
    assert rows_of(split.test) == [2]
    assert rows_of(split.valid) == [1]
    assert split.test.queries.history[0].tolist() == [0, 3, 1]
    assert split.test.queries.history_times is not None
    assert split.test.queries.history_times.tolist() == [1, 5, 5]
    assert split.test.protocol.history == split.test.protocol.exclude == "train + valid"


def test_latest_takes_what_came_last_in_the_log_s_order_where_times_are_equal() -> None:
    """User 0: the floor of .2 x 11 events. User 1: at least one. User 2 has too few."""
    one = [(0, i, 5) for i in range(11)]
    data = dataset([(0, 11, 9), *one[:-1], (1, 1, 3), (1, 2, 1), (1, 3, 2), (2, 1, 0), (2, 2, 1)])
    split = splits.latest(data, valid=0.3, test=0.2)
    assert rows_of(split.test) == [10, 0, 11]
    assert rows_of(split.valid) == [7, 8, 9, 13]
    assert split.test.queries.history[1].tolist() == [2, 3]
    assert split.test.protocol.history == split.test.protocol.exclude == "train + valid"
    assert split.test.protocol.split == "latest, valid .3, test .2"
    untimed = splits.latest(dataset(one, timed=False), valid=0, test=0.2)
    assert rows_of(untimed.test) == [9, 10]
    assert not len(untimed.valid)
    assert untimed.test.protocol.split == "latest, valid 0, test .2, in the log's order"


@few
@given(data=logs())
def test_latest_of_a_tiny_share_is_leave_one_out(data: Dataset) -> None:
    one, other = made("leave_one_out", data, 0), splits.latest(data, valid=0.01, test=0.01)
    assert [rows_of(part) for part in (one.train, one.valid, one.test)] == [
        rows_of(part) for part in (other.train, other.valid, other.test)
    ]


@few
@given(data=logs(), valid=st.floats(0.05, 0.45), test=st.floats(0.05, 0.45))
def test_latest_comes_after_everything_that_is_known_of_a_user(data: Dataset, valid: float, test: float) -> None:
    """Without the reference: valid is not before a user's train, the test not before valid."""
    try:
        split = splits.latest(data, valid=valid, test=test)
    except MatineeError:
        assume(False)
    place = {r: at for at, r in enumerate(in_order(data))}
    parts = [
        by_user(data, sorted(rows_of(part), key=place.__getitem__)) for part in (split.train, split.valid, split.test)
    ]
    for user, hidden in parts[2].items():
        together = [r for part in parts for r in part[user]]
        assert together == [r for r in in_order(data) if data.user[r] == user]
        assert len(together) >= 3
        assert 1 <= len(hidden) <= max(1, test * len(together) + 1e-6)
        assert 1 <= len(parts[1][user]) <= max(1, valid * len(together) + 1e-6)


@pytest.mark.parametrize(
    "cuts",
    [
        (0.5, 0.75),
        ("1970-01-03", "1970-01-04"),
        (date(1970, 1, 3), datetime(1970, 1, 4, tzinfo=UTC)),
        (172_800, 259_200.0),
        ("1970-01-03T01:00:00+01:00", datetime(1970, 1, 4)),
        ("172800", "0.75"),
    ],
)
def test_temporal_cuts_by_quantile_date_or_second(cuts: tuple[Any, Any]) -> None:
    data = dataset([(u, d, d * 86_400 + s) for d in range(4) for u, s in ((0, 0), (d, 86_399))])
    split = splits.temporal(data, valid=cuts[0], test=cuts[1])
    assert set(rows_of(split.train)) == {0, 1, 2, 3}
    assert set(rows_of(split.valid)) == {4, 5}
    assert set(rows_of(split.test)) == {6, 7}
    assert split.test.queries.request_time is not None
    assert split.test.queries.request_time.tolist() == [259_200, 259_200]
    assert split.test.queries.user.tolist() == [0, 3], "user 3 is new: an ordinary query"
    assert split.test.queries.history.lengths.tolist() == [3, 0]
    assert "1970-01-04T00:00:00Z" in split.test.protocol.split


@case
@few
@given(data=logs(), seed=st.integers(0, 3))
def test_refitted_sees_train_and_valid(name: str, data: Dataset, seed: int) -> None:
    data = timed(name, data)
    split = made(name, data, seed)
    before = split.test
    fitted_on, test = splits.refitted(split)
    assert fitted_on is split.train_valid
    history = rows_of(fitted_on)
    if name.startswith("strong"):
        assert test.queries.history is before.queries.history
    else:
        check_holdout(data, test, rows_of(before), history, history)
    words = "fold-in" if name.startswith("strong") else "train + valid"
    assert test.protocol.history == f"{words} (fitted on train + valid)"
    assert test.truth is before.truth
    assert test.queries.exclude is before.queries.exclude
    assert test.protocol.fingerprint != before.protocol.fingerprint


class TestProvided:
    @few
    @given(data=logs(), seed=st.integers(0, 3), kind=st.sampled_from(["csv", "tsv", "parquet", "Dataset"]))
    def test_pairs_written_down_give_the_same_split(
        self, data: Dataset, seed: int, kind: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        pairs = data.user.astype(np.int64) * data.n_items + data.item
        data = data.rows(np.sort(np.unique(pairs, return_index=True)[1]))
        split = made("random", data, seed)
        folder = tmp_path_factory.mktemp("provided")

        def part(holdout: Holdout, name: str) -> Any:
            assert holdout.pairs is not None
            if kind == "Dataset":
                p = holdout.pairs
                return Dataset(data.users, data.items, p.user, p.item, p.label, p.timestamp, name=name)
            table = pl.DataFrame(
                {
                    "user_id": data.users.decode(holdout.pairs.user),
                    "extra": 1,
                    "item_id": data.items.decode(holdout.pairs.item),
                }
            )
            path = folder / f"{name}.{kind}"
            if kind == "parquet":
                table.write_parquet(path)
            else:
                table.write_csv(path, separator="," if kind == "csv" else "\t")
            return str(path)

        again = splits.provided(split.train, valid=part(split.valid, "valid"), test=part(split.test, "test"))
        assert again.train is split.train
        for one, two in ((split.valid, again.valid), (split.test, again.test)):
            assert one.queries.user.tolist() == two.queries.user.tolist()
            for b in range(len(one)):
                assert one.queries.history[b].tolist() == two.queries.history[b].tolist()
                assert set(one.queries.exclude[b].tolist()) == set(two.queries.exclude[b].tolist())
            assert one.truth.values.tolist() == two.truth.values.tolist()
            assert one.pairs is not None
            assert two.pairs is not None
            assert one.pairs.item.tolist() == two.pairs.item.tolist()
            if kind == "Dataset" and one.pairs.label is not None and two.pairs.label is not None:
                assert one.pairs.label.tolist() == two.pairs.label.tolist()
            elif kind != "Dataset":
                assert two.pairs.label is None
                assert two.pairs.timestamp is None
        assert again.test.protocol.exclude == "train + valid"
        assert not again.notes

    def test_ids_that_only_the_files_know_stay_in_the_denominator(self, tmp_path: Path) -> None:
        data = dataset([(1, 2, 0), (1, 4, 1), (2, 2, 2)])
        features = pl.DataFrame({"title": ["two", "four"]})
        data = Dataset(data.users, data.items, data.user, data.item, item_features=features)
        (tmp_path / "t.csv").write_text("user_id,item_id\n10,7\n99,14\n99,28\n")
        split = splits.provided(data, test=tmp_path / "t.csv")
        assert split.train.items.ids.tolist() == [7, 14, 28]
        assert split.train.items.decode(split.train.item) == [14, 28, 14]
        assert split.train.item_features is not None
        assert split.train.item_features["title"].to_list() == [None, "two", "four"]
        assert split.train.users.decode(split.test.queries.user) == [10, 99]
        assert split.test.queries.history.lengths.tolist() == [2, 0]
        assert split.test.truth.lengths.tolist() == [1, 2]
        assert split.notes == (
            "1 user id of the provided files is not in the log",
            "1 item id of the provided files is not in the log",
        )
        assert len(split.valid) == 0
        assert splits.refitted(split)[0].item.tolist() == split.train.item.tolist()

    def test_what_a_model_already_saw_is_no_hidden_event(self, tmp_path: Path) -> None:
        data = dataset([(1, 2, 0), (1, 4, 1), (2, 2, 2)])
        (tmp_path / "t.csv").write_text("user_id,item_id\n10,21\n10,28\n")
        with pytest.raises(MatineeError, match="1 of 2 hidden pairs is in the log too, first user 10, item 28"):
            splits.provided(data, test=tmp_path / "t.csv")
        assert splits.provided(data, test=tmp_path / "t.csv", exclude_seen=False).test.truth.lengths.tolist() == [2]

    def test_pairs_without_times_cannot_be_refitted_into_a_log_that_has_them(self, tmp_path: Path) -> None:
        data = dataset([(1, 2, 0), (1, 4, 1), (2, 2, 2)])
        (tmp_path / "v.csv").write_text("user_id,item_id\n20,28\n")
        (tmp_path / "t.csv").write_text("user_id,item_id\n20,21\n")
        split = splits.provided(data, valid=tmp_path / "v.csv", test=tmp_path / "t.csv")
        assert split.train.items.decode(split.test.queries.exclude[0]) in ([14, 28], [28, 14])
        with pytest.raises(MatineeError, match="refit = false"):
            splits.refitted(split)

    def test_json_lines_say_it_all(self, tmp_path: Path) -> None:
        data = dataset([(1, 1, 0), (1, 2, 1), (2, 3, 2)])
        lines = [
            {"user": 20, "history": [14, 7, 14], "truth": [21, 21, 14]},
            {"history": [], "exclude": [7], "truth": ["14"]},
            {"user": "777", "history": ["7", 999], "exclude": [], "truth": [7, 70]},
        ]
        path = tmp_path / "queries.jsonl"
        path.write_text("\n\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
        split = splits.provided(data, test=path)
        items, test = split.train.items, split.test
        assert items.ids.tolist() == [7, 14, 21, 70, 999]
        assert split.train.items.decode(split.train.item) == [7, 14, 21]
        assert test.queries.user.tolist() == [1, -1, 2]
        assert split.train.users.decode([1, 2]) == [20, 777]
        assert [items.decode(test.queries.history[b]) for b in range(3)] == [[14, 7, 14], [], [7, 999]]
        assert [items.decode(test.queries.exclude[b]) for b in range(3)] == [[14, 7, 14], [7], []]
        assert [items.decode(test.truth[b]) for b in range(3)] == [[21], [14], [7, 70]]
        assert test.protocol.exclude == "as given, else history"
        assert "1 answer of test repeats an excluded event" in split.notes[-1]
        assert split.train_valid is None
        path.write_text(json.dumps(lines[0]))
        repeats = splits.provided(data, test=path, exclude_seen=False).test
        assert repeats.protocol.exclude == "nothing"
        assert repeats.truth.lengths.tolist() == [2]

    def test_candidates_are_padded(self, tmp_path: Path) -> None:
        data = dataset([(1, 1, 0), (1, 2, 1), (2, 3, 2)])
        path = tmp_path / "q.ndjson"
        path.write_text(
            '{"history": [7], "candidates": [21, 14, 21], "truth": [14]}\n'
            '{"history": [7], "candidates": [21], "truth": [14]}\n'
            '{"history": [7], "candidates": [], "truth": [14]}\n'
        )
        split = splits.provided(data, valid=path, test=path)
        assert split.test.queries.candidates is not None
        assert split.test.queries.candidates.tolist() == [[2, 1], [2, -1], [-1, -1]]
        assert split.test.queries.candidates.dtype == np.int32
        assert split.valid.protocol.candidates == "as given"
        assert split.valid.protocol.part == "valid"

    def test_text_ids_keep_their_zeros(self, tmp_path: Path) -> None:
        users, items = (IdMap.from_series(pl.Series(["007", "7", "x"]), what=what) for what in ("user", "item"))
        data = Dataset(users, items, np.array([0, 1, 2], np.int32), np.array([0, 1, 2], np.int32))
        (tmp_path / "t.csv").write_text("user_id,item_id\n007,7\n7,007\n")
        test = splits.provided(data, test=tmp_path / "t.csv").test
        assert test.queries.user.tolist() == [0, 1]
        assert test.truth.values.tolist() == [1, 0]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("t.csv", "user_id,film\n1,2\n", r"t\.csv: there is no column for item_id; it has 'user_id', 'film'"),
            ("t.csv", "user_id,item_id\n10,7\n10,\n", r"t\.csv, row 3, column 'item_id': the id is empty"),
            ("t.csv", "user_id,item_id\n10,7\nx,7\n", r"t\.csv, row 3, column 'user_id': 'x' is not a whole number"),
            ("t.csv", "user_id,item_id\n10,7,3,4\n", r"t\.csv, row 2: has 4 fields where 2 are expected"),
            ("t.csv", "", r"t\.csv: the file is empty"),
            ("t.csv", "user_id,item_id\n", "no event for test"),
            ("t.parquet", "nonsense", r"t\.parquet: is not a readable Parquet file"),
            ("t.xlsx", "nonsense", r"t\.xlsx: unknown kind of file '\.xlsx'"),
            ("t.jsonl", "", r"t\.jsonl: holds no line"),
            ("t.jsonl", '{"history": [7], "truth": [14]}\n{"history"', r"t\.jsonl, line 2: is no JSON"),
            ("t.jsonl", "[" * 100_000, r"t\.jsonl, line 1: is no JSON"),
            ("t.jsonl", "\n[7]\n", r"t\.jsonl, line 2: is a list"),
            ("t.jsonl", '{"history": [7]}', r"t\.jsonl, line 1: has no 'truth'"),
            ("t.jsonl", '{"truth": [7]}', r"t\.jsonl, line 1: has no 'history'"),
            ("t.jsonl", '{"history": 7, "truth": [7]}', r"line 1: 'history' is not a list"),
            ("t.jsonl", '{"history": [1.5], "truth": [7]}', r"line 1, 'history': 1\.5 is no id"),
            ("t.jsonl", '{"history": [true], "truth": [7]}', r"line 1, 'history': True is no id"),
            ("t.jsonl", '{"history": [], "truth": ["x"]}', r"line 1, 'truth': 'x' is no whole number"),
            ("t.jsonl", '{"history": [], "truth": [9223372036854775808]}', r"line 1, 'truth': .* is too large"),
            ("t.jsonl", '{"history": [], "truth": []}', r"line 1: has no answer"),
            ("t.jsonl", '{"history": [], "truth": [7], "exclude": [7]}', r"line 1: 7 is both an answer and excluded"),
            ("t.jsonl", '{"history": [], "truth": [7], "seen": [7]}', r"line 1: unknown key 'seen'"),
            (
                "t.jsonl",
                '{"history": [], "truth": [7]}\n{"history": [], "truth": [7], "candidates": [7]}',
                r"line 2: candidates are on some lines only",
            ),
            ("t.jsonl", '{"history": [], "truth": [7], "candidates": [14]}', "no line has an answer among its cand"),
            ("t.jsonl", '{"history": [7], "truth": [7]}', "every event of test repeats one that is excluded"),
        ],
    )
    def test_bad_files_are_named(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        (tmp_path / name).write_text(content)
        with pytest.raises(MatineeError, match=message):
            splits.provided(dataset([(1, 3, 0), (1, 2, 1), (2, 3, 2)]), test=tmp_path / name)

    def test_a_missing_file_and_wrong_bytes_are_named(self, tmp_path: Path) -> None:
        data = dataset([(1, 1, 0)])
        with pytest.raises(MatineeError, match=r"gone\.csv: cannot be read: No such file"):
            splits.provided(data, test=tmp_path / "gone.csv")
        (tmp_path / "t.jsonl").write_bytes(b'{"history": ["\xe9"], "truth": [7]}')
        with pytest.raises(MatineeError, match=r"t\.jsonl, line 1: is not UTF-8"):
            splits.provided(data, test=tmp_path / "t.jsonl")


class TestMake:
    def test_each_strategy_by_name(self) -> None:
        data = some_log()
        for name in ("random", "leave_one_out", "latest", "temporal", "mixed", "strong"):
            (split,) = splits.make(data, name, seed=4)
            assert contents(split) == contents(called(name, data, 4))

    def test_options_and_folds(self) -> None:
        data = some_log()
        (split,) = splits.make(data, "random", {"by": "row", "valid": "0.2", "test": 0.3, "exclude_seen": False})
        assert contents(split) == contents(splits.random(data, by="row", valid=0.2, test=0.3, exclude_seen=False))
        five = splits.make(data, "random", {"folds": 5, "valid": 0}, seed=2)
        assert [contents(s) for s in five] == [contents(s) for s in splits.folds(data, 5, valid=0, seed=2)]
        (dated,) = splits.make(data, "temporal", {"valid": datetime(1970, 1, 1, 0, 0, 20), "test": 0.9})
        assert dated.valid.queries.request_time is not None
        assert dated.valid.queries.request_time[0] == 20

    def test_provided(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("user_id,item_id\n20,28\n")
        data = dataset([(1, 2, 0), (1, 4, 1), (2, 2, 2)])
        (split,) = splits.make(data, "provided", {"test": str(tmp_path / "t.csv")})
        assert split.test.truth.values.tolist() == [1]

    @pytest.mark.parametrize(
        ("strategy", "options", "message"),
        [
            ("randon", {}, "unknown split strategy 'randon'"),
            ("random", {"tests": 0.1}, "no option 'tests'\n.*did you mean test"),
            ("random", {"folds": 5, "test": 0.1}, "'random with folds' has no option 'test'"),
            ("leave_one_out", {"valid": 0.1}, "no option 'valid'"),
            ("latest", {"tests": 0.1}, "no option 'tests'\n.*did you mean test"),
            ("random", {"test": "much"}, "split option test = 'much'"),
            ("random", {"by": "item"}, "split option by = 'item'"),
            ("random", {"seed": 1}, "no option 'seed'"),
            ("provided", {}, "needs the option 'test'"),
        ],
    )
    def test_wrong_options_are_named(self, strategy: str, options: dict[str, object], message: str) -> None:
        with pytest.raises(MatineeError, match=message):
            splits.make(some_log(), strategy, options)


LONELY = [(u, u, u) for u in range(9)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: splits.random(some_log(), test=0), "test must be between 0 and 1, got 0"),
        (lambda: splits.random(some_log(), valid=float("nan")), "valid must be between 0 and 1, got nan"),
        (lambda: splits.random(some_log(), valid=0.5, test=0.5), "leave nothing for train"),
        (
            lambda: splits.random(some_log(), by="day"),  # type: ignore[arg-type]
            "by='day' is unknown",
        ),
        (lambda: splits.random(some_log(), seed=-1), "seed must be 0 or more, got -1"),
        (lambda: splits.random(some_log(), seed="1"), "seed must be 0 or more, got '1'"),  # type: ignore[arg-type]
        (lambda: splits.random(some_log(), seed=1.5), "seed must be 0 or more, got 1.5"),  # type: ignore[arg-type]
        (lambda: splits.random(some_log(), test="0.1"), "test must be .* got '0.1'"),  # type: ignore[arg-type]
        (lambda: splits.folds(some_log(), 2.5), "2 folds or more, got 2.5"),  # type: ignore[arg-type]
        (lambda: splits.folds(some_log(), "5"), "2 folds or more, got '5'"),  # type: ignore[arg-type]
        (lambda: splits.temporal(some_log(), test=None), "test=None is not a moment"),  # type: ignore[arg-type]
        (lambda: splits.random(dataset(LONELY)), "no event for valid\n.*at least 3"),
        (lambda: splits.random(dataset(LONELY), valid=0), "no event for test\n.*at least 3"),
        (lambda: splits.random(dataset(LONELY).rows(np.zeros(9, bool))), "no event for train"),
        (lambda: splits.folds(some_log(), 1), "needs 2 folds or more, got 1"),
        (lambda: splits.folds(dataset(LONELY), 20), "no event for test"),
        (lambda: splits.leave_one_out(dataset(LONELY)), "no event for valid\n.*at least 3"),
        (lambda: splits.leave_one_out(dataset([(0, 1, t) for t in range(5)])), "every event of valid repeats"),
        (lambda: splits.latest(some_log(), test=0), "test must be between 0 and 1, got 0"),
        (lambda: splits.latest(some_log(), valid=0.5, test=0.5), "leave nothing for train"),
        (lambda: splits.latest(dataset(LONELY)), "no event for valid\n.*at least 3"),
        (lambda: splits.latest(dataset(LONELY), valid=0), "no event for test\n.*at least 3"),
        (lambda: splits.latest(dataset([(0, 1, t) for t in range(5)])), "every event of valid repeats"),
        (lambda: splits.temporal(dataset(LONELY, timed=False)), "needs timestamps"),
        (lambda: splits.temporal(dataset(LONELY).rows(np.zeros(9, bool))), "the log is empty"),
        (lambda: splits.temporal(dataset(LONELY), valid="yesterday"), "valid='yesterday' is not a moment in time"),
        (lambda: splits.temporal(dataset(LONELY), test=float("inf")), "test=inf is not a moment in time"),
        (lambda: splits.temporal(dataset(LONELY), valid=0.9, test=0.8), "valid starts at .*07Z? ?.*let the test start"),
        (lambda: splits.temporal(dataset([(0, 1, 5)] * 9)), "let the test start later"),
        (lambda: splits.temporal(dataset(LONELY), test="2030-01-01"), "no event for test\n.*from 1970-01-01T00:00:00Z"),
        (lambda: splits.mixed(dataset(LONELY)), "no event for valid"),
        (lambda: splits.mixed(some_log(), valid=1), "valid must be between 0 and 1, got 1"),
        (lambda: splits.strong(some_log(), fold_in=1), "fold_in must be between 0 and 1, got 1"),
        (lambda: splits.strong(dataset([(0, 1, 1), (0, 2, 2)])), "no event for train"),
    ],
)
def test_what_cannot_be_split_says_what_to_do(call: Callable[[], object], message: str) -> None:
    with pytest.raises(MatineeError, match=f"(?s){message}") as raised:
        call()
    assert raised.value.hint


ML_1M = Path(__file__).resolve().parents[3] / "shared" / "data" / "ml-1m" / "ratings.dat"


@pytest.fixture(scope="module")
def ml_1m() -> pl.DataFrame:
    """u, i, r, t of the official file, in its order."""
    if not ML_1M.is_file():
        pytest.skip(f"MovieLens 1M is not at {ML_1M.parent}")
    columns = ["u", "i", "r", "t"]
    text = ML_1M.read_bytes().replace(b"::", b"\t")
    return pl.read_csv(text, separator="\t", has_header=False, new_columns=columns)


def as_dataset(table: pl.DataFrame) -> Dataset:
    users, items = IdMap.from_series(table["u"], what="user"), IdMap.from_series(table["i"], what="item")
    return Dataset(
        users, items, users.encode(table["u"]), items.encode(table["i"]), timestamp=table["t"].cast(pl.Int64).to_numpy()
    )


def ten_core(table: pl.DataFrame) -> pl.DataFrame:
    table, before = table.filter(pl.col("r") >= 3), 0
    while len(table) != before:
        before = len(table)
        table = table.filter(pl.len().over("u") >= 10)
        table = table.filter(pl.len().over("i") >= 10)
    return table


class TestMovieLens1M:
    def test_static_protocol_of_targets_a(self, ml_1m: pl.DataFrame) -> None:
        table = ten_core(ml_1m)
        data = as_dataset(table)
        assert (data.n_users, data.n_items, len(data)) == (6_033, 3_123, 834_449)
        counts = table.group_by("u").len()["len"].to_list()
        held_out = sum(max(1, n // 10) for n in counts)
        split = splits.random(data, seed=0)
        assert split.valid.pairs is not None
        assert split.test.pairs is not None
        assert len(split.valid.pairs) == len(split.test.pairs) == held_out == 80_695
        assert len(split.test) == len(split.valid) == 6_033
        assert len(split.train) == 834_449 - 2 * 80_695
        assert len(split.test.truth.values) == held_out, "no repeated pairs"
        assert not split.notes

    def test_sequential_protocol_of_targets_b(self, ml_1m: pl.DataFrame) -> None:
        table = ml_1m.filter(pl.len().over("i") >= 5)
        data = as_dataset(table)
        assert (data.n_users, data.n_items, len(data)) == (6_040, 3_416, 999_611)
        split = splits.leave_one_out(data)
        assert len(split.train) == 999_611 - 2 * 6_040
        last = table.sort("t", maintain_order=True).group_by("u", maintain_order=True).tail(2)
        last = last.group_by("u", maintain_order=True).agg("i").sort("u")
        assert data.items.decode(split.valid.truth.values) == last["i"].list.first().to_list()
        assert data.items.decode(split.test.truth.values) == last["i"].list.last().to_list()

    def test_the_film_contest_s_form(self, ml_1m: pl.DataFrame) -> None:
        data = as_dataset(ml_1m)
        split = splits.mixed(data, seed=0)
        assert split.valid.pairs is not None
        assert split.test.pairs is not None
        counts = [n for _, n in ml_1m.group_by("u").len().iter_rows()]
        assert len(split.test.pairs) == sum(n // 5 for n in counts) == 197_656
        assert len(split.valid.pairs) == sum((n - n // 5) // 5 for n in counts)
        assert len(split.train) + len(split.valid.pairs) + len(split.test.pairs) == 1_000_209
