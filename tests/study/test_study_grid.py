"""A study with a grid: each combination is a unit with folders of its own, and the report compares them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from matinee import load_model
from matinee.study.recipe import load_recipe
from matinee.study.run import run_study

HEAD = '[data]\nsource = "{log}"\n[split]\nstrategy = "random"\nvalid = 0.2\ntest = 0.2\n[evaluate]\nk = [3]\n'
MODELS = """
[[model]]
name = "popularity"
[[model]]
name = "item_knn"
label = "knn"
[model.grid]
by = [{ label = "plain", weighting = "none" }, { label = "far", weighting = "bm25", shrinkage = 5.0 }]
k = [4, 2, 8]
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 people who like one half or the other of 24 films."""
    rng = np.random.default_rng(5)
    halves = (np.arange(14), np.arange(10, 24))
    lines = [f"{user},{item}" for user in range(40) for item in rng.permutation(halves[user % 2])[:10]]
    path = tmp_path_factory.mktemp("grid") / "log.csv"
    path.write_text("\n".join(["user_id,item_id", *lines]) + "\n")
    return path


def test_a_grid_runs_resumes_and_is_compared(log: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(HEAD.format(log=log) + MODELS)
    recipe, out = load_recipe(tmp_path / "recipe.toml"), tmp_path / "run"
    labels = [f"knn_{by}_{k}" for by, k in product(("plain", "far"), (4, 2, 8))]
    run_study(recipe, out)
    assert {path.name for path in (out / "models").iterdir()} == {"popularity", *labels}
    rows = json.loads((out / "metrics.json").read_text())
    assert {row["label"]: row["model"] for row in rows} == {
        "popularity": "popularity",
        **dict.fromkeys(labels, "item_knn"),
    }
    assert load_model(out / "models" / "knn_far_2").model_dump()["shrinkage"] == 5.0
    page = (out / "report.html").read_text()
    assert page.count("by its hyper-parameters</h3>") == 1
    assert "by k. weighting none, k 2: " in page, "read from the resolved recipe"
    assert "so not drawn: shrinkage." in page
    (out / "report.html").unlink()
    again = run_study(load_recipe(out / "recipe.toml"), out)
    assert again.resumed == 7
    assert (out / "report.html").read_text().count("by its hyper-parameters</h3>") == 1
