"""RecVAE: Multi-VAE with a composite prior, user-specific KL weights and alternating training."""

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


class RecVAE(Autoencoder):
    """Recommender VAE (Shenbin, Alekseev, Tutubalina, Malykh & Nikolenko, WSDM 2020).

    Loss (eq. 5): -sum_i x_i log softmax(f(z))_i + gamma |x| (log q(z|x) - log p(z|x)), z one draw; p is the composite
    prior of eq. 6, see nn.vae.CompositeVAE. An epoch is `encoder_passes` over the encoder with dropout; then the prior
    takes the encoder over; then one pass over the linear decoder without dropout. Deviation: AdamW for Adam.
    """

    hidden: int = tunable(600, "units of the encoder's layers", choices=[200, 400, 600], ge=1)
    latent: int = tunable(200, "dimensions of z", choices=[64, 128, 200], ge=1)
    dropout: float = tunable(0.5, "dropout of the input in the encoder's passes", low=0.2, high=0.7, ge=0.0, lt=1.0)
    gamma: float = tunable(0.005, "KL weight for each event of a user", low=0.001, high=0.02, log=True, ge=0.0)
    encoder_passes: int = tunable(3, "encoder passes for each decoder pass", ge=1)
    patience: int = tunable(8, "early stopping: epochs without a better validation", ge=1)
    learning_rate: float = tunable(5e-4, "step size", low=1e-4, high=1e-2, log=True, gt=0.0)

    def build(self, data: Dataset) -> Module:
        return nn.vae.CompositeVAE(data.n_items, self.hidden, self.latent, start=log_odds(data))

    def passes(self, net: Any, data: Dataset) -> tuple[list[nn.train.Pass], int]:
        ((every, *_), n) = super().passes(net, data)
        encoder = nn.train.Pass(
            "encoder", every.loss, list(net.encoder.parameters()), before=lambda: _switch(net, self.dropout)
        )
        decoder = nn.train.Pass("decoder", every.loss, list(net.decoder.parameters()), before=lambda: _take_over(net))
        return [*[encoder] * self.encoder_passes, decoder], n

    def n_weights(self, size: LogSize) -> float:
        """Both encoders, the one that learns and the one that was, and the decoder."""
        layers = 4 * self.hidden * (self.hidden + 1) + 11 * self.hidden + 2 * self.latent * (self.hidden + 1)
        return 2 * (self.hidden * size.items + layers) + (self.latent + 1) * size.items

    def loss(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        logits, divergence = net.parts(rows)
        loss: Tensor = nn.losses.multinomial(logits, rows) + self.gamma * (rows.sums * divergence).sum()
        return loss


def _switch(net: Any, dropout: float) -> None:
    net.dropout = dropout


def _take_over(net: Any) -> None:
    """The decoder's turn: the prior takes the encoder over, and nothing is dropped out."""
    net.dropout = 0.0
    net.before.load_state_dict(net.encoder.state_dict())
