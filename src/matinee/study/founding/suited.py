"""A recipe as a log allows it: what asks for something that is not there is left out, and said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matinee.data.dataset import Dataset
from matinee.data.features.context import ContextFields
from matinee.errors import MatineeError, MatineeWarning, listed
from matinee.evaluate.lists import refuse_missing
from matinee.models import registry
from matinee.models.needs import refuse_too_large
from matinee.study.model_table import ModelTable
from matinee.study.recipe import Recipe

LIKED = 0.7
"""Share of the different ratings that are below a liked one: of 1 to 5, 4 and 5 are liked."""
QUICK = {"epochs": 2, "n_trees": 20, "warm_up": 3, "samples": 5}
"""The most rounds of a model in a quick study."""
MEMBERS = "members"


def suited(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe without fields, models and metrics that the log, or this machine, lacks something for: a
    MatineeWarning for each. Raises MatineeError where no model, or no metric, is left."""
    search = _Suited(recipe, data)
    models = [fitting for table in recipe.model if (fitting := search.model(table)) is not None]
    if not models:
        why = next(iter(search.gone.values()))
        hint = "read a log that has it, or choose another of `matinee study`"
        raise MatineeError(f"no model of the study can be fitted: {why}", where=data.name, hint=hint)
    found = recipe.model_copy(update={"model": models})
    predicts = any(found.create(table).predicts() for table in models)
    metrics = [metric for metric in recipe.evaluate.metrics if search.measures(metric, predicts=predicts)]
    if not metrics:
        raise MatineeError("none of the study's metrics can be measured", where=data.name, hint="choose another study")
    return found.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"metrics": metrics})})


def liked_from(data: Dataset) -> float:
    """From which rating on an event is a like: 4 of 1 to 5. Raises MatineeError for a log without ratings."""
    data.refuse_no_ratings()
    assert data.value is not None
    values = np.unique(data.value)
    return float(values[int(LIKED * len(values))])


@dataclass
class _Suited:
    """gone: label -> why. fields: name -> why it cannot be read, None where it can."""

    recipe: Recipe
    data: Dataset
    gone: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str | None] = field(default_factory=dict)
    kept: list[ModelTable] = field(default_factory=list)

    def model(self, table: ModelTable) -> ModelTable | None:
        """The table as it can be fitted, or None."""
        fitting = self._with_members(table)
        fitting = None if fitting is None else self._with_fields(fitting)
        if fitting is None or not self._fits(fitting):
            return None
        self.kept.append(fitting)
        return fitting

    def measures(self, metric: str, *, predicts: bool) -> bool:
        """Whether a metric can be measured; warns where not."""
        spec = self.recipe.evaluate
        if metric in spec.predicted:
            why = None if predicts else "no model is left that predicts"
        else:
            why = _why(lambda: refuse_missing([metric], self.data))
        if why is not None:
            _warn(f"the metric {metric} is left out: {why}")
        return why is None

    def _drop(self, table: ModelTable, why: str) -> None:
        self.gone[table.label] = why
        _warn(f"{table.label} is left out: {why}")

    def _with_members(self, table: ModelTable) -> ModelTable | None:
        """Without the members that are gone: None where one is left, or where one is needed."""
        lost = [label for _, label in table.labels() if label in self.gone]
        if not lost:
            return table
        left = [label for _, label in table.labels() if label not in lost]
        fixed = {"quotas", "weights"} & set(table.hyper_parameters)  # a number for each member
        if MEMBERS in registry.member_fields(table.name) and len(left) > 1 and not fixed:
            _warn(f"{table.label} goes without {listed(lost)}")
            return table.model_copy(update={MEMBERS: left})
        self._drop(table, f"it is made of {listed(lost)}")
        return None

    def _with_fields(self, table: ModelTable) -> ModelTable | None:
        """Without the fields that cannot be read: None where no other is left, or where nothing is its own any more."""
        named: list[str] = table.hyper_parameters.get("fields") or []
        lost = [name for name in named if self._missing(name) is not None]
        if not lost:
            return table
        left = [name for name in named if name not in lost]
        fitting = table.model_copy(update={"fields": left})
        if not left:
            self._drop(table, f"the log has none of its fields {listed(lost)}")
            return None
        if (twin := self._twin(fitting)) is not None:
            self._drop(table, f"without {listed(lost)}, which the log has not, it is {twin}")
            return None
        _warn(f"{table.label} goes without {listed(lost)}: {self._missing(lost[0])}")
        return fitting

    def _missing(self, name: str) -> str | None:
        """Why a field cannot be read."""
        if name not in self.fields:
            self.fields[name] = _why(lambda: ContextFields.fit(self.data, [name]))
        return self.fields[name]

    def _twin(self, table: ModelTable) -> str | None:
        """The label of an equal model."""
        made = self.recipe.create(table) if not table.labels() else None
        alike = (each for each in self.kept if each.name == table.name and not each.labels())
        return next((each.label for each in alike if self.recipe.create(each) == made), None)

    def _fits(self, table: ModelTable) -> bool:
        """Whether it can be fitted on the log, here. Warns where not."""
        model = self.recipe.model_copy(update={"model": [*self.kept, table]}).create(table)
        conditioned = hasattr(model, "condition")
        if conditioned and self.data.user_features is None and self.data.item_features is None:
            self._drop(table, "the log has no tables of users and items, which it is conditioned on")
            return False
        for check in (model.check, lambda data: refuse_too_large(model, data)):
            if (why := _why(check, self.data)) is not None:
                self._drop(table, why)
                return False
        return True


def _why(check: Callable[..., Any], *arguments: Any) -> str | None:
    """What a check objects to."""
    try:
        check(*arguments)
    except MatineeError as error:
        return error.what
    return None


def _warn(text: str) -> None:
    warnings.warn(text, MatineeWarning, stacklevel=2)


def quick(recipe: Recipe) -> Recipe:
    """The same study with few rounds in every model, and a title that says so."""

    def bounded(table: ModelTable) -> ModelTable:
        fields = registry.model_class(table.name).model_fields
        given = {name: table.hyper_parameters.get(name, fields[name].default) for name in QUICK if name in fields}
        return table.model_copy(update={name: min(value, QUICK[name]) for name, value in given.items()})

    title = f"{recipe.title} (quick: at most {QUICK['epochs']} epochs)"
    return recipe.model_copy(update={"title": title, "model": [bounded(table) for table in recipe.model]})
