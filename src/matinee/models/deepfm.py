"""DeepFM: a factorisation machine and a deep net on the same vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise, Widths, layer_weights
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class DeepFM(Pointwise):
    """DeepFM (Guo et al., IJCAI 2017, eq. 1): an FM, and beside it layers that read the vectors of all fields."""

    layers: Widths = tunable((128, 128), "units of the layers")
    dropout: float = tunable(0.2, "dropout of the layers' units", low=0.0, high=0.6, ge=0.0, lt=1.0)
    batch_norm: bool = tunable(False, "normalise the layers' units over a batch")

    def width(self) -> int:
        return self.dim + 1

    def layer_weights(self) -> float:
        return layer_weights(6 * self.dim, self.layers)

    def network(self, vocabulary: ContextFields) -> PairNet:
        request, item = self.numbers_read(vocabulary)
        deep = nn.interactions.PairLayers(request, item, self.layers, share=self.dropout, batch_norm=self.batch_norm)
        vectors = nn.fields.FieldVectors(vocabulary.n_codes, 1 + self.dim, pooling=self.pooling, std=self.init_std)
        return nn.interactions.FactorisationMachine(vectors, deep)
