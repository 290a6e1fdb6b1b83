"""kill -9 at any moment of `matinee run`: run again in the same folder it ends as if nothing had happened."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matinee.study.recipe import load_recipe
from matinee.study.run import run_study

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal"),
    pytest.mark.usefixtures("no_drawings"),  # the driver draws nothing either
]

SEED = 20261122  # the moments of death are drawn from it
RECIPE = """
title = "killed"
seeds = [0, 1]
[data]
source = "{log}"
[split]
strategy = "leave_one_out"
[evaluate]
k = [5]
metrics = ["ndcg", "recall"]
[[model]]
name = "popularity"
[[model]]
name = "ease"
l2 = 20.0
[[model]]
name = "item_knn"
k = 10
[[model]]
name = "ensemble"
members = ["ease", "item_knn"]
"""
DRIVER = Path(__file__).with_name("killed_run.py")


def run(moment: str, recipe: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRIVER), moment, "run", str(recipe), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(0)
    lines = ["user_id,item_id,timestamp"]
    for user in range(60):
        liked = rng.choice(40, size=rng.integers(5, 15), replace=False, p=np.arange(1, 41) / 820)
        lines += [f"{user},{item},{t}" for t, item in enumerate(liked)]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(log=folder / "log.csv"))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """The result files of a run nobody killed, and how many calls it took."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run("count", recipe, out)
    assert done.returncode == 0, done.stderr
    found = re.search(r"calls: (\d+)", done.stdout)
    assert found, done.stdout
    return results(out), int(found[1])


def results(out: Path) -> dict[str, bytes]:
    files = [
        "metrics.json",
        "metrics.parquet",
        *(str(p.relative_to(out)) for p in sorted(out.glob("recommendations/*"))),
    ]
    return {name: (out / name).read_bytes() for name in files}


def moments() -> list[Any]:
    """Fourteen: nine uniform over the run's calls, and five in places that matter. Eleven of them are slow tests."""
    rng = np.random.default_rng(SEED)
    drawn = [f"call:{share:.6f}" for share in rng.random(9)]
    places = [
        "write:1",
        f"write:{rng.integers(2, 40)}",
        f"rename:{rng.integers(1, 40)}",
        "evaluation:1",
        "evaluation:5",
    ]
    quick = {drawn[1], places[2], places[3]}
    return [moment if moment in quick else pytest.param(moment, marks=pytest.mark.slow) for moment in [*drawn, *places]]


@pytest.mark.parametrize("moment", moments())
def test_killed_run_ends_as_an_undisturbed_one(
    moment: str, recipe: Path, undisturbed: tuple[dict[str, bytes], int], tmp_path: Path
) -> None:
    expected, calls = undisturbed
    kind, _, number = moment.partition(":")
    if kind == "call":
        moment = f"call:{1 + int(float(number) * (calls - 1))}"
    print(f"seed {SEED}: dies at {moment} of {calls} calls")
    out = tmp_path / "run"
    killed = run(moment, recipe, out)
    assert killed.returncode == -signal.SIGKILL, f"survived: {killed.stdout} {killed.stderr}"
    run_study(load_recipe(recipe), out)  # by this process: it knows of the dead one only what lies in the folder
    assert results(out) == expected
    assert not list(out.rglob(".tmp-*")), "a killed write left its temporary file"
