"""`study`: one of the founding studies, whole, on its own data or on somebody's."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, LogOptions, Text, Texts, settings, takes_log_options
from matinee.cli.run import found_in, show, telling
from matinee.cli.screen import Column
from matinee.errors import MatineeError, worded_for
from matinee.study.founding.catalogue import founding_studies, named_study
from matinee.study.founding.running import FoundingResult, founding_study

NAME = Argument(metavar="NAME", help="A founding study; without one they are listed.")
DATA = Option(metavar="NAME|PATH", help="A log of your own, in place of the study's.")
OUT = Option(metavar="DIR", help="Folder of the study.", show_default="runs/NAME")
QUICK = Option("--quick", help="Two epochs a model, to see it work; the report says so.")
SET = Option("--set", metavar="LABEL.NAME=VALUE", help="A hyper-parameter; repeatable.")


@takes_log_options
def study(
    name: Annotated[Text, NAME] = None,
    *,
    data: Annotated[Text, DATA] = None,
    out: Annotated[Path | None, OUT] = None,
    quick: Annotated[bool, QUICK] = False,
    given: Annotated[Texts, SET] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another study in the folder.")] = False,
    log_options: LogOptions,
    as_json: Json = False,
) -> None:
    """Run one of the founding studies, on its data or on yours.

    It writes a page about the log, the run with its report, and what the study is about. Of a log of your own, options
    say how it is read, and what the study asks for and the log has not is left out. A study that was interrupted goes
    on where it stopped.
    """
    if name is None:
        _list(as_json=as_json)
        return
    named_study(name)
    table = log_options.table(data) if data is not None else _refuse_options(log_options)
    command = shlex.join(["matinee", *sys.argv[1:]])
    with worded_for("command"):
        result = founding_study(
            name, out, data=table, data_dir=log_options.data_dir, quick=quick, settings=settings(given),
            overwrite=overwrite, command=command, tell=telling(as_json=as_json),
        )  # fmt: skip
    _show(result, as_json=as_json)


def _refuse_options(given: LogOptions) -> None:
    """Raise MatineeError for options about a log, where none is named."""
    default = LogOptions()
    named = [key for key, value in asdict(replace(given, data_dir=None)).items() if value != getattr(default, key)]
    if named:
        what = f"--{named[0].replace('_', '-')} is about a log of your own, and none is named"
        raise MatineeError(what, hint="add --data FILE")


def _list(*, as_json: bool) -> None:
    found = founding_studies()
    if as_json:
        screen.emit([{"name": each.name, "summary": each.summary} for each in found])
        return
    screen.table([Column("name"), Column("what", least=30)], [[each.name, each.summary] for each in found])
    screen.say(f"\nmatinee study {found[1].name} runs one; with --data LOG on a log of your own", "dim")


def _show(result: FoundingResult, *, as_json: bool) -> None:
    for text in (*result.run.warnings, *result.run.notes):
        screen.warn(text)
    if as_json:
        submission = None if result.submission is None else str(result.submission)
        place = {"study": result.study.name, "run": str(result.run.path), "exploration": str(result.exploration)}
        screen.emit(place | {"winner": result.winner, "submission": submission} | found_in(result.run))
        return
    show(result.run)
    screen.say(str(result.exploration))
    if result.submission is not None:
        screen.say(f"{result.submission}: the lists of {result.winner}, the best on valid")
