"""Transformers on packed histories: each history as if it were alone, and nothing seen before it happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.data.arrays import Ragged
from matinee.nn.sequences import Packed, pack
from matinee.nn.transformer import Attention, RelativeBias, TransformerNet
from oracle.transformer_truth import Truth

N_ITEMS, LENGTH, DIM = 13, 12, 8
HISTORIES = [[3], [0, 5, 9, 9, 1, 12, 4, 4, 7, 2, 10, 6], [], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
             [12, 1], [8, 0, 8, 3, 0], [5, 6, 7, 8, 9, 1, 2, 3, 4, 0, 12], [4, 2, 9, 9]]  # fmt: skip
"""Of 1 to 12 items; 11 and 12, and 4 and 5, share a group, so that some of its slots are empty."""

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "n_heads": {"n_heads": 2},
    "relative": {"n_heads": 2, "relative": True},
    "gated": {"gated": True, "n_heads": 4, "feed_forward": "gelu"},
    "swiglu": {"feed_forward": "swiglu", "ffn_multiplier": 3},
    "all": {"n_heads": 2, "relative": True, "gated": True, "feed_forward": "swiglu", "ffn_multiplier": 2},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
either_way = pytest.mark.parametrize("causal", [True, False], ids=["causal", "both_sides"])
timed = pytest.mark.parametrize("timed", [False, True], ids=["", "timed"])


def net_of(*, n_heads: int = 1, causal: bool = True, **options: Any) -> TransformerNet:
    """Two blocks; all weights, norms and biases are random, so that none can be forgotten."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = TransformerNet(N_ITEMS, LENGTH, DIM, 2, n_heads, 0.3, causal=causal, **options)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.4 * torch.randn(parameter.shape))
    return net.eval()


def seconds_of(histories: Sequence[Sequence[int]]) -> list[list[int]]:
    """From minutes to years apart, and some events at once."""
    rng = np.random.default_rng(4)
    gaps = [(rng.random(len(row)) < 0.8) * 10 ** rng.uniform(1.0, 7.5, len(row)) for row in histories]
    return [(10**9 + np.cumsum(gap)).astype(np.int64).tolist() for gap in gaps]


def packed_of(histories: Sequence[Sequence[int]], seconds: Sequence[Sequence[int]] | None) -> Packed:
    times = None if seconds is None else np.array([second for row in seconds for second in row], np.int64)
    return pack(Ragged.from_lists(histories), N_ITEMS, times)


def states_of(
    net: TransformerNet, histories: Sequence[Sequence[int]], seconds: Sequence[Sequence[int]] | None = None
) -> list[Tensor]:
    """(L, DIM) of each history, of one packed batch."""
    packed = packed_of(histories, seconds)
    with torch.inference_mode():
        states = net(packed)
    assert states.shape == (len(packed.item), DIM)
    assert torch.isfinite(states).all(), "an empty slot holds no number"
    pairs = zip(packed.first.tolist(), packed.length.tolist(), strict=True)
    return [states[first : first + length] for first, length in pairs]


def close(found: Tensor, wanted: Any, rtol: float = 1e-5) -> None:
    """States are normed: numbers of order one."""
    np.testing.assert_allclose(found.detach().numpy(), np.asarray(wanted), rtol=rtol, atol=rtol)


@either_way
@timed
@every_option
class TestStates:
    def test_equal_the_slow_truth(self, options: dict[str, Any], timed: bool, causal: bool) -> None:
        net = net_of(causal=causal, **options)
        weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
        truth = Truth(weights, options.get("n_heads", 1), causal, options.get("feed_forward", "relu"))
        seconds = seconds_of(HISTORIES) if timed else None
        for b, found in enumerate(states_of(net, HISTORIES, seconds)):
            if len(found):
                close(found, truth.states(HISTORIES[b], None if seconds is None else seconds[b]))

    def test_a_packed_batch_equals_each_history_alone(self, options: dict[str, Any], timed: bool, causal: bool) -> None:
        net = net_of(causal=causal, **options)
        seconds = seconds_of(HISTORIES) if timed else None
        for b, found in enumerate(states_of(net, HISTORIES, seconds)):
            if len(found):
                (alone,) = states_of(net, [HISTORIES[b]], None if seconds is None else [seconds[b]])
                close(found, alone)

    def test_gradients_add_up_to_those_of_each_alone(self, options: dict[str, Any], timed: bool, causal: bool) -> None:
        net = net_of(causal=causal, **options)
        seconds = seconds_of(HISTORIES) if timed else None
        weight = torch.linspace(-1.0, 1.0, N_ITEMS)[:, None] + torch.linspace(0.0, 1.0, DIM)

        def gradients(histories: list[list[int]], times: list[list[int]] | None) -> list[Tensor]:
            packed = packed_of(histories, times)
            value = (net(packed)[packed.slot] * weight[packed.item[packed.slot]]).sum()
            found = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
            return [torch.zeros(()) if g is None else g for g in found]

        together = gradients(HISTORIES, seconds)
        apart = [gradients([row], None if seconds is None else [seconds[b]]) for b, row in enumerate(HISTORIES) if row]
        for found, parts in zip(together, zip(*apart, strict=True), strict=True):
            wanted = torch.stack(parts).sum(dim=0)
            size = max(float(torch.stack(parts).abs().max()), 1.0)  # terms cancel
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5 * size)

    def test_what_comes_later_changes_nothing_before(self, options: dict[str, Any], timed: bool, causal: bool) -> None:
        """Another item, at another time, from place t on. Where both sides are seen, all is changed."""
        net = net_of(causal=causal, **options)
        seconds = seconds_of(HISTORIES)
        before = states_of(net, HISTORIES, seconds if timed else None)
        for t in (1, 2, 4, 10):
            other = [[*row[:t], *((item + 3) % N_ITEMS for item in row[t:])] for row in HISTORIES]
            later = [[*row[:t], *(second + 5_000_000 for second in row[t:])] for row in seconds]
            after = states_of(net, other, later if timed else None)
            for one, two in zip(before, after, strict=True):
                if causal:
                    close(two[:t], one[:t], 1e-6)
                if len(one) > t:
                    changed = (one - two).abs().amax(dim=1) > 1e-4
                    assert changed[t:].all()
                    assert causal or changed.all()

    def test_the_past_gets_no_gradient_from_the_future(
        self, options: dict[str, Any], timed: bool, causal: bool
    ) -> None:
        net = net_of(causal=causal, **options)
        packed = packed_of(HISTORIES, seconds_of(HISTORIES) if timed else None)
        x = torch.randn(len(packed.item), DIM, generator=torch.Generator().manual_seed(1)).requires_grad_()
        states = net.transformer(x, packed)
        for b, row in enumerate(HISTORIES):
            first = int(packed.first[b])
            for t in range(len(row)):
                (gradient,) = torch.autograd.grad(states[first + t].sum(), x, retain_graph=True)
                reached = set(torch.nonzero(gradient.abs().amax(dim=1)).flatten().tolist())
                assert reached == set(range(first, first + (t + 1 if causal else len(row))))


@either_way
def test_what_lies_in_an_empty_slot_is_of_no_consequence(causal: bool) -> None:
    for options in OPTIONS.values():
        net = net_of(causal=causal, **options)
        packed = packed_of(HISTORIES, None)
        empty = np.setdiff1d(np.arange(len(packed.item)), packed.slot.numpy())
        assert len(empty) > 1
        x = torch.randn(len(packed.item), DIM, generator=torch.Generator().manual_seed(1))
        other = x.clone()
        other[empty] = 50.0
        with torch.inference_mode():
            one, two = net.transformer(x, packed), net.transformer(other, packed)
        close(two[packed.slot], one[packed.slot], 1e-6)


@either_way
@timed
def test_relative_bias_against_a_loop(causal: bool, timed: bool) -> None:
    """Also of histories longer than the bias: whatever lies farther apart counts as farthest."""
    length, heads = 5, 3
    layer = RelativeBias(heads, length)
    with torch.no_grad():
        layer.places.copy_(torch.randn(layer.places.shape, generator=torch.Generator().manual_seed(1)))
        layer.times.copy_(torch.randn(layer.times.shape, generator=torch.Generator().manual_seed(2)))
    seconds = seconds_of(HISTORIES)
    packed = packed_of(HISTORIES, seconds if timed else None)
    truth = Truth({"attention.bias.places": layer.places.double().detach().numpy(),
                   "attention.bias.times": layer.times.double().detach().numpy()})  # fmt: skip
    rows = {first: b for b, first in enumerate(packed.first.tolist()) if HISTORIES[b]}
    seen = 0
    for number, group in enumerate(packed.groups):
        found = layer(packed, number, causal).detach().expand(group.rows, -1, -1, -1)
        assert found.shape == (group.rows, heads, group.length, group.length)
        for r, head, i, j in np.ndindex(group.rows, heads, group.length, group.length):
            b = rows[group.start + r * group.length]
            n = len(HISTORIES[b])
            if i >= n:
                continue  # an empty slot may look at anything
            if j > i if causal else j >= n:
                assert found[r, head, i, j] == -np.inf
            else:
                wanted = truth.bias("", head, i, j, seconds[b] if timed else None)
                np.testing.assert_allclose(float(found[r, head, i, j]), wanted, rtol=1e-5, atol=1e-6)
                seen += 1
    assert seen > heads * 200


@pytest.mark.parametrize(("heads", "dim"), [(1, 8), (2, 12), (3, 15)])
@either_way
@timed
def test_biased_attention_and_its_slopes_against_tensors(causal: bool, timed: bool, heads: int, dim: int) -> None:
    """Compiled in float32 against the plain way in float64: of what is read and of all weights; histories longer than
    the bias, and heads whose width is no multiple of four."""
    torch.manual_seed(7)
    layer = Attention(dim, heads, causal, 9)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    packed = packed_of(HISTORIES, seconds_of(HISTORIES) if timed else None)
    x, size = torch.randn(len(packed.item), dim), torch.randn(len(packed.slot), dim, dtype=torch.float64)

    def told(layer: Attention, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        given = x.detach().requires_grad_()
        out = layer(given, packed)[packed.slot]
        weights = [w for name, w in layer.named_parameters() if timed or "times" not in name]
        return out.detach(), torch.autograd.grad((out.double() * size).sum(), [given, *weights])

    with mock.patch.object(RelativeBias, "forward", side_effect=AssertionError("the plain way")):
        found, slopes = told(layer, x)
    wanted, truths = told(layer.double(), x.double())
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    for slope, truth in zip(slopes, truths, strict=True):
        np.testing.assert_allclose(slope[...], truth, rtol=1e-4, atol=1e-5 * max(1.0, float(truth.abs().max())))


def test_how_far_apart_events_lie_does_not_hang_on_a_later_one() -> None:
    """Nor by rounding: hours apart to the second, which are where a step ends, and an event years later."""
    layer = RelativeBias(1, LENGTH)
    with torch.no_grad():
        layer.times.copy_(torch.arange(layer.STEPS)[:, None])
    hours = [0, 1, 3, 3, 10, 25, 56, 119, 246, 501]  # 2^n - 1 apart, or nearly
    seconds = [10**9 + 3_600 * hour for hour in hours]
    before = layer(packed_of([[1] * 10], [seconds]), 0, True)
    assert before[0, 0, 1, 0] == 1.0
    assert before[0, 0, 2, 0] == 2.0
    for years in (0.3, 1.0, 7.7, 20.0):
        later = seconds[-1] + int(years * 31_556_952) + 1
        after = layer(packed_of([[1] * 11], [[*seconds, later]]), 0, True)
        assert torch.equal(after[:, :, :10, :10], before)


def test_dropout_is_for_training_alone() -> None:
    net = net_of()
    packed = packed_of(HISTORIES, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert torch.equal(net(packed), net(packed))
        net.train()
        one, other = net(packed), net(packed)
        assert not torch.equal(one, other)
        torch.manual_seed(7)
        one = net(packed)
        torch.manual_seed(7)
        assert torch.equal(net(packed), one)


def test_attention_on_a_cpu_stays_float32_under_autocast() -> None:
    """Its kernels for bfloat16 are the slower ones; linear layers alone are bfloat16."""
    net, packed, kinds = net_of(), packed_of(HISTORIES, None), []
    right = F.scaled_dot_product_attention

    def watched(*args: Any, **more: Any) -> Tensor:
        out = right(*args, **more)
        kinds.append(out.dtype)
        return out

    with mock.patch.object(F, "scaled_dot_product_attention", watched), torch.autocast("cpu", torch.bfloat16):
        rounded = net(packed)
    assert set(kinds) == {torch.float32}
    exact, rounded = net(packed).detach(), rounded.detach().float()
    assert not torch.equal(rounded, exact)
    assert float((rounded - exact).norm() / exact.norm()) < 0.05  # 8 bits, a few layers on


def test_special_tokens_have_vectors_and_are_not_scored() -> None:
    net = net_of(n_special=2)
    assert net.items.weight.shape == (N_ITEMS + 3, DIM)
    assert net.vectors.shape == (N_ITEMS, DIM)
    one, other = (states_of(net, [[4, code, 1]])[0] for code in (N_ITEMS + 1, N_ITEMS + 2))
    assert (one - other)[1:].abs().amax(dim=1).min() > 1e-3
