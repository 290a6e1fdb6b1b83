"""What tests of studies share: a small log, a recipe file, and what lies in a run folder."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matinee.data.dataset import Dataset
from matinee.models.base import Model
from matinee.models.fitting import FitContext
from matinee.report import plots
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.run import run_study

DRAW = plots.draw
RANDOM = '[split]\nstrategy = "random"\nvalid = 0.2\ntest = 0.2\n'


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """log.csv: 40 people who like one half or the other of 24 films, in time order; films.csv: their titles."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(5)
    lines = ["user_id,item_id,timestamp"]
    for user in range(40):
        liked = rng.permutation(np.arange(0, 14) if user % 2 else np.arange(10, 24))[:10]
        lines += [f"{user},{100 + item},{1000 * user + n}" for n, item in enumerate(liked)]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    (folder / "films.csv").write_text("item_id,title\n" + "".join(f"{100 + i},Film {i} (1990)\n" for i in range(24)))
    return folder


@pytest.fixture(scope="session")
def log(files: Path) -> Path:
    return files / "log.csv"


@pytest.fixture(autouse=True)
def nothing_is_drawn(no_drawings: None) -> None:
    """Studies are run by the dozen here. tests/report looks at the drawings."""


@pytest.fixture
def drawings(no_drawings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a study's report shows."""
    monkeypatch.setattr(plots, "draw", DRAW)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often models of each class were fitted."""
    count: Counter[str] = Counter()
    right = Model.fit_in

    def counting(self: Model, data: Dataset, context: FitContext) -> Model:
        count[type(self).__name__] += 1
        return right(self, data, context)

    monkeypatch.setattr(Model, "fit_in", counting)
    return count


def recipe_of(folder: Path, text: str) -> Recipe:
    (folder / "recipe.toml").write_text(text, "utf-8")
    return load_recipe(folder / "recipe.toml")


def rows_of(out: Path) -> list[dict[str, Any]]:
    """metrics.json as it is; NaN is not JSON."""
    rows: list[dict[str, Any]] = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    return rows


def contents(out: Path, *starts: str) -> dict[str, bytes]:
    """Every file of a folder, hidden ones included; or those whose names start so."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if name.startswith(starts or "")}


def study_of(log: Path, folder: Path, models: str, *, head: str = "", split: str = RANDOM, evaluate: str = "") -> Path:
    """The folder of a finished run. models: names, separated by spaces. head: lines above the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = "".join(f'[[model]]\nname = "{name}"\n' for name in models.split())
    measured = f'[evaluate]\nk = [3, 5]\nmetrics = ["ndcg", "recall"]\n{evaluate}\n'
    text = f'title = "{folder.name}"\n{head}\n[data]\nsource = "{log}"\n{split}{measured}{tables}'
    run_study(recipe_of(folder, text), folder / folder.name)
    return folder / folder.name


@pytest.fixture(scope="session")
def old_and_new(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs under one protocol, of two seeds: popularity; and then ease, popularity and item_knn."""
    folder = tmp_path_factory.mktemp("two")
    old = study_of(log, folder / "old", "popularity", head="seeds = [0, 1]")
    return old, study_of(log, folder / "new", "ease popularity item_knn", head="seeds = [0, 1]")
