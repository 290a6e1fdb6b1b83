"""AutoInt+: attention between fields, and a deep net beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee.data.features.context import ContextFields
from matinee.models.autoint import AutoInt
from matinee.models.families.pointwise import Widths, layer_weights
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class AutoIntPlus(AutoInt):
    """AutoInt+ (Song et al., CIKM 2019, section 5.5): layers read the vectors of all fields beside the attention."""

    layers: Widths = tunable((128, 64), "units of the layers beside the attention")

    def layer_weights(self) -> float:
        return super().layer_weights() + layer_weights(6 * self.dim, self.layers)

    def network(self, vocabulary: ContextFields) -> PairNet:
        return self.beside(vocabulary, self.layers)
