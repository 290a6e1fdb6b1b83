"""explain against a plain loop: one history after another, built by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.explain import explain, reasons
from matinee.models import registry
from matinee.models.base import Model


@pytest.fixture(scope="module")
def log() -> Dataset:
    rng = np.random.default_rng(3)
    n = 600
    user, item = rng.integers(0, 40, n), np.minimum(rng.geometric(0.08, n) - 1, 29)
    item[item == 29] = 28  # item 29 has no event
    return Dataset(
        IdMap(np.arange(40)),
        IdMap(np.arange(30)),
        user.astype(np.int32),
        item.astype(np.int32),
        rng.integers(1, 6, n).astype(np.float32),
        np.arange(n, dtype=np.int64),
    )


MODELS = {
    "popularity": registry.create("popularity"),
    "ease": registry.create("ease", {"l2": 5.0}),
    "ease_decayed": registry.create("ease", {"l2": 5.0, "half_life": 2.0}),
    "item_knn": registry.create("item_knn", {"k": 5}),
    "user_knn": registry.create("user_knn", {"k": 7}),
}


def score(model: Model, history: list[int], item: int) -> float:
    row = Ragged.from_lists([history])
    return float(model.score(Queries(user=np.array([-1], np.int32), history=row, exclude=row))[0, item])


@pytest.mark.parametrize("name", MODELS)
def test_equals_a_plain_loop(log: Dataset, name: str) -> None:
    model = MODELS[name].fit(log)
    for user in (0, 7, 23):
        queries = log.queries([user])
        history = queries.history[0].tolist()
        found = explain(model, queries, 4)
        assert found.score == pytest.approx(score(model, history, 4), rel=1e-5)
        assert sorted(found.history.tolist()) == sorted(set(history))
        assert [history[::-1].index(i) for i in found.history] == sorted(
            (history[::-1].index(i) for i in set(history)), reverse=True
        )
        for left, without in zip(found.history.tolist(), found.without.tolist(), strict=True):
            plain = score(model, [i for i in history if i != left], 4)
            assert without == pytest.approx(plain, rel=1e-5, abs=1e-7)
        np.testing.assert_allclose(found.push, np.float32(found.score) - found.without)


def test_what_lies_in_parallel_is_cut_in_parallel(log: Dataset) -> None:
    """A scorer that sees values and times gets those of the items that are left."""
    queries = log.queries([5])
    history = queries.history[0]
    assert queries.history_ratings is not None
    assert queries.history_times is not None
    values, times = np.asarray(queries.history_ratings), np.asarray(queries.history_times)

    class Spy:
        users, items = log.users, log.items
        seen = 0

        def score(self, asked: Queries) -> np.ndarray:
            assert asked.history_ratings is not None
            assert asked.history_times is not None
            assert (asked.user == -1).all()
            for row in range(len(asked)):
                cut = slice(*asked.history.offsets[row : row + 2])
                keep = np.isin(history, asked.history[row])
                np.testing.assert_array_equal(asked.history_ratings[cut], values[keep])
                np.testing.assert_array_equal(asked.history_times[cut], times[keep])
                self.seen += 1
            return np.zeros((len(asked), len(log.items)), np.float32)

        def fallback(self, asked: Queries) -> np.ndarray:
            return np.zeros(len(asked), np.bool_)

    spy = Spy()
    explain(spy, queries, 0)
    assert spy.seen == len(set(history.tolist())) + 1


def test_the_only_item_has_no_score_without_it(log: Dataset) -> None:
    model = MODELS["ease"].fit(log)
    one = Ragged.from_lists([[3, 3]])
    found = explain(model, Queries(user=np.array([-1], np.int32), history=one, exclude=one), 4)
    assert found.history.tolist() == [3]
    assert np.isnan(found.without).all()
    assert np.isnan(found.push).all()


def test_refuses_what_it_cannot_explain(log: Dataset) -> None:
    model = MODELS["ease"].fit(log)
    queries = log.queries([1])
    with pytest.raises(MatineeError, match="never saw"):
        explain(model, queries, 29)
    with pytest.raises(MatineeError, match="popularity answers"):
        explain(model, replace(queries, history=Ragged.empty(1), history_ratings=None, history_times=None), 4)
    with pytest.raises(MatineeError, match="2 queries"):
        explain(model, log.queries([1, 2]), 4)


def test_reasons_are_the_pushes_by_id_best_first(log: Dataset) -> None:
    model = MODELS["ease"].fit(log)
    queries = log.queries([7])
    why, found = explain(model, queries, 4), reasons(model, queries, 4, k=3)
    whole, history = why.score, queries.history[0].tolist()
    pushes = {i: whole - score(model, [h for h in history if h != i], 4) for i in set(history)}
    best = sorted(pushes, key=pushes.__getitem__, reverse=True)[:3]
    assert found["item_id"].to_list() == best
    assert found["push"].to_list() == pytest.approx([pushes[i] for i in best], abs=1e-6)
    assert found["score_without"].to_list() == pytest.approx([whole - pushes[i] for i in best], abs=1e-6)
    assert found["title"].to_list() == [None] * 3


def test_reasons_of_a_single_item_are_unknown(log: Dataset) -> None:
    model = MODELS["ease"].fit(log)
    row = Ragged.from_lists([[5]])
    found = reasons(model, Queries(user=np.array([-1], np.int32), history=row, exclude=row), 4)
    assert found.rows() == [(5, None, None, None)]
    with pytest.raises(MatineeError, match="k = 0"):
        reasons(model, log.queries([7]), 4, k=0)
