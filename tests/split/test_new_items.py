"""Items without an event in train, against a plain reading of the split they are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from contract.logs import groups
from matinee import split as splits
from matinee.data.dataset import Holdout
from matinee.errors import MatineeError
from matinee.evaluate.evaluate import evaluate
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
    answers = set[int]().union(*(truth for *_, truth in rows(after.valid) + rows(after.test)))
    assert set(np.flatnonzero(splits.items_new(after)).tolist()) == answers & set(np.flatnonzero(~has).tolist())
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
