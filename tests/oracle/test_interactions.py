"""How fields meet, net by net, in float64 and float32, against loops over fields; gradients; requests broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from matinee.data.arrays import Ragged
from matinee.data.features.requests import EncodedFields
from matinee.kernels.field_attention import LANES
from matinee.nn.fields import FieldVectors, PairNet, Pooling
from matinee.nn.interactions import (
    AutoIntNet,
    FactorisationMachine,
    FieldAttention,
    Matching,
    PairLayers,
    side_by_side,
)
from oracle import interaction_checks as slow

N_CODES, DIM, B, C = 29, 5, 4, 6
REQUEST, ITEM = 3, 4  # fields of either side
POOLING: tuple[Pooling, ...] = ("mean", "sum", "attention")
TOLERANCE = {torch.float64: (1e-6, 1e-9), torch.float32: (1e-4, 1e-5)}
"""Relative, and absolute where terms of order one cancel."""


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Nets and vectors are drawn anew for each test, and each time the same."""
    torch.manual_seed(11)


def table(width: int, pooling: Pooling = "mean") -> FieldVectors:
    return FieldVectors(N_CODES, width, pooling=pooling, std=0.5)


def layers(request: int, item: int, batch_norm: bool = False) -> PairLayers:
    return PairLayers(request, item, (7, 3), share=0.4, batch_norm=batch_norm)


def attention(heads: int, residual: bool) -> list[FieldAttention]:
    wide = heads * 3
    return [FieldAttention(n, 3, heads, residual=residual) for n in (DIM, wide)]


def rows_first(x: torch.Tensor, n: int) -> torch.Tensor:
    """(n, fields, channels) of (blocks, channels, fields, LANES)."""
    return x.permute(0, 3, 2, 1).flatten(0, 1)[:n]


def told(layer: FieldAttention, x: torch.Tensor) -> torch.Tensor:
    """(n, fields, heads * dim) of (n, fields, width)."""
    return rows_first(layer(side_by_side(x)), len(x))


def auto_int(heads: int = 2, *, residual: bool = True, beside: bool = False) -> AutoIntNet:
    deep = layers(REQUEST * DIM, ITEM * DIM) if beside else None
    return AutoIntNet(table(DIM), (REQUEST, ITEM), attention(heads, residual), deep=deep, share=0.4)


def deep_fm(batch_norm: bool = False) -> FactorisationMachine:
    return FactorisationMachine(table(1 + DIM), layers(REQUEST * DIM, ITEM * DIM, batch_norm))


NETS: dict[str, tuple[Callable[[], PairNet], slow.Truth]] = {
    "gmf": (lambda: Matching(table(DIM + 1), DIM, 0, [], 0.0), slow.gmf),
    "mlp": (lambda: Matching(table(DIM + 1), 0, DIM, (7, 3), 0.4), slow.mlp),
    "neumf": (lambda: Matching(table(2 * DIM + 1), DIM, DIM, (7, 3), 0.4), slow.neumf),
    "logistic": (lambda: FactorisationMachine(table(1), None), slow.logistic),
    "fm": (lambda: FactorisationMachine(table(1 + DIM), None), slow.fm),
    "deepfm": (deep_fm, slow.deepfm),
    "autoint": (auto_int, slow.autoint),
    "autoint of one head": (
        lambda: auto_int(1, residual=False),
        lambda w, request, item: slow.autoint(w, request, item, heads=1, residual=False),
    ),
    "autoint_plus": (lambda: auto_int(3, beside=True), lambda w, r, i: slow.autoint(w, r, i, heads=3)),
}


def shaken(make: Callable[[], PairNet], dtype: torch.dtype) -> PairNet:
    """In eval mode, no weight as it began: biases at 0 or an h of ones could hide in a product."""
    net = make().to(dtype).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def weights(net: PairNet) -> dict[str, slow.Array]:
    return {name: value.detach().to(torch.float64).numpy() for name, value in net.state_dict().items()}


def blocks(net: PairNet, *, requests: int = B, shared: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Random vectors: request (B, fields, width), item (B or 1, C, fields, width)."""
    width, dtype = net.vectors.table.weight.shape[1], net.vectors.table.weight.dtype
    request = torch.randn(requests, REQUEST, width, dtype=dtype)
    return request, torch.randn(1 if shared else requests, C, ITEM, width, dtype=dtype)


ATTENTION = [name for name in NETS if name.startswith("autoint")]
"""Nets whose compiled loops hold float32 alone."""
KINDS = [(name, dtype) for name in NETS for dtype in TOLERANCE if name not in ATTENTION or dtype == torch.float32]


@pytest.mark.parametrize(("name", "dtype"), KINDS, ids=str)
def test_logits_pair_by_pair(name: str, dtype: torch.dtype) -> None:
    make, truth = NETS[name]
    net = shaken(make, dtype)
    request, item = blocks(net)
    found = net.logits(request, item).detach()
    assert found.shape == (B, C)
    w = weights(net)
    left, right = request.to(torch.float64).numpy(), item.to(torch.float64).numpy()
    wanted = [[truth(w, list(left[b]), list(right[b, c])) for c in range(C)] for b in range(B)]
    assert np.ptp(wanted) > 0.1
    rtol, atol = TOLERANCE[dtype]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("requests", [1, B])
@pytest.mark.parametrize("name", NETS)
def test_items_asked_of_all_requests_are_broadcast(name: str, requests: int) -> None:
    net = shaken(NETS[name][0], torch.float32 if name in ATTENTION else torch.float64)
    request, item = blocks(net, requests=requests, shared=True)
    pairwise = net.logits(request, item.repeat(requests, 1, 1, 1))
    assert pairwise.std(dim=1).min() > 1e-3, "the items differ"
    rtol, atol = TOLERANCE[pairwise.dtype]
    np.testing.assert_allclose(net.logits(request, item).detach(), pairwise.detach(), rtol=rtol, atol=atol)
    for b in range(requests):
        alone = net.logits(request[b : b + 1], item)
        np.testing.assert_allclose(alone.detach(), pairwise[b : b + 1].detach(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("heads", [1, 3])
def test_attention_of_one_layer(heads: int, residual: bool) -> None:
    """Unscaled softmax over all fields, itself among them; one head after the other; ReLU after the residual."""
    layer = FieldAttention(DIM, 3, heads, residual=residual)
    x = torch.randn(B, 6, DIM) * 2
    W = layer.project.weight.detach().double().numpy()
    assert W.shape == ((4 if residual else 3) * heads * 3, DIM)
    wanted = [slow.attention(W, list(row), heads, residual=residual) for row in x.double().numpy()]
    found = told(layer, x).detach().numpy()
    assert (found == 0).any()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("heads", "rows"), [(1, 1), (3, 2 * LANES + 7)])
def test_slopes_of_attention(heads: int, rows: int, residual: bool) -> None:
    """Of the weights and of what is read, against autograd on the plain formula in float64; several blocks of rows."""
    layer = FieldAttention(DIM, 3, heads, residual=residual)
    x = (torch.randn(rows, 6, DIM) * 2).requires_grad_()
    size = torch.randn(rows, 6, heads * 3)
    found = torch.autograd.grad((told(layer, x) * size).sum(), [x, layer.project.weight])
    plain, W = x.detach().double().requires_grad_(), layer.project.weight.detach().double().requires_grad_()
    q, k, v, *res = (plain @ part.T for part in torch.chunk(W, 4 if residual else 3))
    mixed = []
    for h in range(heads):
        at = slice(3 * h, 3 * h + 3)
        mixed.append(torch.softmax(q[..., at] @ k[..., at].transpose(1, 2), dim=2) @ v[..., at])
    out = torch.relu(torch.cat(mixed, dim=2) + (res[0] if res else 0.0))
    np.testing.assert_allclose(told(layer, x).detach(), out.detach(), rtol=1e-4, atol=1e-5)
    wanted = torch.autograd.grad((out * size).sum(), [plain, W])
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_fields_may_stand_in_any_order_for_attention_and_products() -> None:
    """Neither a factorisation machine nor attention knows places: only what reads them does."""
    net = shaken(NETS["fm"][0], torch.float64)
    request, item = blocks(net)
    mixed = net.logits(request[:, [2, 0, 1]], item[:, :, [1, 3, 0, 2]])
    np.testing.assert_allclose(mixed.detach(), net.logits(request, item).detach(), rtol=1e-12)
    layer = attention(2, True)[0].eval()
    x, order = torch.randn(B, 6, DIM), [3, 1, 5, 0, 2, 4]
    found, turned = told(layer, x), told(layer, x[:, order])
    np.testing.assert_allclose(turned.detach(), found[:, order].detach(), rtol=1e-4, atol=1e-6)


class TestVectors:
    """A part with two plain fields, two numbers, and two lists of 1 to 5 codes."""

    def part(self, n: int = B) -> EncodedFields:
        rng = np.random.default_rng(2)
        bags = [Ragged.from_lists(rng.integers(0, N_CODES, rng.integers(1, 6)) for _ in range(n)) for _ in range(2)]
        single = rng.integers(0, N_CODES, (n, 4)).astype(np.int32)
        return EncodedFields(single, rng.normal(size=(n, 2)).astype(np.float32), tuple(bags), (1, 3))

    def made(self, pooling: Pooling, width: int = 1 + DIM) -> FieldVectors:
        vectors = table(width, pooling).double()
        if vectors.query is not None:
            torch.nn.init.normal_(vectors.query)
        return vectors

    def truth(self, vectors: FieldVectors, part: EncodedFields) -> slow.Array:
        query = None if vectors.query is None else vectors.query.detach().numpy()
        weight = vectors.table.weight.detach().numpy()
        return np.array(slow.vectors_of(weight, part, vectors.pooling, query))

    @pytest.mark.parametrize("pooling", POOLING)
    def test_numbers_weigh_and_lists_are_pooled(self, pooling: Pooling) -> None:
        vectors, part = self.made(pooling), self.part()
        found = vectors(part).detach().numpy()
        assert found.shape == (B, 6, 1 + DIM)
        np.testing.assert_allclose(found, self.truth(vectors, part), rtol=1e-6, atol=1e-12)

    def test_attention_is_a_mean_until_it_has_learned(self) -> None:
        part = self.part()
        attentive = table(DIM, "attention").double()
        plain = table(DIM, "mean").double()
        plain.load_state_dict({"table.weight": attentive.table.weight})
        np.testing.assert_allclose(attentive(part).detach(), plain(part).detach(), rtol=1e-12)
        torch.autograd.backward(attentive(part).square().sum())
        assert attentive.query is not None
        assert attentive.query.grad is not None
        assert (attentive.query.grad.abs() > 0).all(), "it can learn from there"

    def test_attention_over_far_apart_scores_does_not_overflow(self) -> None:
        vectors = self.made("attention")
        assert vectors.query is not None
        with torch.no_grad():
            vectors.query.mul_(1e4)
        found = vectors(self.part())
        assert found.isfinite().all()

    @pytest.mark.parametrize("pooling", POOLING)
    def test_fm_and_its_gradients_through_lists_and_numbers(self, pooling: Pooling) -> None:
        """The linear-time form, against the double sum over pairs of fields; slopes by finite differences of it."""
        net = FactorisationMachine(self.made(pooling), None).double()
        request, item = self.part(), self.part(B * C)
        found = net.logits(net.vectors(request), net.vectors(item).unflatten(0, (B, C)))

        def truth() -> slow.Array:
            left, right, w = self.truth(net.vectors, request), self.truth(net.vectors, item), weights(net)
            return np.array([[slow.fm(w, list(left[b]), list(right[b * C + c])) for c in range(C)] for b in range(B)])

        np.testing.assert_allclose(found.detach(), truth(), rtol=1e-6)
        size = torch.arange(1.0, B * C + 1, dtype=torch.float64).view(B, C) / (B * C)
        torch.autograd.backward((found * size).sum())
        rng = np.random.default_rng(0)
        for parameter in net.parameters():
            assert parameter.grad is not None
            flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
            for at in rng.permutation(len(flat))[:12]:
                sums = []
                for step in (1e-5, -1e-5):
                    flat[at] += step
                    sums.append(float((truth() * size.numpy()).sum()))
                    flat[at] -= step
                np.testing.assert_allclose(slope[at], (sums[0] - sums[1]) / 2e-5, rtol=1e-6, atol=1e-7)

    def test_codes_no_row_had_get_the_mean_of_their_field(self) -> None:
        vectors = table(DIM).double()
        before = vectors.table.weight.detach().clone()
        groups = [slice(0, 4), slice(4, 9), slice(9, 12), slice(12, N_CODES)]
        trained = np.ones(N_CODES, np.bool_)
        trained[[1, 3, 4, 5, 6, 7, 8]] = False
        vectors.begin_untrained(trained, groups)
        after = vectors.table.weight.detach()
        np.testing.assert_allclose(after[[1, 3]], before[[0, 2]].mean(dim=0).repeat(2, 1))
        kept = [0, 2, *range(4, N_CODES)]  # nothing is known of a field no row had a code of
        assert torch.equal(after[kept], before[kept])


class TestTraining:
    def test_dropout_leaves_out_where_it_trains_and_only_there(self) -> None:
        for name in ("mlp", "neumf", "deepfm", "autoint", "autoint_plus"):
            net = shaken(NETS[name][0], torch.float32)
            request, item = blocks(net)
            still = net.logits(request, item)
            assert torch.equal(still, net.logits(request, item)), name
            net.train()
            assert not torch.equal(net.logits(request, item), net.logits(request, item)), name

    def test_batch_normalisation_against_numpy(self) -> None:
        """In training over all pairs of the batch, before the ReLU; afterwards by the running mean and variance."""
        pair = PairLayers(3, 2, (4,), share=0.0, batch_norm=True).double()
        request, item = torch.randn(B, 3, dtype=torch.float64), torch.randn(B, C, 2, dtype=torch.float64)
        both = torch.cat([request[:, None].expand(-1, C, -1), item], dim=2).view(B * C, 5).numpy()
        W = np.concatenate([pair.weight_request.detach().numpy(), pair.weight_item.detach().numpy()], axis=1)
        x = both @ W.T + pair.bias.detach().numpy()
        wanted = np.maximum((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5), 0.0)
        found = pair.train()(pair.of_request(request), pair.of_item(item)).detach().numpy()
        np.testing.assert_allclose(found.reshape(B * C, 4), wanted, rtol=1e-6, atol=1e-9)
        mean, variance = 0.1 * x.mean(axis=0), 0.9 + 0.1 * x.var(axis=0, ddof=1)
        wanted = np.maximum((x - mean) / np.sqrt(variance + 1e-5), 0.0)
        found = pair.eval()(pair.of_request(request), pair.of_item(item)).detach().numpy()
        np.testing.assert_allclose(found.reshape(B * C, 4), wanted, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("name", NETS)
    def test_every_weight_has_a_slope(self, name: str) -> None:
        net = shaken(NETS[name][0], torch.float32)
        request, item = (net.vectors.table(torch.arange(n).view(*shape)) for n, shape in self.codes())
        torch.autograd.backward(net.logits(request, item).square().sum())
        still: list[Any] = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        allowed = ["h"] if name == "mlp" else []  # of no length there
        assert still == allowed

    def codes(self) -> list[tuple[int, tuple[int, ...]]]:
        return [(REQUEST * 2, (2, REQUEST)), (ITEM * 2 * 3, (2, 3, ITEM))]
