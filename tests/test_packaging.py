"""What is declared about the package agrees with itself and with the sources. `make wheel-check` tries the wheel."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matinee.version import __version__

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def declared() -> list[str]:
    """The Python versions of the classifiers."""
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text) for text in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    return loaded


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    changes = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert [PROJECT["version"], citation["version"], changes[0][0]] == [__version__] * 3
    assert citation["date-released"] == changes[0][1]


def test_changes_are_in_the_form_of_keep_a_changelog() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    assert next(line for line in lines if line.startswith("## ")) == "## [Unreleased]"
    kinds = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "Added" in kinds


def test_the_citation_has_what_its_schema_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    allowed = {"abstract", "date-released", "keywords", "license", "type", "version"}
    assert citation.keys() <= {"cff-version", "message", "title", "authors"} | allowed
    assert citation["cff-version"] == "1.2.0"
    assert all(
        isinstance(value, str) and value for key, value in citation.items() if key not in ("authors", "keywords")
    )
    assert all(set(author) == {"name"} for author in citation["authors"])  # an entity needs no more
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])
    assert citation["license"] == PROJECT["license"]
    assert len(set(citation["keywords"])) == len(citation["keywords"]) > 0


def test_python_versions_agree() -> None:
    assert declared() == ["3.11", "3.12", "3.13", "3.14"]
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert all(allowed.contains(f"{version}.0") for version in declared())
    assert not allowed.contains("3.10.99")
    for job in workflow()["jobs"].values():
        assert job["strategy"]["matrix"]["python"] == declared()
    assert workflow()["jobs"]["wheel"]["strategy"]["matrix"]["os"] == [
        "ubuntu-latest",
        "macos-latest",
        "windows-latest",
    ]
    assert f"sys.version_info < (3, {declared()[0].partition('.')[2]})" in (ROOT / "Makefile").read_text("utf-8")


def test_ci_and_the_workflow_run_targets_and_files_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    steps = [step["run"] for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step]
    run = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    text = "\n".join([*steps, *(line for line in run if not line.startswith("#"))])
    named = [name for line in re.findall(r"^make ([\w -]+)", text, re.MULTILINE) for name in line.split()]
    assert set(named) - {"ARGS"} == {"lint", "types", "test", "wheel-check"}
    assert set(named) - {"ARGS"} <= targets
    assert all((ROOT / name).is_file() for name in re.findall(r"python (\S+\.py)", text))


def test_contributing_names_files_and_targets_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {
        name for line in re.findall(r"(?:^|`)make ([a-z -]+)", text, re.MULTILINE) for name in line.split()[:1]
    } <= targets
    files = re.findall(r"`((?:src|tests|\.ci|\.github)/[^`]*)`|\]\(([\w./]+)\)", text)
    assert len(files) >= 8
    assert all((ROOT / (a or b)).exists() for a, b in files)


def test_every_dependency_is_pinned_once_within_its_bounds() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if re.match(r"\w", line)]
    pins = [Requirement(line) for line in lines]
    version = {canonical(pin.name): re.fullmatch(r"==([\w.]+)", str(pin.specifier)) for pin in pins}
    assert len(version) == len(pins)
    assert all(version.values())
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    wanted = [Requirement(text) for text in (*PROJECT["dependencies"], *extras)]
    for requirement in wanted:
        if requirement.name != "matinee":
            pin = version[canonical(requirement.name)]
            assert pin is not None
            assert requirement.specifier.contains(Version(pin[1])), requirement


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_licence_is_named_as_spdx_and_its_text_is_there() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert not [text for text in PROJECT["classifiers"] if text.startswith("License")]  # refused beside an expression
    (name,) = PROJECT["license-files"]
    assert "Apache License" in (ROOT / name).read_text("utf-8")


# --- what other systems need of the sources -------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(place, name of the function or method, call) of all calls in the sources."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield f"{path.relative_to(ROOT)}:{node.lineno}", name, node


def test_text_is_written_and_read_in_a_named_encoding_with_named_line_ends() -> None:
    """Windows has other defaults for both."""
    wrong = []
    for place, name, call in calls():
        keywords = {keyword.arg for keyword in call.keywords}
        if name in ("read_text", "write_text"):
            encoded = "encoding" in keywords or len(call.args) > (name == "write_text")
            raw = [arg.value for arg in call.args if isinstance(arg, ast.Constant)] in (["5", "ascii"],)  # no line ends
            if not encoded or (name == "write_text" and not raw and "newline" not in keywords):
                wrong.append(place)
        elif name == "open":
            modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            modes = [mode for mode in modes if re.fullmatch(r"[rwxa]\+?t?", mode)]
            if modes and "encoding" not in keywords:
                wrong.append(place)
    assert not wrong


def test_times_do_not_go_through_the_c_library() -> None:
    """Which knows no time before 1970 on Windows: data.filters.moment_of does."""
    assert not [place for place, name, _ in calls() if name in ("fromtimestamp", "utcfromtimestamp", "mktime")]


POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}


def test_modules_of_posix_are_imported_where_their_absence_is_caught() -> None:
    found, caught = set[str](), set[str]()
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        found |= set(posix_imports(tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.Try) and "ImportError" in {ast.unparse(h.type) for h in node.handlers if h.type}:
                caught |= set(posix_imports(node.body))
    assert found == caught == {"fcntl", "resource"}


def posix_imports(nodes: list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        for inner in ast.walk(node):
            names = [alias.name for alias in inner.names] if isinstance(inner, ast.Import) else []
            names += [inner.module or ""] if isinstance(inner, ast.ImportFrom) else []
            yield from POSIX_MODULES & set(names)


# what only POSIX has of `os` -> where the sources may use it, since a check stands before it
GUARDED = {"sched_getaffinity": "threads.py", "register_at_fork": "threads.py"}
POSIX_OF_OS = {
    *GUARDED,
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getpgid", "setsid", "uname", "chown", "lchown"),
    *("mkfifo", "nice", "getloadavg", "sysconf", "statvfs", "killpg", "wait", "waitpid", "WNOHANG", "O_DIRECTORY"),
}


def test_calls_that_only_posix_has_are_guarded() -> None:
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in POSIX_OF_OS:
                found[node.attr] = path.name
    assert found == GUARDED
    for name, file in GUARDED.items():
        (path,) = [path for path in SOURCES if path.name == file]
        assert f'hasattr(os, "{name}")' in path.read_text("utf-8")


def test_sources_are_of_the_oldest_python() -> None:
    """No syntax that the oldest declared version lacks; a newer one that runs this test would accept it."""
    oldest = (3, int(declared()[0].partition(".")[2]))
    assert [ast.parse(path.read_text("utf-8"), str(path), feature_version=oldest) for path in SOURCES]
