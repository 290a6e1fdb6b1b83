"""Logistic regression on the fields of a request and an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matinee import nn
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise
from matinee.models.fields import tunable

if TYPE_CHECKING:
    from matinee.nn.fields import PairNet


class Logistic(Pointwise):
    """logit = w_0 + sum of the weights of the fields' values (Richardson, Dominowska & Ragno, WWW 2007, eq. 1).

    Fields do not meet, so of ids alone it learns who is active and what is popular: the floor of the context models.
    """

    exemptions = {"taste": "adds up what user and item say, so all users get one order of items"}
    dim: int = tunable(1, "length of a code's vector: its weight", ge=1, le=1)
    ordinal_weight: float = tunable(
        0.0, "as for other pointwise models; off by default, because it costs more than it gains here", ge=0.0
    )
    learning_rate: float = tunable(0.01, "step size", low=1e-3, high=0.1, log=True, gt=0.0)

    def width(self) -> int:
        return 1

    def network(self, vocabulary: ContextFields) -> PairNet:
        return nn.interactions.FactorisationMachine(
            nn.fields.FieldVectors(vocabulary.n_codes, 1, pooling=self.pooling, std=self.init_std), None
        )
