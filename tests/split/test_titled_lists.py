"""Lists to be continued, against a slow plain-Python reference, and what evaluation makes of tasks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee import split as splits
from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError
from matinee.evaluate import Evaluation
from matinee.split.lists import SETS, Task

LENGTHS = [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 17, 30, 40, 60, 120]


def collection(seed: int = 3) -> Dataset:
    """Lists of many lengths, some with repeats, one without a title; the order of the rows is the lists' order."""
    rng = np.random.default_rng(seed)
    rows = [(u, int(i)) for u, n in enumerate(LENGTHS * 2) for i in rng.zipf(1.4, n).clip(1, 90)]
    order = np.argsort([u for u, _ in rows], kind="stable")
    rows = [rows[at] for at in np.roll(order, 7)]  # lists are not rows in one piece
    titles = pl.DataFrame({"id": range(len(LENGTHS) * 2), "title": [None, *(f"t{n}" for n in range(1, 32))]})
    table = pl.DataFrame({"item": range(1, 91), "artist": [f"a{n % 13}" for n in range(1, 91)]})
    log = {"user": [u for u, _ in rows], "item": [i for _, i in rows]}
    return mt.read(log, users=titles.rename({"id": "user"}), items=table)


DATA = collection()
TASKS = ["title", "title + first 2", "first 5", "title + random 3", "title + first 100"]


def slow(data: Dataset, users: list[int], tasks: list[str], seed: int) -> list[tuple[str, int, list[int], set[int]]]:
    """(task, user, what is shown, what is hidden and not shown): the rule, query by query."""
    rng = np.random.default_rng(seed)
    rng.permutation(np.flatnonzero(data.user_counts() > 0))  # which lists are hidden
    key = dict(zip(data.order.tolist(), rng.random(len(data)).tolist(), strict=True))
    found = []
    for task in tasks:
        _title, _, which = task.rpartition(" + ") if " + " in task else ("", "", task)
        how, n = which.split() if which != "title" else ("first", "0")
        for user in sorted(users):
            rows = [row for row in range(len(data)) if data.user[row] == user]
            first = sorted(rows, key=lambda row: key[row]) if how == "random" else rows
            shown = [row for row in rows if row in first[: int(n)]]
            if len(rows) > int(n):
                items = data.item[shown].tolist()
                found.append((task, user, items, set(data.item[rows].tolist()) - set(items)))
    return found


@pytest.mark.parametrize("seed", [0, 4])
def test_each_hidden_list_is_asked_for_each_task_it_is_long_enough_for(seed: int) -> None:
    split = splits.lists(DATA, valid=0.2, test=0.4, tasks=TASKS, seed=seed)
    hidden = {name: set(part.queries.user.tolist()) for name, part in (("valid", split.valid), ("test", split.test))}
    train = set(split.train.user.tolist())
    assert (len(hidden["valid"]), len(hidden["test"]), len(train)) == (6, 12, 14)
    assert not hidden["valid"] & hidden["test"] | hidden["test"] & train | hidden["valid"] & train
    for name, part in (("valid", split.valid), ("test", split.test)):
        expected = slow(DATA, list(hidden[name]), TASKS, seed)
        queries = part.queries
        assert list(part.tasks) == [task for task, *_ in expected]
        assert queries.user.tolist() == [user for _, user, *_ in expected]
        assert [row.tolist() for row in map(queries.history.__getitem__, range(len(part)))] == [
            h for *_, h, _ in expected
        ]
        assert [set(queries.exclude[b].tolist()) for b in range(len(part))] == [set(h) for *_, h, _ in expected]
        assert [set(part.truth[b].tolist()) for b in range(len(part))] == [truth for *_, truth in expected]
        assert queries.title is not None
        titles = [f"t{user}" if user and "title" in task else None for task, user, *_ in expected]
        assert list(queries.title) == titles
        assert part.pairs is not None
        assert (queries.user[part.pairs.query] == part.pairs.user).all()
        hidden_rows = sum(int((DATA.user == user).sum()) - len(history) for _, user, history, _ in expected)
        assert len(part.pairs) == hidden_rows


def test_fewer_lists_to_train_on_are_among_the_more() -> None:
    whole = splits.lists(DATA, valid=0.2, test=0.4, tasks=TASKS, seed=2)
    before: set[int] = set()
    for n in (3, 8, 14):
        split = splits.lists(DATA, valid=0.2, test=0.4, tasks=TASKS, seed=2, train_lists=n)
        users = set(split.train.user.tolist())
        assert len(users) == n
        assert before <= users <= set(whole.train.user.tolist())
        for part, other in ((split.valid, whole.valid), (split.test, whole.test)):
            np.testing.assert_array_equal(part.queries.user, other.queries.user)
            np.testing.assert_array_equal(part.truth.values, other.truth.values)
        assert split.train_valid is not None
        assert set(split.train_valid.user.tolist()) == users | set(split.valid.queries.user.tolist())
        counts = np.bincount(DATA.user, minlength=DATA.n_users)
        assert len(split.train) == counts[list(users)].sum()
        before = users
    with pytest.raises(MatineeError, match=r"train_lists = 15, and train has 14 lists"):
        splits.lists(DATA, valid=0.2, test=0.4, tasks=TASKS, train_lists=15)


def test_the_challenge_has_ten_tasks_and_a_seed_makes_them_again() -> None:
    assert len(SETS["challenge"]) == 10
    assert all(str(Task.parse(text)) == text for names in SETS.values() for text in names)
    one, again, other = (splits.lists(DATA, test=0.3, tasks="challenge", seed=seed) for seed in (5, 5, 6))
    assert one.test.fingerprint == again.test.fingerprint != other.test.fingerprint
    assert one.test.protocol == other.test.protocol
    assert set(one.test.tasks) <= set(SETS["challenge"])
    (made,) = splits.make(DATA, "lists", {"test": "0.3", "tasks": "challenge"}, seed=5)
    assert made.test.fingerprint == one.test.fingerprint


def test_what_is_shown_may_be_answered_again_where_nothing_is_excluded() -> None:
    split = splits.lists(DATA, test=0.3, tasks="first 5", exclude_seen=False)
    assert not len(split.test.queries.exclude.values)
    assert split.test.queries.title is None
    again = [
        set(split.test.truth[b].tolist()) & set(split.test.queries.history[b].tolist()) for b in range(len(split.test))
    ]
    assert any(again), "lists that name an item twice"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("titles", "'titles' is no task"),
        ("level", "unknown tasks 'level'"),
        (["first 0"], "'first 0' is no task"),
        (["first"], "'first' is no task"),
        (["title +"], "'title \\+' is no task"),
        (["titlefirst 5"], "'titlefirst 5' is no task"),
        ([""], "'' is no task"),
        ([], "tasks are"),
        (["title", "title"], "tasks are"),
    ],
)
def test_tasks_that_are_none(tasks: str | list[str], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        splits.lists(DATA, tasks=tasks)


def test_tasks_that_no_list_is_long_enough_for_are_noted() -> None:
    split = splits.lists(DATA, test=0.1, tasks=["title", "first 119", "first 500"], seed=1)
    assert any(note.startswith("no list of test is long enough for") and "first 500" in note for note in split.notes)
    with pytest.raises(MatineeError, match="leaves no event"):
        splits.lists(DATA, tasks="first 500")


def measured(holdout: Holdout, train: Dataset) -> Evaluation:
    recs = {
        "knn": mt.recommend(mt.models.ItemKNN().fit(train), holdout.queries, 20),
        "popularity": mt.recommend(mt.models.Popularity().fit(train), holdout.queries, 20),
    }
    return mt.evaluate(recs, holdout, k=[5, 20], metrics=["r_precision", "clicks", "r_precision_credit"], train=train)


@pytest.mark.filterwarnings("ignore:.*falls inside a tie")
def test_each_task_has_its_own_mean() -> None:
    split = splits.lists(DATA, test=0.4, tasks=TASKS, seed=2)
    evaluation = measured(split.test, split.train)
    frame = evaluation.by_task()
    assert frame.height == 2 * 3 * 2 * len(set(split.test.tasks))
    for label, metric, k, task, value, *_, n in frame.iter_rows():
        mine = [v for v, t in zip(evaluation.values[label, metric, k], split.test.tasks, strict=True) if t == task]
        known = [v for v in mine if v == v]
        assert value == pytest.approx(sum(known) / len(known))
        assert n == len(known)
    table = next(line for line in str(evaluation).splitlines() if line.startswith("r_precision@5"))
    assert table.split("  ")[1:] != []
    assert all(task in table for task in set(split.test.tasks))
    again = Evaluation.from_frame(evaluation.per_query(), evaluation.protocol, evaluation.queries)
    assert again.by_task().equals(frame)


def test_items_on_few_lists_are_left_out_before_the_split() -> None:
    """Distinct lists count: an item that one list names three times is on one."""
    log = {"user": [1, 1, 1, 2, 3, 3, 4], "item": ["a", "a", "a", "b", "b", "c", "c"]}
    kept = mt.filter_events(mt.read(log), min_item_users=2)
    assert kept.items.ids.tolist() == ["b", "c"]
    assert kept.n_users == 4
    assert kept.to_frame().rows() == [(2, "b"), (3, "b"), (3, "c"), (4, "c")]
    with pytest.raises(MatineeError, match="min_item_users = 3 leaves none"):
        mt.filter_events(mt.read(log), min_item_users=3)
