"""`tune`: better hyper-parameters for a recipe's models, found on valid."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import TRACK, DataDir, Json, Text, Texts, names, settings
from matinee.cli.screen import Column
from matinee.evaluate.paired import NAMES
from matinee.study.recipe import load_recipe
from matinee.study.space import NOT_ASKED
from matinee.study.tune import tune as tune_study
from matinee.study.tuning.reader import summary_rows

OUT = Option(metavar="DIR", help="Folder of the tuning.", show_default="tuned/NAME_OF_THE_RECIPE")
TRIALS = Option(min=1, metavar="N", help="Settings to try for each model, over all calls.", show_default="50")
TIMEOUT = Option(metavar="SECONDS", help="Begin no trial after this time.", show_default="never")
METRIC = Option(metavar="NAME@K", help="What to tune for on valid.", show_default="as early stopping")
MODELS = Option(metavar="LABEL,LABEL", help="The models to tune.", show_default="all with a range")
NO_TEST = Option("--no-test", help="Do not look at the test at the end.")


def tune(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A TOML file; it may have a [tune] table.")],
    data_dir: DataDir = None,
    out: Annotated[Path | None, OUT] = None,
    trials: Annotated[int | None, TRIALS] = None,
    timeout: Annotated[float | None, TIMEOUT] = None,
    metric: Annotated[Text, METRIC] = None,
    models: Annotated[Text, MODELS] = None,
    workers: Annotated[int, Option(min=1, metavar="N", help="Processes, which share the threads.")] = 1,
    given: Annotated[Texts, Option("--set", metavar="LABEL.NAME=VALUE", help="A hyper-parameter; repeatable.")] = None,
    no_test: Annotated[bool, NO_TEST] = False,
    track: Annotated[Text, TRACK] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another tuning in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Find better hyper-parameters for the models of a recipe.

    Each trial is fitted on train and measured on valid; the recipe's own values are the first. The test is looked at
    once, at the end. A tuning that was interrupted goes on where it stopped when it is started again with the same
    --out, and a larger --trials adds to it.
    """
    study = load_recipe(recipe).with_changes(settings=settings(given))
    folder = Path("tuned", recipe.stem) if out is None else out
    tell = partial(print, file=sys.stderr, flush=True) if as_json else _tell
    found = tune_study(
        study, folder, trials=trials, timeout=timeout, metric=metric, models=None if models is None else names(models),
        workers=workers, test=not no_test, data_dir=data_dir, overwrite=overwrite, track=track,
        command=shlex.join(["matinee", *sys.argv[1:]]), tell=tell,
    )  # fmt: skip
    for text in found.record.warnings:
        screen.warn(text)
    if as_json:
        place = {"out": str(found.path), "report": str(found.report), "best": str(found.path / "best.toml")}
        counts = {"seconds": found.seconds, "done": found.done, "resumed": found.resumed}
        labels = [one.model_dump(mode="json") for one in found.record.labels]
        screen.emit({**place, **counts, "labels": labels, "left_out": found.record.left_out})
        return
    for label, why in found.record.left_out.items():
        if why != NOT_ASKED:
            screen.say(f"{label} is not tuned: {why}", "dim")
    screen.say()
    heads = ("model", "metric", "trials", "own values", "best", "test before", "test after", "p")
    columns = [Column(name, right=at > 1, keep=name not in ("metric", "trials")) for at, name in enumerate(heads)]
    rows = summary_rows(found.record)
    tested = any(row[5] or row[6] for row in rows)
    screen.table(columns[: None if tested else 5], [row[: None if tested else 5] for row in rows])
    screen.say("\nown values, best: of the recipe, and of the best trial, on valid; test: with a 95 % interval", "dim")
    if (change := next((one.change for one in found.record.labels if one.change is not None), None)) is not None:
        screen.say(f"p: {NAMES[change.test]} of the two on the test, paired by user; each model alone", "dim")
    again = f", {found.resumed} trials found done" if found.resumed else ""
    screen.say(f"{found.seconds:.1f} s{again}")
    screen.say(f"{found.path / 'best.toml'}\n{found.report}")


def _tell(text: str) -> None:
    screen.say(text)
    sys.stdout.flush()
