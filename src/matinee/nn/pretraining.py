"""NeuMF whose two parts can be trained apart, then together (He et al., WWW 2017, section 3.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from matinee.nn.fields import FieldVectors, products
from matinee.nn.interactions import Matching


class TwoParts(Matching):
    """A GMF and an MLP that share no weight: logit = share * gmf + (1 - share) * mlp, or one part `alone`.

    Vectors hold `dim` numbers for GMF, `dim` for MLP, and a bias of the item's side for each.
    """

    def __init__(self, vectors: FieldVectors, dim: int, layers: Sequence[int], dropout: float, share: float) -> None:
        super().__init__(vectors, dim, dim, layers, dropout)
        self.sizes = [dim, dim, 2]
        self.bias = nn.Parameter(torch.zeros(2))
        self.gmf_share = share
        self.alone: Literal["gmf", "mlp"] | None = None
        self.apart = False  # true while the parts are trained apart

    def of_request(self, vectors: Tensor) -> Tensor:
        assert self.layers is not None
        p, read, _ = torch.split(vectors.sum(dim=1), self.sizes, dim=1)
        return torch.cat([p * self.h, self.layers.of_request(read)], dim=1)

    def meet(self, request: Tensor, item: Tensor) -> Tensor:
        assert self.layers is not None
        assert self.last is not None
        k, first = len(self.h), self.layers.first
        x, left = torch.split(request, [k, first], dim=1)
        q, bias, right = torch.split(item, [k, 2, first], dim=2)
        if self.alone == "gmf":
            return products(x, q) + bias[:, :, 0] + self.bias[0]
        mlp: Tensor = self.last(self.layers(left, right))[:, :, 0] + bias[:, :, 1] + self.bias[1]
        if self.alone == "mlp":
            return mlp
        gmf = products(x, q) + bias[:, :, 0] + self.bias[0]
        return self.gmf_share * gmf + (1.0 - self.gmf_share) * mlp
