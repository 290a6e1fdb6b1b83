"""What accuracy costs, of a run's models that order lists anew: `mt.front` for each, on the run's own split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from matinee import split as splits
from matinee.data.dataset import Split
from matinee.errors import MatineeError, listed
from matinee.explore.front import LAMS, front
from matinee.files import StrPath
from matinee.models.families.listwise import Listwise
from matinee.models.registry import model_class
from matinee.study.reader import Run, open_run

if TYPE_CHECKING:
    import polars as pl


def fronts(
    run: StrPath | Run, lam: Sequence[float] = LAMS, *, models: Sequence[str] | None = None,
    part: Literal["valid", "test"] = "valid", metric: str = "ndcg", k: int = 10, column: str | None = "genres",
    data_dir: StrPath | None = None,
) -> pl.DataFrame:  # fmt: skip
    """The front of each model of a run that orders lists anew by a lam (mmr, calibrated, popularity_discount), below
    each other: the columns of `front`, `model` being the run's label. Bases are the fitted ones of the run, on its
    first split; with `refit` they are fitted once more on train. The run's rules hold.

    models: labels; when left out all that have a lam. Raises MatineeError where a run has none, and as `front`.

    Example: `mt.fronts("runs/small", [0.0, 0.5], column=None)`
    """
    import polars as pl

    opened = run if isinstance(run, Run) else open_run(run)
    labels = _labels(opened, models)
    split = _split(opened, part, data_dir)
    seed = opened.recipe.seeds[0]
    found = []
    for label in labels:
        model = opened.model(label)
        assert isinstance(model, Listwise)  # `_labels` asked for it
        base = model.base.for_refit() if opened.recipe.evaluate.refit else model.base_model
        model = type(model)(**{**model.get_params(deep=False), "base": base})
        rules = opened.recipe.rules
        frame = front(model, split, lam, part=part, metric=metric, k=k, column=column, rules=rules, seed=seed)
        found.append(frame.with_columns(model=pl.lit(label)))
    return pl.concat(found)


def _labels(run: Run, models: Sequence[str] | None) -> list[str]:
    there = [table.label for table in run.recipe.model if issubclass(model_class(table.name), Listwise)]
    if not there:
        hint = "add a [[model]] named calibrated, mmr or popularity_discount to the recipe, with a base"
        raise MatineeError("no model of this run orders lists by a lam", where=str(run.path), hint=hint)
    if unknown := [label for label in models or () if label not in there]:
        what = f"no model that orders lists by a lam is called {listed(unknown)}"
        raise MatineeError(what, where=str(run.path), hint=f"use one of {listed(there)}")
    return there if models is None else list(models)


def _split(run: Run, part: Literal["valid", "test"], data_dir: StrPath | None) -> Split:
    """The run's first, ranked by the first of its rules of candidates."""
    recipe = run.recipe
    split = recipe.split_data(recipe.load_data(data_dir), recipe.seeds[0], data_dir)[0]
    rule = recipe.evaluate.rules(part, data_dir)[0]
    holdout = splits.with_candidates(getattr(split, part), rule, split.train.users, split.train.items)
    return replace(split, valid=holdout) if part == "valid" else replace(split, test=holdout)
