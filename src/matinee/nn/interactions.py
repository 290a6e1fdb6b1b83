"""How fields meet: products, layers, attention. Each net is a paper's; notation of shapes as in `fields.PairNet`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.blocks import dense
from matinee.nn.fields import FieldVectors, PairNet, products, rows_of_pairs


class PairLayers(nn.Module):
    """Linear layers with ReLU, and dropout, behind each; batch normalisation before the ReLU where asked.

    What they read is a request's numbers beside an item's. The first layer is linear in the two, so each side is
    multiplied once, however many pairs are asked for.
    """

    def __init__(
        self, n_request: int, n_item: int, widths: Sequence[int], *, dropout: float, batch_norm: bool = False
    ) -> None:
        super().__init__()
        both = dense(n_request + n_item, widths[0])
        self.of_request = nn.Parameter(both.weight.detach()[:, :n_request].clone())
        self.of_item = nn.Parameter(both.weight.detach()[:, n_request:].clone())
        self.bias = nn.Parameter(both.bias.detach().clone())
        layers: list[nn.Module] = []
        for n_in, width in zip([0, *widths], widths, strict=False):
            layers += [dense(n_in, width)] if n_in else []
            layers += [nn.BatchNorm1d(width)] if batch_norm else []
            layers += [nn.ReLU(inplace=not batch_norm), nn.Dropout(dropout)]
        self.rest = nn.Sequential(*layers)
        self.numbers = 2 * sum(widths)

    def forward(self, request: Tensor, item: Tensor) -> Tensor:
        """(B, C, width of the last layer) of request (B, n_request) and item (B or 1, C, n_item)."""
        first = F.linear(request, self.of_request)[:, None] + F.linear(item, self.of_item, self.bias)
        return self.rest(first.flatten(0, 1)).unflatten(0, first.shape[:2])  # type: ignore[no-any-return]


# --- neural matching: a vector of the user's side, one of the item's ------------------------------------------------


class Matching(PairNet):
    """NeuMF (He et al., WWW 2017, eq. 12), GMF (eq. 9) and MLP (eq. 10): logit = h . [p * q ; mlp(p', q')] + b + b_i.

    p, q: sums of the sides' field vectors; their first `factors` places are multiplied, the next `dim` of each side go
    through the layers, the last is a bias of the item's side. Either part may be left out by 0.
    """

    def __init__(self, vectors: FieldVectors, factors: int, dim: int, layers: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.vectors, self.factors = vectors, factors
        self.h = nn.Parameter(torch.ones(factors))
        self.bias = nn.Parameter(torch.zeros(1))
        self.layers = PairLayers(dim, dim, layers, dropout=dropout) if dim else None
        self.last = dense(layers[-1], 1) if dim else None
        self.numbers = 2 if self.layers is None else 2 + self.layers.numbers

    def logits(self, request: Tensor, item: Tensor) -> Tensor:
        p, q = request.sum(dim=1), item.sum(dim=2)
        k = self.factors
        logits: Tensor = q[:, :, -1] + self.bias
        if k:
            logits = logits + products(p[:, :k] * self.h, q[:, :, :k])
        if self.layers is None or self.last is None:
            return logits
        deep: Tensor = self.last(self.layers(p[:, k:-1], q[:, :, k:-1]))
        return logits + deep[:, :, 0]


# --- factorisation machines -----------------------------------------------------------------------------------------


class FactorisationMachine(PairNet):
    """w_0 + sum of w_f + sum over pairs of fields of v_f . v_g (Rendle, ICDM 2010, eq. 1), by his lemma 3.1 in time
    linear in the fields: the pairs' sum is (|sum of v_f|^2 - sum of |v_f|^2) / 2. The first place of a vector is w_f.

    deep, where given, reads all v_f side by side, and what it gives is added: DeepFM (Guo et al., IJCAI 2017, eq. 1).
    Without v_f (vectors of width 1) this is logistic regression.
    """

    def __init__(self, vectors: FieldVectors, deep: PairLayers | None = None, width: int = 0) -> None:
        super().__init__()
        self.vectors, self.deep = vectors, deep
        self.bias = nn.Parameter(torch.zeros(1))
        self.last = dense(width, 1) if deep is not None else None
        self.numbers = 4 + (0 if deep is None else deep.numbers)

    def logits(self, request: Tensor, item: Tensor) -> Tensor:
        logits: Tensor = self.bias + request[:, :, 0].sum(dim=1)[:, None] + item[:, :, :, 0].sum(dim=2)
        left, right = request[:, :, 1:], item[:, :, :, 1:]
        if not left.shape[2]:
            return logits
        u, v = left.sum(dim=1), right.sum(dim=2)
        of_request = u.square().sum(dim=1) - left.square().sum(dim=(1, 2))
        of_item = v.square().sum(dim=2) - right.square().sum(dim=(2, 3))
        logits = logits + (of_request[:, None] + of_item) / 2 + products(u, v)
        if self.deep is None or self.last is None:
            return logits
        deep: Tensor = self.last(self.deep(left.flatten(1), right.flatten(2)))
        return logits + deep[:, :, 0]


# --- attention between fields ---------------------------------------------------------------------------------------


class FieldAttention(nn.Module):
    """One interacting layer (Song et al., CIKM 2019, eq. 5 to 8): (n, fields, width) -> (n, fields, heads * dim).

    Attention weights are softmax over fields of <Q e_m, K e_k>, per head, not scaled, as in the paper.
    """

    def __init__(self, n_in: int, dim: int, heads: int, *, residual: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.dim, self.dropout, self.residual = heads, dim, dropout, residual
        self.project = nn.Linear(n_in, (4 if residual else 3) * heads * dim, bias=False)  # Q, K, V, and W_res
        nn.init.xavier_normal_(self.project.weight.view(-1, n_in))

    def forward(self, x: Tensor) -> Tensor:
        n, fields, _ = x.shape
        split = self.project(x).view(n, fields, -1, self.heads, self.dim)
        q, k, v = (split[:, :, part].transpose(1, 2) for part in range(3))
        weights = F.dropout(torch.softmax(q @ k.transpose(2, 3), dim=-1), self.dropout, self.training)
        mixed = (weights @ v).transpose(1, 2)
        if self.residual:
            mixed = mixed + split[:, :, 3]
        return F.relu(mixed).flatten(2)


class AutoIntNet(PairNet):
    """AutoInt (Song et al., CIKM 2019, eq. 9): attention layers over the fields, then a linear layer on all they give.

    deep, where given, reads the fields beside them, and the linear layer sees both ends: AutoInt+ (section 5.5).
    width: of what attention and deep give for a pair, in all.
    """

    def __init__(
        self,
        vectors: FieldVectors,
        attention: Sequence[FieldAttention],
        width: int,
        *,
        deep: PairLayers | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.vectors, self.deep = vectors, deep
        self.attention = nn.Sequential(*attention)
        self.drop = nn.Dropout(dropout)
        self.last = dense(width, 1)
        self.numbers = 6 * width + (0 if deep is None else deep.numbers)

    def logits(self, request: Tensor, item: Tensor) -> Tensor:
        request, item = self.drop(request), self.drop(item)
        x = rows_of_pairs(request, item)
        ends = [self.attention(x.flatten(0, 1)).flatten(1).unflatten(0, x.shape[:2])]
        if self.deep is not None:
            ends.append(self.deep(request.flatten(1), item.flatten(2)))
        return self.last(torch.cat(ends, dim=2))[:, :, 0]  # type: ignore[no-any-return]
