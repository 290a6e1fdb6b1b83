"""Additive attention from each event to those up to it, and the nets that use it: NARM's and STAMP's.

score(t, j) = v . sigmoid(x_t + y_j) needs length x length x dim sigmoids a history. They are never all in memory, and
the backward pass computes them again. On a CPU compiled loops make a sigmoid one division: a tenth of tensors' time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from matinee import kernels
from matinee.nn.blocks import dense, dropout, item_table
from matinee.nn.recurrent import GRU
from matinee.nn.sequences import Packed

PIECE = 1 << 22
"""Scores, or sigmoids where tensors hold them, in memory at a time: 16 MB."""
PAIRS = 1 << 14
"""Pairs of events a thread takes at a time."""
SAFE = 40.0
"""exp of it, squared, is far from float32's largest number."""


class AttentiveRecurrentNet(nn.Module):
    """NARM's: a GRU's last state, and the sum of its states, weighted by attention from the last one (eq. 5-6)."""

    def __init__(self, n_items: int, dim: int, hidden: int, layers: int, dropout: float, state_dropout: float) -> None:
        super().__init__()
        self.n_items, self.dropout, self.state_dropout = n_items, dropout, state_dropout
        self.items = item_table(n_items, dim, empty=n_items)
        self.gru = GRU(dim, hidden, layers, dropout)
        self.asking, self.asked = plain(hidden, hidden), plain(hidden, hidden)
        self.weight = plain(hidden, 1)
        nn.init.zeros_(self.weight.weight)  # start with the last state alone: the sum over a long history is large
        self.decoder = plain(2 * hidden, dim)

    @property
    def vectors(self) -> Tensor:
        """float32 (n_items, dim)."""
        return self.items.weight[: self.n_items]

    def forward(self, packed: Packed) -> Tensor:
        h = self.gru(dropout(self.items(packed.item), self.dropout, training=self.training), packed)
        local = attended(packed, self.asking(h), self.asked(h), h, self.weight.weight[0])
        both = dropout(torch.cat([h, local], dim=1), self.state_dropout, training=self.training)
        state: Tensor = self.decoder(both)
        return state


class MemoryNet(nn.Module):
    """STAMP's: the events so far, weighted by attention from the last one and from their mean, and summed; times the
    last event itself, each after a layer of its own."""

    def __init__(self, n_items: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.n_items, self.dropout = n_items, dropout
        self.items = item_table(n_items, dim, empty=n_items)
        self.asking, self.asked = dense(2 * dim, dim), plain(dim, dim)
        self.weight = plain(dim, 1)
        self.memory, self.last = dense(dim, dim), dense(dim, dim)

    @property
    def vectors(self) -> Tensor:
        """float32 (n_items, dim)."""
        return self.items.weight[: self.n_items]

    def forward(self, packed: Packed) -> Tensor:
        x = dropout(self.items(packed.item), self.dropout, training=self.training)
        asking = self.asking(torch.cat([x, means(x, packed)], dim=1))
        memory = attended(packed, asking, self.asked(x), x, self.weight.weight[0])
        state: Tensor = torch.tanh(self.memory(memory)) * torch.tanh(self.last(x))
        return state


def plain(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer without bias, Xavier normal."""
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.xavier_normal_(layer.weight)
    return layer


def means(x: Tensor, packed: Packed) -> Tensor:
    """(N, d): at each slot the mean over its history up to it."""
    sums = packed.join([part.cumsum(dim=1) for part in packed.split(x)])
    return sums / (packed.position[:, None] + 1.0)


def attended(packed: Packed, asking: Tensor, asked: Tensor, values: Tensor, v: Tensor) -> Tensor:
    """(N, m): at each slot t the sum over its history's slots j up to t of v . sigmoid(asking_t + asked_j) values_j.

    asking, asked: (N, d), values (N, m), v (d,). Weights are not normalised. Empty slots come after a history's events,
    so no event's sum contains them.
    """
    wide = [x.to(torch.promote_types(x.dtype, torch.float32)) for x in (asking, asked, values)]
    v = v.to(wide[0].dtype)
    compiled = v.device.type == "cpu" and all(bool((x.detach().abs() <= SAFE).all()) for x in wide[:2])
    way = _Attended.apply if compiled else by_pieces
    found = [way(x, y, z, v) for x, y, z in zip(*(packed.split(x) for x in wide), strict=True)]
    return packed.join(found) if found else values.new_zeros(values.shape)


def by_pieces(x: Tensor, y: Tensor, values: Tensor, v: Tensor) -> Tensor:
    """`attended` on rectangles (rows, length, d), with tensors of sigmoids, for devices other than CPUs."""

    def piece(x: Tensor, y: Tensor, values: Tensor, v: Tensor) -> Tensor:
        weights = torch.sigmoid(x[:, :, None] + y[:, None]) @ v
        return weights.tril(y.shape[1] - x.shape[1]) @ values

    rows, length, d = x.shape
    step = max(1, min(length, PIECE // (length * d)))  # the steps of a history at a time
    found = []
    for part in parts(rows, step * length * d):
        steps = [
            checkpoint(
                piece, x[part, t : t + step], y[part, : t + step], values[part, : t + step], v, use_reentrant=False
            )
            for t in range(0, length, step)
        ]
        found.append(torch.cat(steps, dim=1))
    return torch.cat(found)


def parts(rows: int, size: int) -> Iterator[slice]:
    """Slices of rows of `size` numbers each, in pieces of about PIECE numbers."""
    step = max(1, PIECE // size)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


class _Attended(torch.autograd.Function):
    """`attended` on rows x length rectangles, in compiled loops, with a piece of the weights in memory at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, values: Tensor, v: Tensor) -> Tensor:
        q, k = (-x).exp(), (-y).exp()  # exp(-x - y) is their product, finite as both are at most exp(SAFE)
        rows, length, _ = x.shape
        out = torch.empty_like(values)
        for part in parts(rows, length * length):
            weights = x.new_empty(part.stop - part.start, length, length)
            arrays = [tensor.numpy() for tensor in (q[part], k[part], v.contiguous(), weights)]

            def run(start: int, stop: int, arrays: list[Any] = arrays) -> None:
                kernels.additive_attention.additive_weights(start, stop, *arrays)

            kernels.parallel(run, len(weights), chunk=max(1, PAIRS // length**2))
            out[part] = weights @ values[part]
        ctx.save_for_backward(q, k, values, v)
        return out

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        q, k, values, v = ctx.saved_tensors
        rows, length, d = q.shape
        of_x, of_y, of_values = torch.zeros_like(q), torch.zeros_like(k), torch.empty_like(values)
        of_v = q.new_zeros(rows, d)
        for part in parts(rows, length * length):
            of_weights = outer[part] @ values[part].mT
            weights = torch.empty_like(of_weights)
            tensors = (q[part], k[part], v.contiguous(), of_weights, weights, of_x[part], of_y[part], of_v[part])
            arrays = [tensor.numpy() for tensor in tensors]

            def run(start: int, stop: int, arrays: list[Any] = arrays) -> None:
                kernels.additive_attention.additive_gradients(start, stop, *arrays)

            kernels.parallel(run, len(weights), chunk=max(1, PAIRS // length**2))
            of_values[part] = weights.mT @ outer[part]
        return of_x * v, of_y * v, of_values, of_v.sum(dim=0)
