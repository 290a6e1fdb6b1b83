"""Two gloo processes under torchrun train as one does, on the same global batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from nn.parallel_training import CASES, train
from nn.toy import PLAN

SCRIPT = Path(__file__).with_name("parallel_training.py")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="torchrun's processes need gloo over a Unix socket")


def read(path: Path) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118 - not a mapping


def trained_by_two(folder: Path) -> None:
    """All cases, one after the other, in the same two processes."""
    command = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    command += [str(SCRIPT), str(folder), *CASES]
    world = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=world)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def check_against_one(case: str, two: Path, one: Path) -> None:
    alone, about = read(one / f"{case}.0")
    ranks = [read(two / f"{case}.{rank}") for rank in (0, 1)]
    both = ranks[0][0]
    for name, value in both.items():
        assert value.tobytes() == ranks[1][0][name].tobytes(), f"{case}: {name} differs between the ranks"
    assert [words["error"] for _, words in ranks] == [about["error"]] * 2
    assert [words["writes"] for _, words in ranks] == [about["writes"], "0"], "only rank 0 writes"
    assert len(both["curve"]) == len(alone["curve"]) == (2 if case == "diverging" else PLAN.epochs)
    if case == "draws":  # each rank has dropout and negatives of its own
        assert np.abs(both["curve"][:, 1] - alone["curve"][:, 1]).max() > 1e-3
    else:
        np.testing.assert_allclose(both["curve"][:, 1], alone["curve"][:, 1], rtol=1e-6, err_msg=case)
    assert about["error"].startswith("the loss became nan in epoch 2, batch ") == (case == "diverging")


def check_a_parameter_that_one_rank_does_not_reach(two: Path) -> None:
    found, _ = read(two / "unreached.0")
    assert (found["idle"] == 1.0).all(), "no gradient anywhere: not even decayed"
    assert (found["odd"] > 1.0).all()


def check_resuming(two: Path) -> None:
    resumed, plain = (read(two / f"{case}.0")[0] for case in ("resumed", "plain"))
    for name, value in plain.items():
        assert resumed[name].tobytes() == value.tobytes(), name


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """One test, because starting torchrun is what takes long."""
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    trained_by_two(two)
    for case in CASES:
        train(case, one)
        check_against_one(case, two, one)
    check_a_parameter_that_one_rank_does_not_reach(two)
    check_resuming(two)
    for rank in (0, 1):
        assert "train in one process" in (two / f"normalised.{rank}").read_text()
