"""Run a founding study: look at the log, run the recipe, and write what it is about."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, MatineeWarning, option
from matinee.evaluate.stopping import StoppingMetric
from matinee.explore import explore
from matinee.explore.exploration import is_page
from matinee.files import StrPath, make_folder
from matinee.models import registry
from matinee.split import write_negatives
from matinee.study.data_table import DataTable
from matinee.study.founding.catalogue import FoundingStudy, named_study
from matinee.study.founding.suited import MEMBERS, liked_from, suited
from matinee.study.founding.suited import quick as quickly
from matinee.study.reader import Run
from matinee.study.recipe import Recipe
from matinee.study.results import MetricRow
from matinee.study.run import StudyResult, run_study
from matinee.submissions import submission, write_submission

PAGE, RUN, SUBMISSION = "explore.html", "run", "submission.csv"


@dataclass(frozen=True)
class FoundingResult:
    """What a founding study leaves. exploration: the page about the log. winner: the label of the model that is best on
    valid, of an ensemble where there is one; submission: its lists for all users. Both where the study submits."""

    study: FoundingStudy
    run: StudyResult
    exploration: Path
    winner: str | None
    submission: Path | None


def founding_study(
    name: str, out: StrPath | None = None, *, data: StrPath | DataTable | None = None,
    data_dir: StrPath | None = None, quick: bool = False, settings: Mapping[str, str] | None = None,
    overwrite: bool = False, command: str = "", tell: Callable[[str], None] = lambda text: None, **options: Any,
) -> FoundingResult:  # fmt: skip
    """Run a founding study into a folder: explore.html about the log, the run of its recipe in run/, and what else it
    writes. Killed at any moment, it goes on where it stopped.

    out: "runs/NAME" if left out. data: a log of your own in place of the study's: a path, or a name of `matinee data`.
    options: keys of a recipe's [data] that read it, with columns by their roles (`items="films.csv", rating="stars"`).
    quick: two epochs a model, to see it work. settings: hyper-parameters, "label.name" -> value. overwrite: replace
    another study in the folder.

    Models, fields and metrics that ask for what the log lacks are left out with a MatineeWarning each. Raises
    MatineeError where none is left, for an unknown study or option, and as `run_study` does.

    Example: `mt.founding_study("tour", "runs/mine", data="log.csv", user_id="user", item_id="film", quick=True)`
    """
    study = named_study(name)
    folder = Path("runs", name) if out is None else Path(out)
    recipe = study.recipe().with_changes(settings=settings)
    if options and (data is None or isinstance(data, DataTable)):
        raise MatineeError(f"{next(iter(options))} is about a log of your own", hint=f"add {option('data', 'FILE')}")
    if data is not None:
        table = data if isinstance(data, DataTable) else DataTable.of(data, options)
        recipe = _of_log(recipe, study, table, data_dir)
    recipe = quickly(recipe) if quick else recipe
    log = recipe.load_data(data_dir)
    recipe = suited(recipe, log)
    make_folder(folder)
    page = _explored(recipe, log, folder / PAGE, data_dir, overwrite=overwrite)
    recipe = _with_negatives(recipe, study, log, folder, overwrite=overwrite)
    run = run_study(recipe, folder / RUN, data_dir=data_dir, overwrite=overwrite, command=command, tell=tell)
    best = winner(run) if study.submits else None
    return FoundingResult(study, run, page, best, None if best is None else _submitted(run, best, folder))


def _of_log(recipe: Recipe, study: FoundingStudy, table: DataTable, data_dir: StrPath | None) -> Recipe:
    """The study of somebody's log. Where the study asks what is liked, the log's own ratings say from where on."""
    log = table.load(data_dir)
    if recipe.data.label_min is not None and table.label_min is None:
        liked = liked_from(log)
        table = table.model_copy(update={"label_min": liked})
        text = f"{log.name}: events rated {liked:g} or more are likes, the others are not"
        warnings.warn(text, MatineeWarning, stacklevel=3)
    return recipe.model_copy(update={"data": table, "title": f"{study.title}: {log.name}"})


def _explored(recipe: Recipe, log: Dataset, page: Path, data_dir: StrPath | None, *, overwrite: bool) -> Path:
    """The page about the log, with its ratings as they were. One that is there already stays, unless overwrite."""
    if page.is_file() and not (overwrite and is_page(page)):
        return page
    if recipe.data.label_min is not None:
        log = recipe.data.model_copy(update={"label_min": None}).load(data_dir)
    explore(log).to_html(page)
    return page


def _with_negatives(recipe: Recipe, study: FoundingStudy, log: Dataset, folder: Path, *, overwrite: bool) -> Recipe:
    """The recipe with its file of sampled negatives in the folder, drawn if it is not there."""
    if study.draws is None:
        return recipe
    file = folder / study.draws
    if overwrite or not file.is_file():
        (split,) = recipe.split_data(log, recipe.seeds[0])
        write_negatives(split, file)
    rules = [str(file) if rule == study.draws else rule for rule in recipe.evaluate.candidates]
    return recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"candidates": rules})})


def winner(run: Run) -> str:
    """The label of the ensemble that is best on valid, by what its weights were found for or by the first metric; of
    any model where there is no ensemble."""
    recipe = run.recipe
    rows = [row for row in run.rows if row.split == "valid" and row.value is not None and row.seed == recipe.seeds[0]]
    metric = recipe.fit.metric and StoppingMetric.parse(recipe.fit.metric)
    named = [row for row in rows if metric and (row.metric, row.k or 0) == (metric.name, metric.k)]
    rows = named or [row for row in rows if row.metric == recipe.evaluate.metrics[0]]
    together = [row for row in rows if MEMBERS in registry.member_fields(row.model)]
    return max(together or rows, key=_value).label


def _value(row: MetricRow) -> float:
    return row.value or 0.0


def _submitted(run: Run, label: str, folder: Path) -> Path:
    """The file of a model's lists for all users of its log."""
    model = run.model(label)
    table = submission(model, model.users.ids, max(run.recipe.evaluate.k))
    return write_submission(table, folder / SUBMISSION)
