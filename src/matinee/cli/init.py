"""`init`: a commented recipe for somebody's own files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import screen
from matinee.cli.options import Json
from matinee.study.init import init_recipe

FILES = Argument(metavar="[FILE...]", help="A log, and tables of its items and users.", show_default="this folder")


def init(
    files: Annotated[list[Path] | None, FILES] = None,
    out: Annotated[Path, Option(metavar="FILE", help="The recipe to write.")] = Path("recipe.toml"),
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write a recipe for your own files, with comments.

    It has the options that read them, a held-out split that suits them, and models that fit this machine. Tables of
    items and users are also found beside the log.
    """
    text = init_recipe(*(files or ()), out=out, overwrite=overwrite)
    if as_json:
        screen.emit({"out": str(out), "recipe": text})
        return
    for line in text.splitlines()[:1]:
        screen.say(line.removeprefix("# "))
    screen.say(f"written to {out}")
    screen.say(f"next: matinee run {shlex.quote(str(out))}", "dim")
