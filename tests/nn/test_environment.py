"""What torch reads from the environment is set before torch is loaded, and left alone where the user has set it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY = "import os, sys; {0}; print(os.environ['{1}'], 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("GOMP_SPINCOUNT", None, "1000"),
        ("GOMP_SPINCOUNT", "77", "77"),
        ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", None, "64"),
        ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7", "7"),
    ],
)
@pytest.mark.parametrize(
    ("load", "loaded"),
    [
        ("import matinee.nn", False),
        ("from matinee.models.families.network import import_torch; import_torch()", True),
        ("import matinee.nn.train", True),
    ],
)
def test_ours_unless_the_user_says_otherwise(name: str, given: str | None, found: str, load: str, loaded: bool) -> None:
    environment = {key: value for key, value in os.environ.items() if key != name}
    environment |= {} if given is None else {name: given}
    run = [sys.executable, "-c", SAY.format(load, name)]
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.split() == [found, str(loaded)]
