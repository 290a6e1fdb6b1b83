"""The best values as recipes: one to run, with comments, and one that looks at the test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from matinee.evaluate.stopping import StoppingMetric
from matinee.study.model_table import ModelTable
from matinee.study.recipe import Recipe
from matinee.study.space import Space, Values
from matinee.study.tuning.records import LabelRecord, Score, TrialRecord

BEFORE = "before"


def best_recipe(recipe: Recipe, spaces: Mapping[str, Space], best: Mapping[str, TrialRecord]) -> Recipe:
    """The recipe with the best values of each model that was tuned; what they were tuned for is measured."""
    tables = [
        spaces[table.label].with_values(best[table.label].values) if table.label in best else table
        for table in recipe.model
    ]
    return recipe.model_copy(update={"model": tables})


def measuring(recipe: Recipe, metrics: Sequence[StoppingMetric]) -> Recipe:
    """The recipe, measuring these metrics too."""
    spec = recipe.evaluate
    names = dict.fromkeys([*spec.metrics, *(metric.name for metric in metrics)])
    k = sorted({*spec.k, *(metric.k for metric in metrics if metric.k)})
    return recipe.model_copy(update={"evaluate": spec.model_copy(update={"metrics": list(names), "k": k})})


def tested_recipe(recipe: Recipe, spaces: Mapping[str, Space], best: Mapping[str, TrialRecord]) -> Recipe:
    """What is run to look at the test: each model that was tuned, with the recipe's own values and with the best ones,
    on the split that they were tuned on."""
    tables: list[ModelTable] = []
    for table in recipe.model:
        if (trial := best.get(table.label)) is not None:
            if not trial.own:
                tables.append(table.model_copy(update={"label": label_before(recipe, table.label)}))
            tables.append(spaces[table.label].with_values(trial.values))
    return recipe.model_copy(update={"model": tables, "seeds": recipe.seeds[:1]})


def label_before(recipe: Recipe, label: str) -> str:
    """The label of the model with the recipe's own values: one that the recipe does not have."""
    taken = {table.label.casefold() for table in recipe.model}
    found = f"{label}_{BEFORE}"
    while found.casefold() in taken:
        found += "_"
    return found


def recipe_text(recipe: Recipe, found: Sequence[LabelRecord], wanted: int) -> str:
    """The recipe as TOML; above each model that was tuned, what that brought on valid."""
    tables = recipe.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    models = tables.pop("model")
    tables["data"] = {"source": recipe.data.source, **tables.get("data", {})}
    tables = {name: tables[name] for name in Recipe.model_fields if name in tables}
    words = {record.label: gain_in_words(record, wanted) for record in found}
    parts = [
        f"# The best values that `matinee tune` found on valid. This is a recipe: `matinee run` takes it.\n"
        f"{_short(tomli_w.dumps(tables))}"
    ]
    for table, model in zip(models, recipe.model, strict=True):
        lines = [f"# {words[model.label]}\n"] if model.label in words else []
        parts.append("".join([*lines, _model_text(table)]))
    return "\n".join(parts)


def _model_text(table: Mapping[str, Any]) -> str:
    """A [[model]] table; a hyper-parameter that is a table comes below it as [model.NAME]."""
    text = tomli_w.dumps({"model": {key: value for key, value in table.items() if key != "label"} | _label(table)})
    return _short(text.replace("[model]\n", "[[model]]\n", 1))


def _short(text: str) -> str:
    """Lists on one line, where they fit."""

    def joined(found: re.Match[str]) -> str:
        line = f"[{', '.join(part.strip().rstrip(',') for part in found[1].splitlines())}]"
        return line if len(line) < 100 else found[0]

    return re.sub(r"\[\n((?:    .*,\n)+)\]", joined, text)


def _label(table: Mapping[str, Any]) -> Values:
    return {"label": table["label"]} if table["label"] != table["name"] else {}


def gain_in_words(record: LabelRecord, wanted: int) -> str:
    """ndcg@10 on valid: 0.0751 with the recipe's own values, 0.0803 with these (trial 12 of 50)."""
    own = "failed" if record.default is None or record.default.value is None else f"{record.default.value:.4f}"
    if record.best is None or record.best.value is None:
        return f"{record.metric} on valid: every trial failed; these are the recipe's own values"
    if record.best.own:
        return f"{record.metric} on valid: {own}; none of {wanted} trials was better than the recipe's own values"
    better = f"{record.best.value:.4f} with these (trial {record.best.number} of {wanted})"
    return f"{record.metric} on valid: {own} with the recipe's own values, {better}"


def score_of(rows: Sequence[Any], label: str, metric: StoppingMetric) -> Score | None:
    """A label's mean of the metric in the test, of a run's rows (results.MetricRow)."""
    for row in rows:
        if (row.label, row.split, row.metric, row.k or 0) == (label, "test", metric.name, metric.k):
            return Score(value=row.value, ci_low=row.ci_low, ci_high=row.ci_high)
    return None
