"""How fields interact: products, layers, attention. Each net is a paper's; shapes as in `fields.PairNet`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee import kernels
from matinee.nn.blocks import dense, dropout
from matinee.nn.fields import FieldVectors, PairNet, products


class Dropout(nn.Module):
    """`blocks.dropout` as a layer."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.share, training=self.training)


class PairLayers(nn.Module):
    """Linear layers, each followed by batch normalisation if `batch_norm`, ReLU and dropout.

    Their input is a request's numbers beside an item's. The first layer is linear in both, so each side is multiplied
    once, however many pairs are scored.
    """

    def __init__(
        self, n_request: int, n_item: int, widths: Sequence[int], *, share: float, batch_norm: bool = False
    ) -> None:
        super().__init__()
        both = dense(n_request + n_item, widths[0])
        self.weight_request = nn.Parameter(both.weight.detach()[:, :n_request].clone())
        self.weight_item = nn.Parameter(both.weight.detach()[:, n_request:].clone())
        self.bias = nn.Parameter(both.bias.detach().clone())
        layers: list[nn.Module] = []
        for n_in, width in zip([0, *widths], widths, strict=False):
            layers += [dense(n_in, width)] if n_in else []
            layers += [nn.BatchNorm1d(width)] if batch_norm else []
            layers += [nn.ReLU(), Dropout(share)]
        self.rest = nn.Sequential(*layers)
        self.first, self.width, self.numbers = widths[0], widths[-1], 2 * sum(widths)

    def of_request(self, request: Tensor) -> Tensor:
        """(B, first) from (B, n_request): the request's part of the first layer."""
        return F.linear(request, self.weight_request)

    def of_item(self, item: Tensor) -> Tensor:
        """(..., first) from (..., n_item): the item's part, and the bias."""
        return F.linear(item, self.weight_item, self.bias)

    def forward(self, request: Tensor, item: Tensor) -> Tensor:
        """(B, C, width of the last layer) from the first layer's parts (B, first) and (B or 1, C, first)."""
        first = request[:, None] + item
        return self.rest(first.flatten(0, 1)).unflatten(0, first.shape[:2])  # type: ignore[no-any-return]


class ProductNet(PairNet):
    """logit = x . y + w . layers(pair) + b: a product of the two sides' vectors, and optional layers beside it.

    A subclass's of_request and of_item give x or y, (..., k), followed by the layers' part where there are layers.
    """

    def __init__(self, vectors: FieldVectors, layers: PairLayers | None) -> None:
        super().__init__()
        self.vectors, self.layers = vectors, layers
        self.bias = nn.Parameter(torch.zeros(1))
        self.last = dense(layers.width, 1) if layers is not None else None
        self.numbers = 2 if layers is None else 2 + layers.numbers

    def meet(self, request: Tensor, item: Tensor) -> Tensor:
        if self.layers is None or self.last is None:
            return products(request, item) + self.bias
        sizes = [request.shape[1] - self.layers.first, self.layers.first]
        (x, left), (y, right) = torch.split(request, sizes, dim=1), torch.split(item, sizes, dim=2)
        deep: Tensor = self.last(self.layers(left, right))
        return products(x, y) + self.bias + deep[:, :, 0]


# --- neural matching: a vector of the user's side, one of the item's ------------------------------------------------


class Matching(ProductNet):
    """NeuMF (He et al., WWW 2017, eq. 12), GMF (eq. 9) and MLP (eq. 10): logit = h . [p * q ; mlp(p', q')] + b + b_i.

    p, q: sums of the sides' field vectors; their first `factors` numbers are multiplied, the next `dim` of each side go
    through the layers, the last is a bias of the item's side. A size of 0 leaves out its part.
    """

    def __init__(self, vectors: FieldVectors, factors: int, dim: int, layers: Sequence[int], share: float) -> None:
        super().__init__(vectors, PairLayers(dim, dim, layers, share=share) if dim else None)
        self.sizes = [factors, dim, 1]
        self.h = nn.Parameter(torch.ones(factors))

    def of_request(self, vectors: Tensor) -> Tensor:
        p, read, _ = torch.split(vectors.sum(dim=1), self.sizes, dim=1)
        x = [p * self.h, p.new_ones(len(p), 1)]
        return torch.cat(x if self.layers is None else [*x, self.layers.of_request(read)], dim=1)

    def of_item(self, vectors: Tensor) -> Tensor:
        q, read, bias = torch.split(vectors.sum(dim=-2), self.sizes, dim=-1)
        return torch.cat([q, bias] if self.layers is None else [q, bias, self.layers.of_item(read)], dim=-1)


# --- factorisation machines -----------------------------------------------------------------------------------------


class FactorisationMachine(ProductNet):
    """w_0 + sum of w_f + sum over pairs of fields of v_f . v_g (Rendle, ICDM 2010, eq. 1), by lemma 3.1 in time linear
    in the fields: the pairs' sum is (|sum of v_f|^2 - sum of |v_f|^2) / 2. The first number of a vector is w_f.

    With u and v the sums of a request's and an item's v_f this is u . v plus one number of each side, so one product
    ranks a catalogue. Layers, where given, read all v_f side by side: DeepFM (Guo et al., IJCAI 2017, eq. 1). Without
    v_f (vectors of width 1) this is logistic regression.
    """

    def of_request(self, vectors: Tensor) -> Tensor:
        u, own, v_f = self.side(vectors)
        x = [u, own, torch.ones_like(own)]
        return torch.cat(x if self.layers is None else [*x, self.layers.of_request(v_f)], dim=1)

    def of_item(self, vectors: Tensor) -> Tensor:
        v, own, v_f = self.side(vectors)
        y = [v, torch.ones_like(own), own]
        return torch.cat(y if self.layers is None else [*y, self.layers.of_item(v_f)], dim=-1)

    def side(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From vectors (..., fields, width): the sum of v_f (..., k); the sum of w_f and of the side's own pairs
        (..., 1); all v_f side by side (..., fields * k)."""
        w_f, v_f = torch.split(vectors, [1, vectors.shape[-1] - 1], dim=-1)
        total = v_f.sum(dim=-2)
        # lemma 3.1: twice the sum over pairs
        pairs = total.square().sum(dim=-1, keepdim=True) - v_f.square().sum(dim=(-2, -1)).unsqueeze(-1)
        return total, w_f.sum(dim=-2) + pairs / 2, v_f.flatten(-2)


# --- attention between fields ---------------------------------------------------------------------------------------


class FieldAttention(nn.Module):
    """One interacting layer (Song et al., CIKM 2019, eq. 5 to 8) on rows in the layout of `side_by_side`:
    (blocks, width, fields, LANES) -> (blocks, heads * dim, fields, LANES).

    Attention weights are softmax over fields of <Q e_m, K e_k>, per head, not scaled, as in the paper. residual: add
    W_res e_m before the ReLU.
    """

    def __init__(self, n_in: int, dim: int, heads: int, *, residual: bool) -> None:
        super().__init__()
        self.shape = 4 if residual else 3, heads, dim
        self.project = nn.Linear(n_in, math.prod(self.shape), bias=False)  # Q, K, V, and W_res
        nn.init.xavier_normal_(self.project.weight.view(-1, n_in))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.project.weight.view(*self.shape, -1)
        if x.device.type == "cpu" and x.dtype != torch.float64:
            told: Tensor = _Attend.apply(x.float(), weight.float())  # type: ignore[no-untyped-call]
            return told
        # eq. 5 and 6 weigh the fields, eq. 7 mixes them, eq. 8 adds the residual
        q, k, v, *w = torch.einsum("phci,bifn->pbhcfn", weight, x)
        weights = torch.softmax(torch.einsum("bhcin,bhcjn->bhijn", q, k), dim=3)
        mixed = torch.einsum("bhijn,bhcjn->bhcin", weights, v)
        return F.relu(mixed + w[0] if w else mixed).flatten(1, 2)


class _Attend(torch.autograd.Function):
    """An interacting layer in compiled loops, because tensors take many times as long for many tiny softmaxes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        blocks, _, fields, lanes = x.shape
        x, weight = x.detach().contiguous(), weight.detach().contiguous()
        out = torch.empty(blocks, math.prod(weight.shape[1:3]), fields, lanes)
        X, W, found = flat(x), weight.numpy(), flat(out)
        kernels.parallel(lambda start, stop: kernels.field_attention.attend(start, stop, X, W, found), blocks, chunk=4)
        ctx.save_for_backward(x, weight, out)
        return out

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor]:
        x, weight, out = ctx.saved_tensors
        of_x, of_weight = torch.empty_like(x), torch.empty(len(x), *weight.shape)
        shares = of_weight.view(len(x), -1, weight.shape[-1]).numpy()
        given = flat(x), weight.numpy(), flat(out), flat(outer.contiguous()), flat(of_x), shares
        kernels.parallel(
            lambda start, stop: kernels.field_attention.attend_gradients(start, stop, *given), len(x), chunk=4
        )
        return of_x, of_weight.sum(dim=0)


def flat(x: Tensor) -> NDArray[np.float32]:
    """float32 (blocks, channels, fields * LANES), as the kernels read it, from (blocks, channels, fields, LANES)."""
    return x.flatten(2).numpy()


def side_by_side(rows: Tensor) -> Tensor:
    """float32 (blocks, width, fields, LANES) from (n, fields, width): LANES rows lie in the last axis, so that one
    instruction serves many; zeros fill the last block."""
    (n, fields, width), lanes = rows.shape, kernels.field_attention.LANES
    blocks = -(-n // lanes)
    whole = F.pad(rows, (0, 0, 0, 0, 0, blocks * lanes - n))
    return whole.view(blocks, lanes, fields, width).permute(0, 3, 2, 1).contiguous()


class AutoIntNet(PairNet):
    """AutoInt (Song et al., CIKM 2019, eq. 9): attention layers over the fields, then a linear layer on their outputs.

    deep, where given, reads the same fields, and the linear layer reads both outputs: AutoInt+ (section 5.5).
    sizes: the number of fields of a request and of an item. layers: of attention.
    """

    def __init__(
        self,
        vectors: FieldVectors,
        sizes: tuple[int, int],
        layers: Sequence[FieldAttention],
        *,
        deep: PairLayers | None = None,
        share: float = 0.0,
    ) -> None:
        super().__init__()
        self.vectors, self.sizes, self.deep = vectors, sizes, deep
        self.attention = nn.Sequential(*layers)
        self.drop = Dropout(share)
        width = sum(sizes) * math.prod(layers[-1].shape[1:]) + (0 if deep is None else deep.width)
        self.last = dense(width, 1)  # reads field after field of each channel, then the deep net
        self.numbers = 6 * width + (0 if deep is None else deep.numbers)

    def of_request(self, vectors: Tensor) -> Tensor:
        return vectors.flatten(1)

    def of_item(self, vectors: Tensor) -> Tensor:
        return vectors.flatten(-2)

    def meet(self, request: Tensor, item: Tensor) -> Tensor:
        B, C = len(request), item.shape[1]
        request, item = self.drop(request), self.drop(item)
        rows = torch.cat([request[:, None].expand(-1, C, -1), item.expand(B, -1, -1)], dim=2)
        mixed = self.attention(side_by_side(rows.view(B * C, sum(self.sizes), -1))).flatten(1, 2)
        n = mixed.shape[1]
        logit = (self.last.weight[:, :n].expand(len(mixed), -1, -1) @ mixed).flatten()[: B * C].view(B, C)
        if self.deep is not None:
            deep = self.deep(self.deep.of_request(request), self.deep.of_item(item))
            logit = logit + deep @ self.last.weight[0, n:]
        return logit + self.last.bias  # type: ignore[no-any-return]
