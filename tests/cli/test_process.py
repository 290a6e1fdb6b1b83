"""What only a process of its own shows: exit codes, streams, signals, pipes, and what gets imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cli.world import World
from matinee import __version__

HEAVY = {"torch", "scipy", "polars", "numba", "numpy", "matplotlib"}


def run(*arguments: object, before: str = "", **options: str) -> subprocess.CompletedProcess[str]:
    """`matinee ARGUMENTS` in a new process. before: Python to run first, to break something."""
    code = f"import sys\n{before}\nsys.argv = ['matinee', *sys.argv[1:]]\nfrom matinee.cli import main\nmain()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env={**os.environ, **options}, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["-c", "import matinee"], HEAVY),
        (["-m", "matinee", "--help"], HEAVY | {"pydantic"}),
        (["-m", "matinee", "fit", "-h"], HEAVY - {"polars", "numpy"}),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], heavy: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "matinee" in imported
    assert imported & heavy == set()


def test_python_m_matinee_and_the_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "matinee", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"matinee {__version__}\n", "")


def test_done_is_zero_and_writes_to_stdout_only(world: World) -> None:
    done = run("recommend", world.model, "--user", "1")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Film" in done.stdout


def test_what_the_user_can_mend_is_two_and_one_message_on_stderr(world: World) -> None:
    done = run("recommend", world.folder / "nothing", "--user", "1")
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert error.endswith("nothing: there is no such folder")
    assert hint.startswith("  hint: ")


@pytest.mark.parametrize("place", ["first", "last"])
def test_debug_shows_the_traceback(world: World, place: str) -> None:
    arguments = ["recommend", world.folder / "nothing", "--user", "1"]
    done = run("--debug", *arguments) if place == "first" else run(*arguments, "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "MatineeError" in done.stderr


BUG = "import matinee.rank\ndef broken(*a, **k): raise ValueError('a seam')\nmatinee.rank.recommend = broken"


def test_a_bug_is_one_and_says_what_to_report(world: World) -> None:
    done = run("recommend", world.model, "--user", "1", before=BUG)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a bug in Matinee" in done.stderr
    assert "ValueError: a seam" in done.stderr
    assert f"matinee recommend {world.model} --user 1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("recommend", world.model, "--user", "1", "--debug", before=BUG).stderr


def test_a_missing_extra_is_named(world: World) -> None:
    broken = "import matinee.store\ndef f(*a): import torch_is_not_here\nmatinee.store.load_model = f"
    done = run("recommend", world.model, "--user", "1", before=broken)
    assert done.returncode == 2
    assert "needs the package torch_is_not_here" in done.stderr
    broken = broken.replace("import torch_is_not_here", "raise ModuleNotFoundError('no', name='torch.nn')")
    assert 'pip install "matinee[torch]"' in run("recommend", world.model, "--user", "1", before=broken).stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send")
def test_ctrl_c_is_130_without_a_traceback(world: World) -> None:
    broken = (
        f"import matinee.store, os\ndef f(*a): os.kill(os.getpid(), {int(signal.SIGINT)})\nmatinee.store.load_model = f"
    )
    done = run("recommend", world.model, "--user", "1", before=broken)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "matinee: interrupted\n")


@pytest.mark.parametrize("arguments", [["data", "list"], ["data", "list", "--json"]])
def test_a_reader_that_leaves_is_no_error(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "matinee", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_titles_survive_a_terminal_that_cannot_spell_them(world: World) -> None:
    done = run("recommend", world.model, "--history", "100", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "Am?lie (2000)" in done.stdout


def test_our_warnings_are_one_line_each_and_once(world: World) -> None:
    warned = """
import warnings
import matinee.store
from matinee.errors import MatineeWarning
load = matinee.store.load_model
def warning(path):
    for _ in range(2):
        warnings.warn("thin ice", MatineeWarning)
    return load(path)
matinee.store.load_model = warning
"""
    done = run("recommend", world.model, "--user", "1", before=warned)
    assert (done.returncode, done.stderr) == (0, "warning: thin ice\n")
