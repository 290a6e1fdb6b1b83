"""DAE: a denoising autoencoder with a logistic likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matinee.models.base import tunable
from matinee.models.multi_dae import MultiDAE

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.blocks import Rows
    from matinee.nn.train import Step


class DAE(MultiDAE):
    """Denoising autoencoder (Vincent et al., ICML 2008) on interaction rows.

    Loss: binary cross-entropy over all items, of which those not watched count as 0; otherwise the net of Multi-DAE.
    """

    dropout: float = tunable(0.3, "share of the input left out in training", low=0.2, high=0.8, ge=0.0, lt=1.0)

    def loss(self, net: Any, rows: Rows, step: Step) -> Tensor:
        from matinee.nn.losses import logistic

        return logistic(net(rows), rows)
