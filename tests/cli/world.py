"""Calling the command line, and what the small world of the tests consists of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

RECIPE = """
title = "A small study"
seeds = [0, 1]
[data]
source = "{log}"
items = "{items}"
[split]
strategy = "random"
valid = 0.2
test = 0.2
[evaluate]
k = [3, 5]
metrics = ["ndcg", "recall"]
[[model]]
name = "popularity"
[[model]]
name = "ease"
l2 = 10.0
"""
LISTS = """
[[model]]
name = "mmr"
base = "ease"
n = 8
places = 2
[[model]]
name = "calibrated"
label = "mild"
base = "ease"
n = 8
places = 2
"""


@dataclass(frozen=True)
class World:
    """Where everything lies. hidden: pairs that are not in the log of `model`. lists: a run with lists ordered anew."""

    folder: Path
    log: Path
    items: Path
    hidden: Path
    recipe: Path
    model: Path
    bare: Path
    run: Path
    lists: Path

    @property
    def factors(self) -> Path:
        """A model of vectors on the same log."""
        return self.folder / "models" / "svd"

    @property
    def store(self) -> Path:
        """Events and answers of a service, later than the log."""
        return self.folder / "events.db"


def ask(*arguments: str | Path) -> Result:
    """`matinee ARGUMENTS`, in this process."""
    from matinee.cli.app import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="matinee")


def done(*arguments: str | Path) -> str:
    """stdout of a command that succeeds."""
    result = ask(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def answer(*arguments: str | Path) -> Any:
    """What a command with --json prints; nothing else may be on its stdout."""
    return json.loads(done(*arguments, "--json"))


def refused(*arguments: str | Path) -> str:
    """stderr of a command that the user can mend: exit code 2, no traceback, nothing on stdout."""
    result = ask(*arguments)
    assert result.exit_code == 2, (result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result.stderr
