"""`matinee tune` as somebody types it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import matinee as mt
from cli.world import World, answer, ask, done, refused


@pytest.fixture(scope="module")
def tuned(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("tune") / "t"
    return out, done("tune", world.recipe, "--out", out, "--trials", "4", "--metric", "recall@3")


def test_the_table_has_what_the_record_has(tuned: tuple[Path, str]) -> None:
    out, text = tuned
    (found,) = mt.open_tuning(out).record.labels
    assert found.default is not None
    assert found.best is not None
    assert found.test_after is not None
    (line,) = re.findall(r"^ease +recall@3 +4 .*$", text, re.MULTILINE)
    words = line.split()
    assert words[3:5] == [f"{found.default.value:.4f}", f"{found.best.value:.4f}"]
    assert f"{found.test_after.value:.4f} (" in line
    assert "popularity is not tuned: it has no hyper-parameter with a range" in text
    assert text.splitlines()[-2:] == [str(out / "best.toml"), str(out / "report.html")]
    assert "ease 0/4: recall@3" in text


def test_the_same_command_again_does_nothing_anew(tuned: tuple[Path, str], world: World) -> None:
    out, _ = tuned
    kept = (out / "best" / "metrics.json").stat().st_mtime_ns
    found = answer("tune", world.recipe, "--out", out, "--trials", "4", "--metric", "recall@3", "--no-test")
    assert (found["done"], found["resumed"]) == (0, 4)
    assert found["labels"][0]["test_after"]["value"] is not None
    assert (out / "best" / "metrics.json").stat().st_mtime_ns == kept
    assert found["left_out"] == {"popularity": "it has no hyper-parameter with a range"}


def test_the_best_recipe_runs(tuned: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = tuned
    assert "ease" in done("run", out / "best.toml", "--out", tmp_path / "r")


def test_what_is_wrong_is_said_in_a_line(world: World, tmp_path: Path) -> None:
    assert "no model of the recipe is called 'eas'" in refused("tune", world.recipe, "--models", "eas")
    assert "this folder holds" in refused("tune", world.recipe, "--out", world.run)
    assert "no tracker is called 'x'" in refused("tune", world.recipe, "--out", tmp_path / "t", "--track", "x")
    assert ask("tune", world.recipe, "--trials", "0").exit_code == 2
