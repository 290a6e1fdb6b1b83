"""Seconds and peak memory of a piece of work, and the machine it ran on."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class ResourceUsage:
    """seconds: wall time. peak_mb: largest resident size of the process meanwhile, 10^6 bytes; None: unknown."""

    seconds: float = 0.0
    peak_mb: float | None = None


@contextlib.contextmanager
def measured() -> Iterator[ResourceUsage]:
    """Fill the yielded ResourceUsage when the block ends. Blocks must not be nested: each resets the peak."""
    cost = ResourceUsage()
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text("5", "ascii")  # Linux: forget the peak so far (proc(5), since 4.0)
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        cost.peak_mb = _peak_mb()


def machine() -> dict[str, str]:
    """What numbers depend on besides the code: processor, cores, Python, library versions, thread settings."""
    found = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE", "not set"),
    }
    for package in ("matinee", "numpy", "scipy", "numba", "polars", "torch"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _peak_mb() -> float | None:
    with contextlib.suppress(OSError):
        for line in STATUS.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # since the start: bytes on macOS, else KiB
    return largest / 1e6 if sys.platform == "darwin" else largest * 1024 / 1e6
