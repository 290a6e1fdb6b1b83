"""Models for tests of tuning: quick, and with rounds whose end is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError
from matinee.models.base import Learned, Model, Shapes
from matinee.models.fields import tunable
from matinee.models.fitting import FitContext

ROUNDS = 10
FITS: list[tuple[float, int]] = []
"""(noise, rounds) of each fit."""


@dataclass(frozen=True)
class Counts:
    """score: float32 (n_items,). curve: see nn.rounds.CURVE."""

    score: Floats
    curve: NDArray[np.float64]

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        return {"score": (n_items,)}


class Noisy(Model):
    """Popularity and noise: the less noise, the better, in every round."""

    learned_type: ClassVar[type[Learned]] = Counts
    noise: float = tunable(0.3, "how much noise", low=0.01, high=100.0, log=True, ge=0.0)
    colour: list[int] = tunable([1, 2], "changes nothing", choices=[[1, 2], [3]])
    most: int | None = tunable(None, "changes nothing", low=1, high=9, ge=1)

    def learn(self, data: Dataset, context: FitContext) -> Counts:
        rng = np.random.default_rng(context.seed)
        counts = data.item_counts()
        score = (counts + self.noise * counts.max() * rng.random(len(counts))).astype(np.float32)
        standing = self.standing(data, Counts(score, np.zeros((0, 3))))
        rounds = context.rounds(ROUNDS)
        FITS.append((self.noise, 0))
        for number in rounds:
            FITS[-1] = (self.noise, number + 1)
            rounds.add(self.noise, context.measuring(standing))
        return Counts(score, rounds.curve)

    def score_histories(self, queries: Queries) -> Floats:
        return np.tile(self.fitted.learned.score, (len(queries), 1))


class Fragile(Noisy):
    """The same, but with much noise it cannot be fitted."""

    def learn(self, data: Dataset, context: FitContext) -> Counts:
        if self.noise > 50:
            raise MemoryError
        if self.noise > 5:
            raise MatineeError("the loss is not finite", hint="less noise")
        return super().learn(data, context)


class Unalike(Noisy):
    """The same, but what its rounds measure does not compare."""

    def measures_alike(self) -> bool:
        return False
