"""The examples of running it: every option they pass exists, and the names that they share are the same."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from test_readme import refuse_unknown

FOLDER = Path(__file__).parents[1] / "examples" / "deploy"


def text(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def unit() -> str:
    found = re.search(r"^ExecStart=\S+/matinee ((?:.*\\\n)*.*)", text("matinee.service"), re.MULTILINE)
    assert found
    return found[1].replace("\\\n", " ")


def image() -> list[str]:
    found = re.search(r"^ENTRYPOINT (\[.+\])$", text("Dockerfile"), re.MULTILINE)
    assert found
    words: list[str] = json.loads(found[1])
    assert words[0] == "matinee"
    return words[1:]


def composed() -> list[str]:
    found = re.search(r"^    command: \[(.+)\]$", text("compose.yaml"), re.MULTILINE)
    assert found
    return [word.strip().strip('"') for word in found[1].split(",")]


@pytest.mark.parametrize("command", [unit(), shlex.join(image()), shlex.join([*image(), *composed()])])
def test_every_option_exists(command: str) -> None:
    assert command.startswith("serve ")
    refuse_unknown(command)


def test_the_names_that_files_share_are_the_same() -> None:
    """Prometheus must call the service by an allowed name, and read the token where compose puts it."""
    scraped = re.search(r'targets: \["(\w+):8000"\]', text("prometheus.yml"))
    assert scraped
    assert scraped[1] in {after for name, after in zip(composed(), composed()[1:], strict=False) if "allowed" in name}
    assert f"\n  {scraped[1]}:\n" in text("compose.yaml")
    token = composed()[composed().index("--token-file") + 1]
    assert f"credentials_file: {token}\n" in text("prometheus.yml")
    assert f"\nsecrets:\n  {Path(token).name}:\n" in text("compose.yaml")
