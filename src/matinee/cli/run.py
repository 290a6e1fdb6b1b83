"""`run`: a whole study."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import DataDir, Json, Text, Texts, settings, whole_numbers
from matinee.cli.screen import Column
from matinee.evaluate.evaluate import named
from matinee.report.scores import CandidateRuleTable, Cell, Table, by_candidate_rule, score_tables
from matinee.study.recipe import load_recipe
from matinee.study.run import StudyResult, run_study


def run(
    recipe: Annotated[Path | None, Argument(metavar="RECIPE", help="A TOML file; else the default study.")] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Run folder.", show_default="runs/NAME_OF_THE_RECIPE")
    ] = None,
    seeds: Annotated[Text, Option(metavar="0,1,2", help="In place of the recipe's seeds.")] = None,
    given: Annotated[Texts, Option("--set", metavar="LABEL.NAME=VALUE", help="A hyper-parameter; repeatable.")] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another study in the run folder.")] = False,
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
    tell = partial(print, file=sys.stderr, flush=True) if as_json else _tell
    result = run_study(study, folder, data_dir=data_dir, overwrite=overwrite, command=command, tell=tell)
    for text in (*result.warnings, *result.notes):
        screen.warn(text)
    if as_json:
        place = {"out": str(result.path), "report": str(result.report)}
        found = {name: getattr(result, name) for name in ("seconds", "resumed", "warnings", "notes")}
        screen.emit(place | found | {"metrics": result.metrics.to_dicts()})
        return
    _show(result)


def _tell(text: str) -> None:
    screen.say(text)
    sys.stdout.flush()


def _show(result: StudyResult) -> None:
    """The tables of the test, as in the report: means over the seeds, with the interval over queries of one seed."""
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
    again = f", {result.resumed} of its units found done" if result.resumed else ""
    screen.say(f"\n{result.seconds:.1f} s{again}")
    screen.say(str(result.report))


def _show_table(part: Table) -> None:
    columns = [Column("model")]
    columns += [Column(named(m, k), right=True, keep=c == 0) for c, (m, k) in enumerate(part.columns)]
    rows, bold = [], []
    for r, row in enumerate(part.rows):
        rows.append([row.label, *(_cell(cell) for cell in row.cells)])
        bold += [(r, c + 1) for c, cell in enumerate(row.cells) if cell is not None and cell.best]
    screen.table(columns, rows, bold=bold)
    seeds = f"mean of seeds {', '.join(map(str, part.seeds))}; " if len(part.seeds) > 1 else ""
    fewest, most = part.n_queries
    queries = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    screen.say(f"\n{seeds}± half of the 95 % interval over {queries} queries", "dim")
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
    return f"{cell.value:.4f}" + ("" if cell.half is None else f" ± {cell.half:.4f}")
