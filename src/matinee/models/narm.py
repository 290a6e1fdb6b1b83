"""NARM: a recurrent net that looks back over a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.sequence import Sequence, gru_weights
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from torch.nn import Module


class NARM(Sequence):
    """Neural attentive session-based recommendation (Li et al., CIKM 2017).

    With h the states of a GRU: c_t = [h_t; sum_(j <= t) a_tj h_j] (eq. 5-6), a_tj = v' sigmoid(A1 h_t + A2 h_j), not
    normalised, and item i scores emb_i' B c_t. Every prefix of a history is learned at once. Dropout as in the paper.
    """

    hidden: int = tunable(100, "units of a GRU layer", choices=[64, 100, 128, 256], ge=1)
    layers: int = tunable(1, "GRU layers", choices=[1, 2], ge=1)
    dropout: float = tunable(0.25, "dropout of item vectors", low=0.0, high=0.5, ge=0.0, lt=1.0)
    state_dropout: float = tunable(0.5, "dropout of c_t", low=0.0, high=0.6, ge=0.0, lt=1.0)

    def layer_weights(self) -> float:
        attention = self.hidden * (2 * self.hidden + 1)
        return gru_weights(self.dim, self.hidden, self.layers) + attention + 2 * self.hidden * self.dim

    def numbers_per_event(self) -> float:
        return 4.0 * self.dim + self.hidden * (14.0 * self.layers + 6.0)

    def build(self, data: Dataset) -> Module:
        return nn.session.AttentiveRecurrentNet(
            data.n_items, self.dim, self.hidden, self.layers, self.dropout, self.state_dropout
        )
