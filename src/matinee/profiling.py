"""Seconds and peak memory of a piece of work, the memory that is left, and the machine."""

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


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take without swapping; None: unknown.

    The least of what the machine has (Linux: MemAvailable), what the limits of its control groups leave (version 1 or
    2, its own and all above it; file pages that can be dropped count as free), and what RLIMIT_AS leaves. On systems
    without /proc, what os.sysconf tells. root: where /proc and /sys are.
    """
    found = [x for x in (_of_machine(root), *_of_groups(root), _of_limit(root)) if x is not None]
    return max(0, min(found)) if found else None


def _of_machine(root: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if (sysconf := getattr(os, "sysconf", None)) is not None:  # Windows has none
        for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):  # macOS tells only the second: all that it has
            with contextlib.suppress(OSError, ValueError):
                return int(sysconf(pages)) * int(sysconf("SC_PAGE_SIZE"))
    return None


def _of_groups(root: Path) -> Iterator[int]:
    """What the limit of each control group of this process, and of those above, leaves."""
    mount, lines = root / "sys/fs/cgroup", ""
    with contextlib.suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text("utf-8")
    for line in lines.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            top, names = mount / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        elif not controllers:
            top, names = mount, ("memory.max", "memory.current", "")
        else:
            continue
        # In a container the path may be the host's, and lead nowhere: its own group is then the top.
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top) and (left := _left(folder, *names)) is not None:
                yield left


def _left(group: Path, limit: str, used: str, prefix: str) -> int | None:
    """What the limit of one control group leaves; None where it has no limit."""
    with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
        most, taken = (int((group / name).read_text("utf-8")) for name in (limit, used))
        stat = dict(line.split() for line in (group / "memory.stat").read_text("utf-8").splitlines())
        dropped = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
        return most - max(0, taken - dropped)
    return None


def _of_limit(root: Path) -> int | None:
    with contextlib.suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            pages = int((root / "proc/self/statm").read_text("utf-8").split()[0])
            return most - pages * resource.getpagesize()
    return None


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
