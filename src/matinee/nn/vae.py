"""The autoencoder nets: encoder and decoder around a code, deterministic or Gaussian."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from matinee.nn.blocks import Rows, SparseLinear, dense
from matinee.nn.losses import sampled


class GaussianAutoencoder(nn.Module):
    """x -> tanh hidden -> (mean, log variance) -> z -> tanh hidden -> logits, (B, n_items)."""

    def __init__(self, n_items: int, hidden: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.encoder = SparseLinear(n_items, hidden)
        self.code = dense(hidden, 2 * latent)
        self.decoder = nn.Sequential(dense(latent, hidden), nn.Tanh(), dense(hidden, n_items))

    def parts(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, mean and log variance of z."""
        rows = rows.normalised().corrupted(self.dropout, training=self.training)
        mean, log_variance = self.code(torch.tanh(self.encoder(rows))).chunk(2, dim=1)
        return self.decoder(sampled(mean, log_variance, training=self.training)), mean, log_variance

    def forward(self, rows: Rows) -> Tensor:
        return self.parts(rows)[0]
