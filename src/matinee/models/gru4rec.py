"""GRU4Rec: a recurrent net over a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.sequence import Sequence
from matinee.models.fields import tunable

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

    def build(self, data: Dataset) -> Module:
        return nn.recurrent.RecurrentNet(data.n_items, self.dim, self.hidden, self.layers, self.dropout, tied=self.tied)
