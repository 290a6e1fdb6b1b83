"""`init`: a commented recipe for somebody's own files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json, ReadingOptions, takes_reading_options
from matinee.errors import worded_for
from matinee.study.init import init_recipe

FILES = Argument(metavar="[FILE...]", help="A log, and tables of its items and users.", show_default="this folder")
LOG = Option(metavar="FILE", help="The file that is the log.", show_default="the one that looks like it")
ITEMS = Option(metavar="FILE", help="The table that describes items.", show_default="one that fits")
USERS = Option(metavar="FILE", help="The table that describes users.", show_default="one that fits")


@takes_reading_options
def init(
    files: Annotated[list[Path] | None, FILES] = None,
    *,
    log: Annotated[Path | None, LOG] = None,
    items: Annotated[Path | None, ITEMS] = None,
    users: Annotated[Path | None, USERS] = None,
    reading: ReadingOptions,
    out: Annotated[Path, Option(metavar="FILE", help="The recipe to write.")] = Path("recipe.toml"),
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write a recipe for your own files, with comments.

    It has the options that read them, a held-out split that suits them, and models that fit this machine. Tables of
    items and users are also found beside the log. Options about columns and signs are of the log: --log, or the first
    file.
    """
    with worded_for("command"):
        sides = {"log": log, "items": items, "users": users}
        text = init_recipe(*(files or ()), out=out, overwrite=overwrite, **sides, **reading.given())
    if as_json:
        screen.emit({"out": str(out), "recipe": text})
        return
    for line in text.splitlines()[:1]:
        screen.say(line.removeprefix("# "))
    screen.say(f"written to {out}")
    screen.say(f"next: matinee run {shlex.quote(str(out))}", "dim")
