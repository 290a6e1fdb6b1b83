"""A pool of fitted models: which of them to join in an ensemble, and what each member of one adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from matinee.data.dataset import Holdout
from matinee.errors import MatineeError
from matinee.evaluate.evaluate import Evaluation, evaluate
from matinee.evaluate.significance import joined, paired_test
from matinee.evaluate.stopping import StoppingMetric
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion, fusion_weights
from matinee.models.families.mixture import Mixture
from matinee.rank import recommend

ALL = "all members"


@dataclass(frozen=True)
class SelectionStep:
    """One step of a greedy selection: the label that was added, and the metric of all that were added so far."""

    label: str
    quality: float


@dataclass(frozen=True)
class Selection:
    """Which models of a pool to join. metric: as "ndcg@10". steps: all that were tried, past the best one too. weights:
    of the labels that were chosen, 1 in sum, the largest first.

    Example: `mt.select_members(models, split.valid).weights`
    """

    metric: str
    steps: tuple[SelectionStep, ...]
    weights: Mapping[str, float]

    def __str__(self) -> str:
        chosen = ", ".join(f"{label} {weight:.2f}" for label, weight in self.weights.items())
        best = max(step.quality for step in self.steps)
        return (
            f"{self.metric} {best:.4f} with {chosen}; the best alone {self.steps[0].label} {self.steps[0].quality:.4f}"
        )


def select_members(
    models: Mapping[str, Model],
    valid: Holdout,
    *,
    metric: str = "ndcg@10",
    method: fusion.Method = "rank",
    steps: int = fusion_weights.GREEDY_STEPS,
) -> Selection:
    """Choose the models of a pool that rank best together, greedily with replacement (Caruana et al., ICML 2004).

    models: fitted on one log. valid: what they were not fitted on; choose on valid and report on test, because the
    best of many is partly luck. method: see Ensemble. Members are asked once a block of queries where their scores fit
    into memory, otherwise once for each step.
    Raises MatineeError for an empty pool, a model that is not fitted or was fitted on another log, and for a metric
    without a cut-off.

    Example: `print(mt.select_members(models, split.valid, steps=5))`
    """
    asked = StoppingMetric.parse(metric, valid)
    if not models:
        raise MatineeError("there are no models to choose from", hint="pass a dict of label -> fitted model")
    if not asked.k:
        raise MatineeError(f"{metric} is no metric of ranked lists", hint='choose one such as "ndcg@10"')
    labels, members = list(models), tuple(models.values())
    loose = [label for label, model in models.items() if not model.is_fitted]
    if loose:
        raise MatineeError(f"{loose[0]} is not fitted", hint="fit every model of the pool on the same training log")
    joined = Ensemble(members=members, method=method, weights=(1.0,) * len(members)).fit(members[0].data)
    weights, path = fusion_weights.greedy(
        fusion_weights.Answers.of(joined, asked.part(valid), len(members), asked.k), asked, steps
    )
    order = [number for number in np.argsort(-weights, kind="stable").tolist() if weights[number] > 0]
    return Selection(
        metric,
        tuple(SelectionStep(labels[step.member], step.quality) for step in path),
        {labels[number]: float(weights[number]) for number in order},
    )


@dataclass(frozen=True)
class Contribution:
    """What one member adds to an ensemble. alone, without: the metric of the member by itself, and of the ensemble
    without it, the others' weights in proportion. adds: all minus without, with its 95 % interval (ci_low, ci_high)
    and the p-value of a paired randomisation test. weight: None where groups of queries have weights of their own, and
    where members fill places."""

    member: str
    weight: float | None
    alone: float
    without: float
    adds: float
    ci_low: float
    ci_high: float
    p: float


def member_contributions(model: Ensemble, holdout: Holdout, *, metric: str = "ndcg@10") -> list[Contribution]:
    """Leave each member of an ensemble out in turn, and ask it alone; all against the whole, on the same queries.

    Raises MatineeError for an ensemble of one member, or one that is not fitted, and for a metric without a cut-off.

    Example: `for each in mt.member_contributions(ensemble, split.test): print(each.member, each.adds, each.p)`
    """
    asked = StoppingMetric.parse(metric)
    if not asked.k:
        raise MatineeError(f"{metric} is no metric of ranked lists", hint='choose one such as "ndcg@10"')
    learned: Mixture = model.fitted.learned
    if len(learned.members) == 1:
        raise MatineeError("the ensemble has one member, so nothing can be left out", hint="add a member")

    def measured(scorer: Model, label: str) -> Evaluation:
        recs = recommend(scorer, holdout.queries, asked.k)
        return evaluate(recs, holdout, k=asked.k, metrics=[asked.name], label=label)

    whole, found = measured(model, ALL), []
    for number, (label, member) in enumerate(zip(_labels(learned.members), learned.members, strict=True)):
        without = measured(_without(model, number), f"without {label}")
        test = paired_test(joined([whole, without]), ALL, f"without {label}", metric=asked.name, k=asked.k)
        weight = None if learned.weights.ndim > 1 or model.quotas is not None else float(learned.weights[number])
        alone = measured(member, label).mean(asked.name, asked.k).value
        rest = without.mean(asked.name, asked.k).value
        found.append(Contribution(label, weight, alone, rest, test.difference, test.ci_low, test.ci_high, test.p))
    return found


def _labels(members: tuple[Model, ...]) -> list[str]:
    """Registry names; of equal ones each with its number."""
    names = [registry.name_of(member) for member in members]
    return [name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names, start=1)]


def _without(model: Ensemble, number: int) -> Ensemble:
    """The fitted ensemble without a member; where the others had no weight, they share it equally."""
    learned: Mixture = model.fitted.learned
    if model.quotas is not None:
        quotas = tuple(0 if place == number else each for place, each in enumerate(model.quotas))
        quotas = quotas if any(quotas) else tuple(int(place != number) for place in range(len(quotas)))
        return model.model_copy(update={"quotas": quotas}).restore(model.fitted)
    weights = np.atleast_2d(learned.weights).copy()
    weights[:, number] = 0.0
    nothing = ~weights.any(axis=1)
    weights[nothing] = [float(place != number) for place in range(weights.shape[1])]
    weights /= weights.sum(axis=1, keepdims=True)
    return model.standing(model.data, replace(learned, weights=weights.reshape(learned.weights.shape)))
