"""`negatives`: sampled negatives for a recipe's test, in a file."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli import screen
from matinee.cli.options import DataDir, Json
from matinee.errors import MatineeError, MatineeWarning

if TYPE_CHECKING:
    from matinee.study.recipe import Recipe


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: matinee negatives recipes/ml-1m-next.toml --out ml-1m.test.negative")(negatives)


def negatives(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Where they go; the recipe may name it already.", show_default=False
        ),
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="How many for each user.")] = 99,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw; the split is that of the recipe's first seed.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draw sampled negatives for a recipe's test.

    Of each user the first hidden answer, and items that the user never watched, in the format of the paper on neural
    collaborative filtering.
    """
    from matinee.split import write_negatives
    from matinee.study.recipe import load_recipe

    study = load_recipe(recipe)
    if "folds" in study.split:
        raise MatineeError(
            f"{recipe} has a test in each of its folds, and the lines of a file belong to one test",
            hint="leave folds out of [split]",
        )
    _check_out(out)
    log = study.load_data(data_dir)
    (split,) = study.split_data(log, study.seeds[0], data_dir)
    start = time.perf_counter()
    drawn = write_negatives(split, out, n=n, seed=seed)
    seconds = time.perf_counter() - start
    if split.seed is not None and study.split_seed is None and len(study.seeds) > 1:
        text = f"this is the test of seed {split.seed}, and other seeds hide other rows: add split_seed = {split.seed}"
        warnings.warn(f"{text} to the recipe", MatineeWarning, stacklevel=2)
    fewest, most = int(drawn.lengths.min()), int(drawn.lengths.max())
    rules = _rules(study, out, data_dir)
    if as_json:
        found = {"out": str(out), "lines": len(drawn), "negatives": len(drawn.values), "fewest": fewest, "most": most}
        screen.emit(found | {"seconds": seconds, "candidates": rules})
        return
    each = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    screen.say(f"{len(drawn):,} users, each with an answer and {each} negatives, in {seconds:.2f} s, written to {out}")
    screen.say(f"to rank them, in [evaluate]: candidates = {json.dumps(rules, ensure_ascii=False)}", "dim")


def _check_out(out: Path) -> None:
    """Refuse to replace what is no file of sampled negatives, such as the log."""
    if out.is_dir():
        raise MatineeError("is a folder, and a file is to be written there", where=str(out), hint="name a file in it")
    if out.is_file():
        with out.open("rb") as file:
            start = file.read(1)
        if start not in (b"", b"("):
            raise MatineeError("is there, and holds no sampled negatives", where=str(out), hint="choose another --out")


def _rules(study: Recipe, out: Path, data_dir: Path | None) -> list[str]:
    """The recipe's candidates, and after them the file where they do not name it yet."""
    given = study.evaluate.candidates
    rules = [given] if isinstance(given, str) else given
    named = [rule.resolve() for rule in study.evaluate.rules("test", data_dir) if isinstance(rule, Path)]
    if out.resolve() in named:
        return rules
    return [*rules, str(out) if {".", "/"} & set(str(out)) else f"./{out}"]  # a recipe knows files by either
