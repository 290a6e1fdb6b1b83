"""`negatives`: a file of sampled negatives for a recipe's test."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import DataDir, Json
from matinee.errors import MatineeError, MatineeWarning
from matinee.split import write_negatives
from matinee.study.recipe import Recipe, load_recipe


def negatives(
    recipe: Annotated[Path, Argument(metavar="RECIPE", help="A TOML file.")],
    out: Annotated[Path, Option(metavar="FILE", help="The file to write; the recipe may name it already.")],
    n: Annotated[int, Option(min=1, help="Negatives for each user.")] = 99,
    seed: Annotated[int, Option(min=0, help="Seed of the negatives; the split uses the recipe's first seed.")] = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draw sampled negatives for a recipe's test.

    Each line has a user, the first hidden answer, and items that the user never watched, in the format of the paper on
    neural collaborative filtering.
    """
    study = load_recipe(recipe)
    if "folds" in study.split:
        what = f"{recipe} has one test per fold, but a file of negatives is for one test"
        raise MatineeError(what, hint="leave folds out of [split]")
    _check_out(out)
    log = study.load_data(data_dir)
    (split,) = study.split_data(log, study.seeds[0], data_dir)
    start = time.perf_counter()
    drawn = write_negatives(split, out, n=n, seed=seed)
    seconds = time.perf_counter() - start
    if split.seed is not None and study.split_seed is None and len(study.seeds) > 1:
        text = f"this is the test of seed {split.seed}, but other seeds hide other rows: add split_seed = {split.seed}"
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
    """Refuse to replace a file that does not hold sampled negatives, such as the log."""
    if out.is_dir():
        raise MatineeError("is a folder, but a file is needed", where=str(out), hint="name a file in it")
    if out.is_file():
        with out.open("rb") as file:
            start = file.read(1)
        if start not in (b"", b"("):
            raise MatineeError("exists and holds no sampled negatives", where=str(out), hint="choose another --out")


def _rules(study: Recipe, out: Path, data_dir: Path | None) -> list[str]:
    """The recipe's candidates, followed by the file unless they name it already."""
    given = study.evaluate.candidates
    rules = [given] if isinstance(given, str) else given
    named = [rule.resolve() for rule in study.evaluate.rules("test", data_dir) if isinstance(rule, Path)]
    if out.resolve() in named:
        return rules
    return [*rules, str(out) if {".", "/"} & set(str(out)) else f"./{out}"]  # how a recipe tells a file from a rule
