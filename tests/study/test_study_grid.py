"""A study with a grid: each combination is a unit with folders of its own, and the report compares them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from matinee import load_model
from matinee.study.recipe import load_recipe
from matinee.study.run import run_study
from study.conftest import RANDOM, recipe_of, rows_of

HEAD = '[data]\nsource = "{log}"\n{split}[evaluate]\nk = [3]\n'
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


@pytest.mark.usefixtures("drawings")
def test_a_grid_runs_resumes_and_is_compared(log: Path, tmp_path: Path) -> None:
    recipe, out = recipe_of(tmp_path, HEAD.format(log=log, split=RANDOM) + MODELS), tmp_path / "run"
    labels = [f"knn_{by}_{k}" for by, k in product(("plain", "far"), (4, 2, 8))]
    run_study(recipe, out)
    assert {path.name for path in (out / "models").iterdir()} == {"popularity", *labels}
    assert {row["label"]: row["model"] for row in rows_of(out)} == {
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
