"""The autoencoders' nets: interaction rows to a code, deterministic or Gaussian, to logits (B, n_items)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from matinee.nn.blocks import SparseBatch, SparseLinear, dense
from matinee.nn.losses import log_normal, sampled


class DenoisingAutoencoder(nn.Module):
    """x after dropout -> tanh hidden -> logits, whose bias starts at `start` (n_items,).

    With n_users, a learned vector of each user is added to the hidden layer's input.
    """

    def __init__(
        self, n_items: int, hidden: int, dropout: float, *, start: Tensor | None = None, n_users: int = 0
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.encoder = SparseLinear(n_items, hidden)
        # row n_users belongs to unknown users and stays 0
        self.users = nn.Embedding(n_users + 1, hidden, padding_idx=n_users) if n_users else None
        if self.users is not None:
            nn.init.normal_(self.users.weight[:-1], std=0.01)
        self.decoder = dense(hidden, n_items, start=start)

    def forward(self, rows: SparseBatch, user: Tensor | None = None) -> Tensor:
        """Logits float32 (B, n_items). user: (B, hidden) vectors in place of the learned ones."""
        mixed = self.encoder(rows.normalised().corrupted(self.dropout, training=self.training))
        if self.users is not None:
            mixed = mixed + (self.users(rows.user % self.users.num_embeddings) if user is None else user)
        logits: Tensor = self.decoder(torch.tanh(mixed))
        return logits


class RatingAutoencoder(nn.Module):
    """AutoRec's net: ratings -> sigmoid code -> a rating for every column."""

    def __init__(self, n_columns: int, hidden: int) -> None:
        super().__init__()
        self.encoder = SparseLinear(n_columns, hidden)
        self.decoder = dense(hidden, n_columns)

    def code(self, rows: SparseBatch) -> Tensor:
        """(B, hidden)."""
        return torch.sigmoid(self.encoder(rows))

    def forward(self, rows: SparseBatch) -> Tensor:
        ratings: Tensor = self.decoder(self.code(rows))
        return ratings


class GaussianAutoencoder(nn.Module):
    """x -> tanh hidden -> (mean, log variance) -> z -> logits, whose bias starts at `start` (n_items,).

    The decoder is linear, or has one tanh layer of decoder_hidden units. With n_side, encoder and decoder also read
    rows.side.
    """

    def __init__(
        self,
        n_items: int,
        hidden: int,
        latent: int,
        dropout: float,
        *,
        decoder_hidden: int = 0,
        start: Tensor | None = None,
        n_side: int = 0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.encoder = SparseLinear(n_items, hidden)
        self.side = nn.Linear(n_side, hidden, bias=False) if n_side else None
        self.code = dense(hidden, 2 * latent)
        self.decoder: nn.Module = dense(latent + n_side, n_items, start=start)
        if decoder_hidden:
            first, last = dense(latent + n_side, decoder_hidden), dense(decoder_hidden, n_items, start=start)
            self.decoder = nn.Sequential(first, nn.Tanh(), last)

    def seen(self, rows: SparseBatch) -> SparseBatch:
        """The encoder's input: rows of length 1, with dropout in training."""
        return rows.normalised().corrupted(self.dropout, training=self.training)

    def parts(self, rows: SparseBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, n_items), mean and log variance of z (B, latent)."""
        return self.parts_of(self.seen(rows))

    def parts_of(self, rows: SparseBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The same, logits (B, n_items) first, from the result of `seen`."""
        mixed = self.encoder(rows) if self.side is None else self.encoder(rows) + self.side(rows.side)
        mean, log_variance = self.code(torch.tanh(mixed)).chunk(2, dim=1)
        z = sampled(mean, log_variance, training=self.training)
        return self.decoder(z if self.side is None else torch.cat([z, rows.side], dim=1)), mean, log_variance

    def forward(self, rows: SparseBatch) -> Tensor:
        return self.parts(rows)[0]


class DenseEncoder(nn.Module):
    """RecVAE's encoder: x -> five layers of swish and layer norm, each fed by all before -> (mean, log variance)."""

    def __init__(self, n_items: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first = SparseLinear(n_items, hidden)
        self.others = nn.ModuleList(dense(hidden, hidden) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden, eps=0.1) for _ in range(5))
        self.code = dense(hidden, 2 * latent)

    def forward(self, rows: SparseBatch) -> tuple[Tensor, Tensor]:
        """Mean and log variance, (B, latent) each. rows: normalised, and after dropout in training."""
        layer = self.norms[0](F.silu(self.first(rows)))
        before = layer
        for linear, norm in zip(self.others, self.norms[1:], strict=True):
            layer = norm(F.silu(linear(layer) + before))
            before = before + layer
        mean, log_variance = self.code(layer).chunk(2, dim=1)
        return mean, log_variance


class CompositeVAE(nn.Module):
    """RecVAE's net: a dense encoder, a linear decoder whose bias starts at `start` (n_items,), and `before`, the
    encoder as it was when the prior was last updated.

    In each dimension of z the prior mixes N(0, 1), the posterior of `before`, and a wide normal (log variance 10), with
    weights 3/20, 3/4 and 1/10 (Shenbin et al., WSDM 2020, eq. 6; the weights are those of the authors' code).
    """

    def __init__(self, n_items: int, hidden: int, latent: int, *, start: Tensor | None = None) -> None:
        super().__init__()
        self.dropout = 0.0
        self.encoder = DenseEncoder(n_items, hidden, latent)
        self.before = DenseEncoder(n_items, hidden, latent).requires_grad_(False)
        self.before.load_state_dict(self.encoder.state_dict())
        self.decoder = dense(latent, n_items, start=start)

    def parts(self, rows: SparseBatch) -> tuple[Tensor, Tensor]:
        """Logits (B, n_items), and log q(z|x) - log p(z|x), (B,)."""
        rows = rows.normalised()
        mean, log_variance = self.encoder(rows.corrupted(self.dropout, training=self.training))
        z = sampled(mean, log_variance, training=self.training)
        return self.decoder(z), (log_normal(z, mean, log_variance) - self.log_prior(z, rows)).sum(dim=1)

    def log_prior(self, z: Tensor, rows: SparseBatch) -> Tensor:
        """(B, latent): log density of the prior at z."""
        with torch.no_grad():
            mean, log_variance = self.before(rows)
        zero = z.new_zeros(())
        parts = [
            log_normal(z, zero, zero) + math.log(3 / 20),
            log_normal(z, mean, log_variance) + math.log(3 / 4),
            log_normal(z, zero, zero + 10.0) + math.log(1 / 10),
        ]
        return torch.stack(parts).logsumexp(dim=0)

    def forward(self, rows: SparseBatch) -> Tensor:
        logits: Tensor = self.decoder(self.encoder(rows.normalised())[0])
        return logits
