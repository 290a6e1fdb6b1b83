"""Which model answers whom: a stable share of the users for each, and the same model for a user always."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from matinee.errors import MatineeError, suggestion


@dataclass(frozen=True)
class Routing:
    """shares: of each model, in the order in which the models were given; they add up to 1. experiment: its name: under
    another one users are dealt anew."""

    shares: Mapping[str, float]
    experiment: str = "default"

    @classmethod
    def of(cls, names: list[str], weights: Mapping[str, float] | None = None, experiment: str = "default") -> Routing:
        """weights: of the models that share the users, in any unit; None: the first model answers all. Raises
        MatineeError."""
        weights = {names[0]: 1.0} if weights is None else weights
        for name, weight in weights.items():
            if name not in names:
                raise MatineeError(f"there is no model {name!r} to route to", hint=suggestion(name, names))
            if not (math.isfinite(weight) and weight >= 0):
                raise MatineeError(f"{weight} is no weight for {name!r}", hint="pass a number from 0")
        total = sum(weights.values())
        if not total > 0:
            raise MatineeError("routing gives no model any user", hint="pass a weight above 0")
        return cls({name: weights.get(name, 0.0) / total for name in names}, experiment)

    @property
    def default(self) -> str:
        """Who answers nobody in particular: the model with the largest share, of equal ones the first."""
        return max(self.shares, key=lambda name: self.shares[name])

    def arm(self, person: str) -> str:
        """The model for a person, from SHA-256 of the experiment's name and theirs: the same in every process."""
        place, chosen = point(self.experiment, person), self.default
        for name, share in self.shares.items():
            if share > 0:
                chosen = name
                place -= share
                if place < 0:
                    break
        return chosen


def point(experiment: str, person: str) -> float:
    """A number in [0, 1) that belongs to a person within an experiment."""
    digest = hashlib.sha256(f"{experiment}\0{person}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
