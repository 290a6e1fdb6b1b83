"""kill -9 at any moment of a training: started again with the same checkpoint it ends in the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nn.toy import PLAN

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL and fork are POSIX")

SEED = 20261123  # the moments of death are drawn from it
DRIVER = Path(__file__).with_name("killed_training.py")


def trials() -> list[str]:
    """Twenty: ten uniform over the training's calls, eight in places that matter, two that are killed twice."""
    rng = np.random.default_rng(SEED)
    drawn = [f"call:{share:.6f}" for share in rng.random(10)]
    for kind in ("write", "rename", "validation"):
        drawn += [f"{kind}:1", f"{kind}:{rng.integers(2, PLAN.epochs + 1)}"]
    drawn += [f"renamed:{n}" for n in rng.integers(1, PLAN.epochs + 1, 2)]
    early = rng.random(2) * 0.6  # epochs must be left for the second death
    return [*drawn, f"call:{early[0]:.6f}+write:1", f"call:{early[1]:.6f}+validation:2"]


@pytest.mark.slow
def test_killed_trainings_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    """One test for all moments: they share one process that has imported torch."""
    moments = trials()
    assert len(moments) == 20
    command = [sys.executable, "-W", "error", str(DRIVER), str(tmp_path), *moments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["trial"] for each in found] == moments
    for each in found:
        print(f"seed {SEED}: {each}")
        deaths = len(each["trial"].split("+"))
        assert each["ends"] == [-signal.SIGKILL] * deaths + [0], f"{each['trial']}: {done.stderr}"
        assert each["differ"] == [], each["trial"]
        assert each["left"] == [], f"{each['trial']}: a killed write left its temporary file"
