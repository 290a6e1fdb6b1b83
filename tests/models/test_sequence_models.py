"""What every sequence model promises: no look ahead, and histories that do not see each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from contract.cases import SMALL_LOG
from contract.logs import groups, one_query
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import MatineeWarning
from matinee.models import registry
from matinee.models.families.sequence import Sequence
from matinee.nn.sequences import pack
from matinee.store import load_model, save_model

ALL = [name for name in registry.names() if issubclass(registry.model_class(name), Sequence)]
CAUSAL = [name for name in ALL if registry.model_class(name).causal]  # type: ignore[attr-defined]
ROWS = [[3, 1, 4], [5], [9, 2, 6, 5, 3, 5, 8, 9, 7, 9], [3, 2, 3, 8, 4, 6, 2, 6, 4], [2, 7]]


def small(name: str, **hyper: Any) -> Sequence:
    model = registry.create(name, {**SMALL_LOG.get(name, {}), "max_len": 12, **hyper})
    assert isinstance(model, Sequence)
    return model


def fitted(name: str, **hyper: Any) -> Sequence:
    """A model with large weights, so that everything that is read shows."""
    model = small(name, epochs=1, **hyper).fit(groups(), seed=3)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.normal_(std=0.5)
    return model


def states(model: Sequence, rows: list[list[int]]) -> list[torch.Tensor]:
    """(length, dim) of each history."""
    packed = pack(Ragged.from_lists(rows), model.net.n_items, np.zeros(sum(map(len, rows)), np.int64))
    with torch.no_grad():
        found = model.net(packed)
    return [found[f : f + n] for f, n in zip(packed.first.tolist(), packed.length.tolist(), strict=True)]


def test_the_list_is_not_empty() -> None:
    assert {"gru4rec", "narm", "stamp", "sasrec", "cl4srec"} <= set(CAUSAL)
    assert {*CAUSAL, "bert4rec"} <= set(ALL)


@pytest.mark.parametrize("name", CAUSAL)
def test_no_later_item_changes_a_state(name: str) -> None:
    model = fitted(name)
    row = ROWS[2]
    before = states(model, ROWS)[2]
    for changed in range(1, len(row)):
        other = [*row[:changed], row[changed] + 11, *row[changed + 1 :]]
        after = states(model, [*ROWS[:2], other, *ROWS[3:]])[2]
        torch.testing.assert_close(after[:changed], before[:changed], rtol=1e-6, atol=1e-6)
        assert (after[changed:] - before[changed:]).abs().amax(dim=1).min() > 1e-4, "each later state has seen it"


@pytest.mark.parametrize("name", ALL)
def test_a_packed_batch_equals_each_history_alone(name: str) -> None:
    model = fitted(name)
    for together, row in zip(states(model, ROWS), ROWS, strict=True):
        torch.testing.assert_close(together, states(model, [row])[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_order_matters_and_what_is_older_than_max_len_does_not(name: str) -> None:
    model = fitted(name)
    old, row = [3, 8, 2], [9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 1, 4]
    score = model.score(one_query(row))
    known = np.isfinite(score)
    np.testing.assert_allclose(model.score(one_query([*old, *row]))[known], score[known], rtol=1e-5, atol=1e-5)
    assert np.abs(model.score(one_query(row[::-1]))[known] - score[known]).max() > 1e-3


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("windows", ["last", pytest.param("all", marks=pytest.mark.slow)])
def test_trains_on_long_histories_and_in_bfloat16_nearly_as_well(name: str, windows: str) -> None:
    """Histories longer than max_len, repeats in them; and the same with products of three digits."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = small(name, max_len=3, windows=windows, precision=precision, epochs=6).fit(groups(), seed=1)
        losses[precision] = [epoch["train_loss"] or np.nan for epoch in model.curve]
    assert losses["bfloat16"] != losses["float32"]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.02)


@pytest.mark.parametrize("fastest", ["float32", "bfloat16"])
def test_precision_auto_is_what_this_machine_is_fast_in(fastest: str) -> None:
    named = small("gru4rec", precision=fastest, epochs=2).fit(groups(), seed=1)
    with mock.patch("matinee.nn.train.fastest_precision", return_value=fastest):
        chosen = small("gru4rec", precision="auto", epochs=2).fit(groups(), seed=1)
    assert [epoch["train_loss"] for epoch in chosen.curve] == [epoch["train_loss"] for epoch in named.curve]


@pytest.mark.parametrize("name", [*ALL, "prod2vec"])
def test_where_no_user_has_two_events_popularity_answers(name: str, tmp_path: Path) -> None:
    """And says so: vectors that nobody taught are noise."""
    rng = np.random.default_rng(4)
    log = Dataset(
        IdMap(np.arange(30), what="user"),
        IdMap(np.arange(6), what="item"),
        np.arange(30, dtype=np.int32),
        rng.integers(0, 5, 30).astype(np.int32),
    )
    with pytest.warns(MatineeWarning, match=r"no user has two events, so \w+ learns nothing and popularity answers"):
        model = registry.create(name, SMALL_LOG.get(name, {})).fit(log, seed=1)
    queries = log.queries_of(np.arange(3, dtype=np.int32))
    assert model.fallback(queries).all()
    np.testing.assert_array_equal(model.score(queries)[:, :5], np.tile(log.item_counts()[:5], (3, 1)))
    assert model.curve[0]["train_loss"] is None
    save_model(model, tmp_path / "m")
    assert load_model(tmp_path / "m").fallback(queries).all()
