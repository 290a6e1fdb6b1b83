"""What README and docs say is so: code prints what stands under it, commands, options, files and recipes exist."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from matinee.cli.app import app
from matinee.data.read import catalog
from matinee.data.read.formats import formats
from matinee.errors import MatineeError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BASES = ("src/matinee", "src/matinee/models", "", "src")  # where a page may begin to name a module
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def _lines_of_code(text: str) -> Iterator[str]:
    """Lines of blocks (fenced or indented), and code in running text."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    rest = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (line.strip() for line in rest.splitlines() if line.startswith("    "))
    yield from re.findall(r"`([^`\n]+)`", rest)


def commands(text: str) -> list[str]:
    """Every `matinee COMMAND ...` of a page, without prompt, path and comment; several on a line are told apart."""
    found = []
    for line in _lines_of_code(text):
        line = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))
        if match := re.match(r"(?:\S*/|python -m )?matinee (.+)", line):
            found.append(match[1])
    return found


def _cases() -> list[Any]:
    return [
        pytest.param(command, id=f"{page.name}: {command}")
        for page in PAGES
        for command in commands(page.read_text("utf-8"))
    ]


@pytest.mark.parametrize("command", _cases())
def test_every_command_that_is_named_exists_with_its_options(command: str) -> None:
    refuse_unknown(command)


def refuse_unknown(command: str) -> None:
    """Fail for a subcommand or an option that the command line does not have."""
    words = shlex.split(command.replace("[", "").replace("]", ""))
    current: Any = typer.main.get_command(app)
    while hasattr(current, "commands"):
        known = {option: parameter for parameter in current.params for option in parameter.opts}
        while words and words[0] in {*known, "--help", "-h"}:
            option = known.get(words.pop(0))
            if option is not None and not option.is_flag:
                words = words[1:]  # its value
        if not words:
            return
        if words[0] == "COMMAND":
            assert set(words[1:]) <= {"--help"}
            return
        assert words[0] in current.commands, f"matinee {words[0]} does not exist"
        current = current.commands[words.pop(0)]
        current = current.load() if hasattr(current, "load") else current  # only the overview of it
    options = {name: parameter for parameter in current.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert set(given) <= set(options) | {"--help", "-h", "--debug"}, command


def test_commands_that_do_not_exist_are_noticed() -> None:
    text = "`matinee rnu x` and\n\n```sh\n$ .venv/bin/matinee fit ease --sed 3   # three\n```\n"
    assert commands(text) == ["fit ease --sed 3", "rnu x"]
    for command in commands(text):
        with pytest.raises(AssertionError):
            refuse_unknown(command)
    refuse_unknown("fit ease --seed 3")
    refuse_unknown("--version")


def test_there_are_commands_to_look_at() -> None:
    assert len(_cases()) > 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_local_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    local = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link) and not link.startswith("#")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_links_of_the_readme_are_seen() -> None:
    assert "docs/design.md" in re.findall(r"\]\(([^)\s]+)\)", README.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    """recipes/NAME.toml, docs/..., benchmarks/..., tests/... as paths from the root; modules of src as design.md names
    them."""
    text = page.read_text("utf-8")
    named = set(re.findall(r"(?<![\w/.-])((?:recipes|docs|benchmarks|tests|\.ci)/[\w./-]*\w)", text))
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / name).with_suffix(".md").exists()]
    assert missing == []
    modules = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text))
    assert [m for m in modules if not any((ROOT / base / m).exists() for base in BASES)] == []


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^make (\w+)", README.read_text("utf-8"), re.MULTILINE))
    rules = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"run", "test"} <= targets <= rules


def test_the_readmes_code_prints_what_stands_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = README.read_text("utf-8")
    ((code, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in [name for name in os.environ if name.startswith("POLARS_")]:
        monkeypatch.delenv(name)
    try:
        catalog.load("ml-100k")
    except MatineeError as error:
        if "cannot be fetched" not in error.what:
            raise
        pytest.skip(f"ml-100k cannot be had here: {error.what}")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue().rstrip() == printed.rstrip()


def test_each_format_stands_in_the_page_about_data_as_it_is() -> None:
    page = (ROOT / "docs" / "data.md").read_text("utf-8")
    rows = [f"| `{entry.name}` | {entry.files} | {entry.rows} |" for entry in formats()]
    assert [row for row in rows if row not in page] == []
