"""MLP: user and item vectors side by side, through layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise, Widths, layer_weights
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class MLP(Pointwise):
    """Multi-layer perceptron on user and item vectors (He et al., WWW 2017, eq. 10), with an item bias beside it.

    Given further fields, a side's vector is the sum of its fields'. A dot product beats it (Rendle et al., RecSys
    2020).
    """

    fields: tuple[str, ...] = tunable(("user", "item"), "context fields, as for fm; the paper uses ids alone")
    dim: int = tunable(64, "length of a vector", choices=[16, 32, 64, 128], ge=1)
    layers: Widths = tunable((128, 64), "units of the layers")
    dropout: float = tunable(0.1, "dropout of the layers' units", low=0.0, high=0.5, ge=0.0, lt=1.0)

    def width(self) -> int:
        return self.dim + 1

    def layer_weights(self) -> float:
        return layer_weights(2 * self.dim, self.layers)

    def network(self, vocabulary: ContextFields) -> PairNet:
        vectors = nn.fields.FieldVectors(vocabulary.n_codes, self.dim + 1, pooling=self.pooling, std=self.init_std)
        return nn.interactions.Matching(vectors, 0, self.dim, self.layers, self.dropout)
