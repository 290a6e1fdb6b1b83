"""Seconds and peak memory of a block, and the machine they were taken on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from matinee import profiling as meter
from matinee.profiling import machine, measured


def test_seconds_are_wall_time() -> None:
    with measured() as cost:
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can start a peak anew")
def test_the_peak_is_of_the_block_alone() -> None:
    with measured() as before:
        pass
    with measured() as large:
        block = np.ones(25_000_000)  # 200 MB
    del block
    with measured() as after:
        pass
    assert before.peak_mb is not None
    assert large.peak_mb is not None
    assert after.peak_mb is not None
    assert 190 < large.peak_mb - before.peak_mb < 260
    assert after.peak_mb < large.peak_mb - 190


def test_a_failing_block_is_measured_too() -> None:
    start = measured()
    cost = start.__enter__()
    time.sleep(0.01)
    assert start.__exit__(KeyError, KeyError(), None) is False
    assert cost.seconds >= 0.01
    assert cost.peak_mb is None or cost.peak_mb > 1


def test_without_proc_the_peak_is_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(meter, "STATUS", tmp_path / "nothing")
    monkeypatch.setattr(meter, "CLEAR_REFS", tmp_path / "nowhere" / "nothing")
    with measured() as cost:
        pass
    assert cost.peak_mb is None if sys.platform == "win32" else cost.peak_mb is not None and 1 < cost.peak_mb < 1e6


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = machine()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert found["matinee"] == metadata.version("matinee")
    assert found["openblas_coretype"] == "Haswell"
    assert int(found["cores"]) >= 1
    assert found["cpu"]
