"""Outputs of items without an event: the regression itself, and what training makes of such items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

import matinee as mt
from matinee.data.dataset import Dataset, Split
from matinee.models.families import new_outputs
from matinee.models.families.new_outputs import NewOutputs, conjugate_gradients
from matinee.nn.train import Step

torch = pytest.importorskip("torch")
N_NEW = 6


def features(seed: int = 0) -> csr_array:
    """40 items by 7 features, of which the last is of nobody."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((40, 7)) < 0.3) * rng.uniform(0.5, 2.0, (40, 7))
    dense[:, 6] = 0.0
    return csr_array(dense.astype(np.float32))


@pytest.mark.parametrize("few", [0, 4096])
@pytest.mark.parametrize("width", [1, 5, 130])
def test_rows_are_those_of_scikit_learns_ridge(monkeypatch: pytest.MonkeyPatch, few: int, width: int) -> None:
    monkeypatch.setattr(new_outputs, "FEW", few)
    rng = np.random.default_rng(1)
    F, outputs = features(), rng.normal(2.0, 3.0, (40, width)).astype(np.float32)
    known = np.arange(40) % 5 > 1
    asked = ~known
    asked[3:6] = False  # neither known nor asked for
    found = NewOutputs(F, known, asked, 0.7).rows(outputs)
    mean = outputs[known].mean(axis=0)
    ridge = Ridge(alpha=0.7, fit_intercept=False, solver="svd").fit(F.toarray()[known], outputs[known] - mean)
    wanted = mean + ridge.predict(F.toarray()[asked]).reshape(-1, width)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_only_rows_that_are_asked_for_are_written() -> None:
    known = np.arange(40) < 30
    asked = np.arange(40) >= 33
    outputs, bias = torch.randn(45, 3, requires_grad=True), torch.randn(45)
    before = outputs.detach().clone(), bias.clone()
    new = NewOutputs(features(), known, asked, 1.0)
    for tensor in (outputs, bias):
        new.fill(tensor)
    kept = np.r_[0:33, 40:45]
    assert torch.equal(outputs.detach()[kept], before[0][kept])
    assert torch.equal(bias[kept], before[1][kept])
    np.testing.assert_array_equal(outputs.detach()[33:40].numpy(), new.rows(before[0][:40].numpy()))
    np.testing.assert_array_equal(bias[33:40, None].numpy(), new.rows(before[1][:40, None].numpy()))


def test_without_features_or_known_items_nothing_is_guessed() -> None:
    known = np.arange(40) < 30
    nothing = NewOutputs(features()[:, :0], known, ~known, 1.0)
    outputs = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    np.testing.assert_allclose(nothing.rows(outputs), np.tile(outputs[:30].mean(axis=0), (10, 1)), rtol=1e-5)
    tensor = torch.ones(40)
    NewOutputs(features(), np.zeros(40, np.bool_), np.ones(40, np.bool_), 1.0).fill(tensor)
    assert bool((tensor == 1).all())


def test_conjugate_gradients_solve_many_features_that_are_alike() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=(300, 1))  # nearly the same in all columns: badly conditioned
    F = csr_array(common + 0.05 * rng.normal(size=(300, 80)))
    right = rng.normal(size=(80, 4))
    right[:, 2] = 0.0
    X = conjugate_gradients(F, right, 0.1)
    np.testing.assert_allclose(F.T @ (F @ X) + 0.1 * X, right, atol=1e-4)
    assert not X[:, 2].any()
    assert np.abs(conjugate_gradients(F, right, 0.1, most=2) - X).max() > 1e-2, "two steps are too few"


# --- in models --------------------------------------------------------------------------------------------------------


def split_of_kinds() -> Split:
    """Users like one of three genres; the last two items of each are in no history of train, and are to be found."""
    rng = np.random.default_rng(3)
    user, item = [], []
    for u in range(60):
        chosen = rng.choice(10, 6, replace=False) + 10 * (u % 3)
        user += [u] * len(chosen)
        item += chosen.tolist()
    items = pl.DataFrame({"item": range(30), "genres": [[f"kind {i // 10}", f"odd {i % 2}"] for i in range(30)]})
    data = mt.read({"user": user, "item": item}, items=items)
    split = mt.split.random(data, valid=0.2, test=0.2, seed=0)
    split = mt.split.new_items(split, N_NEW / 30, seed=0)
    return replace(split, valid=mt.split.new_alone(split.valid), test=mt.split.new_alone(split.test))


SPLIT = split_of_kinds()
TRAIN: Dataset = SPLIT.train
SMALL: dict[str, Any] = {"hidden": 8, "batch_size": 20, "learning_rate": 0.02, "epochs": 12, "patience": 99}
NETS = {
    "cvae": mt.models.CVAE(**SMALL, latent=4, item_features=("genres",)),
    "mmcf": mt.models.MMCF(**SMALL, filters=4, letter_dim=4, attributes=("genres",)),
    "mmcf, tied": mt.models.MMCF(**SMALL, filters=4, letter_dim=4, attributes=("genres",), tied_epochs=99),
    "deepfm": mt.models.DeepFM(
        fields=("user", "item.genres"), epochs=15, patience=99, batch_size=50, learning_rate=0.03
    ),
}


@pytest.mark.filterwarnings("ignore:.*inside a tie")
@pytest.mark.parametrize("name", list(NETS))
def test_early_stopping_measures_what_is_kept(name: str) -> None:
    """New items are scored in the middle of training as they are at its end."""
    model = NETS[name].fit(TRAIN, valid=SPLIT.valid, metric="ndcg@3")
    curve = model.fitted.learned.curve[:, 2]
    found = mt.evaluate(mt.recommend(model, SPLIT.valid.queries, 3), SPLIT.valid, k=3, metrics=["ndcg"])
    assert found.mean("ndcg", 3).value == pytest.approx(curve.max(), abs=1e-6)
    assert curve.max() > 0.6, "two of six are right by chance"


@pytest.mark.parametrize("name", ["cvae", "mmcf"])
def test_an_item_without_an_event_is_no_item_that_was_passed_over(name: str) -> None:
    model: Any = NETS[name]
    net = model.build(TRAIN)
    passes, n = model.passes(net, TRAIN)
    passes[0].loss(np.arange(n), Step(epoch=0, number=0, seed=1)).backward()
    new = TRAIN.item_counts() == 0
    assert new.sum() >= N_NEW
    outputs = net.rows.vectors.grad if name == "mmcf" else net.decoder.weight.grad
    touched = outputs[: len(new)].abs().sum(dim=1).numpy() > 0
    assert touched[~new].all()
    if name == "cvae":
        assert not touched[new].any()
    bias = (net.rows.decoder if name == "mmcf" else net.decoder).bias.grad[: len(new)].numpy()
    assert not bias[new].any()
    assert bias[~new].all()
