"""What a fit is told beside the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from matinee.data.dataset import Holdout
from matinee.evaluate.stopping import ERRORS, Predictor, StoppingMetric, measure
from matinee.nn.rounds import OnRound, Rounds
from matinee.progress import RoundsBar


class Fitting(Predictor, Protocol):
    """A model in the middle of a fit: it answers with what it has learned so far."""

    def stopping_metric(self, valid: Holdout) -> StoppingMetric: ...


@dataclass(frozen=True)
class FitContext:
    """valid: a holdout for early stopping or weights. seed: seeds everything that is drawn. metric: what early stopping
    measures on valid; None: the model's own, by its task. checkpoint: where a training keeps its state. device: where
    nets train. on_round: called after each round, see nn.rounds.OnRound. bar: shows the rounds.
    """

    valid: Holdout | None = None
    seed: int = 0
    metric: StoppingMetric | None = None
    checkpoint: Path | None = None
    device: str = "auto"
    on_round: OnRound | None = None
    bar: RoundsBar = field(default_factory=RoundsBar)

    def measuring(self, model: Fitting) -> Callable[[], float] | None:
        """What to call for the metric of a model as it stands, more is better; None where nothing can be measured."""
        valid = self.valid
        if valid is None or not len(valid):
            return None
        metric = self.metric or model.stopping_metric(valid)
        if metric.name in ERRORS and not labelled(valid):
            return None
        return lambda: measure(model, valid, metric)

    @property
    def hooks(self) -> tuple[OnRound, ...]:
        return (self.bar, *(() if self.on_round is None else (self.on_round,)))

    def rounds(self, total: int, *, patience: int | None = None, every: int = 1) -> Rounds:
        """The rounds of this fit, see nn.rounds.Rounds."""
        self.bar.total = total
        return Rounds(total, patience=patience, every=every, hooks=self.hooks)

    def of_member(self, number: int) -> FitContext:
        """The context for a composite's member: its checkpoint lies in the composite's folder."""
        return replace(self, checkpoint=None if self.checkpoint is None else self.checkpoint / str(number))


def labelled(valid: Holdout | None) -> bool:
    """True where a holdout has pairs with labels."""
    return valid is not None and valid.pairs is not None and valid.pairs.label is not None and len(valid.pairs) > 0
