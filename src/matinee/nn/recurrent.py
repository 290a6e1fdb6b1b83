"""Gated recurrent units on packed histories, and GRU4Rec's net.

The events of a batch are processed by position: the first of every history, then the second of all that have one, and
so on, one matrix product each. Groups of similar length would need six times as many steps. torch's backward pass over
such batches copies them at every step, which on a CPU takes ten times as long as the one written here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from matinee.nn.blocks import dense, dropout, item_table
from matinee.nn.sequences import Packed


class RecurrentNet(nn.Module):
    """Items -> GRU layers -> a state at each slot, through a linear layer where `hidden` differs from `dim`.

    tied: scored items use the same vectors as the items read; else vectors of their own.
    """

    def __init__(self, n_items: int, dim: int, hidden: int, layers: int, dropout: float, *, tied: bool = True) -> None:
        super().__init__()
        self.n_items, self.dropout = n_items, dropout
        self.items = item_table(n_items, dim, empty=n_items)
        self.others = None if tied else item_table(n_items, dim, empty=n_items)
        self.gru = GRU(dim, hidden, layers, dropout)
        self.output = None if hidden == dim else dense(hidden, dim)

    @property
    def vectors(self) -> Tensor:
        """float32 (n_items, dim): the vectors of the items that are scored."""
        table = self.items if self.others is None else self.others
        return table.weight[: self.n_items]

    def forward(self, packed: Packed) -> Tensor:
        x = dropout(self.items(packed.item), self.dropout, training=self.training)
        states: Tensor = dropout(self.gru(x, packed), self.dropout, training=self.training)
        return states if self.output is None else self.output(states)


class GRU(nn.Module):
    """Layers of gated recurrent units (Cho et al., EMNLP 2014), each history from a state of zeros, with dropout
    between layers. Weights as in torch.nn.GRU."""

    def __init__(self, dim: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.dropout = hidden, dropout
        self.layers = nn.ModuleList(nn.GRU(hidden if number else dim, hidden) for number in range(layers))

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(N, dim) -> (N, hidden), the state at each slot; 0 where a slot is empty."""
        slots, sizes = by_place(packed)
        states = x.index_select(0, slots)
        for number, layer in enumerate(self.layers):
            if number:
                states = dropout(states, self.dropout, training=self.training)
            states = walk(layer, states, sizes)
        return states.new_zeros(len(x), self.hidden).index_copy(0, slots, states)


def by_place(packed: Packed) -> tuple[Tensor, Tensor]:
    """int64 (E,): the slots that hold events, first all first events, then all second ones, ..., the longest history
    first each time; and int64 (T,), on the CPU: how many histories have a t-th event."""
    slots = packed.slot.sort().values
    place = packed.position[slots]
    return slots[place.argsort(stable=True)], torch.bincount(place).cpu()


def walk(layer: Any, x: Tensor, sizes: Tensor) -> Tensor:
    """One torch.nn.GRU over events ordered by position: (E, dim) -> (E, hidden)."""
    if not len(x):
        return x.new_zeros(0, layer.hidden_size)
    if x.device.type == "cpu" and torch.is_grad_enabled():
        inputs = nn.functional.linear(x, layer.weight_ih_l0, layer.bias_ih_l0).float()
        states: Tensor = _Walk.apply(inputs, layer.weight_hh_l0, layer.bias_hh_l0, sizes.tolist())  # type: ignore[no-untyped-call]
    else:
        states = layer(PackedSequence(x, sizes))[0].data
    return states


class _Walk(torch.autograd.Function):
    """h_t = z h_(t-1) + (1 - z) n, r and z = sigmoid(inputs + W h + b), n = tanh(input + r (W h + b)), as torch has it.

    inputs: (E, 3 hidden), the events' part of the gates r, z and n. What the gradient needs of every event is kept in
    three arrays, so that the backward pass is a few products a step, and W's gradient one product at the end.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, W: Tensor, bias: Tensor, sizes: list[int]) -> Tensor:
        hidden = W.shape[1]
        gates, fed = torch.empty_like(inputs), inputs.new_empty(len(inputs), hidden)  # r, z and n; W h + b of n
        states = torch.empty_like(fed)
        h, start = inputs.new_zeros(sizes[0], hidden), 0
        with torch.autocast("cpu", enabled=False):
            for size in sizes:
                at = slice(start, start + size)
                h = h[:size]  # histories are ordered by length, so those that go on come first
                recurrent = torch.addmm(bias, h, W.T)
                now, r_z = gates[at], gates[at, : 2 * hidden]
                torch.add(inputs[at, : 2 * hidden], recurrent[:, : 2 * hidden], out=r_z).sigmoid_()
                fed[at] = recurrent[:, 2 * hidden :]
                r, z, n = now.chunk(3, dim=1)
                torch.addcmul(inputs[at, 2 * hidden :], r, fed[at], out=n).tanh_()
                h = torch.lerp(n, h, z, out=states[at])
                start += size
        ctx.save_for_backward(gates, fed, states, W)
        ctx.sizes = sizes
        return states

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        gates, fed, states, W = ctx.saved_tensors
        before = _before(states, ctx.sizes)
        r, z, n = gates.chunk(3, dim=1)
        # derivatives of h_t by the arguments of tanh and sigmoid, for all events at once
        by_n, by_z, by_r = (1 - z) * (1 - n * n), (before - n) * z * (1 - z), fed * r * (1 - r)
        of_inputs, of_recurrent = torch.empty_like(gates), torch.empty_like(gates)
        later, stop = outer.new_zeros(ctx.sizes[-1], W.shape[1]), len(states)
        for size in reversed(ctx.sizes):
            at = slice(stop - size, stop)
            # the gradient of h_t: from the loss, and from the step after, where the history has one
            of_h = outer[at].clone()
            of_h[: len(later)] += later
            of_r, of_z, of_n = of_inputs[at].chunk(3, dim=1)
            torch.mul(of_h, by_n[at], out=of_n)
            torch.mul(of_h, by_z[at], out=of_z)
            torch.mul(of_n, by_r[at], out=of_r)
            now = of_recurrent[at]
            now.copy_(of_inputs[at])
            now[:, 2 * W.shape[1] :] *= r[at]
            # h_(t-1) enters through W and, times z, directly
            later = torch.addcmul(now @ W, of_h, z[at])
            stop -= size
        return of_inputs, of_recurrent.T @ before, of_recurrent.sum(dim=0), None


def _before(states: Tensor, sizes: list[int]) -> Tensor:
    """(E, hidden): the state before each event, zeros at a history's start."""
    before = torch.zeros_like(states)
    start = 0
    for size, following in pairwise(sizes):
        before[start + size : start + size + following] = states[start : start + following]
        start += size
    return before
