"""NeuMF: GMF and MLP under one output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee.data.context import ContextFields
from matinee.models.base import tunable
from matinee.models.pointwise import Pointwise

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class NeuMF(Pointwise):
    """Neural matrix factorisation (He et al., WWW 2017, eq. 12): GMF and MLP with vectors of their own, added up.

    Deviations as in GMF and MLP.
    """

    fields: tuple[str, ...] | None = tunable(("user", "item"), "by name, see `fm`; ids alone are the paper's")
    dim: int = tunable(64, "length of a vector in either part", choices=[16, 32, 64, 128], ge=1)
    layers: tuple[int, ...] = tunable((128, 64), "units of the MLP's layers")
    dropout: float = tunable(0.1, "share of the layers' units left out", low=0.0, high=0.5, ge=0.0, lt=1.0)

    def network(self, vocabulary: ContextFields) -> PairNet:
        from matinee.nn.fields import FieldVectors
        from matinee.nn.interactions import Matching

        vectors = FieldVectors(vocabulary.n_codes, 2 * self.dim + 1, pooling=self.pooling, std=self.start)
        return Matching(vectors, self.dim, self.dim, self.layers, self.dropout)
