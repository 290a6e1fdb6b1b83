"""Parts of nets that several models share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it


@dataclass(frozen=True)
class SparseBatch:
    """B sparse rows of interactions: entry e says that row[e] holds item[e] with value[e].

    item, row: int64 (E,), rows in order. offsets: int64 (B,), where each row starts. value: float32 (E,).
    user: int64 (B,), -1 = unknown. side: float32 (B, S), further features of the row; S may be 0.
    """

    item: Tensor
    row: Tensor
    offsets: Tensor
    value: Tensor
    user: Tensor
    side: Tensor

    def __len__(self) -> int:
        return len(self.offsets)

    def to(self, device: torch.device) -> SparseBatch:
        return SparseBatch(**{name: value.to(device) for name, value in vars(self).items()})

    @property
    def sums(self) -> Tensor:
        """float32 (B,): the sum of each row's values."""
        return self.value.new_zeros(len(self)).index_add_(0, self.row, self.value)

    def normalised(self) -> SparseBatch:
        """Rows scaled to length 1; empty rows stay empty."""
        squares = self.value.new_zeros(len(self)).index_add_(0, self.row, self.value**2)
        return replace(self, value=self.value / squares.clamp_min(1e-12).sqrt()[self.row])

    def corrupted(self, share: float, *, training: bool) -> SparseBatch:
        """Dropout on the entries: each becomes 0 with this probability, the rest are scaled up."""
        return replace(self, value=F.dropout(self.value, share, training))


class SparseLinear(nn.Module):
    """A linear layer on sparse rows, which reads the weights of the items present only. Weight: (n_in, n_out)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_in, n_out)))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, rows: SparseBatch) -> Tensor:
        """float32 (B, n_out)."""
        mixed: Tensor = F.embedding_bag(
            rows.item, self.weight, rows.offsets, mode="sum", per_sample_weights=rows.value.to(self.weight.dtype)
        )
        return mixed + self.bias


def dropout(x: Tensor, share: float, *, training: bool) -> Tensor:
    """Dropout as torch's, in x's shape and dtype, in a third of the time on a CPU. 16 random bits decide an entry,
    so the share is rounded to a multiple of 1 / 65,536, at most 65,535 of them. share: from 0 to below 1."""
    out = min(round(share * 65_536), 65_535)
    if not training or out == 0:
        return x
    # four decisions from each random int64; as int16 they are uniform in -32,768..32,767
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= out - 32_768
    return x * kept.to(x.dtype).mul_(65_536 / (65_536 - out))


def item_table(n: int, dim: int, *, empty: int) -> nn.Embedding:
    """n + 1 vectors, small at first, so that all items start about equally likely; that of code `empty` stays 0."""
    table = nn.Embedding(n + 1, dim, padding_idx=empty)
    nn.init.normal_(table.weight, std=0.02)
    with torch.no_grad():
        table.weight[empty].zero_()
    return table


def dense(n_in: int, n_out: int, *, start: Tensor | None = None) -> nn.Linear:
    """A linear layer with Xavier normal weights and a bias that starts at `start` (n_out,), else at 0."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_normal_(layer.weight)
    with torch.no_grad():
        layer.bias.copy_(torch.zeros(n_out) if start is None else start)
    return layer
