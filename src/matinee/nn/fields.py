"""Fields of a context model -> vectors: one embedding table for all of them, whatever their kind.

A net of the pointwise family reads two blocks of vectors: the request's (its user and time) and the item's (with the
features of the pair). Ranking a catalogue computes each block once and broadcasts.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.data.arrays import Bools, Ragged
from matinee.data.features.requests import DenseRows, EncodedFields

Pooling = Literal["mean", "sum", "attention"]


class FieldVectors(nn.Module):
    """A vector of `width` numbers for each code of `ContextFields`; for a list of codes, their pooled vectors; for a
    dense vector, a linear map of it: the sum of its codes' vectors, each times its number.

    attention pools by weights softmax(v . q) over a list's vectors v, with a learned q that starts at 0: a mean.
    """

    def __init__(self, n_codes: int, width: int, *, pooling: Pooling = "mean", std: float = 0.01) -> None:
        super().__init__()
        self.table = nn.Embedding(n_codes, width)
        nn.init.normal_(self.table.weight, std=std)
        self.pooling = pooling
        self.query = nn.Parameter(torch.zeros(width)) if pooling == "attention" else None

    def forward(self, part: EncodedFields) -> Tensor:
        """float32 (n, fields, width): the single-valued fields, the lists, then dense vectors."""
        device = self.table.weight.device
        vectors: Tensor = self.table(torch.from_numpy(part.single).to(device))
        if part.numeric:
            weight = torch.ones(part.single.shape, device=device)
            weight[:, list(part.numeric)] = torch.from_numpy(part.number).to(device)
            vectors = vectors * weight[:, :, None]
        bags = [self.pooled(bag)[:, None] for bag in part.bags]
        dense = [self.mapped(rows)[:, None] for rows in part.dense]
        return torch.cat([vectors, *bags, *dense], dim=1)

    def mapped(self, rows: DenseRows) -> Tensor:
        """float32 (n, width)."""
        weight = torch.from_numpy(rows.weight).to(self.table.weight.device)
        found: Tensor = weight @ self.table.weight[rows.start : rows.start + weight.shape[1]]
        return found

    def pooled(self, bag: Ragged) -> Tensor:
        """float32 (n, width); no row of the bag may be empty."""
        device = self.table.weight.device
        codes = torch.from_numpy(bag.values).to(device)
        if self.query is None:
            starts = torch.from_numpy(bag.offsets[:-1].astype(np.int32)).to(device)
            mode = "sum" if self.pooling == "sum" else "mean"
            pooled: Tensor = F.embedding_bag(codes, self.table.weight, starts, mode=mode)
            return pooled
        vectors: Tensor = self.table(codes)
        # a softmax within each row of the bag; the largest score is taken off, so that exp does not overflow
        row = torch.from_numpy(bag.rows).to(device)
        score = vectors @ self.query
        top = score.new_full((len(bag),), -torch.inf).scatter_reduce(0, row, score.detach(), "amax")
        weight = (score - top[row]).exp()
        total = weight.new_zeros(len(bag)).index_add(0, row, weight)
        mixed = vectors * (weight / total[row])[:, None]
        return mixed.new_zeros(len(bag), mixed.shape[1]).index_add(0, row, mixed)

    def begin_untrained(self, trained: Bools, groups: list[slice]) -> None:
        """Give codes without a training row the mean vector of the trained codes of their field (a group)."""
        weight = self.table.weight.detach()
        for group in groups:
            known = torch.from_numpy(trained[group])
            if known.any() and not known.all():
                rows = weight[group]
                rows[~known] = rows[known].mean(dim=0)


class PairNet(nn.Module):
    """A logit for each pair of a request and an item, from their field vectors, in two steps: what depends on one side
    is computed once for each request and each item, then the two are combined.

    vectors: the table of all field vectors. numbers: about how many numbers a pair needs in memory in `meet`.
    """

    vectors: FieldVectors
    numbers: int

    @abstractmethod
    def of_request(self, vectors: Tensor) -> Tensor:
        """float32 (B, r) from the requests' vectors (B, fields, width)."""

    @abstractmethod
    def of_item(self, vectors: Tensor) -> Tensor:
        """float32 (..., s) from items' vectors (..., fields, width)."""

    @abstractmethod
    def meet(self, request: Tensor, item: Tensor) -> Tensor:
        """Logits (B, C) of requests (B, r) and their items (B, C, s), or (1, C, s) where requests share items."""

    def logits(self, request: Tensor, item: Tensor) -> Tensor:
        """(B, C) from vectors: request (B, fields, width) and item (B, C, fields, width), or (1, C, fields, width)."""
        return self.meet(self.of_request(request), self.of_item(item))


def products(request: Tensor, item: Tensor) -> Tensor:
    """(B, C): inner products of vectors (B, k) with (B, C, k) or (1, C, k)."""
    if len(item) == 1:
        return request @ item[0].T
    return (item @ request[:, :, None])[:, :, 0]
