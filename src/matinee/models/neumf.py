"""NeuMF: GMF and MLP under one output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from matinee import nn
from matinee.data.dataset import Dataset
from matinee.data.features.context import ContextFields
from matinee.models.families.pointwise import Pointwise, Widths, layer_weights
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.fields import PairNet
    from matinee.nn.train import Pass, Step


class NeuMF(Pointwise):
    """Neural matrix factorisation (He et al., WWW 2017, eq. 12): GMF and MLP with vectors of their own, added up.

    With `pretrain`, the first epochs train a GMF and an MLP, each down its own loss on the same negatives; their
    vectors, layers and outputs, weighed by gmf_share and the rest, are where NeuMF goes on (section 3.4.1). Only then
    is it validated. Deviations: as in GMF and MLP; the parts are trained for as long as one says, not until they
    converge; what the paper goes on with is SGD, here the same optimiser, moments and all; the weights stay factors of
    the parts' logits, where the paper multiplies the output's weights once.
    """

    fields: tuple[str, ...] = tunable(("user", "item"), "context fields, as for fm; the paper uses ids alone")
    dim: int = tunable(64, "length of a vector in either part", choices=[16, 32, 64, 128], ge=1)
    layers: Widths = tunable((128, 64), "units of the MLP's layers")
    dropout: float = tunable(0.1, "dropout of the layers' units", low=0.0, high=0.5, ge=0.0, lt=1.0)
    pretrain: int = tunable(0, "epochs that train GMF and MLP separately before training them together", ge=0)
    gmf_share: float = tunable(
        0.5, "weight of GMF's logit after pretraining (the paper's alpha); MLP has the rest", ge=0, le=1
    )

    @model_validator(mode="after")
    def _joined(self) -> Self:
        epochs = min(self.epochs, self.stop_epoch or self.epochs)
        if self.pretrain >= epochs:
            raise ValueError(f"pretrain = {self.pretrain} leaves none of {epochs} epochs for both parts together")
        return self

    def width(self) -> int:
        return 2 * self.dim + (2 if self.pretrain else 1)

    def layer_weights(self) -> float:
        return layer_weights(2 * self.dim, self.layers)

    def network(self, vocabulary: ContextFields) -> PairNet:
        width = 2 * self.dim + (2 if self.pretrain else 1)
        vectors = nn.fields.FieldVectors(vocabulary.n_codes, width, pooling=self.pooling, std=self.init_std)
        if self.pretrain:
            return nn.pretraining.TwoParts(vectors, self.dim, self.layers, self.dropout, self.gmf_share)
        return nn.interactions.Matching(vectors, self.dim, self.dim, self.layers, self.dropout)

    def passes(self, net: Any, data: Dataset) -> tuple[list[Pass], int]:
        (together,), n = super().passes(net, data)
        if not self.pretrain:
            return [together], n

        def loss(batch: NDArray[np.int64], step: Step) -> Tensor:
            """Which part is trained hangs on the epoch alone, so a checkpoint need not hold it."""
            net.apart = step.epoch < self.pretrain
            if not net.apart:
                return together.loss(batch, step)
            try:
                net.alone = "gmf"
                total = together.loss(batch, step)
                net.alone = "mlp"
                total = total + together.loss(batch, step)
            finally:
                net.alone = None
            return total - total.detach() / 2  # the gradient of the sum, each part's own; the curve shows their mean

        return [replace(together, loss=loss)], n

    def validation(self, standing: Self, context: FitContext) -> Callable[[], float] | None:
        measure, net = super().validation(standing, context), standing.net
        if measure is None or not self.pretrain:
            return measure
        return lambda: float("nan") if net.apart else measure()
