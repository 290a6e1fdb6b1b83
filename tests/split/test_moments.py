"""The moment of a request, predicted from the history: against a plain loop with statistics.median."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import matinee as mt
from contract.logs import groups
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.errors import MatineeError
from matinee.split.moments import SESSION, Between, predict

TIMES = [
    [10, 20, 50, 51, 9_000, 20_000],  # intervals 10, 30, 1, 8949, 11000
    [],
    [7_000],
    [100, 90_100],
    [5, 5, 5],
    [0, 1_799, 3_599, 5_398],  # 1799, 1800, 1799: one is half an hour
]


def asked(rows: list[list[int]]) -> Queries:
    history = Ragged.from_lists([range(len(row)) for row in rows])
    times = np.array([time for row in rows for time in row], np.int64)
    return Queries(np.full(len(rows), -1, np.int32), history, history, history_times=times)


def slow(rows: list[list[int]], least: int) -> list[int]:
    gaps = [[b - a for a, b in pairwise(row) if b - a >= least] for row in rows]
    medians = [statistics.median(own) if own else None for own in gaps]
    known = [median for median in medians if median is not None]
    usual = statistics.median(known) if known else 0
    return [
        row[-1] + int(usual if median is None else median) if row else -1
        for row, median in zip(rows, medians, strict=True)
    ]


@pytest.mark.parametrize(("between", "least"), [("events", 0), ("sessions", SESSION)])
def test_the_last_event_and_the_users_own_median(between: Between, least: int) -> None:
    found = predict(asked(TIMES), between)
    assert found.dtype == np.int64
    assert found.tolist() == slow(TIMES, least)
    rng = np.random.default_rng(2)
    many = [np.cumsum(10 ** rng.uniform(0, 6, n)).astype(int).tolist() for n in rng.integers(0, 9, 60)]
    assert predict(asked(many), between).tolist() == slow(many, least)


def test_by_hand() -> None:
    assert predict(asked(TIMES)).tolist() == [20_030, -1, 7_000 + (30 + 1_799) // 2, 180_100, 5, 5_398 + 1_799]
    assert predict(asked([[4], []])).tolist() == [4, -1], "nobody has an interval"


def test_a_split_is_asked_then_and_says_so() -> None:
    split = mt.split.mixed(groups(), valid=0.2, test=0.4)
    later = mt.split.predicted_moments(split, "sessions")
    for before, after in ((split.valid, later.valid), (split.test, later.test)):
        assert before.queries.request_time is None
        assert after.queries.request_time is not None
        assert after.queries.request_time.tolist() == predict(before.queries, "sessions").tolist()
        assert after.protocol.split.endswith("the median time between a user's sessions after the last event")
        assert after.protocol.fingerprint != before.protocol.fingerprint
        assert after.truth is before.truth


def test_nothing_hidden_is_read() -> None:
    """Hidden events at other times, in the same order, change no moment."""
    data = groups()
    split = mt.split.mixed(data, valid=0.2, test=0.4, seed=1)
    assert data.timestamp is not None
    visible = np.isin(
        data.user.astype(np.int64) * 10**6 + data.item, split.train.user.astype(np.int64) * 10**6 + split.train.item
    )
    moved = replace(data, timestamp=np.where(visible, data.timestamp, data.timestamp + 1))
    other = mt.split.predicted_moments(mt.split.mixed(moved, valid=0.2, test=0.4, seed=1))
    mine = mt.split.predicted_moments(split)
    np.testing.assert_array_equal(mine.test.queries.request_time, other.test.queries.request_time)


def test_a_refit_is_asked_after_its_own_histories() -> None:
    split = mt.split.predicted_moments(mt.split.mixed(groups(), valid=0.2, test=0.4))
    _, test = mt.split.refitted(split)
    assert test.queries.request_time is not None
    assert test.queries.request_time.tolist() == predict(test.queries).tolist()
    assert test.queries.request_time.tolist() != predict(split.test.queries).tolist()


def test_refuses_histories_without_times_and_other_words() -> None:
    bare = mt.split.random(replace(groups(), timestamp=None))
    with pytest.raises(MatineeError, match="no times"):
        mt.split.predicted_moments(bare)
    with pytest.raises(MatineeError, match="not known"):
        predict(asked(TIMES), "days")  # type: ignore[arg-type]
