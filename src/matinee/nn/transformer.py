"""The transformer's blocks on packed histories."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee import kernels
from matinee.nn.blocks import dense, dropout, item_table
from matinee.nn.sequences import Packed
from matinee.nn.side import ItemFeatures

FeedForward = Literal["relu", "gelu", "swiglu"]


class TransformerNet(nn.Module):
    """Items and their positions -> Transformer -> a state at each slot.

    n_special: tokens beyond the items and the empty slot's (n_items), such as BERT4Rec's mask. median_gap: each event
    also has a vector of the time until the next event or request, in steps of log base 2 seconds, which tells a state
    when the next event comes and nothing else of it; this many seconds where that is unknown. features: what is added
    to the items' vectors, those that are read and those that are scored. options: Transformer's.
    """

    STEPS = 32
    median_gap: Tensor

    def __init__(
        self,
        n_items: int,
        length: int,
        dim: int,
        n_blocks: int,
        n_heads: int,
        dropout: float,
        *,
        relative: bool = False,
        median_gap: int | None = None,
        n_special: int = 0,
        features: ItemFeatures | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.features = features
        self.n_items, self.dropout = n_items, dropout
        self.items = item_table(n_items + n_special, dim, empty=n_items)
        self.positions = nn.Embedding(length, dim)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.gaps = None if median_gap is None else nn.Embedding(self.STEPS, dim)
        if self.gaps is not None:
            nn.init.normal_(self.gaps.weight, std=0.02)
            self.register_buffer("median_gap", torch.tensor([median_gap]))
        self.transformer = Transformer(
            dim, n_blocks, n_heads, dropout, bias_length=length if relative else 0, **options
        )

    @property
    def vectors(self) -> Tensor:
        """float32 (n_items, dim)."""
        own = self.items.weight[: self.n_items]
        return own if self.features is None else self.features.added(own)

    def embedded(self, item: Tensor) -> Tensor:
        """(N, dim): the vectors of these items, and of special tokens."""
        if self.features is None:
            read: Tensor = self.items(item)
            return read
        return F.embedding(item, torch.cat([self.vectors, self.items.weight[self.n_items :]]), padding_idx=self.n_items)

    def forward(self, packed: Packed) -> Tensor:
        x = self.embedded(packed.item) + self.positions(packed.position)
        if self.gaps is not None:
            gap = self.median_gap if packed.gap is None else packed.gap
            x = x + self.gaps(torch.frexp(1.0 + gap.double()).exponent.long() - 1)
        states: Tensor = self.transformer(dropout(x, self.dropout, training=self.training), packed)
        return states


class Transformer(nn.Module):
    """Blocks of attention and feed-forward layers, each after a layer norm of its own, and a layer norm at the end.

    causal: no slot sees a later one of its history. gated: each block's outputs pass a gate, x + f(x) * sigmoid(W x)
    (LiGR: Borisyuk et al., 2025). bias_length: where not 0, attention has a bias by the distance of two events in
    items, up to this many, and in time (HSTU: Zhai et al., ICML 2024, section 3.2).
    """

    def __init__(
        self,
        dim: int,
        n_blocks: int,
        n_heads: int,
        dropout: float,
        *,
        causal: bool = True,
        ffn_multiplier: int = 1,
        feed_forward: FeedForward = "relu",
        gated: bool = False,
        bias_length: int = 0,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.blocks = nn.ModuleList(
            Block(dim, n_heads, dropout, causal, ffn_multiplier, feed_forward, gated, bias_length)
            for _ in range(n_blocks)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(N, dim) -> (N, dim)."""
        for block in self.blocks:
            x = block(x, packed)
        normed: Tensor = self.norm(x)
        return normed


class Block(nn.Module):
    """Attention, then a feed-forward layer, both on normalised inputs and added to what they read (pre-norm)."""

    def __init__(
        self,
        dim: int,
        n_heads: int,
        dropout: float,
        causal: bool,
        ffn_multiplier: int,
        feed_forward: FeedForward,
        gated: bool,
        bias_length: int,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(dim, n_heads, causal, bias_length)
        self.mixing = (
            GatedForward(dim, ffn_multiplier)
            if feed_forward == "swiglu"
            else Forward(dim, ffn_multiplier, feed_forward)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.gates = nn.ModuleList(dense(dim, dim) for _ in range(2)) if gated else None

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        x = self.let_in(0, x, self.attention(self.norms[0](x), packed))
        return self.let_in(1, x, self.mixing(self.norms[1](x)))

    def let_in(self, number: int, x: Tensor, more: Tensor) -> Tensor:
        if self.gates is not None:
            more = more * torch.sigmoid(self.gates[number](x))
        return x + dropout(more, self.dropout, training=self.training)


class Attention(nn.Module):
    """Scaled dot products within each history (Vaswani et al., NeurIPS 2017, eq. 1). There is no dropout of attention
    weights: the fast kernels for CPUs do not offer it, and dropout of the output ranked as well."""

    def __init__(self, dim: int, n_heads: int, causal: bool, bias_length: int) -> None:
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.inputs = dense(dim, 3 * dim)
        self.output = dense(dim, dim)
        self.bias = RelativeBias(n_heads, bias_length) if bias_length else None

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        found = []
        inputs = self.inputs(x)
        if inputs.device.type == "cpu" and inputs.dtype != torch.float64:
            inputs = inputs.float()  # the kernels for bfloat16 are slower here than those for float32
            if self.bias is not None:
                near: Tensor = self.output(self.bias.attended(inputs, packed, self.causal))
                return near
        for group, part in enumerate(packed.split(inputs)):
            rows, length, width = part.shape
            q, k, v = (
                part.view(rows, length, 3, self.n_heads, width // (3 * self.n_heads)).permute(2, 0, 3, 1, 4).unbind(0)
            )
            mask = None
            if self.bias is not None:
                mask = self.bias(packed, group, self.causal)
            elif not self.causal:
                mask = packed.filled(group)[:, None, None, :]
            with torch.autocast("cpu", enabled=False):  # else it makes bfloat16 of them again
                mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and self.causal)
            found.append(mixed.transpose(1, 2).reshape(rows, length, -1))
        out: Tensor = self.output(packed.join(found))
        return out


class RelativeBias(nn.Module):
    """What a pair of slots adds to its attention logit: by distance in slots, and by distance in time in steps of log
    base 2 hours (HSTU's bias, one for each head)."""

    STEPS = 24

    def __init__(self, n_heads: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.places = nn.Parameter(torch.zeros(2 * length - 1, n_heads))
        self.times = nn.Parameter(torch.zeros(self.STEPS, n_heads))

    def attended(self, inputs: Tensor, packed: Packed, causal: bool) -> Tensor:
        """(N, 3 * width), queries, keys and values -> (N, width): attention with the bias, in compiled loops. Empty
        slots get zeros."""
        tables = self.places.T, self.times.T
        told: Tensor = _AttendHistories.apply(inputs, *tables, packed, causal)  # type: ignore[no-untyped-call]
        return told

    def forward(self, packed: Packed, group: int, causal: bool) -> Tensor:
        """(rows or 1, heads, length, length): the bias of slot i (third axis) for slot j (last)."""
        where = packed.groups[group]
        place = torch.arange(where.length, device=packed.item.device)
        apart = (place[:, None] - place[None, :]).clamp(1 - self.length, self.length - 1) + self.length - 1
        bias = self.places[apart].permute(2, 0, 1)[None]
        if packed.time is not None:
            time = packed.time[where.start : where.start + where.slots].view(where.rows, -1)
            hours = (time[:, None, :] - time[:, :, None]).abs() / 3_600.0
            step = (torch.frexp(1.0 + hours).exponent.long() - 1).clamp_max(self.STEPS - 1)
            bias = bias + self.times[step].permute(0, 3, 1, 2)
        if causal:
            later = torch.ones(where.length, where.length, dtype=torch.bool, device=bias.device).triu(1)
            return bias.masked_fill(later, -torch.inf)
        return bias.masked_fill(~packed.filled(group)[:, None, None, :], -torch.inf)


class _AttendHistories(torch.autograd.Function):
    """`RelativeBias.attended`: (N, 3 * width), places (heads, 2 L - 1), times (heads, STEPS) -> (N, width)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, places: Tensor, times: Tensor, packed: Packed, causal: bool) -> Tensor:
        ctx.save_for_backward(inputs, places, times)
        ctx.packed, ctx.causal = packed, causal
        out = torch.zeros(len(inputs), inputs.shape[1] // 3)
        given = *_arrays(inputs, places, times, packed), causal, out.numpy()
        attend = kernels.biased_attention.attend

        def run(start: int, stop: int) -> None:
            attend(start, stop, *given)

        kernels.parallel(run, len(packed), chunk=8)
        return out

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        inputs, places, times = ctx.saved_tensors
        of_inputs = torch.zeros(inputs.shape)
        of_places, of_times = (torch.zeros(len(ctx.packed), *table.shape) for table in (places, times))
        arrays, grad = _arrays(inputs, places, times, ctx.packed), outer.contiguous().numpy()
        given = *arrays, ctx.causal, grad, of_inputs.numpy(), of_places.numpy(), of_times.numpy()
        attend_gradients = kernels.biased_attention.attend_gradients

        def run(start: int, stop: int) -> None:
            attend_gradients(start, stop, *given)

        kernels.parallel(run, len(ctx.packed), chunk=8)
        return of_inputs, of_places.sum(dim=0), of_times.sum(dim=0), None, None


def _arrays(inputs: Tensor, places: Tensor, times: Tensor, packed: Packed) -> tuple[Any, ...]:
    """The kernels' arrays: X, first, length, seconds, places, times; the last and seconds empty without timestamps."""
    x, by_place, by_time = (tensor.detach().contiguous().numpy() for tensor in (inputs, places, times))
    histories = packed.first.numpy(), packed.length.numpy()
    if packed.time is None:
        return x, *histories, np.empty(0, np.int32), by_place, by_time[:, :0]
    return x, *histories, packed.time.numpy(), by_place, by_time


class Forward(nn.Module):
    """Two linear layers, one slot at a time."""

    def __init__(self, dim: int, ffn_multiplier: int, activation: FeedForward) -> None:
        super().__init__()
        self.first, self.second = dense(dim, ffn_multiplier * dim), dense(ffn_multiplier * dim, dim)
        self.activation = F.relu if activation == "relu" else F.gelu

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.activation(self.first(x)))
        return out


class GatedForward(nn.Module):
    """SwiGLU (Shazeer, 2020)."""

    def __init__(self, dim: int, ffn_multiplier: int) -> None:
        super().__init__()
        self.first, self.second = dense(dim, 2 * ffn_multiplier * dim), dense(ffn_multiplier * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.first(x).chunk(2, dim=-1)
        out: Tensor = self.second(F.silu(gate) * value)
        return out
