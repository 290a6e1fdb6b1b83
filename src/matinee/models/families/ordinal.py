"""Labels that were made of ratings, learned with what the ratings say beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.models.families.network import import_torch

if TYPE_CHECKING:
    from torch import Tensor

MOST_LEVELS = 10


@dataclass(frozen=True)
class OrdinalTargets:
    """An ordinal regression beside a label's: whether a rating reaches each other level (all thresholds: Rennie &
    Srebro, IJCAI workshop on preference handling, 2005), so that a 5 is more than a 4, and a 1 less than a 3.

    grade: float32 (n,), of each event. levels: float32 (K,), all but the lowest and the label's own. ahead: float32
    (K,), how much larger the log odds to reach a level are than the label's. Deviation: they are the log's and not
    learned, which did better (AutoInt+ study, FM on valid: log loss .5146, learned .5165, labels alone .5240).
    """

    raw_rating: Floats
    levels: Floats
    ahead: Floats

    @classmethod
    def of(cls, raw_rating: Floats, label: Floats) -> OrdinalTargets:
        """Of more than MOST_LEVELS levels the deciles stand for all."""
        found = np.unique(raw_rating)
        if len(found) > MOST_LEVELS + 1:
            found = np.unique(np.quantile(raw_rating, np.linspace(0, 1, MOST_LEVELS + 1))).astype(np.float32)
        levels = found[1:][found[1:] != raw_rating[label > 0].min(initial=np.inf)]
        # A threshold for each level: how much rarer or commoner it is to reach it than the label, in log odds.
        reached = np.array([*(np.mean(raw_rating >= level) for level in levels), label.mean()])
        odds = np.log(reached) - np.log1p(-reached)
        return cls(raw_rating, levels, (odds[:-1] - odds[-1]).astype(np.float32))

    def loss(
        self, logit: Tensor, rows: NDArray[np.int64], label: Tensor, weight: float, of_event: Tensor | None = None
    ) -> Tensor:
        """The label's binary cross-entropy and `weight` times each level's, as their weighted mean, summed over rows.
        logit, label, and of_event, the rows' own weights: (B,), of the events `rows`."""
        torch = import_torch()
        reached = torch.from_numpy((self.raw_rating[rows][:, None] >= self.levels).astype(np.float32)).to(logit.device)
        ahead = logit[:, None] + torch.from_numpy(self.ahead).to(logit.device)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        of_level = None if of_event is None else of_event[:, None]
        parts = (logit, label, of_event), (ahead, reached, of_level)
        own, others = (entropy(*pair, weight=own, reduction="sum") for *pair, own in parts)
        loss: Tensor = (own + weight * others) / (1.0 + weight * len(self.levels))
        return loss
