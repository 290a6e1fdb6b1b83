"""GRU4Rec: a recurrent net over a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.sequence import Sequence, gru_weights
from matinee.models.fields import tunable
from matinee.models.needs import LogSize

if TYPE_CHECKING:
    from torch.nn import Module


class GRU4Rec(Sequence):
    """Session-based recommendation with recurrent networks (Hidasi et al., ICLR 2016).

    Loss: cross-entropy over all items by default; loss = "bpr_max" or "top1_max" with sampling = "popularity" and
    alpha = 0.5 are those of Hidasi & Karatzoglou (CIKM 2018). Deviations: items have vectors where the first paper has
    weights of the gates, and by default the same ones are read and scored (the second paper's constrained embeddings);
    histories of a batch begin together, from a state of zeros, and not one where another ended.
    """

    hidden: int = tunable(128, "units of a layer", choices=[64, 128, 256], ge=1)
    layers: int = tunable(1, "GRU layers", choices=[1, 2], ge=1)
    tied: bool = tunable(True, "tie the input and output item vectors")

    def n_weights(self, size: LogSize) -> float:
        return super().n_weights(size) + (0 if self.tied else self.dim * (size.items + 1))

    def layer_weights(self) -> float:
        output = 0 if self.hidden == self.dim else self.dim * (self.hidden + 1)
        return gru_weights(self.dim, self.hidden, self.layers) + output

    def numbers_per_event(self) -> float:
        return 4.0 * self.dim + 14.0 * self.hidden * self.layers

    def build(self, data: Dataset) -> Module:
        return nn.recurrent.RecurrentNet(data.n_items, self.dim, self.hidden, self.layers, self.dropout, tied=self.tied)
