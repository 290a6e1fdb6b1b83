"""`run`: a whole study."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import DataDir, Json, settings, whole_numbers
from matinee.cli.screen import Column

if TYPE_CHECKING:
    from matinee.report.scores import CandidateRuleTable, Cell, Table
    from matinee.study.run import StudyResult


def run(
    recipe: Annotated[
        Path | None, Argument(metavar="RECIPE", help="A TOML file; without one, the default study.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    out: Annotated[
        Path | None, Option("--out", metavar="DIR", help="The run folder.", show_default="runs/NAME_OF_THE_RECIPE")
    ] = None,
    seeds: Annotated[
        str | None, Option(metavar="0,1,2", help="In place of the recipe's seeds.", show_default=False)
    ] = None,
    given: Annotated[
        list[str] | None,
        Option("--set", metavar="LABEL.NAME=VALUE", help="A model's hyper-parameter; may be repeated."),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another study in the run folder.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study: split, fit, measure, and write a report.

    A run that was interrupted goes on where it stopped when it is started again with the same --out.
    """
    changes = settings(given)
    numbers = None if seeds is None else whole_numbers(seeds, "--seeds", least=0)
    from matinee.study.recipe import load_recipe
    from matinee.study.run import run_study

    study = load_recipe(recipe).with_changes(seeds=numbers, settings=changes)
    if recipe is None and find_spec("torch") is None:  # the default study is run as far as it can be
        study, gone = study.without_torch()
        screen.warn(f"{' and '.join(gone)} need PyTorch and are left out: pip install 'matinee[torch]'")
    folder = Path("runs", "default" if recipe is None else recipe.stem) if out is None else out
    command = shlex.join(["matinee", *sys.argv[1:]])
    tell = _to_stderr if as_json else _to_stdout
    result = run_study(study, folder, data_dir=data_dir, overwrite=overwrite, command=command, tell=tell)
    for text in (*result.warnings, *result.notes):
        screen.warn(text)
    _emit(result) if as_json else _show(result)


def _to_stdout(text: str) -> None:
    screen.say(text)
    sys.stdout.flush()


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _emit(result: StudyResult) -> None:
    screen.emit(
        {
            "out": str(result.path),
            "report": str(result.report),
            "seconds": result.seconds,
            "resumed": result.resumed,
            "warnings": list(result.warnings),
            "notes": list(result.notes),
            "metrics": result.metrics.to_dicts(),
        }
    )


def _show(result: StudyResult) -> None:
    """The tables of the test, as in the report: means over the seeds, with the interval over queries of one seed."""
    from matinee.report.scores import by_candidate_rule, score_tables

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
    columns += [Column(f"{m}@{k}" if k else m, right=True, keep=c == 0) for c, (m, k) in enumerate(part.columns)]
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
    heads = [f"{m}@{k}" if k else m for m, k in found.columns]
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
