"""The recurrence over packed histories against torch's own on each history alone, gradients included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from matinee.data.arrays import Ragged
from matinee.nn.recurrent import GRU, by_place
from matinee.nn.sequences import Packed, pack

N_ITEMS = 9
ROWS = [[3, 1, 4], [], [1, 5, 2, 6, 5, 3, 5, 8], [7], [1, 2, 3, 4, 5, 6, 7], [0, 0]]
histories = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=9), max_size=8)


def packed(rows: list[list[int]]) -> Packed:
    return pack(Ragged.from_lists(rows), N_ITEMS)


def net(layers: int = 2) -> GRU:
    torch.manual_seed(3)
    return GRU(4, 5, layers, dropout=0.0)


def inputs(batch: Packed) -> Tensor:
    return torch.randn(len(batch.item), 4, generator=torch.Generator().manual_seed(5)).requires_grad_()


def alone(gru: GRU, x: Tensor, batch: Packed) -> Tensor:
    """(E, hidden): torch's layers on one history after the other."""
    found = [x.new_zeros(0, 5)]
    for first, length in zip(batch.first.tolist(), batch.length.tolist(), strict=True):
        states = x[first : first + length]
        for layer in gru.layers if length else []:
            states = layer(states)[0]
        found.append(states if length else x.new_zeros(0, 5))
    return torch.cat(found)


def near(found: Any, truth: Any) -> None:
    np.testing.assert_allclose(found.detach().numpy(), truth.detach().numpy(), rtol=1e-5, atol=1e-6)


@settings(max_examples=50)
@given(rows=histories)
def test_states_and_gradients_are_torchs(rows: list[list[int]]) -> None:
    batch, gru = packed(rows), net()
    x = inputs(batch)
    weight = torch.randn(len(batch.slot), 5, generator=torch.Generator().manual_seed(7))
    found, truth = gru(x, batch)[batch.slot], alone(gru, x, batch)
    near(found, truth)
    if len(batch.slot):
        sources = [x, *gru.parameters()]
        gradients = [torch.autograd.grad((s * weight).sum(), sources) for s in (found, truth)]
        for one, other in zip(*gradients, strict=True):
            near(one, other)


def test_without_gradients_torchs_own_code_runs_and_agrees() -> None:
    batch, gru = packed(ROWS), net()
    x = inputs(batch)
    with torch.no_grad():
        near(gru(x, batch), gru(x.detach(), batch))
        near(gru(x, batch)[batch.slot], alone(gru, x, batch))
    near(gru(x, batch)[batch.slot], alone(gru, x, batch))


def test_empty_slots_are_zero_and_are_not_read() -> None:
    batch, gru = packed(ROWS), net()
    empty = np.setdiff1d(np.arange(len(batch.item)), batch.slot.numpy())
    assert len(empty)
    x = inputs(batch)
    other = x.detach().clone()
    other[empty] = torch.nan
    states = gru(x, batch)
    assert not states[empty].any()
    near(states, gru(other.requires_grad_(), batch))


def test_order_of_place() -> None:
    batch = packed(ROWS)
    slots, sizes = by_place(batch)
    assert sizes.tolist() == [5, 4, 3, 2, 2, 2, 2, 1]
    assert batch.position[slots].tolist() == sorted(batch.position[batch.slot].tolist())
    assert sorted(slots.tolist()) == sorted(batch.slot.tolist())
    assert batch.item[slots[:5]].tolist() == [1, 1, 3, 0, 7]  # the longest history first


def test_between_layers_a_share_is_left_out() -> None:
    batch = packed(ROWS)
    torch.manual_seed(3)
    gru = GRU(4, 5, 2, dropout=0.5)
    x = inputs(batch)
    torch.manual_seed(1)
    one = gru(x, batch)
    assert not torch.allclose(one, gru(x, batch))
    torch.manual_seed(1)
    assert torch.equal(one, gru(x, batch))
    gru.eval()
    near(gru(x, batch)[batch.slot], alone(gru, x, batch))


@pytest.mark.parametrize("grad", [True, False])
def test_in_bfloat16_states_are_near(grad: bool) -> None:
    batch, gru = packed(ROWS), net()
    x = inputs(batch)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
        found = gru(x, batch)[batch.slot].float()
    truth = alone(gru, x, batch)
    assert not torch.equal(found, truth)
    assert (found - truth).abs().max() < 0.02  # three digits of the products
