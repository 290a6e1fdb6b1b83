"""Vectors of what is known of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from matinee.data.arrays import Bools


class ItemFeatures(nn.Module):
    """Each item's values, weighted, as a sum of learned vectors: (n_items, dim); 0 where nothing is known of an item.

    shares: csr float32 (n_items, n_values), what each value weighs. watched: bool (n_items,), items with a training
    event: the others have no vector of their own, as nothing was learned of them.
    """

    code: Tensor
    begin: Tensor
    share: Tensor
    watched: Tensor

    def __init__(self, shares: csr_array, watched: Bools, dim: int) -> None:
        super().__init__()
        self.values = nn.Embedding(shares.shape[1], dim)
        nn.init.normal_(self.values.weight, std=0.02)
        # a function of the item table, which is saved with the model; the events may be left out of it
        for name, array in (("code", shares.indices), ("begin", shares.indptr)):
            self.register_buffer(name, torch.from_numpy(array.astype(np.int64)), persistent=False)
        self.register_buffer("share", torch.from_numpy(shares.data.astype(np.float32)), persistent=False)
        self.register_buffer("watched", torch.from_numpy(watched.astype(np.float32)[:, None]))

    def forward(self) -> Tensor:
        vectors: Tensor = F.embedding_bag(
            self.code, self.values.weight, self.begin, mode="sum", per_sample_weights=self.share,
            include_last_offset=True,
        )  # fmt: skip
        return vectors

    def added(self, own: Tensor) -> Tensor:
        """(n_items, dim): the items' own vectors, where they have one, and those of their features."""
        added: Tensor = own * self.watched + self()
        return added
