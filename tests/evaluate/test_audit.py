"""The audit: leaks stop a run, doubts are said, and honest splits pass."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest

from matinee import split as splits
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries, Split
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import AuditReport, audit

PROTOCOL = Protocol(data="toy", split="by hand", part="test", history="train", exclude="nothing")
Row = tuple[int, int, int]  # user, item, time
USERS, ITEMS = IdMap(np.arange(6), what="user"), IdMap(np.arange(20), what="item")


def log(rows: list[Row], *, timed: bool = True) -> Dataset:
    user, item, time = (np.array(c) for c in zip(*rows, strict=True))
    return Dataset(USERS, ITEMS, user.astype(np.int32), item.astype(np.int32), timestamp=time if timed else None)


def hidden(rows: list[Row], *, timed: bool = True, pairs: bool = True, history: list[Row] | None = None) -> Holdout:
    """One query a user; rows in the order of users."""
    asked = sorted({u for u, _, _ in rows})
    seen = [[(i, t) for v, i, t in history or [] if v == u] for u in asked]
    queries = Queries(
        np.array(asked, np.int32),
        Ragged.from_lists([[i for i, _ in events] for events in seen]),
        Ragged.empty(len(asked)),
        history_times=np.array([t for events in seen for _, t in events], np.int64) if timed else None,
    )
    user, item, time = (np.array([row[c] for row in rows], np.int64) for c in range(3))
    query = np.searchsorted(asked, user).astype(np.int32)
    listed = Pairs(user.astype(np.int32), item.astype(np.int32), query, timestamp=time if timed else None)
    truth = Ragged.from_rows(query, item.astype(np.int32), len(asked))
    return Holdout(queries, truth, PROTOCOL, listed if pairs else None)


TRAIN = [(0, 1, 10), (0, 2, 20), (0, 3, 30), (1, 1, 15), (1, 4, 25)]
VALID, TEST = [(0, 5, 40)], [(0, 6, 50), (1, 7, 60)]
HONEST = Split(log(TRAIN), hidden(VALID), hidden(TEST))


def found(report: AuditReport, what: str) -> list[tuple[str, float | None]]:
    return [(f.level, f.number) for f in report.findings if f.what == what]


def test_an_honest_split_passes() -> None:
    report = audit(HONEST)
    report.raise_if_failed()
    assert not report.failed
    assert set(found(report, "shared events")) == {("info", 0)}
    assert found(report, "future in train") == [("info", 0)]
    assert found(report, "own future in train") == [("info", 0)]
    assert found(report, "unseen items") == [("warn", 2)]  # items 6 and 7
    assert found(report, "unseen users") == [("info", 0)]


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (replace(HONEST, test=hidden([(0, 3, 30), (1, 7, 60)])), "train and test share 1 event"),
        (replace(HONEST, valid=hidden([(0, 3, 30)])), "train and valid share 1 event"),
        (replace(HONEST, test=hidden([(0, 5, 40), (1, 7, 60)])), "valid and test share 1 event"),
        (replace(HONEST, test=hidden([(4, 6, 50)], history=[(4, 6, 50)])), "the histories of test and their answers"),
    ],
)
def test_a_shared_event_stops_the_run(split: Split, words: str) -> None:
    report = audit(split)
    assert report.failed
    with pytest.raises(MatineeError, match=f"the split leaks: .*{words}") as caught:
        report.raise_if_failed()
    assert caught.value.hint is not None


def test_a_repeat_at_another_time_is_a_warning() -> None:
    report = audit(replace(HONEST, test=hidden([(0, 3, 50), (1, 4, 60)])))
    assert not report.failed
    assert found(report, "repeated pairs") == [("warn", 2)]
    assert any("2 user-item pairs at different times" in words for words in report.warnings)


def test_without_timestamps_a_shared_pair_leaks_unless_the_log_repeats_itself() -> None:
    test = hidden([(0, 3, 0), (1, 7, 0)], timed=False)
    leaking = Split(log(TRAIN, timed=False), hidden(VALID, timed=False), test)
    assert audit(leaking).failed
    repeating = replace(leaking, train=log([*TRAIN, (0, 3, 31)], timed=False))
    report = audit(repeating)
    assert not report.failed
    assert found(report, "repeated pairs") == [("warn", 1)]
    assert found(report, "future in train") == [("info", None)]


def test_answers_without_pairs_are_audited_too() -> None:
    """Provided files may list answers only; their times are unknown."""
    report = audit(replace(HONEST, test=hidden([(0, 3, 50), (1, 7, 60)], pairs=False)))
    assert report.failed


def test_strangers_share_nothing() -> None:
    """Queries of unseen users all carry code -1; two of them with one item are two people."""
    valid, test = hidden([(-1, 3, 30)]), hidden([(-1, 3, 30)])
    assert not audit(replace(HONEST, valid=valid, test=test)).failed


def test_how_much_of_train_lies_in_the_future() -> None:
    """Tests at 20 (user 0), 27 and 100 (user 1). Train at 10, 15, 20, 25, 30: two after 20, one after 27, the median;
    of user 0's own, one of three (30) lies after 20; of user 1's, none of two after 27."""
    report = audit(replace(HONEST, test=hidden([(0, 6, 20), (1, 7, 27), (1, 8, 100)])))
    assert found(report, "future in train") == [("warn", 1 / 5)]
    assert found(report, "own future in train") == [("warn", 1 / 5)]
    assert any("40.0% of the train events are after the first" in words for words in report.warnings)


def test_how_many_neighbours_share_a_timestamp() -> None:
    """Over the whole log: user 0 at 10, 10, 30 | 40 | 40 and user 1 at 10, 25 | 60: two of six neighbouring pairs.
    The last event of user 0 and the first of user 1 are no neighbours."""
    train = log([(0, 1, 10), (0, 2, 10), (0, 3, 30), (1, 1, 10), (1, 4, 25)])
    report = audit(Split(train, hidden([(0, 5, 40)]), hidden([(0, 6, 40), (1, 7, 60)])))
    assert found(report, "equal timestamps") == [("warn", 2 / 6)]
    assert any("is arbitrary" in words for words in report.warnings)


def test_repeats_and_unreachable_answers_are_counted() -> None:
    train = log([*TRAIN, (0, 1, 11), (0, 1, 11)])
    test = hidden(TEST)
    barred = replace(test, queries=replace(test.queries, exclude=Ragged.from_lists([[6, 1], []])))
    report = audit(replace(HONEST, train=train, test=barred))
    assert found(report, "duplicate pairs") == [("warn", 2)]
    assert any("1 with the same timestamp" in words for words in report.warnings)
    assert found(report, "excluded answers") == [("warn", 1)]


def test_a_report_is_a_table_json_and_text() -> None:
    report = audit(Split(log(TRAIN, timed=False), hidden(VALID, timed=False), hidden(TEST, timed=False)))
    assert report.to_frame().columns == ["level", "what", "number", "words"]
    assert len(report.to_frame()) == len(report.findings)
    json.dumps([asdict(finding) for finding in report.findings], allow_nan=False)
    assert str(report).startswith("info  train and valid share no event")


def test_duplicated_rows_of_a_log_are_caught_after_a_random_split_by_row() -> None:
    """The leak most people make: the log holds rows twice, the split deals them out, and the test is known."""
    rng = np.random.default_rng(0)
    once = pl.DataFrame({"u": rng.integers(0, 20, 300), "i": rng.integers(0, 30, 300), "t": np.arange(300)})
    twice = pl.concat([once, once])
    users, items = IdMap.from_series(twice["u"], what="user"), IdMap.from_series(twice["i"], what="item")
    data = Dataset(
        users, items, users.encode(twice["u"]), items.encode(twice["i"]), timestamp=twice["t"].to_numpy().copy()
    )
    assert audit(splits.random(data, by="row", seed=0)).failed
    assert not audit(splits.random(data.rows(np.arange(300)), by="row", seed=0)).failed
    assert not audit(splits.temporal(data.rows(np.arange(300)))).failed
