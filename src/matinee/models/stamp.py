"""STAMP: attention over a history, with weight on its last event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.models.families.sequence import Sequence

if TYPE_CHECKING:
    from torch.nn import Module


class STAMP(Sequence):
    """Short-term attention/memory priority (Liu et al., KDD 2018).

    With x the vectors of a history's items and m their mean up to t: m_a = sum_(j <= t) a_j x_j, where
    a_j = w' sigmoid(W1 x_j + W2 x_t + W3 m + b), and item i scores emb_i' (tanh(Ws m_a + bs) * tanh(Wt x_t + bt)).
    Every prefix of a history is learned at once. Deviations: no sigmoid between score and softmax (the paper's keeps
    every probability within a factor e of every other), cross-entropy without the paper's terms of what was not
    watched, and dropout of item vectors, of which the paper has none.
    """

    def layer_weights(self) -> float:
        return self.dim * (5 * self.dim + 4)

    def build(self, data: Dataset) -> Module:
        return nn.session.MemoryNet(data.n_items, self.dim, self.dropout)
