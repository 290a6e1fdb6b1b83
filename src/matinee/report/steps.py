"""A step of the progress of the best score: what a drawing, a page and a table of it are made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreStep:
    """A run in the order of time. finished: ISO 8601 in UTC. label: the run's best model; value: its mean, with its
    95 % interval. best: the best value so far; improved: whether this run brought it."""

    run: str
    finished: str
    label: str
    value: float
    ci_low: float
    ci_high: float
    best: float
    improved: bool

    @property
    def moment(self) -> str:
        """2026-11-29 10:35, in UTC."""
        return self.finished[:16].replace("T", " ")
