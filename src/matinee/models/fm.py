"""FM: every two fields meet in an inner product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class FM(Pointwise):
    """Factorisation machine (Rendle, ICDM 2010): w_0 + sum of w_f + sum over pairs of fields of v_f . v_g.

    Deviation: trained by mini-batches with binary cross-entropy, and without his penalty unless weight_decay is set.
    """

    def width(self) -> int:
        return self.dim + 1

    def network(self, vocabulary: ContextFields) -> PairNet:
        vectors = nn.fields.FieldVectors(vocabulary.n_codes, 1 + self.dim, pooling=self.pooling, std=self.init_std)
        return nn.interactions.FactorisationMachine(vectors, None)
