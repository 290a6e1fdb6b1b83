"""Items without an event in train, against a plain reading of the split they are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contract.logs import described, groups
from matinee import split as splits
from matinee.data.dataset import Holdout
from matinee.errors import MatineeError
from matinee.evaluate.evaluate import evaluate
from matinee.models.content import Content
from matinee.models.ease import EASE
from matinee.rank import recommend

DATA = groups()
CASES: list[tuple[str, Mapping[str, Any]]] = [
    ("random", {}),
    ("leave_one_out", {}),
    ("mixed", {}),
    ("lists", {"tasks": ["first 2", "random 3"], "test": 0.2}),
    ("random", {"exclude_seen": False}),
]


def rows(holdout: Holdout) -> list[tuple[list[int], set[int], set[int]]]:
    """History, excluded items and answers of each query."""
    q = holdout.queries
    return [
        (q.history[b].tolist(), set(q.exclude[b].tolist()), set(holdout.truth[b].tolist())) for b in range(len(holdout))
    ]


@pytest.mark.parametrize(("strategy", "options"), CASES, ids=str)
def test_new_items_leave_training_and_become_answers(strategy: str, options: Mapping[str, Any]) -> None:
    before = splits.make(DATA, strategy, options, seed=2)[0]
    after = splits.make(DATA, strategy, {**options, "new_items": 0.2}, seed=2)[0]
    had, has = before.train.item_counts() > 0, after.train.item_counts() > 0
    new = set(np.flatnonzero(had & ~has).tolist())
    assert len(new) == int(0.2 * had.sum())
    kept = [(u, i) for u, i in zip(before.train.user.tolist(), before.train.item.tolist(), strict=True) if i not in new]
    assert kept == list(zip(after.train.user.tolist(), after.train.item.tolist(), strict=True))
    assert after.train_valid is not None
    assert not new & set(after.train_valid.item.tolist())
    for one, other in ((before.valid, after.valid), (before.test, after.test)):
        moved_any = False
        for b, ((history, exclude, truth), found) in enumerate(zip(rows(one), rows(other), strict=True)):
            moved = set(history) & new
            moved_any |= bool(moved)
            assert found == ([i for i in history if i not in new], exclude - moved, truth | moved)
            assert set(other.kinds["new"][b].tolist()) == {i for i in truth | moved if not has[i]}
        assert moved_any
        assert one.protocol.fingerprint != other.protocol.fingerprint
        assert other.queries.history_times is not None
        assert len(other.queries.history_times) == len(other.queries.history.values)
    assert f"{len(new)} items of {had.sum()} in train are new" in after.notes[-1]


def test_models_that_know_events_find_none_of_them() -> None:
    split = splits.new_items(splits.random(DATA, seed=1), 0.2, seed=1)
    recs = recommend(EASE().fit(split.train), split.test.queries, 20)
    found = evaluate(recs, split.test, k=20, metrics=["recall", "recall:new"])
    assert found.mean("recall:new", 20).value == 0.0 < found.mean("recall", 20).value
    same, other = (splits.new_items(splits.random(DATA, seed=1), 0.2, seed=seed) for seed in (1, 2))
    assert np.array_equal(same.train.item, split.train.item)
    assert not np.array_equal(other.train.item, split.train.item)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, "many"])
def test_a_share_that_is_none_is_refused_before_the_data_is_read(share: Any) -> None:
    with pytest.raises(MatineeError, match="new_items"):
        splits.check("random", {"new_items": share})


@pytest.mark.parametrize(("strategy", "options"), CASES, ids=str)
def test_new_items_alone_are_ranked(strategy: str, options: Mapping[str, Any]) -> None:
    split = splits.make(described(), strategy, {**options, "new_items": 0.2}, seed=2)[0]
    alone = splits.with_candidates(split.test, "new", split.train.users, split.train.items)
    counts = split.train.item_counts()
    answers = [[i for i in split.test.truth[b].tolist() if counts[i] == 0] for b in range(len(split.test))]
    new = sorted({i for row in answers for i in row})
    assert len(new) > 5
    assert alone.queries.candidates is not None
    for b, asked in enumerate(alone.queries.candidates.tolist()):
        barred = set(split.test.queries.exclude[b].tolist())
        assert [i for i in asked if i >= 0] == [i for i in new if i not in barred]
        assert alone.truth[b].tolist() == answers[b]
    assert alone.protocol.candidates == "new items alone"
    assert (alone.pairs, alone.queries.history) == (None, split.test.queries.history)
    found = recommend(Content(attributes=("tags", "vector")).fit(split.train), alone.queries, 3)
    assert set(found.item.ravel().tolist()) <= {-1, *new}
    assert evaluate(found, alone, k=3, metrics=["recall"]).mean("recall", 3).value > 0


def test_a_split_without_new_items_has_none_to_rank() -> None:
    split = splits.random(DATA, seed=0)
    with pytest.raises(MatineeError, match="no item of test is new") as caught:
        splits.new_alone(replace(split.test, kinds={}))
    assert "new_items=0.1" in str(caught.value.hint)
