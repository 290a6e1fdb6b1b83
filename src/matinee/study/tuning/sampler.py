"""Which values are tried next, and which fits are not worth going on with: Optuna's TPE, and a median.

A study of Optuna for each label, in memory; the store has what it is made of. What trial n tries depends on the seed,
on n and on the trials that had ended, so a tuning that was killed goes on as if it had not been.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.errors import MatineeError
from matinee.study.space import Axis, Space
from matinee.study.tuning.records import TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

STARTUP, WARMUP = 5, 1
"""Pruning: trials that are done before any is pruned, and looks of a fit that are let go."""
FEW = 10
"""Trials that importance needs."""
QUANTILE = 0.25
"""Importance: the share of the trials that are good."""


def import_optuna() -> Any:
    """optuna, silent; or one line that says what to install."""
    try:
        import optuna
    except ImportError:
        raise MatineeError("tuning needs Optuna", hint="pip install 'matinee[tune]'") from None
    if optuna.logging.get_verbosity() == optuna.logging.INFO:  # its default: it would tell each trial
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Sampler:
    """The trials of one label, as Optuna knows them. Of its numbers more is always better."""

    def __init__(self, space: Space, seed: Sequence[int], *, lower: bool) -> None:
        self._optuna = import_optuna()
        self.space, self.seed, self.sign = space, seed, -1.0 if lower else 1.0
        self._axes = {axis.name: axis for axis in space.axes}
        self._study = self._optuna.create_study(direction="maximize")
        self._looks: list[list[float]] = []  # of the trials that were done

    def ask(self, number: int, given: Mapping[str, Any] | None = None) -> tuple[Trial, dict[str, Any]]:
        """A trial, and the values it tries. given: values that are wanted, such as the recipe's own."""
        seed = int(np.random.SeedSequence([*self.seed, number]).generate_state(1)[0])
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed)
        fixed = {name: value for name, value in (given or {}).items() if self._axes[name].has(value)}
        if given is not None:
            self._study.enqueue_trial({name: self._coded(name, value) for name, value in fixed.items()})
        trial = self._study.ask()
        values = dict(given or {})
        for axis in self.space.axes if given is None else [self._axes[name] for name in fixed]:
            values[axis.name] = suggested(trial, axis)
        return trial, values

    def look(self, trial: Trial, value: float, step: int) -> str:
        """What a fit measured in the middle, after `step` earlier looks. Returns why it is to be ended; "": it is not.

        The median of Golovin et al. (Vizier, KDD 2017): the best so far, beside what the trials that were done had as
        their best by then. Looks are compared by their number, since models look at equal shares of a fit or after each
        round; a fit that had stopped gaining, and looked no more, counts with its best. (Optuna's own median is of
        those that still looked: only the good ones.)
        """
        trial.report(value, step)
        done = [looks for looks in self._looks if looks]
        if step < WARMUP or len(done) < STARTUP:
            return ""
        best = max(trial.storage.get_trial(trial._trial_id).intermediate_values.values())
        median = float(np.median([max(looks[: step + 1]) for looks in done]))
        if best >= median:
            return ""
        return f"at best {abs(best):.4g} so far, below the median of {len(done)} trials, {abs(median):.4g}"

    def tell(self, trial: Trial, ended: TrialRecord) -> None:
        states = self._optuna.trial.TrialState
        if ended.value is not None:
            self._looks.append([look.value for look in ended.looks])
            self._study.tell(trial, self.sign * ended.value)
        else:
            self._study.tell(trial, state=states.PRUNED if ended.state == "pruned" else states.FAIL)

    def add(self, ended: TrialRecord) -> None:
        """A trial of an earlier call."""
        states = self._optuna.trial.TrialState
        state = {"done": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[ended.state]
        if ended.state == "done":
            self._looks.append([look.value for look in ended.looks])
        looks = {step: look.value for step, look in enumerate(ended.looks)}
        last = ended.looks[-1].value if ended.looks else None
        inside = [name for name, value in ended.values.items() if self._axes[name].has(value)]
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state,
                value=self.sign * ended.value if ended.value is not None else last if state == states.PRUNED else None,
                params={name: self._coded(name, ended.values[name]) for name in inside},
                distributions={name: distribution(self._axes[name]) for name in inside},
                intermediate_values=looks,
            )
        )

    def importance(self) -> dict[str, float]:
        """Each hyper-parameter's share of what tells good trials from the others, by PED-ANOVA (Watanabe, Bansal and
        Hutter, IJCAI 2023), which needs no further package; {} for fewer than FEW trials, or where all are equal.

        Trials with values outside the axes (the recipe's own "none") do not count.
        """
        optuna, names = self._optuna, list(self._axes)
        done = self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        done = [trial for trial in done if set(trial.params) == set(names)]
        if len(done) < FEW or len({trial.value for trial in done}) < 2:
            return {}
        study = optuna.create_study(direction="maximize")
        study.add_trials(done)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
        return {name: float(found[name]) for name in names if np.isfinite(found[name])}

    def _coded(self, name: str, value: Any) -> Any:
        """As Optuna has it: choices are text, since one may be a list."""
        return json.dumps(value) if self._axes[name].choices else value


def suggested(trial: Trial, axis: Axis) -> Any:
    """A value of the axis, as JSON holds it."""
    if axis.choices:
        return json.loads(trial.suggest_categorical(axis.name, [json.dumps(choice) for choice in axis.choices]))
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def distribution(axis: Axis) -> BaseDistribution:
    kinds = import_optuna().distributions
    found: BaseDistribution
    if axis.choices:
        found = kinds.CategoricalDistribution([json.dumps(choice) for choice in axis.choices])
    elif axis.whole:
        found = kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    else:
        found = kinds.FloatDistribution(axis.low, axis.high, log=axis.log)
    return found
