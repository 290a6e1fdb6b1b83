"""Evaluations of models by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Protocol
from matinee.data.ids import IdMap
from matinee.evaluate import Evaluation

PROTOCOL = Protocol(data="toy", split="by hand", part="test", history="train", exclude="train")


def evaluation(
    user: list[int] | None = None, metric: str = "recall", k: int = 10, **models: NDArray[np.float64]
) -> Evaluation:
    """label -> values per query of one metric. user: of each query; when left out each is another's."""
    n = len(next(iter(models.values())))
    codes = np.array(range(n) if user is None else user, np.int32)
    values = {(label, metric, k): np.asarray(value, np.float64) for label, value in models.items()}
    return Evaluation(values, codes, IdMap(np.arange(n), what="user"), PROTOCOL, "q")
