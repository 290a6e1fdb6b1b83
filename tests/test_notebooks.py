"""The notebooks: they parse, use public names alone, carry no outputs, and every cell runs, on a small made log.

`make notebooks` runs them on real data; so does the slow test here.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import matinee as mt

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PUBLIC = {"mt": mt.__all__, "mt.models": dir(mt.models), "mt.split": mt.split.__all__}
OTHERS = {"matplotlib.pyplot", "numpy", "polars"}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.stem))


def cells(path: Path, kind: str = "code") -> list[str]:
    book = json.loads(path.read_text("utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


def test_each_study_has_its_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["autoint", "matrix-factorisation", "next-content"]


@each_notebook
def test_the_file_is_a_notebook_without_outputs(path: Path) -> None:
    book = json.loads(path.read_text("utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert 10 <= len(book["cells"]) <= 20
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@each_notebook
def test_links_and_recipes_exist_and_the_page_names_the_notebook(path: Path) -> None:
    text = "\n".join(cells(path, "markdown"))
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert f"../docs/{path.stem}.md" in links
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [name for name in re.findall(r"recipes/[\w-]+\.toml", text) if not (ROOT / name).is_file()] == []
    assert f"notebooks/{path.stem}.ipynb" in (ROOT / "docs" / f"{path.stem}.md").read_text("utf-8")


def outside(code: str) -> list[str]:
    """What a notebook uses that is neither public here, nor of the standard library, nor of OTHERS."""
    tree, found = ast.parse(code), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found += [n for n in names if n not in OTHERS | {"matinee"} and n not in sys.stdlib_module_names]
        elif isinstance(node, ast.ImportFrom):
            module = str(node.module)
            public = __import__(module, fromlist=["__all__"]).__all__ if module.startswith("matinee.") else None
            if public is not None:
                found += [f"{module}.{alias.name}" for alias in node.names if alias.name not in public]
            elif module not in sys.stdlib_module_names:
                found.append(module)
        elif isinstance(node, ast.Attribute) and (home := ast.unparse(node.value)) in PUBLIC:
            found += [] if node.attr in PUBLIC[home] else [f"{home}.{node.attr}"]
        if isinstance(node, ast.Attribute) and re.match(r"_", node.attr):
            found.append(node.attr)
    return found


def test_what_is_not_public_is_noticed() -> None:
    code = "import matinee as mt\nfrom matinee.evaluate import evaluate, hits\nimport sklearn\nmt.load(1)\nmt.rank\n"
    found = outside(code + "mt.models.EASE()._fitted\nmt.split.parts\nfrom pathlib import Path")
    assert sorted(found) == ["_fitted", "matinee.evaluate.hits", "mt.rank", "mt.split.parts", "sklearn"]


@each_notebook
def test_only_public_names_are_used(path: Path) -> None:
    assert outside("\n".join(cells(path))) == []


# --- every cell runs --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log() -> mt.Dataset:
    """40 users, 60 films, 1,000 ratings over 2 years, with tables of both: what the notebooks ask of MovieLens."""
    rng = np.random.default_rng(5)
    user = np.repeat(np.arange(40), 25)
    film = np.concatenate([rng.permutation(60)[:25] for _ in range(40)])
    rating = np.clip(np.round(3.5 + (user % 3 - 1) * (film % 2 - 0.5) + rng.normal(0, 1, 1000)), 1, 5)
    time = 1_000_000_000 + rng.integers(0, 63_000_000, 1000)
    users = {
        "user_id": np.arange(40),
        "gender": ["F", "M"] * 20,
        "age": 20 + np.arange(40) % 5,
        "occupation": ["a", "b"] * 20,
    }
    genres = [["Drama", "Comedy"], ["Comedy"], ["War"]] * 20
    items = {"item_id": np.arange(60), "title": [f"Film {n} (1990)" for n in range(60)], "year": 1950 + np.arange(60)}
    rows = {"user_id": user, "item_id": film, "rating": rating, "timestamp": time}
    return mt.read(rows, users=users, items=items | {"genres": genres})


@pytest.fixture
def made(log: mt.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`mt.load` gives the made log, plots are drawn and not shown."""
    monkeypatch.setattr(mt, "load", lambda name, *, data_dir=None: log, raising=False)
    monkeypatch.delenv("MATINEE_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    yield
    plt.close("all")


@each_notebook
@pytest.mark.usefixtures("made")
@pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")
def test_every_cell_runs_on_a_made_log(path: Path) -> None:
    names: dict[str, Any] = {}
    for number, code in enumerate(cells(path)):
        exec(compile(code, f"{path.name}, code cell {number}", "exec"), names)


@each_notebook
@pytest.mark.slow
def test_the_notebook_runs_in_jupyter(path: Path, tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    given = os.environ.get("MATINEE_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    book = nbformat.read(path, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_DATA_DIR", given)
        nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    told = [cell for cell in book.cells if cell.cell_type == "code" and cell.outputs]
    assert len(told) >= 8
