"""Losses and sparse rows against plain formulas in float64, values and gradients, on data symmetric in nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from matinee.nn import losses
from matinee.nn.blocks import SparseBatch, SparseLinear, dense

N_ITEMS = 7
WATCHED = [[(4, 1.0), (1, 1.0), (6, 1.0)], [], [(0, 1.0)], [(2, 1.0), (6, 1.0), (5, 1.0), (0, 1.0), (3, 1.0)]]
RATED = [[(4, 4.5), (1, 0.5)], [], [(0, 3.0)], [(2, 1.5), (6, 5.0), (5, 2.0), (0, 4.0)]]
"""Four rows of (item, value); one is empty."""


def rows_of(entries: list[list[tuple[int, float]]], dtype: torch.dtype = torch.float32) -> SparseBatch:
    flat = [entry for row in entries for entry in row]
    lengths = [len(row) for row in entries]
    return SparseBatch(
        item=torch.tensor([item for item, _ in flat], dtype=torch.int64),
        row=torch.tensor([b for b, row in enumerate(entries) for _ in row], dtype=torch.int64),
        offsets=torch.tensor([sum(lengths[:b]) for b in range(len(lengths))], dtype=torch.int64),
        value=torch.tensor([value for _, value in flat], dtype=dtype),
        user=torch.arange(len(entries)),
        side=torch.zeros(len(entries), 0),
    )


def matrix(entries: list[list[tuple[int, float]]]) -> NDArray[np.float64]:
    X = np.zeros((len(entries), N_ITEMS))
    for b, row in enumerate(entries):
        for item, value in row:
            X[b, item] += value
    return X


def logits() -> NDArray[np.float64]:
    return 2.0 * np.random.default_rng(3).normal(size=(len(WATCHED), N_ITEMS)) - 0.7


def differences(function: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Central differences: the truth's own gradient."""
    out, step = np.zeros_like(at), 1e-5
    for index in np.ndindex(*at.shape):
        moved = [at.copy(), at.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        out[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return out


def true_multinomial(scores: NDArray[np.float64], X: NDArray[np.float64]) -> float:
    total = 0.0
    for b in range(len(X)):
        bottom = sum(math.exp(s) for s in scores[b])
        total -= sum(X[b, i] * math.log(math.exp(scores[b, i]) / bottom) for i in range(N_ITEMS))
    return total


def true_logistic(scores: NDArray[np.float64], X: NDArray[np.float64]) -> float:
    total = 0.0
    for b, i in np.ndindex(*X.shape):
        chance = 1.0 / (1.0 + math.exp(-scores[b, i]))
        watched = float(X[b, i])
        total -= watched * math.log(chance) + (1.0 - watched) * math.log(1.0 - chance)
    return total


def true_squared_seen(scores: NDArray[np.float64], X: NDArray[np.float64]) -> float:
    return sum((float(scores[b, i]) - float(X[b, i])) ** 2 for b, i in np.ndindex(*X.shape) if X[b, i] != 0)


Loss = Callable[[Tensor, SparseBatch], Tensor]
Truth = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
CASES: list[tuple[Loss, Truth, list[list[tuple[int, float]]]]] = [
    (losses.multinomial, true_multinomial, WATCHED),
    (losses.multinomial, true_multinomial, RATED),
    (losses.logistic, true_logistic, WATCHED),
    (losses.squared_seen, true_squared_seen, RATED),
]
NAMES = ["multinomial", "multinomial-weighted", "logistic", "squared_seen"]


@pytest.mark.parametrize(("loss", "truth", "entries"), CASES, ids=NAMES)
class TestAgainstTheFormula:
    def test_value(self, loss: Loss, truth: Truth, entries: list[list[tuple[int, float]]]) -> None:
        wanted = truth(logits(), matrix(entries))
        found = loss(torch.from_numpy(logits()), rows_of(entries, torch.float64))
        assert found.dim() == 0
        np.testing.assert_allclose(found.item(), wanted, rtol=1e-12)
        found = loss(torch.from_numpy(logits()).float(), rows_of(entries))
        np.testing.assert_allclose(found.item(), wanted, rtol=1e-6)

    def test_gradient(self, loss: Loss, truth: Truth, entries: list[list[tuple[int, float]]]) -> None:
        wanted = differences(lambda scores: truth(scores, matrix(entries)), logits())
        scores = torch.from_numpy(logits()).requires_grad_(True)
        (found,) = torch.autograd.grad(loss(scores, rows_of(entries, torch.float64)), scores)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6, atol=1e-8)

    def test_the_sum_over_rows(self, loss: Loss, truth: Truth, entries: list[list[tuple[int, float]]]) -> None:
        scores = torch.from_numpy(logits())
        apart = sum(loss(scores[b : b + 1], rows_of([row], torch.float64)).item() for b, row in enumerate(entries))
        together = loss(scores, rows_of(entries, torch.float64)).item()
        np.testing.assert_allclose(together, apart, rtol=1e-12)

    def test_half_precision_logits_lose_nothing_more(
        self, loss: Loss, truth: Truth, entries: list[list[tuple[int, float]]]
    ) -> None:
        """Under autocast logits come as bfloat16; the loss of those very numbers is still a float32 sum."""
        scores = torch.from_numpy(logits()).bfloat16()
        found = loss(scores, rows_of(entries))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.item(), truth(scores.double().numpy(), matrix(entries)), rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.multinomial, losses.logistic])
def test_extreme_logits_stay_finite(loss: Loss) -> None:
    scores = torch.tensor([[1e4, -1e4, 0.0, 500.0, -500.0, 88.8, -104.0]] * len(WATCHED)).requires_grad_(True)
    value = loss(scores, rows_of(WATCHED))
    (gradient,) = torch.autograd.grad(value, scores)
    assert bool(value.isfinite())
    assert bool(gradient.isfinite().all())


class TestGaussians:
    mean = np.array([[0.3, -1.2, 2.0], [0.0, 0.7, -0.4]])
    log_variance = np.array([[-0.5, 0.9, 0.1], [-2.0, 0.0, 1.3]])
    z = np.array([[1.1, -0.3, 0.2], [-0.6, 2.5, 0.9]])

    def test_kl_against_the_integral(self) -> None:
        """KL is E_q[log q - log p]; by Gauss-Hermite, which is exact for these polynomials."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(20)
        weights = weights / weights.sum()
        wanted = np.zeros(2)
        for b, d in np.ndindex(2, 3):
            sd = math.exp(0.5 * self.log_variance[b, d])
            z = self.mean[b, d] + sd * nodes
            gap = stats.norm.logpdf(z, self.mean[b, d], sd) - stats.norm.logpdf(z)
            wanted[b] += float(weights @ gap)
        found = losses.gaussian_kl(torch.from_numpy(self.mean), torch.from_numpy(self.log_variance))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)

    def test_log_normal_against_scipy(self) -> None:
        wanted = stats.norm.logpdf(self.z, self.mean, np.exp(0.5 * self.log_variance))
        found = losses.log_normal(*(torch.from_numpy(a) for a in (self.z, self.mean, self.log_variance)))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)

    def test_gradients(self) -> None:
        mean, log_variance, z = (
            torch.from_numpy(a).requires_grad_(True) for a in (self.mean, self.log_variance, self.z)
        )
        assert torch.autograd.gradcheck(losses.gaussian_kl, (mean, log_variance))
        assert torch.autograd.gradcheck(losses.log_normal, (z, mean, log_variance))

    def test_draws_have_the_moments_and_the_gradient(self) -> None:
        mean, log_variance = (
            torch.from_numpy(a[:, None]).expand(2, 200_000, 3) for a in (self.mean, self.log_variance)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            drawn = losses.sampled(mean, log_variance, training=True).numpy()
        variance = np.exp(self.log_variance)
        error = np.sqrt(variance / 200_000)
        assert (np.abs(drawn.mean(axis=1) - self.mean) < 5 * error).all()  # five standard errors, 6 numbers
        assert (np.abs(drawn.var(axis=1) / variance - 1) < 5 * math.sqrt(2 / 200_000)).all()
        assert losses.sampled(mean, log_variance, training=False) is mean

    def test_the_draw_moves_with_mean_and_deviation(self) -> None:
        mean, log_variance = (torch.from_numpy(a).requires_grad_(True) for a in (self.mean, self.log_variance))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            noise = torch.randn(2, 3, dtype=torch.float64)
            torch.manual_seed(6)
            drawn = losses.sampled(mean, log_variance, training=True)
        gradients = torch.autograd.grad(drawn.sum(), (mean, log_variance))
        np.testing.assert_allclose(gradients[0].numpy(), np.ones((2, 3)))
        wanted = 0.5 * noise.numpy() * np.exp(0.5 * self.log_variance)  # z = mean + noise exp(log_variance / 2)
        np.testing.assert_allclose(gradients[1].numpy(), wanted, rtol=1e-12)

    def test_half_precision_loses_nothing_more(self) -> None:
        mean, log_variance, z = (torch.from_numpy(a).bfloat16() for a in (self.mean, self.log_variance, self.z))
        wide = [a.double() for a in (mean, log_variance, z)]
        for found, wanted in (
            (losses.gaussian_kl(mean, log_variance), losses.gaussian_kl(wide[0], wide[1])),
            (losses.log_normal(z, mean, log_variance), losses.log_normal(wide[2], wide[0], wide[1])),
        ):
            assert found.dtype == torch.float32
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-6)


REPEATED = [[(2, 0.5), (5, -1.0), (2, 2.0)], [], [(6, 1.5)], [(0, 1.0), (1, 3.0), (5, 0.25), (0, -2.0)]]


class TestSparseLinear:
    def test_equals_a_dense_layer(self) -> None:
        """Values and gradients of weights, bias and the entries; a repeated item counts as the sum of its values."""
        layer = SparseLinear(N_ITEMS, 3).double()
        torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(1))
        rows = rows_of(REPEATED, torch.float64)
        value = rows.value.requires_grad_(True)
        X = torch.zeros(4, N_ITEMS, dtype=torch.float64).index_put((rows.row, rows.item), value, accumulate=True)
        np.testing.assert_array_equal(X.detach().numpy(), matrix(REPEATED))
        sensitivity = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        found, wanted = layer(rows), X @ layer.weight + layer.bias
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-12)
        along = (layer.weight, layer.bias, value)
        pairs = zip(
            torch.autograd.grad((found * sensitivity).sum(), along),
            torch.autograd.grad((wanted * sensitivity).sum(), along),
            strict=True,
        )
        for one, other in pairs:
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)
            assert one.abs().sum() > 0

    def test_an_empty_row_is_the_bias(self) -> None:
        layer = SparseLinear(N_ITEMS, 3)
        with torch.no_grad():
            layer.bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
        cases: list[list[list[tuple[int, float]]]] = [[[]], [[], []], REPEATED]
        for entries in cases:
            found = layer(rows_of(entries))
            empty = [b for b, row in enumerate(entries) if not row]
            np.testing.assert_array_equal(found[empty].detach().numpy(), [[1.0, -2.0, 0.5]] * len(empty))
        assert layer(rows_of([])).shape == (0, 3)

    def test_fresh_weights_are_xavier_normal(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            sparse, full = SparseLinear(900, 300), dense(900, 300)
        for weight in (sparse.weight, full.weight):
            np.testing.assert_allclose(weight.std().item(), math.sqrt(2 / 1200), rtol=5 / math.sqrt(2 * 270_000))
        assert sparse.weight.shape == (900, 300)
        assert full.weight.shape == (300, 900)
        assert not sparse.bias.any()
        assert not full.bias.any()


class TestRows:
    def test_sums(self) -> None:
        np.testing.assert_allclose(rows_of(REPEATED).sums.numpy(), matrix(REPEATED).sum(axis=1))
        assert len(rows_of(REPEATED)) == 4

    def test_normalised_rows_have_length_one_and_empty_ones_stay(self) -> None:
        wanted = matrix(RATED)
        lengths = np.linalg.norm(wanted, axis=1, keepdims=True)
        wanted = np.divide(wanted, lengths, out=np.zeros_like(wanted), where=lengths > 0)
        rows = rows_of(RATED).normalised()
        found = torch.zeros(4, N_ITEMS).index_put((rows.row, rows.item), rows.value, accumulate=True)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)

    def test_normalised_zero_values_stay_zero(self) -> None:
        rows = rows_of([[(1, 0.0), (2, 0.0)]]).normalised()
        assert rows.value.tolist() == [0.0, 0.0]

    def test_corrupted_drops_a_share_and_scales_the_rest(self) -> None:
        entries = [[(i % N_ITEMS, 1.5) for i in range(40_000)]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            value = rows_of(entries).corrupted(0.3, training=True).value.numpy()
        assert set(np.unique(value)) == {np.float32(0.0), np.float32(1.5 / 0.7)}
        assert abs((value == 0).mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 40_000)
        np.testing.assert_array_equal(rows_of(RATED).corrupted(0.3, training=False).value, rows_of(RATED).value)

    def test_nothing_but_the_values_changes(self) -> None:
        rows = rows_of(RATED)
        kept = rows.value.clone()
        for changed in (rows.normalised(), rows.corrupted(0.5, training=True)):
            assert replace(changed, value=rows.value) == rows
        assert torch.equal(rows.value, kept)
