"""Multi-DAE: a denoising autoencoder with a multinomial likelihood."""

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


class MultiDAE(Autoencoder):
    """Denoising autoencoder with multinomial likelihood (Liang, Krishnan, Hoffman & Jebara, WWW 2018, section 2.3).

    Loss: -sum_i x_i log softmax(f(x))_i; rows normalised to length 1 and dropped out; one tanh layer. Deviation:
    AdamW's decoupled decay for the paper's L2.
    """

    hidden: int = tunable(200, "units of the hidden layer", choices=[200, 400, 600], ge=1)
    weight_decay: float = tunable(0.01, "AdamW's decay", low=1e-4, high=1.0, log=True, ge=0.0)
    dropout: float = tunable(0.5, "dropout of the input", low=0.2, high=0.8, ge=0.0, lt=1.0)

    def build(self, data: Dataset) -> Module:
        return nn.vae.DenoisingAutoencoder(data.n_items, self.hidden, self.dropout, start=log_odds(data))

    def n_weights(self, size: LogSize) -> float:
        return (2 * self.hidden + 1) * size.items + self.hidden

    def loss(self, net: Any, rows: SparseBatch, step: Step) -> Tensor:
        return nn.losses.multinomial(net(rows), rows)
