"""How long torch's threads wait is set before torch is loaded, and left alone where the user has set it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY = "import os, sys; {0}; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"


@pytest.mark.parametrize(("given", "found"), [(None, "1000"), ("77", "77")])
@pytest.mark.parametrize(
    ("load", "loaded"),
    [
        ("import matinee.nn", False),
        ("from matinee.models.network import import_torch; import_torch()", True),
        ("import matinee.nn.train", True),
    ],
)
def test_short_unless_the_user_says_otherwise(given: str | None, found: str, load: str, loaded: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {} if given is None else {"GOMP_SPINCOUNT": given}
    run = [sys.executable, "-c", SAY.format(load)]
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.split() == [found, str(loaded)]
