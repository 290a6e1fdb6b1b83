"""`run` and `negatives`: a whole study, and a file of sampled negatives for its test."""

from __future__ import annotations

import json
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import TRACK, DataDir, Json, Text, Texts, settings, whole_numbers
from matinee.cli.screen import Column
from matinee.errors import MatineeError, MatineeWarning, counted, either
from matinee.evaluate.evaluate import named
from matinee.evaluate.intervals import FEW, FEW_WORDS, with_interval
from matinee.report.scores import CandidateRuleTable, Cell, Table, by_candidate_rule, score_tables
from matinee.report.tasks import task_tables
from matinee.split import write_negatives
from matinee.study.evaluate_table import FILE_MARKS
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.run import StudyResult, run_study

OUT = Option(metavar="DIR", help="Run folder.", show_default="runs/NAME_OF_THE_RECIPE")


def run(
    recipe: Annotated[Path | None, Argument(metavar="RECIPE", help="A TOML file (default: a built-in study).")] = None,
    data_dir: DataDir = None,
    out: Annotated[Path | None, OUT] = None,
    seeds: Annotated[Text, Option(metavar="0,1,2", help="In place of the recipe's seeds.")] = None,
    given: Annotated[Texts, Option("--set", metavar="LABEL.NAME=VALUE", help="A hyper-parameter; repeatable.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another study in the run folder.")] = False,
    track: Annotated[Text, TRACK] = None,
    as_json: Json = False,
) -> None:
    """Run a study: split, fit, measure, and write a report.

    A run that was interrupted goes on where it stopped when it is started again with the same --out.
    """
    changes = settings(given)
    numbers = None if seeds is None else whole_numbers(seeds, "--seeds", least=0)
    study = load_recipe(recipe).with_changes(seeds=numbers, settings=changes)
    if recipe is None and find_spec("torch") is None:  # the default study is run as far as it can be
        study, gone = study.without_torch()
        screen.warn(f"{' and '.join(gone)} need PyTorch and are left out: pip install 'matinee[torch]'")
    folder = Path("runs", "default" if recipe is None else recipe.stem) if out is None else out
    command = shlex.join(["matinee", *sys.argv[1:]])
    tell = telling(as_json=as_json)
    result = run_study(study, folder, data_dir=data_dir, overwrite=overwrite, track=track, command=command, tell=tell)
    for text in (*result.warnings, *result.notes):
        screen.warn(text)
    if as_json:
        screen.emit({"out": str(result.path)} | found_in(result))
        return
    show(result)


def telling(*, as_json: bool) -> Callable[[str], None]:
    """What a study tells while it runs goes to stdout, or to stderr where that is for JSON."""
    return partial(print, file=sys.stderr, flush=True) if as_json else _tell


def found_in(result: StudyResult) -> dict[str, Any]:
    """What --json says of a finished study."""
    found = {name: getattr(result, name) for name in ("seconds", "resumed", "warnings", "notes")}
    return {"report": str(result.report), **found, "metrics": result.metrics.to_dicts()}


def show(result: StudyResult) -> None:
    """The tables of a finished study, and where its report is."""
    screen.say(f"\n{result.record.title}", "bold")
    tables = score_tables(result.metrics, result.protocols, result.metrics.clear())
    for number, part in enumerate(part for part in tables if part.split == "test"):
        if number:
            screen.say()
        _show_table(part)
        for text in result.record.remarks.get(part.fingerprint, ()):
            screen.say(text, "dim")
    if (rules := by_candidate_rule(tables)) is not None:
        _show_rules(rules)
    for each in task_tables(result.per_query(), tables):
        screen.say(f"\n{each.title}", "bold")
        heads = [Column(name, right=place > 0, keep=place == 1) for place, name in enumerate(each.head)]
        screen.table(heads, [[str(cell) for cell in row] for row in each.rows])
    again = f", {result.resumed} of its units found done" if result.resumed else ""
    screen.say(f"\n{result.seconds:.1f} s{again}")
    screen.say(str(result.report))


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
    each = _between(fewest, most)
    drawn_for = f"{counted(len(drawn), 'user')}, each with an answer and {each} {either(most, 'negative', 'negatives')}"
    screen.say(f"{drawn_for}, in {seconds:.2f} s, written to {out}")
    screen.say(f"to rank them, in [evaluate]: candidates = {json.dumps(rules, ensure_ascii=False)}", "dim")


def _between(fewest: int, most: int) -> str:
    return f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"


def _tell(text: str) -> None:
    screen.say(text)
    sys.stdout.flush()


def _show_table(part: Table) -> None:
    """As in the report: means over the seeds, with the interval over queries of one seed."""
    columns = [Column("model")]
    columns += [Column(named(m, k), right=True, keep=c == 0) for c, (m, k) in enumerate(part.columns)]
    rows, bold = [], []
    for r, row in enumerate(part.rows):
        rows.append([row.label, *(_cell(cell) for cell in row.cells)])
        bold += [(r, c + 1) for c, cell in enumerate(row.cells) if cell is not None and cell.best]
    screen.table(columns, rows, bold=bold)
    seeds = f"mean of seeds {', '.join(map(str, part.seeds))}; " if len(part.seeds) > 1 else ""
    queries = f"{_between(*part.n_queries)} {either(part.n_queries[1], 'query', 'queries')}"
    screen.say(f"\n{seeds}± half of the 95 % interval over {queries}", "dim")
    if 0 < part.n_queries[0] < FEW:
        screen.say(FEW_WORDS, "dim")
    screen.say(f"{part.words} [{part.fingerprint}]", "dim")


def _show_rules(found: CandidateRuleTable) -> None:
    """The same models under several rules of what is ranked."""
    heads = [named(m, k) for m, k in found.columns]
    columns = [Column("model")]
    columns += [Column(f"{head}, {rule}", right=True, keep=head == heads[0]) for head in heads for rule in found.rules]
    rows = [
        [label, *("–" if cell is None else f"{cell.value:.4f}" for cells in row for cell in cells)]
        for label, row in found.rows
    ]
    screen.say("\nSide by side", "bold")
    screen.table(columns, rows)
    screen.say("\nread down a column: along a row, the rule differs and not the model", "dim")


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell.value:.4f}" if cell.ends is None else with_interval(cell.value, *cell.ends)


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
    return [*rules, str(out) if FILE_MARKS & set(str(out)) else f"./{out}"]  # how a recipe tells a file from a rule
