"""Build the sdist, a wheel from it, install the wheel into an empty environment, and use it as a stranger would.

    python .ci/wheel_check.py [--python PYTHON] [--extras torch,boost] [--out DIR]

PYTHON makes that environment (default: this one); constraints.txt pins what is installed. --out keeps sdist and wheel.
The source tree is out of reach: commands run in a temporary folder, and PYTHONPATH is not passed on.
Only the standard library is used here, and nothing of POSIX: the workflow runs it on Windows and macOS too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from collections import Counter
from email.parser import BytesParser
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
USERS, ITEMS, WATCHED, K = 60, 40, 12, 5
STUDY = """
title = "A study from a wheel"
[data]
source = "log.csv"
items = "items.csv"
[split]
strategy = "leave_one_out"
[evaluate]
k = [5]
metrics = ["hit_rate", "ndcg"]
[[model]]
name = "popularity"
[[model]]
name = "ease"
"""


def main() -> None:
    start = time.perf_counter()
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", default=sys.executable, help="the interpreter of the empty environment")
    options.add_argument("--extras", default="", help="extras to install as well, for example torch,boost")
    options.add_argument("--out", type=Path, help="a folder to keep the sdist and the wheel in")
    given = options.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temp:
        built = given.out or Path(temp, "dist")
        sdist, wheel = build(Path(temp, "builder"), built)
        check_sdist(sdist)
        check_wheel(wheel, project)
        say(f"{sdist.name} and {wheel.name} hold what they should", start)
        stranger = Stranger(Path(temp), given.python, wheel, given.extras)
        say(f"installed into an empty environment of Python {stranger.version}", start)
        stranger.finds_itself_installed(project["version"])
        stranger.fits_asks_and_measures()
        say("log, model, lists and numbers agree with a plain count", start)
        stranger.runs_a_study()
        stranger.runs_the_default_study()
    say("the wheel works", start)


# --- building, and what the archives hold ---------------------------------------------------------------------------


def build(builder: Path, out: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is made from the sdist alone."""
    python = environment(builder, sys.executable)
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    run([python, "-m", "pip", "install", "--quiet", "--no-compile", *backend], ROOT)
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("matinee-*.tar.gz"), *out.glob("matinee-*.whl")):
        old.unlink()
    run([python, "-m", "hatchling", "build", "--target", "sdist", "--directory", out.resolve()], ROOT)
    (sdist,) = out.glob("matinee-*.tar.gz")
    pip_wheel = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    run([*pip_wheel, out.resolve(), sdist.resolve()], builder)
    (wheel,) = out.glob("matinee-*.whl")
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    """Whatever is needed to build, test and cite, and nothing that a run leaves behind."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("src", "tests", "recipes", "notebooks", "docs", "benchmarks", ".ci", ".github"):
        missing = {path.relative_to(ROOT).as_posix() for path in sources(ROOT / folder)} - names
        expect(not missing, f"the sdist lacks {sorted(missing)}")
    for name in (
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "CITATION.cff",
        "Makefile",
        "constraints.txt",
    ):
        expect(name in names, f"the sdist lacks {name}")
    left = [name for name in names if PurePosixPath(name).parts[:1] in [("runs",), (".venv",), (".cache",)]]
    expect(not left, f"the sdist holds {left[:3]}")


def check_wheel(wheel: Path, project: dict[str, Any]) -> None:
    """Every file of the package (code, templates, the default study, py.typed), the licence, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"matinee-{project['version']}.dist-info"
        metadata = BytesParser().parsebytes(archive.read(f"{info}/METADATA"))
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    source = {path.relative_to(ROOT / "src").as_posix() for path in sources(ROOT / "src")}
    packed = {name for name in names if not name.startswith(info)}
    expect(packed == source, f"missing {sorted(source - packed)}, too many {sorted(packed - source)}")
    for name in ("matinee/py.typed", "matinee/study/default_study.toml", "matinee/report/templates/report.html.j2"):
        expect(name in packed, f"the wheel lacks {name}")
    expect(f"{info}/licenses/LICENSE" in names, "the wheel lacks the licence's text")
    expect(metadata["Requires-Python"] == project["requires-python"], "Requires-Python differs")
    expect(metadata["License-Expression"] == project["license"], "License-Expression differs")
    expect("matinee = matinee.cli:main" in entry_points, "the command `matinee` is not an entry point")


def sources(folder: Path) -> list[Path]:
    """The files below a folder but for what Python and tools leave there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if "__pycache__" not in path.parts and path.suffix not in {".pyc", ".nbi", ".nbc"}]


# --- the wheel in use -----------------------------------------------------------------------------------------------


class Stranger:
    """Somebody with the wheel and a log, and without the source tree."""

    def __init__(self, temp: Path, python: str, wheel: Path, extras: str) -> None:
        self.python = environment(temp / "empty", python)
        self.home = temp / "home"
        self.home.mkdir()
        wanted = f"matinee[{extras}] @ {wheel.resolve().as_uri()}" if extras else str(wheel.resolve())
        run(
            [self.python, "-m", "pip", "install", "--quiet", "--no-compile", "--constraint", CONSTRAINTS, wanted],
            self.home,
        )
        run([self.python, "-m", "pip", "check"], self.home)
        self.version = self.code("import platform; print(platform.python_version())")

    def code(self, text: str) -> str:
        return run([self.python, "-I", "-X", "utf8", "-c", text], self.home).strip()

    def matinee(self, *words: str) -> str:
        """What the command, as pip installed it, prints."""
        return run([self.python.with_name("matinee" + self.python.suffix), *words], self.home)

    def finds_itself_installed(self, version: str) -> None:
        place = Path(self.code("import matinee; print(matinee.__file__)"))
        expect(self.python.parents[1].resolve() in place.resolve().parents, f"matinee was imported from {place}")
        expect(self.matinee("--version").strip() == f"matinee {version}", "matinee --version")
        expect(run([self.python, "-m", "matinee", "--version"], self.home).strip() == f"matinee {version}", "python -m")
        models = json.loads(self.matinee("models", "--json"))
        expect({"popularity", "ease", "item_knn", "sasrec"} <= {model["name"] for model in models}, "matinee models")

    def fits_asks_and_measures(self) -> None:
        seen, hidden = self.writes_a_log()
        self.matinee("fit", "popularity", "--data", "log.csv", "--items", "items.csv", "--out", "model")
        counts = Counter(item for items in seen.values() for item in items)
        ranked = sorted(counts, key=lambda item: (-counts[item], item))
        asked = json.loads(self.matinee("recommend", "model", "--user", "u07", "-k", str(K), "--json"))
        answer = [(each["item_id"], each["title"]) for each in asked["recommendations"]]
        right = [item for item in ranked if item not in seen["u07"]][:K]
        expect(answer == [(item, title(item)) for item in right], f"recommended {answer}, expected {right}")
        hits = sum(hidden[user] in [item for item in ranked if item not in seen[user]][:K] for user in seen)
        words = ("--truth", "hidden.csv", "-k", str(K), "--metrics", "hit_rate", "--json")
        text = self.matinee("evaluate", "model", *words)
        found = [row["value"] for row in rows_of(json.loads(text)) if row.get("metric") == "hit_rate"]
        expect(len(found) == 1 and abs(found[0] - hits / USERS) < 1e-6, f"hit rate {hits / USERS}, but: {text}")

    def writes_a_log(self) -> tuple[dict[str, list[str]], dict[str, str]]:
        """A log, a table of its items and a hidden event of each user. Popular items are watched more often."""
        draw, seen, hidden = random.Random(0), {}, {}
        items = [f"i{item:02}" for item in range(ITEMS)]
        for user in (f"u{user:02}" for user in range(USERS)):
            watched = sorted(items, key=lambda item: draw.random() * (1 + int(item[1:]) / 10))[: WATCHED + 1]
            draw.shuffle(watched)
            seen[user], hidden[user] = watched[:-1], watched[-1]
        lines = [f"{user},{item},{1_600_000_000 + 60 * n}" for user in seen for n, item in enumerate(seen[user])]
        self.writes("log.csv", "user_id,item_id,timestamp", lines)
        self.writes("hidden.csv", "user_id,item_id", [f"{user},{item}" for user, item in hidden.items()])
        self.writes("items.csv", "item_id,title", [f'{item},"{title(item)}"' for item in items])
        return seen, hidden

    def writes(self, name: str, header: str, lines: list[str]) -> None:
        (self.home / name).write_text("\n".join([header, *lines]) + "\n", "utf-8")

    def runs_a_study(self) -> None:
        (self.home / "study.toml").write_text(STUDY, "utf-8")
        self.matinee("run", "study.toml", "--out", "runs/study")
        self.check_report("study", ["A study from a wheel", "Popularity", "EASE", "아가씨"])

    def runs_the_default_study(self) -> None:
        """Of the package's own recipe, on a log of MovieLens 100K's size and layout: every user and film is in it."""
        folder, draw = self.home / "data" / "ml-100k", random.Random(1)
        folder.mkdir(parents=True)
        pairs = {(n % 943, n % 1682) for n in range(20_000)}
        while len(pairs) < 100_000:
            pairs.add((draw.randrange(943), int(1682 * draw.random() ** 2)))
        lines = [f"{u + 1}\t{i + 1}\t{1 + (u + i) % 5}\t{880_000_000 + n}" for n, (u, i) in enumerate(sorted(pairs))]
        (folder / "u.data").write_text("\n".join(lines) + "\n", "utf-8")
        self.matinee("run", "--data-dir", "data")
        self.check_report("default", ["what will they watch next?", "ease_decayed", "PCTM"])

    def check_report(self, name: str, texts: list[str]) -> None:
        page = (self.home / "runs" / name / "report.html").read_text("utf-8")
        absent = [text for text in texts if text not in page]
        expect(not absent and "</html>" in page, f"the report of the {name} study lacks {absent}")


def title(item: str) -> str:
    """Titles in Latin and Korean script, with commas."""
    return f"아가씨, No. {item[1:]}"


def rows_of(found: Any) -> list[dict[str, Any]]:
    """Every object in a JSON value."""
    inner = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    return [*([found] if isinstance(found, dict) else []), *(row for each in inner for row in rows_of(each))]


# --- processes ------------------------------------------------------------------------------------------------------


def environment(folder: Path, python: str) -> Path:
    """A new virtual environment's interpreter."""
    if Path(python) == Path(sys.executable):
        venv.create(folder, with_pip=True)
    else:
        found = shutil.which(python)
        expect(found is not None, f"there is no {python}")
        run([str(found), "-m", "venv", folder], ROOT)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command: list[Any], folder: Path) -> str:
    """Its output. A command that fails ends the check with all that it said."""
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONIOENCODING": "utf-8"}
    passed = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=passed | quiet, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"failed ({done.returncode}): {' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"wheel check: {otherwise}")


def say(text: str, start: float) -> None:
    print(f"{time.perf_counter() - start:5.1f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
