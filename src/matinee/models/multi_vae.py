"""Multi-VAE: a variational autoencoder with a multinomial likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.autoencoder import Autoencoder, log_odds
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from matinee.nn.blocks import SparseBatch
    from matinee.nn.train import Step


class MultiVAE(Autoencoder):
    """Variational autoencoder with multinomial likelihood (Liang, Krishnan, Hoffman & Jebara, WWW 2018).

    Loss (eq. 4, beta annealed as in section 2.2.2): -sum_i x_i log softmax(f(z))_i + beta KL(q(z|x) || N(0, 1)); z is
    drawn in training, the mean elsewhere; a tanh layer before z and, with decoder_hidden, one after it (the paper's
    best models have one there or none; none is better on MovieLens 1M); rows normalised to length 1 and dropped out;
    beta rises linearly to `kl_weight` over `anneal_epochs`. Deviation: AdamW for Adam.
    """

    hidden: int = tunable(600, "units of the encoder's hidden layer", choices=[200, 400, 600], ge=1)
    latent: int = tunable(200, "dimensions of z", choices=[64, 128, 200], ge=1)
    decoder_hidden: int = tunable(0, "units of the decoder's hidden layer; 0: none", choices=[0, 400, 600], ge=0)
    dropout: float = tunable(0.5, "dropout of the input", low=0.2, high=0.7, ge=0.0, lt=1.0)
    kl_weight: float = tunable(0.2, "largest beta", low=0.01, high=1.0, ge=0.0)
    anneal_epochs: int = tunable(50, "epochs until beta is largest", ge=1)

    def build(self, data: Dataset) -> Module:
        return nn.vae.GaussianAutoencoder(
            data.n_items,
            self.hidden,
            self.latent,
            self.dropout,
            decoder_hidden=self.decoder_hidden,
            start=log_odds(data),
        )

    def n_weights(self, size: LogSize) -> float:
        hidden, latent, last = self.hidden, self.latent, self.decoder_hidden
        code = hidden + 2 * latent * (hidden + 1) + (latent + 1) * last
        return code + size.items * (hidden + (last or latent) + 1)

    def loss(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        logits, mean, log_variance = net.parts_of(self.seen(net, rows))
        # Linear annealing of the KL term (section 2.2.2): a full KL at once would empty the latent code.
        beta = self.kl_weight * min(1.0, (step.epoch + 1) / self.anneal_epochs)
        return self.likelihood(net, logits, rows) + beta * nn.losses.gaussian_kl(mean, log_variance).sum()

    def likelihood(self, net: Any, logits: Tensor, rows: SparseBatch) -> Tensor:
        """What the logits (B, n_items) lose, summed over the rows, a tensor ()."""
        return nn.losses.multinomial(logits, rows)

    def seen(self, net: Any, rows: SparseBatch) -> SparseBatch:
        """What the encoder sees of rows to learn from."""
        seen: SparseBatch = net.seen(rows)
        return seen
