"""NeuMF whose two parts can be trained apart before they are trained together (He et al., WWW 2017, section 3.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from matinee.nn.fields import FieldVectors, products
from matinee.nn.interactions import Matching


class TwoParts(Matching):
    """A GMF and an MLP that share no weight: logit = share * gmf + (1 - share) * mlp, or that of one `alone`.

    Vectors hold `dim` places of GMF, `dim` of MLP, and a bias of the item's side for each.
    """

    def __init__(self, vectors: FieldVectors, dim: int, layers: Sequence[int], dropout: float, share: float) -> None:
        super().__init__(vectors, dim, dim, layers, dropout)
        self.bias = nn.Parameter(torch.zeros(2))
        self.share = share
        self.alone: Literal["gmf", "mlp"] | None = None
        self.apart = False  # true while the parts are trained apart

    def logits(self, request: Tensor, item: Tensor) -> Tensor:
        p, q = request.sum(dim=1), item.sum(dim=2)
        if self.alone is not None:
            return self.gmf(p, q) if self.alone == "gmf" else self.mlp(p, q)
        return self.share * self.gmf(p, q) + (1.0 - self.share) * self.mlp(p, q)

    def gmf(self, p: Tensor, q: Tensor) -> Tensor:
        """(B, C) from the sums of the sides' vectors, (B, width) and (B or 1, C, width)."""
        k = self.factors
        return products(p[:, :k] * self.h, q[:, :, :k]) + q[:, :, -2] + self.bias[0]

    def mlp(self, p: Tensor, q: Tensor) -> Tensor:
        """(B, C), likewise."""
        k = self.factors
        assert self.layers is not None
        assert self.last is not None
        deep: Tensor = self.last(self.layers(p[:, k:-2], q[:, :, k:-2]))
        return deep[:, :, 0] + q[:, :, -1] + self.bias[1]
