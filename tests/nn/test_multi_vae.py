"""Multi-VAE: its loss is the paper's bound, training lowers it, and what it learned ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from contract.logs import groups, last_hidden
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout
from matinee.data.ids import IdMap
from matinee.evaluate.metrics import ranking
from matinee.models.base import Model
from matinee.models.multi_vae import MultiVAE
from matinee.models.popularity import Popularity
from matinee.nn.blocks import SparseBatch
from matinee.nn.train import Step
from matinee.rank import recommend
from matinee.store import load_model, save_model

SMALL = {
    "kl_weight": 0.2,
    "hidden": 24,
    "latent": 6,
    "batch_size": 20,
    "learning_rate": 5e-3,
    "epochs": 60,
    "anneal_epochs": 10,
}


def model(**hyper: object) -> MultiVAE:
    return MultiVAE.model_validate({**SMALL, **hyper})


@pytest.fixture(scope="module")
def data() -> Dataset:
    return groups()


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> Iterator[MultiVAE]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield model().fit(data)
    torch.set_num_threads(threads)


def everyone(vae: MultiVAE, data: Dataset) -> SparseBatch:
    return vae.training_rows(data)(np.flatnonzero(data.user_counts()))


def bound(vae: MultiVAE, data: Dataset, beta: float, seed: int = 0) -> float:
    """-sum_i x_i log softmax(f(z))_i + beta KL, over all users, plainly, with one draw of z for each of 20 seeds."""
    rows = everyone(vae, data)
    X = np.zeros((len(rows), data.n_items))
    X[rows.row.numpy(), rows.item.numpy()] = 1.0
    total = 0.0
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        vae.net.train()
        for draw in range(20):
            torch.manual_seed(1000 * seed + draw)
            logits, mean, log_variance = (part.double().numpy() for part in vae.net.parts(rows))
            total += float(-(X * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))).sum())
            total += beta * float(0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum())
        vae.net.eval()
    return total / 20 / len(rows)


class TestBound:
    def test_loss_is_the_annealed_bound(self, data: Dataset) -> None:
        fitted = model(epochs=1).fit(data)
        rows = everyone(fitted, data)
        fitted.net.train()
        for epoch, beta in ((0, 0.02), (4, 0.1), (9, 0.2), (59, 0.2)):
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(8)
                found = fitted.loss(fitted.net, rows, Step(epoch, 0, 0)).item()
                torch.manual_seed(8)
                logits, mean, log_variance = (part.double().numpy() for part in fitted.net.parts(rows))
            watched = logits[rows.row.numpy(), rows.item.numpy()]
            wanted = float((rows.sums.numpy() * np.log(np.exp(logits).sum(axis=1))).sum() - watched.sum())
            wanted += beta * 0.5 * float((np.exp(log_variance) + mean**2 - 1 - log_variance).sum())
            np.testing.assert_allclose(found, wanted, rtol=1e-6)

    @pytest.mark.parametrize("kl_weight", [0.2, 1.0])
    def test_training_lowers_it(self, data: Dataset, kl_weight: float) -> None:
        """The very number that is trained: nothing dropped out, beta constant, the same draws of z each time."""
        bounds = []
        for epochs in (1, 5, 15, 40):
            vae = model(epochs=epochs, anneal_epochs=1, dropout=0.0, kl_weight=kl_weight, learning_rate=2e-3)
            bounds.append(bound(vae.fit(data), data, kl_weight))
        assert bounds == sorted(bounds, reverse=True), bounds
        uniform = float(data.matrix().sum() / np.count_nonzero(data.user_counts())) * math.log(data.n_items)
        assert bounds[-1] < bounds[0] < 1.1 * uniform

    def test_the_kl_weight_holds_the_code_near_the_prior(self, data: Dataset) -> None:
        divergence = []
        for kl_weight in (0.0, 0.2, 5.0):
            vae = model(kl_weight=kl_weight, anneal_epochs=1).fit(data)
            divergence.append(bound(vae, data, 1.0) - bound(vae, data, 0.0))
        assert divergence[0] > divergence[1] > divergence[2] >= 0.0


def ndcg(model: Model, holdout: Holdout) -> NDArray[np.float64]:
    found = ranking(recommend(model, holdout.queries, 10).item, holdout.truth, k=[10], metrics=["ndcg"])
    return found["ndcg", 10]


class TestRanking:
    def test_better_than_popularity(self, data: Dataset) -> None:
        """By the difference of each user, which is five standard errors above 0."""
        train, hidden = last_hidden(data)
        gain = ndcg(model().fit(train), hidden) - ndcg(Popularity().fit(train), hidden)
        assert gain.mean() > 5 * gain.std() / math.sqrt(len(gain))

    def test_early_stopping_keeps_the_best_epoch(self, data: Dataset) -> None:
        train, hold = last_hidden(data)
        vae = model(epochs=200, patience=5, learning_rate=2e-2).fit(train, valid=hold)
        curve = vae.fitted.learned.curve
        best = int(np.argmax(curve[:, 2]))
        assert len(curve) == best + 6 < 200
        np.testing.assert_allclose(np.mean(ndcg(vae, hold)), curve[best, 2], rtol=1e-12)

    def test_new_users_are_answered_as_known_ones(self, fitted: MultiVAE, data: Dataset) -> None:
        queries = data.queries()
        new = replace(queries, user=np.full(len(queries), -1, np.int32))
        np.testing.assert_array_equal(fitted.score(new), fitted.score(queries))

    def test_a_new_user_of_a_taste_gets_that_taste(self, fitted: MultiVAE, data: Dataset) -> None:
        """Histories of three items that no user has as a whole."""
        watched = data.matrix().toarray() > 0
        together = watched.T.astype(float) @ watched
        for item in np.argsort(-data.item_counts())[:8]:
            near = np.argsort(-together[item])[:3]
            history = Ragged.from_lists([near])
            queries = replace(data.queries_of(np.array([0], np.int32)), user=np.array([-1], np.int32), history=history)
            queries = replace(queries, exclude=history, history_ratings=None, history_times=None)
            best = recommend(fitted, queries, 5).item[0]
            others = np.setdiff1d(np.arange(data.n_items), near)
            assert together[best][:, near].mean() > together[others][:, near].mean()


class TestSameBytes:
    def test_seeds(self, data: Dataset, fitted: MultiVAE) -> None:
        torch.rand(3)
        again, other = model().fit(data), model().fit(data, seed=1)
        weights = [m.fitted.learned.weights for m in (fitted, again, other)]
        for name, value in weights[0].items():
            assert value.tobytes() == weights[1][name].tobytes(), name
            assert value.tobytes() != weights[2][name].tobytes(), name
        np.testing.assert_array_equal(again.fitted.learned.curve[:, :2], fitted.fitted.learned.curve[:, :2])

    def test_with_two_threads(self) -> None:
        """Large enough that torch divides its loops between the threads."""
        rng = np.random.default_rng(0)
        user, item = rng.integers(0, 300, 20_000).astype(np.int32), rng.integers(0, 900, 20_000).astype(np.int32)
        data = Dataset(IdMap(range(300), what="user"), IdMap(range(900), what="item"), user, item)
        torch.set_num_threads(2)
        found = []
        for _ in range(2):
            vae = MultiVAE(hidden=128, latent=32, batch_size=100, epochs=2).fit(data)
            found.append({name: value.tobytes() for name, value in vae.fitted.learned.weights.items()})
        assert found[0] == found[1]

    def test_global_random_state_stays(self, data: Dataset, fitted: MultiVAE) -> None:
        state = torch.get_rng_state()
        model(epochs=1).fit(data)
        fitted.score(data.queries())
        assert torch.equal(torch.get_rng_state(), state)

    def test_saved_and_loaded(self, data: Dataset, fitted: MultiVAE, tmp_path: Path) -> None:
        loaded = load_model(save_model(fitted, tmp_path / "vae"))
        assert loaded == fitted
        assert loaded.score(data.queries()).tobytes() == fitted.score(data.queries()).tobytes()
