"""What `import matinee` gives, what it costs, and what is in the wheel."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import types
import typing
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from pydantic import BaseModel

import matinee
from matinee.models import names, registry
from matinee.split.options import STRATEGIES
from matinee.study.events_table import EventsTable
from matinee.study.recipe import DataTable, EvaluateTable, FitTable, ModelTable, Recipe, TuneTable

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs" / "recipes.md").read_text("utf-8")


@pytest.mark.parametrize("name", matinee.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(matinee, name) is not None
    assert name in dir(matinee)


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        (matinee, "recomend", r"module 'matinee' has no attribute 'recomend' \(it has recommend\)$"),
        (matinee, "dataset", r"\(it has Dataset\)$"),
        (matinee, "zzz", "module 'matinee' has no attribute 'zzz'$"),
        (matinee.models, "Ease", r"module 'matinee.models' has no attribute 'Ease' \(it has EASE\)$"),
        (matinee.models, "SasRec2", r"\(it has SASRec"),
    ],
)
def test_unknown_names_are_attribute_errors_with_near_misses(module: object, name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(module, name)


def test_dir_lists_what_is_public() -> None:
    assert dir(matinee) == sorted(matinee.__all__)
    assert {"EASE", "SASRec", "Rerank"} <= set(dir(matinee.models))
    assert len(dir(matinee.models)) == len(names.BUILT_IN)


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING and the lazy table say the same."""
    source = (ROOT / "src" / "matinee" / "__init__.py").read_text("utf-8")
    seen = set(re.findall(r"^    from \S+ import (\w+) as \1$", source, re.MULTILINE))
    assert seen == set(matinee.__all__) - {"__version__"}


def test_the_version_is_the_packages() -> None:
    assert matinee.__version__ == metadata.version("matinee")


def test_every_model_class_is_an_attribute_of_models() -> None:
    for name, location in names.locations().items():
        cls = registry.model_class(name)
        assert getattr(matinee.models, location.partition(":")[2]) is cls


@pytest.mark.parametrize(
    ("code", "never"),
    [
        ("import matinee", {"torch", "scipy", "polars", "numba", "numpy", "matplotlib", "pydantic"}),
        ("import matinee as mt; mt.models.EASE()", {"torch", "matplotlib", "numba"}),
        ("import matinee as mt; mt.MatineeError", {"torch", "scipy", "polars", "numba", "numpy"}),
        ("from matinee.study.recipe import load_recipe; load_recipe()", {"torch", "matplotlib", "jinja2"}),
    ],
)
def test_what_is_not_needed_is_not_imported(code: str, never: set[str]) -> None:
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    imported = set(done.stdout.split())
    assert "matinee" in imported
    assert imported & never == set()


MODULES = sorted((ROOT / "src" / "matinee").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_module_is_described(path: Path) -> None:
    """Read, not imported: some need an extra."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_public_functions_and_their_methods_are_described() -> None:
    bare = []
    for name in set(matinee.__all__) - {"__version__"}:
        found = getattr(matinee, name)
        things = [found]
        if isinstance(found, types.ModuleType):
            things = [found, *(getattr(found, inner) for inner in getattr(found, "__all__", []))]
        bare += [f"{name}: {thing}" for thing in things if not inspect.getdoc(thing)]
    bare += [name for name in registry.names() if not registry.model_class(name).__doc__]
    assert bare == []


# --- docs/recipes.md is true ------------------------------------------------------------------------------------------


def _type(annotation: object) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(annotation))
    words: dict[object, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in words:
        return words[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is types.UnionType and types.NoneType not in inner:
        return " or ".join(map(_type, inner))
    if origin is list:
        return f"list of {_type(inner[0])}s"
    if origin is dict:
        return "table"
    return _type(next(kind for kind in inner if kind is not type(None)))


def table_of(
    model: type[Recipe | DataTable | EventsTable | EvaluateTable | FitTable | ModelTable | TuneTable],
) -> list[str]:
    """The lines of a table of the page: key, type, default, meaning."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if model is Recipe and name in ("data", "split", "evaluate", "fit", "tune", "model"):
            continue
        assert field.description, name
        default = "needed" if field.is_required() else "–" if field.default in (None, "", {}) else _toml(field.default)
        lines.append(f"| `{name}` | {_type(field.annotation)} | {default} | {field.description} |")
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = str(value) if not isinstance(value, str) else f'"{value}"'
    return "`" + text.replace("'", '"') + "`"


@pytest.mark.parametrize("model", [Recipe, DataTable, EventsTable, EvaluateTable, FitTable, ModelTable, TuneTable])
def test_the_page_of_recipes_lists_every_key_as_it_is(
    model: type[Recipe | DataTable | EventsTable | EvaluateTable | FitTable | ModelTable | TuneTable],
) -> None:
    assert "\n".join(table_of(model)) in RECIPES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_page_of_recipes_lists_every_split_option_as_it_is(strategy: str) -> None:
    (line,) = [line for line in RECIPES.splitlines() if line.startswith(f"| `{strategy}` |")]
    options = inspect.signature(STRATEGIES[strategy]).parameters
    written = dict(re.findall(r"`(\w+)(?: = ([^`]+))?`", line.split("|")[2]))
    expected = {
        name: "" if option.default in (inspect.Parameter.empty, None) else _toml(option.default).strip("`")
        for name, option in options.items()
        if name not in ("data", "seed", "exclude_seen")
    }
    if strategy == "random":
        expected["folds"] = ""
    assert written == expected


def test_the_pages_example_is_a_recipe(tmp_path: Path) -> None:
    from matinee.study.recipe import load_recipe

    (example,) = re.findall(r"```toml\n(.*?)```", RECIPES, re.DOTALL)
    (tmp_path / "example.toml").write_text(example, "utf-8")
    assert len(load_recipe(tmp_path / "example.toml").model) > 1


# --- the wheel --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_wheel_holds_what_is_needed_and_no_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if "No matching distribution found for hatchling" in built.stderr:
        pytest.skip("hatchling cannot be fetched here")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("matinee-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    templates = {str(path.relative_to(source)) for path in (source / "matinee" / "report" / "templates").iterdir()}
    assert templates
    assert {"matinee/py.typed", "matinee/default_study.toml", *templates} <= names
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert modules <= names
    inside = {name for name in names if ".dist-info/" not in name}
    assert {Path(name).suffix for name in inside} <= {".py", ".toml", ".typed", ".html", ".css", ".j2", ".svg"}
    assert wheel.stat().st_size < 2_000_000


def test_the_package_is_typed() -> None:
    assert (ROOT / "src" / "matinee" / "py.typed").is_file()
