"""`warnings` of every JSON object: the texts that stderr has, in each command that answers with an object."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from cli.world import World, ask
from matinee.cli import app, screen
from matinee.errors import MatineeWarning


def commands(world: World, out: Path) -> dict[tuple[str, ...], list[object]]:
    """Each command with arguments that it answers."""
    return {
        ("run",): [world.recipe, "--out", out],
        ("study",): ["next-content", "--data", world.log, "--quick", "--out", out],
        ("tune",): [world.recipe, "--out", out, "--trials", "2", "--no-test"],
        ("init",): [world.log, "--out", out],
        ("explore",): [world.log, "--items", world.items],
        ("fit",): ["popularity", "--data", world.log, "--items", world.items, "--out", out],
        ("export",): [world.run, "ease", "--out", out],
        ("recommend",): [world.model, "--user", "1"],
        ("similar",): [world.model, "103"],
        ("explain",): [world.model, "--user", "7", "--item", "119"],
        ("evaluate",): [world.model, "--truth", world.hidden, "-k", "5"],
        ("compare",): [world.run],
        ("analyse",): [world.run],
        ("front",): [world.lists, "--lam", "0,0.5"],
        ("cold-start",): ["ease", "--data", world.log, "--items", world.items, "--known", "0,1", "-k", "2"],
        ("export-events",): [world.store, "--out", f"{out}.csv"],
        ("evaluate-log",): [world.model, "--events", world.store],
        ("refit",): [world.model, "--events", world.store, "--out", out, "--gate", "none"],
        ("negatives",): [world.recipe, "--out", out, "--n", "3"],
        ("vectors",): [world.factors, "--out", f"{out}.parquet", "--users", f"{out}-users.parquet"],
        ("serve",): [world.model, "--check"],
        ("data", "show"): [world.log, "--items", world.items],
        ("data", "sniff"): [world.log, world.items],
        ("models", "show"): [world.model],
    }


def test_no_command_is_forgotten(world: World, tmp_path: Path) -> None:
    """A new one is added above, unless it answers on a page. `data list`, `models list` and a bare `study` answer with
    a list and cannot warn."""
    assert {names[0] for names in commands(world, tmp_path)} == set(app.COMMANDS) - {"demo"}


@pytest.mark.parametrize("command", list(commands(World(*[Path()] * 9), Path())), ids=" ".join)
def test_the_json_has_the_warnings_of_stderr(
    command: tuple[str, ...], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning is given just before the answer, twice, beside those that the command has of its own."""
    emit = screen.emit

    def warned(value: Any) -> None:
        for _ in range(2):
            warnings.warn("thin ice, here too", MatineeWarning, stacklevel=1)
        emit(value)

    monkeypatch.setattr(screen, "emit", warned)
    result = ask(*command, *map(str, commands(world, tmp_path / "out")[command]), "--json")
    assert result.exit_code == 0, result.stderr
    told = [line.removeprefix("warning: ") for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert told[-1] == "thin ice, here too"
    assert len(told) == len(set(told))
    assert json.loads(result.stdout)["warnings"] == told


def test_the_commands_own_warnings_are_among_them(world: World, tmp_path: Path) -> None:
    own = {
        ("fit",): "log: not in the log: 1 of the items in items.csv",
        ("data", "show"): "log: not in the log: 1 of the items in items.csv",
        ("run",): "the cut-off falls inside a tie",
        ("negatives",): "this is the test of seed 0",
    }
    for command, words in own.items():
        arguments = commands(world, tmp_path / "-".join(command))[command]
        found = json.loads(ask(*command, *map(str, arguments), "--json").stdout)
        assert any(words in text for text in found["warnings"]), (command, found["warnings"])


def test_one_commands_warnings_are_not_anothers(world: World, tmp_path: Path) -> None:
    ask("fit", "popularity", "--data", world.log, "--items", world.items, "--out", tmp_path / "m")
    assert json.loads(ask("recommend", world.model, "--user", "1", "--json").stdout)["warnings"] == []
