"""Seconds and peak memory of a block, and the machine they were taken on."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from matinee import profiling as meter
from matinee.profiling import available_memory, machine, measured


def test_seconds_are_wall_time() -> None:
    with measured() as cost:
        time.sleep(0.05)
    assert 0.05 <= cost.seconds < 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can start a peak anew")
def test_the_peak_is_of_the_block_alone() -> None:
    gc.collect()  # what earlier tests left is not to go in the middle of this one
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


# --- the memory that is left ------------------------------------------------------------------------------------------

MIB = 1 << 20


def system(root: Path, files: dict[str, str], *, available: int = 4096) -> Path:
    """A /proc and a /sys with a machine of so many MiB and these files."""
    whole = {"proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {available * 1024} kB\n", **files}
    for name, text in whole.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_machines_memory_counts_where_nothing_limits_it(tmp_path: Path) -> None:
    assert available_memory(system(tmp_path, {})) == 4096 * MIB


def test_a_limit_of_version_2_counts_less_the_pages_that_can_be_dropped(tmp_path: Path) -> None:
    here = "sys/fs/cgroup/box/job"
    files = {
        "proc/self/cgroup": "0::/box/job\n",
        f"{here}/memory.max": f"{1000 * MIB}\n",
        f"{here}/memory.current": f"{700 * MIB}\n",
        f"{here}/memory.stat": f"anon {400 * MIB}\ninactive_file {200 * MIB}\nactive_file {100 * MIB}\n",
    }
    assert available_memory(system(tmp_path, files)) == (1000 - 700 + 200 + 100) * MIB
    above = {
        "sys/fs/cgroup/box/memory.max": f"{2000 * MIB}",
        "sys/fs/cgroup/box/memory.current": f"{1950 * MIB}",
        "sys/fs/cgroup/box/memory.stat": "inactive_file 0\n",
    }
    assert available_memory(system(tmp_path, files | above)) == 50 * MIB, "a group's limit holds for those in it"
    (tmp_path / here / "memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/box/memory.max").write_text("max\n")
    assert available_memory(tmp_path) == 4096 * MIB


@pytest.mark.parametrize("place", ["docker/0123", "."])
def test_a_limit_of_version_1_counts_where_the_path_is_the_hosts_too(tmp_path: Path, place: str) -> None:
    here = f"sys/fs/cgroup/memory/{place}"
    files = {
        "proc/self/cgroup": "9:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/\n",
        f"{here}/memory.limit_in_bytes": f"{512 * MIB}\n",
        f"{here}/memory.usage_in_bytes": f"{300 * MIB}\n",
        f"{here}/memory.stat": f"inactive_file 1\ntotal_inactive_file {100 * MIB}\ntotal_active_file {50 * MIB}\n",
    }
    assert available_memory(system(tmp_path, files)) == 362 * MIB
    (tmp_path / here / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert available_memory(tmp_path) == 4096 * MIB, "no limit"


def test_a_limit_that_is_exceeded_leaves_nothing(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "1000",
        "sys/fs/cgroup/memory.current": "2000",
        "sys/fs/cgroup/memory.stat": "",
    }
    assert available_memory(system(tmp_path, files)) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS counts on Linux")
def test_a_limit_of_the_address_space_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); "
        "from matinee.profiling import available_memory; print(available_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert 2 << 30 < int(done.stdout) < 3 << 30


def test_elsewhere_the_system_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def macos(name: str) -> int:
        if name == "SC_AVPHYS_PAGES":
            raise ValueError("unrecognized configuration name")
        return {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 16_384}[name]

    monkeypatch.setattr(os, "sysconf", macos)
    assert available_memory(tmp_path) == 16_384_000
    monkeypatch.delattr(os, "sysconf")  # Windows
    assert available_memory(tmp_path) is None
