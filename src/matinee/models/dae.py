"""DAE: a denoising autoencoder with a logistic likelihood."""

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


class DAE(Autoencoder):
    """Denoising autoencoder (Vincent et al., ICML 2008) on interaction rows.

    Loss: binary cross-entropy over all items, of which those not watched count as 0. Rows are normalised to length 1
    and dropped out; one tanh layer; the output's bias begins at the items' log odds, or training would mostly go to it.
    """

    hidden: int = tunable(200, "units of the hidden layer", choices=[64, 200, 400], ge=1)
    learning_rate: float = tunable(3e-3, "step size", low=1e-4, high=1e-2, log=True, gt=0.0)
    dropout: float = tunable(0.5, "dropout of the input", low=0.2, high=0.8, ge=0.0, lt=1.0)

    def build(self, data: Dataset) -> Module:
        return nn.vae.DenoisingAutoencoder(data.n_items, self.hidden, self.dropout, start=log_odds(data))

    def n_weights(self, size: LogSize) -> float:
        return (2 * self.hidden + 1) * size.items + self.hidden

    def loss(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        return nn.losses.logistic(net(rows), rows)
