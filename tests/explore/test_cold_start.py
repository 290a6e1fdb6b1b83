"""The study of cold starts, against lists made and counted one by one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from contract.logs import described, groups, titled
from matinee.data.dataset import Split
from matinee.errors import MatineeError, MatineeWarning
from matinee.models.base import Model

DATA = replace(described(), user_features=titled().user_features)
K = 4


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)  # of ties: at few items they are many
        yield


def slow_recall(
    model: Model, split: Split, task: str, allowed: set[int], relevant: set[int] | None
) -> tuple[float, int]:
    """The mean of recall@4 over the task's queries with an answer, and how many these are."""
    found = []
    test = split.test
    for b in range(len(test)):
        answers = set(test.truth[b].tolist()) & (allowed if relevant is None else relevant)
        if test.tasks[b] != task or not answers:
            continue
        one = test.queries.slice(b, b + 1)
        scores = model.score(one)[0].tolist()
        barred = set(one.exclude.values.tolist())
        able = [i for i in allowed if i not in barred and scores[i] > -math.inf]
        best = sorted(able, key=lambda i: (-scores[i], i))[:K]
        if relevant is not None and model.fallback(one)[0]:
            best = []
        found.append(len(answers & set(best)) / len(answers))
    return sum(found) / len(found), len(found)


@pytest.mark.parametrize("data", [DATA, replace(DATA, user_features=None)], ids=["titles", "none"])
def test_each_number_is_the_mean_of_its_queries(data: mt.Dataset) -> None:
    models = {"ease": mt.models.EASE(l2=20.0), "by content": {"name": "content", "how": "ridge", "l2": 20.0}}
    found = mt.cold_start(data, models, known=[3, 0, 1], metric="recall", k=K, new_items=0.2, test=0.3, seed=4)
    words = "title + first" if data.user_features is not None else "first"
    tasks = {0: "title", 1: f"{words} 1", 3: f"{words} 3"}
    whole = mt.split.lists(data, valid=0.1, test=0.3, tasks=list(tasks.values()), seed=4)
    parts = {"all": whole, "new": mt.split.new_items(whole, 0.2, seed=4)}
    unseen = set(np.flatnonzero(parts["new"].train.item_counts() == 0).tolist())
    new = unseen & set(parts["new"].test.truth.values.tolist())
    assert found.n_new == len(new) >= 10
    assert found.chance == K / len(new)
    assert found.unable == ("ease",)
    expected = {}
    for items, split in parts.items():
        for label, model in (
            ("ease", mt.models.EASE(l2=20.0)),
            ("by content", mt.models.Content(how="ridge", l2=20.0)),
        ):
            if (items, label) == ("new", "ease"):
                continue
            fitted = model.fit(split.train)
            for n, task in tasks.items():
                every = set(range(data.n_items))
                expected[items, label, n] = slow_recall(
                    fitted, split, task, *((every, None) if items == "all" else (new, new))
                )
    rows = {row[:3]: row[3:] for row in found.frame.select("items", "model", "known", "value", "n_queries").iter_rows()}
    assert rows.keys() == expected.keys()
    for key, (value, n) in expected.items():
        assert rows[key] == (pytest.approx(value), n), key
    assert found.frame.filter(items="new", known=3)["value"][0] > 1.5 * found.chance
    assert found.frame.filter(items="new", known=0)["value"][0] == 0.0  # nothing says which of them


def test_it_prints_its_tables_and_what_models_cannot() -> None:
    found = mt.cold_start(groups(), ["popularity", "ease"], known=[0, 2, 99], k=5)
    assert "ndcg@5      0 known  2 known" in str(found)
    assert "popularity, ease: cannot score a new item" in str(found)
    assert "no list of test is long enough for first 99" in str(found)
    assert "<table" in found._repr_html_()
    assert mt.cold_start(groups(), ["popularity"], known=[0], new_items=0).n_new == 0


@pytest.mark.parametrize(("known", "said"), [([], "no numbers"), ([-1], "no numbers"), ([1, 1], "no numbers")])
def test_numbers_that_are_none_are_refused(known: list[int], said: str) -> None:
    with pytest.raises(MatineeError, match=said):
        mt.cold_start(groups(), ["ease"], known=known)
    with pytest.raises(MatineeError, match="no model to study"):
        mt.cold_start(groups(), [])


def test_models_that_are_given_stay_as_they_were() -> None:
    model = mt.models.EASE(l2=20.0).fit(DATA)
    before = model.score(DATA.queries()).tobytes()
    frame = mt.cold_start(DATA, {"one": model}, known=[1], new_items=0).frame
    assert isinstance(frame, pl.DataFrame)
    assert model.score(DATA.queries()).tobytes() == before


def fits(monkeypatch: pytest.MonkeyPatch, *models: type[Model]) -> list[str]:
    """The names of models as they are fitted."""
    fitted: list[str] = []
    for model in models:

        def learn(self: Model, data: mt.Dataset, context: Any, before: Any = model.learn) -> Any:
            fitted.append(type(self).__name__)
            return before(self, data, context)

        monkeypatch.setattr(model, "learn", learn)
    return fitted


def test_a_model_that_scores_no_new_item_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fits(monkeypatch, mt.models.EASE, mt.models.Content)
    found = mt.cold_start(DATA, ["ease", "content"], known=[1], new_items=0.2, seed=4)
    assert fitted == ["EASE", "Content", "Content"]
    assert found.unable == ("ease",)


def small() -> mt.Dataset:
    """20 users, each of whom watched 3 of 30 items."""
    draw = np.random.default_rng(5)
    items = np.concatenate([draw.permutation(30)[:3] for _ in range(20)])
    return mt.read(pl.DataFrame({"user_id": np.repeat(np.arange(20), 3), "item_id": items}))


def test_without_a_new_item_in_test_the_first_table_stands_alone() -> None:
    data = small()

    def hidden_new(seed: int) -> int:
        """How many answers of test are items without an event in train, when a twentieth of these lost theirs."""
        split = mt.split.new_items(mt.split.lists(data, tasks=["title", "first 1"], seed=seed), 0.05, seed=seed)
        counts = np.bincount(split.train.item, minlength=data.n_items)
        return sum(int(counts[item] == 0) for item in split.test.truth.values.tolist())

    seed = next(seed for seed in range(100) if not hidden_new(seed))
    options: dict[str, Any] = {"known": [0, 1], "k": 3, "seed": seed}
    found = mt.cold_start(data, ["popularity", "ease"], new_items=0.05, **options)
    alone = mt.cold_start(data, ["popularity", "ease"], new_items=0, **options)
    assert found.frame.equals(alone.frame)
    assert (found.n_new, found.unable, found.parts()) == (0, (), alone.parts())
    assert found.notes == (
        *alone.notes,
        "new items are not measured, because no item of test is new, so there is none to rank: pass new_items with a "
        "larger share than 0.05, or 0 to leave this out",
    )


@pytest.mark.parametrize(
    ("metric", "said", "hint"),
    [
        ("recall:new", "'recall:new' counts answers of one kind, 'new'", 'pass metric="recall"'),
        ("coverage", "'coverage' is a number of all lists together", 'metric="ndcg"'),
        ("recal", "unknown metric 'recal'", "did you mean recall"),
    ],
)
def test_a_metric_that_says_nothing_here_is_refused_before_a_fit(
    metric: str, said: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fits(monkeypatch, mt.models.EASE)
    with pytest.raises(MatineeError, match=said) as error:
        mt.cold_start(groups(), ["ease"], known=[1], metric=metric)
    assert hint in str(error.value.hint)
    with pytest.raises(MatineeError, match="new_items must be between 0 and 1"):
        mt.cold_start(groups(), ["ease"], known=[1], new_items=1.5)
    assert not fitted
