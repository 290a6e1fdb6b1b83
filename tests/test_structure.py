"""How the source is built: no circles between modules, short functions and files, arrays whose shape is stated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import matinee

pytestmark = pytest.mark.xdist_group("structure")  # the source is read once
SRC = Path(matinee.__file__).parent
Function = ast.FunctionDef | ast.AsyncFunctionDef

ROOMS = sorted(path.name for path in SRC.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
ARRAYS = "NDArray|csr_array|Tensor|Ragged"
KIND = r"\b(u?int(8|16|32|64)?|float(32|64)?|bool|str|csr|text|codes?|numbers?|integer|true|seconds)\b"
SHAPE = r"\([\w+*/.() -]+(,[\w+*/.(), -]*| rows)\)|\(\)|in parallel with"  # (n,), (B, n_items), (n_users rows), ()


@cache
def trees() -> dict[str, ast.Module]:
    """Module name -> syntax tree; a package is named as its `__init__`."""
    return {name_of(path): ast.parse(path.read_text()) for path in sorted(SRC.rglob("*.py"))}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC.parent).with_suffix("").parts)


def test_no_module_imports_itself_through_others() -> None:
    """Imports inside functions and under TYPE_CHECKING count as well."""
    groups = circles({name: set(imports(name)) for name in trees()})
    here = {name_of(path) for room in ROOMS for path in paths(room)}
    found = [sorted(group) for group in groups if group & here]
    assert not found, "\n".join(" <-> ".join(group) for group in found)


@pytest.mark.parametrize("room", ROOMS)
def test_files_and_functions_are_short(room: str) -> None:
    files = {path: len(path.read_text().splitlines()) for path in paths(room)}
    assert not {str(path): n for path, n in files.items() if n > 400}
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node, _ in functions(room) if node.end_lineno}
    assert not {name: n for name, n in lengths.items() if n > 60}


def test_most_functions_are_very_short() -> None:
    lengths = sorted(node.end_lineno - node.lineno + 1 for r in ROOMS for _, node, _ in functions(r) if node.end_lineno)
    assert lengths[int(0.9 * len(lengths))] <= 22


def test_arrays_state_kind_and_shape() -> None:
    """By its own docstring; a method without one by the method it overrides, or by its class."""
    arrays = {name: node for room in ROOMS for name, node, nested in functions(room) if not nested and array(node)}
    methods = {node.name for node in arrays.values() if stated(node, ast.get_docstring(node))}
    silent = []
    for name, node in arrays.items():
        own = ast.get_docstring(node)
        inherited = own is None and (
            node.name in methods or stated(node, class_docstrings().get(name.rpartition(".")[0]))
        )
        if not inherited and not stated(node, own):
            silent.append(name)
    assert len(silent) <= 0.05 * len(arrays), "\n".join(silent)


# --- what is read from the source ---------------------------------------------------------------------------------


def paths(room: str) -> list[Path]:
    at = SRC / room
    return [at] if at.is_file() else sorted(at.rglob("*.py"))


def functions(room: str) -> Iterator[tuple[str, Function, bool]]:
    """(name, node, whether it stands inside another function) of every function of a room."""

    def walk(node: ast.AST, prefix: str, nested: bool) -> Iterator[tuple[str, Function, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}.{child.name}", child, nested
                yield from walk(child, f"{prefix}.{child.name}", True)
            else:
                name = f"{prefix}.{child.name}" if isinstance(child, ast.ClassDef) else prefix
                yield from walk(child, name, nested)

    for path in paths(room):
        yield from walk(trees()[name_of(path)], str(path.relative_to(SRC)), False)


def array(node: Function) -> bool:
    """Whether a function returns an array, several, or a tuple with one; a function of arrays is none."""
    if node.returns is None:
        return False
    text = ast.unparse(node.returns)
    return bool(re.search(array_types(), text)) and not re.match(r"(Callable|Iterator|Mapping|dict|list)\b", text)


@cache
def array_types() -> str:
    """The names of arrays, those that a module gives to types of arrays included."""
    assigned = [node for tree in trees().values() for node in tree.body if isinstance(node, ast.Assign)]
    named = [node for node in assigned if re.match(rf"({ARRAYS})\b", ast.unparse(node.value))]
    names = {target.id for node in named for target in node.targets if isinstance(target, ast.Name)}
    return rf"\b({'|'.join([ARRAYS, *sorted(names)])})\b"


def stated(node: Function, docstring: str | None) -> bool:
    """Whether a docstring states the kind and the shape of what a function returns; tensors alone are float32."""
    assert node.returns is not None
    tensors = not re.search(array_types().replace("Tensor|", ""), ast.unparse(node.returns))
    return bool(docstring and (tensors or re.search(KIND, docstring)) and re.search(SHAPE, docstring))


@cache
def class_docstrings() -> dict[str, str]:
    """File and class, as in `functions` -> docstring."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(trees()[name_of(path)]):
            if isinstance(node, ast.ClassDef) and (docstring := ast.get_docstring(node)):
                found[f"{path.relative_to(SRC)}.{node.name}"] = docstring
    return found


def imports(name: str) -> Iterator[str]:
    """The modules of Matinee that a module imports, without those that a lazy `__getattr__` of a package offers."""
    for node in ast.walk(_without_lazy_names(name)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            targets = [f"{base}.{alias.name}" for alias in node.names]
            if not all(module(target) and module(target) != f"{base}.__init__" for target in targets):
                targets.append(base)
        else:
            continue
        for target in targets:
            found = module(target)
            if found and found != name:
                yield found


def module(target: str) -> str | None:
    """The module that `import target` reaches, None outside Matinee and for names inside a module."""
    names = trees()
    return next((name for name in (target, f"{target}.__init__") if name in names), None)


def _without_lazy_names(name: str) -> ast.Module:
    """A package with a `__getattr__` names its lazy modules under TYPE_CHECKING: they are not its imports."""
    tree = trees()[name]
    lazy = name.endswith("__init__") and any(getattr(node, "name", "") == "__getattr__" for node in tree.body)
    if not lazy:
        return tree
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))]
    return ast.Module([node for node in kept if getattr(node, "name", "") not in ("__getattr__", "__dir__")], [])


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of more than one module: those that reach each other."""

    @cache
    def reached(start: str) -> frozenset[str]:
        seen, todo = set[str](), [start]
        while todo:
            for target in graph[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        return frozenset(seen)

    groups = {frozenset(b for b in reached(a) if a in reached(b)) for a in graph if a in reached(a)}
    return [set(group) for group in groups if len(group) > 1]


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == [{"b", "c"}]
