"""CL4SRec: SASRec that also learns that two distorted views of a history are the same history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from matinee import nn
from matinee.data.arrays import Ints, Ragged
from matinee.models.families.sequence import Draw, Histories
from matinee.models.fields import tunable
from matinee.models.sasrec import SASRec

if TYPE_CHECKING:
    from torch import Tensor

    from matinee.nn.train import Step


class CL4SRec(SASRec):
    """Contrastive learning for sequential recommendation (Xie et al., ICDE 2022).

    Loss (eq. 12): SASRec's by name + contrast x InfoNCE (eq. 4) between the last states of two views of each history,
    against all other views of the batch. A view (section III-C) is the history cropped to a piece, with items masked,
    or with a stretch shuffled, each of the three as likely. Deviation: states are compared by cosine.
    """

    special: ClassVar[int] = 1

    contrast: float = tunable(0.1, "weight of the contrastive loss", low=0.01, high=1.0, log=True, ge=0.0)
    temperature: float = tunable(0.2, "temperature of the contrastive loss", low=0.05, high=1.0, log=True, gt=0.0)
    crop: float = tunable(0.6, "share of a history that a cropped view keeps", low=0.2, high=0.9, gt=0.0, lt=1.0)
    mask: float = tunable(0.3, "share of its items that a masked view hides", low=0.1, high=0.7, gt=0.0, lt=1.0)
    reorder: float = tunable(0.6, "share of a history that a reordered view shuffles", low=0.2, high=0.9, ge=0.0)

    def numbers_per_event(self) -> float:
        return 2.5 * super().numbers_per_event()  # two views, most of a history each, and the history

    def batch_loss(self, net: Any, batch: Histories, draw: Draw, step: Step) -> Tensor:
        rng = np.random.default_rng([step.seed, 1])
        views = [self.packed(net, Histories(self.view(batch.item, net.n_items + 1, rng), None)) for _ in range(2)]
        # Eq. 4: the two views of a history are each other's positive, all other views of the batch negatives.
        one, other = (net(view)[view.last] for view in views)
        weight = self.contrast * self.terms(batch.item.lengths) / len(batch)  # a mean over histories, as over events
        loss: Tensor = super().batch_loss(net, batch, draw, step) + weight * nn.losses.info_nce(
            one, other, self.temperature
        )
        return loss

    def view(self, histories: Ragged, mask: int, rng: np.random.Generator) -> Ragged:
        """int32 (B rows): each history, distorted in one of the three ways. mask: the code that hides an item."""
        way = rng.integers(3, size=len(histories))
        rows = (histories[row][-self.max_len :] for row in range(len(histories)))
        return Ragged.from_lists(self.distorted(items, kind, mask, rng) for items, kind in zip(rows, way, strict=True))

    def distorted(self, items: Ints, kind: int, mask: int, rng: np.random.Generator) -> Ints:
        """int32 (n,): the items of one history, cropped (kind 0), masked (1) or reordered (2)."""
        if kind == 0:
            start, stop = stretch(len(items), self.crop, rng)
            return items[start:stop]
        items = items.copy()
        if kind == 1:
            items[rng.permutation(len(items))[: int(self.mask * len(items))]] = mask
        else:
            start, stop = stretch(len(items), self.reorder, rng)
            items[start:stop] = rng.permutation(items[start:stop])
        return items


def stretch(n: int, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Where a random stretch of this share of n places begins and ends; it has one place at least."""
    length = min(n, max(1, int(share * n)))
    start = int(rng.integers(n - length + 1))
    return start, start + length
