"""GMF: matrix factorisation whose factors are weighed, as a net."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class GMF(Pointwise):
    """Generalised matrix factorisation (He et al., WWW 2017, eq. 9): logit = h . (p * q) + b_i + b.

    p and q are the vectors of user and item; given further fields, the sums of the sides' vectors, so profiles and
    metadata enter where ids do. Deviation: an item bias, which the paper leaves to the factors.
    """

    fields: tuple[str, ...] = tunable(("user", "item"), "context fields, as for fm; the paper uses ids alone")
    dim: int = tunable(64, "length of a vector", choices=[16, 32, 64, 128], ge=1)

    def width(self) -> int:
        return self.dim + 1

    def network(self, vocabulary: ContextFields) -> PairNet:
        vectors = nn.fields.FieldVectors(vocabulary.n_codes, self.dim + 1, pooling=self.pooling, std=self.init_std)
        return nn.interactions.Matching(vectors, self.dim, 0, [], 0.0)
