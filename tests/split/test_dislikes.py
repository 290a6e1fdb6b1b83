"""What each part of a split knows of dislikes: never one that comes after what is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.dataset import Dataset, Holdout
from matinee.data.dislikes import Dislikes
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.split import parts

USERS, ITEMS = ["u", "v", "w"], [f"i{n:02d}" for n in range(30)]


def log(*, timed: bool = True) -> Dataset:
    """Each of three users watches ten items, one a second from 1 on, and dislikes i20 at 0, i21 at 5, i22 at 8, i23 at
    9, i24 at 10 and i25 at 99."""
    user = np.repeat(np.arange(3, dtype=np.int32), 10)
    item = np.tile(np.arange(10, dtype=np.int32), 3)
    times = np.tile(np.arange(1, 11), 3)
    dislikes = Dislikes(
        np.repeat(np.arange(3, dtype=np.int32), 6),
        np.tile(np.arange(20, 26, dtype=np.int32), 3),
        np.tile(np.array([0, 5, 8, 9, 10, 99]), 3) if timed else None,
    )
    maps = IdMap.from_series(pl.Series(USERS), what="user"), IdMap.from_series(pl.Series(ITEMS), what="item")
    return Dataset(*maps, user, item, timestamp=times if timed else None, dislikes=dislikes)


def known(holdout: Holdout) -> list[int]:
    """The disliked items, from 20 on, that the first query excludes."""
    return [code for code in holdout.queries.exclude[0].tolist() if code >= 20]


def measured(holdout: Holdout) -> list[int]:
    assert holdout.dislikes is not None
    return list(holdout.dislikes[0].tolist())


def of_train(data: Dataset | None) -> list[int]:
    """The items that user 0 dislikes."""
    assert data is not None
    assert data.dislikes is not None
    return list(data.dislikes.of(np.array([0], np.int32)).values.tolist())


def test_leave_one_out_knows_none_from_the_hidden_event_on() -> None:
    split = mt.split.leave_one_out(log())  # valid hides second 9, the test second 10
    assert of_train(split.train) == [20, 21, 22]
    assert known(split.valid) == [20, 21, 22], "a dislike in the second of the hidden event is not known"
    assert known(split.test) == [20, 21, 22, 23]
    assert of_train(split.train_valid) == [20, 21, 22, 23]
    assert measured(split.valid) == [20, 21, 22, 23], "valid is chosen by what the test may know"
    assert measured(split.test) == [20, 21, 22, 23, 24, 25]
    assert split.test.protocol.exclude == "train + valid + dislikes"
    assert parts.refitted(split)[1].dislikes is split.test.dislikes


def test_latest_knows_none_from_the_first_hidden_event_on() -> None:
    split = mt.split.latest(log(), valid=0.2, test=0.2)  # valid hides 7 and 8, the test 9 and 10
    assert known(split.valid) == [20, 21]
    assert known(split.test) == [20, 21, 22]


def test_temporal_knows_none_from_the_cut_on() -> None:
    split = mt.split.temporal(log(), valid=6, test=9)
    assert of_train(split.train) == known(split.valid) == [20, 21]
    assert known(split.test) == of_train(split.train_valid) == [20, 21, 22]


def test_temporal_of_a_user_who_comes_later() -> None:
    """The cut decides, not the user's own first event: between them nothing is known."""
    data = log()
    late = data.rows((data.user > 0) | (data.timestamp == 10))  # user 0 has one event, in the test
    split = mt.split.temporal(late, valid=6, test=7)
    assert split.test.queries.user[0] == 0
    assert known(split.test) == [20, 21]
    assert of_train(split.train) == [], "train has the dislikes of its users"


def test_random_knows_as_much_as_the_history_does() -> None:
    data = log()
    split = mt.split.random(data, seed=3)
    for part, seen in ((split.valid, split.train), (split.test, split.train_valid)):
        assert seen is not None
        assert seen.timestamp is not None
        own = seen.timestamp[seen.user == 0]
        last, hidden = own.max(), min(set(range(1, 11)) - set(own.tolist()))
        wanted = [20 + n for n, time in enumerate((0, 5, 8, 9, 10, 99)) if time < max(hidden, last + 1)]
        assert known(part) == wanted
        assert 25 not in wanted


def test_strong_gives_train_the_dislikes_of_its_users_alone() -> None:
    split = mt.split.strong(log(), valid=0.3, test=0.3, fold_in=0.8, seed=0)
    assert split.train.dislikes is not None
    assert set(split.train.dislikes.user.tolist()) == set(split.train.user.tolist())
    assert len(split.test) == 1
    assert known(split.test)[:1] == [20]
    assert 25 not in known(split.test)
    assert measured(split.test) == [20, 21, 22, 23, 24, 25]


def test_sessions_know_what_came_before_the_answer() -> None:
    split = mt.split.sessions(log(), test=0.3, valid=0.0, exclude_seen=False)
    test = split.test  # its answers are at seconds 2 to 10
    found = [test.queries.exclude[b].tolist() for b in range(len(test))]
    assert found == [[20]] * 4 + [[20, 21]] * 3 + [[20, 21, 22], [20, 21, 22, 23]]
    assert measured(test) == [20, 21, 22, 23, 24, 25]
    assert test.protocol.exclude == "dislikes"


def test_provided_knows_all_that_the_log_says(tmp_path: Path) -> None:
    pairs, lines = tmp_path / "test.csv", tmp_path / "test.jsonl"
    pairs.write_text("user_id,item_id\nu,i11\nu,i21\nu,i99\n")
    split = mt.split.provided(log(), test=pairs)
    names = split.train.items.decode
    assert names(split.test.queries.exclude[0])[10:] == ["i20", "i21", "i22", "i23", "i24", "i25"]
    assert names(split.test.truth[0]) == ["i11", "i99"]
    assert any("1 answer of test repeats an excluded event or was disliked" in note for note in split.notes)
    lines.write_text(
        '{"user": "u", "history": ["i01"], "truth": ["i11"]}\n'
        '{"user": "u", "history": ["i01"], "exclude": ["i02"], "truth": ["i11"]}\n'
    )
    test = mt.split.provided(log(), test=lines).test
    assert known(test) == [20, 21, 22, 23, 24, 25]
    assert test.queries.exclude[1].tolist() == [2], "a line that says what is excluded has said it"


def test_without_times_all_dislikes_are_known() -> None:
    split = mt.split.leave_one_out(log(timed=False))
    assert of_train(split.train) == known(split.test) == [20, 21, 22, 23, 24, 25]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_dislikes_may_be_allowed(exclude_seen: bool) -> None:
    split = mt.split.leave_one_out(log(), exclude_seen=exclude_seen)
    free = mt.split.allowing_dislikes(split)
    assert known(split.test) == [20, 21, 22, 23]
    assert known(free.test) == []
    assert free.test.queries.exclude[0].tolist() == (list(range(9)) if exclude_seen else [])
    assert free.test.protocol.exclude == ("train + valid" if exclude_seen else "nothing")
    assert free.test.protocol.fingerprint != split.test.protocol.fingerprint
    bare = mt.split.leave_one_out(replace(log(), dislikes=None))
    assert mt.split.allowing_dislikes(bare).test is bare.test


def test_hidden_dislikes_are_counted_where_they_are_recommended() -> None:
    data = log()
    watched = Dislikes(np.zeros(1, np.int32), np.array([12], np.int32), np.array([99]))
    others = data.rows(data.user > 0)
    more = replace(
        others,
        user=np.concatenate([others.user, np.array([1, 2], np.int32)]),
        item=np.concatenate([others.item, np.array([12, 12], np.int32)]),
        timestamp=np.concatenate([others.timestamp, [1, 1]]),
    )
    rows = [
        np.concatenate([getattr(data.rows(data.user == 0), c), getattr(more, c)]) for c in ("user", "item", "timestamp")
    ]
    whole = replace(data, user=rows[0], item=rows[1], timestamp=rows[2], dislikes=watched)
    split = mt.split.leave_one_out(whole)
    recs = mt.recommend(mt.models.Popularity().fit(split.train), split.test.queries, 2)
    assert 12 in recs.item[0].tolist()
    found = mt.evaluate(recs, split.test, k=2, metrics=["disliked"])
    assert found.values["model", "disliked", 2].tolist() == [0.5, 0.0, 0.0]


def test_weights_go_along_with_the_rows() -> None:
    data = replace(log(), weight=np.tile(np.arange(1, 11, dtype=np.float32), 3))
    split = mt.split.leave_one_out(data)
    assert split.train.weight is not None
    assert split.train.weight.tolist() == [float(n) for n in range(1, 9)] * 3
    assert split.test.queries.history_weights is not None
    assert split.test.queries.history_weights[:9].tolist() == [float(n) for n in range(1, 10)]
    train, test = parts.refitted(mt.split.random(data, seed=1))
    assert train.weight is not None
    assert test.queries.history_weights is not None
    assert len(test.queries.history_weights) == len(test.queries.history.values)


def test_provided_pairs_without_weights_weigh_1(tmp_path: Path) -> None:
    data = replace(log(), weight=np.full(30, 2.0, np.float32))
    file = tmp_path / "test.csv"
    file.write_text("user_id,item_id\nu,i11\n")
    split = mt.split.provided(data, test=file)
    assert split.test.queries.history_weights is not None
    assert set(split.test.queries.history_weights.tolist()) == {2.0}
    assert split.train_valid is not None


def test_a_note_counts_answers_that_were_disliked() -> None:
    """Made by hand: apply_events leaves no pair that is both."""
    data = log()
    both = replace(data, dislikes=Dislikes(np.zeros(1, np.int32), np.array([9], np.int32), np.array([0])))
    split = mt.split.leave_one_out(both)
    assert split.test.truth[0].tolist() == []
    assert split.notes == ("1 answer of test repeats an excluded event or was disliked and is left out of its truth",)
    alone = replace(both, user=both.user[:10], item=both.item[:10], timestamp=np.arange(1, 11))
    with pytest.raises(MatineeError, match="every event of test repeats one that is excluded"):
        mt.split.leave_one_out(alone)
