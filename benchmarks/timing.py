"""Racing the libraries fairly: in turn, in one run, and a record of the machine they ran on."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

OURS = "matinee"
PACKAGES = ["matinee", "numpy", "scipy", "numba", "polars", "rectools", "irspack", "implicit", "ir-measures"]
PACKAGES += ["torch", "pytorch-lightning", "recbole"]  # of .bench-torch


@dataclass(frozen=True)
class Contender:
    """One library's way to do the work. `one_blas_thread`: it brings its own threads and asks for this."""

    name: str
    run: Callable[[], Any]
    one_blas_thread: bool = False


@dataclass
class Row:
    """seconds: every repeat of every contender. facts: what else was measured of each (quality, megabytes)."""

    work: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        ours = median(self.seconds[OURS]) if self.seconds.get(OURS) else None
        lines = [f"\n{self.work:<34}{'median':>10}{'fastest':>10}{'slowest':>10}   its time / ours"]
        for name, seconds in self.seconds.items():
            middle = median(seconds) if seconds else float("nan")
            ratio = f"{middle / ours:>10.2f}x" if ours else f"{'':>11}"
            facts = "  ".join(f"{key} {value}" for key, value in self.facts.get(name, {}).items())
            times = "".join(f"{s:>10.4g}" for s in (middle, min(seconds, default=middle), max(seconds, default=middle)))
            lines.append(f"  {name:<32}{times}{ratio}   {facts}".rstrip())
        return "\n".join(lines)


def race(work: str, contenders: Sequence[Contender], repeats: int, *, calls: int = 1) -> tuple[Row, dict[str, Any]]:
    """A B C, A B C, ...: one untimed round, then `repeats` timed ones. Seconds are per call; also each last answer.

    A contender whose untimed round raises NotImplementedError has no such function and is left out.
    """
    row, answers, running = Row(work), {}, list(contenders)
    for turn in range(repeats + 1):
        for contender in list(running):
            gc.collect()
            limit = threadpool_limits(1, "blas") if contender.one_blas_thread else contextlib.nullcontext()
            try:
                with limit:
                    start = time.perf_counter()
                    for _ in range(calls):
                        answers[contender.name] = contender.run()
                    seconds = (time.perf_counter() - start) / calls
            except NotImplementedError:
                running.remove(contender)
            if turn:
                row.seconds.setdefault(contender.name, []).append(seconds)
    return row, answers


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            yield name, version(name)


def environment() -> dict[str, Any]:
    """Everything that decides a time. Call it when all libraries are loaded: it lists their thread pools."""
    cpu = next(
        (line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")), ""
    )
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": " ".join([Path(sys.executable).name, *sys.argv]),
        "commit": git.stdout.strip(),
        "cpu": cpu.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": dict(_versions()),
        "variables": {
            name: os.environ.get(name) for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        },
        "thread_pools": [
            f"{pool['prefix']} {pool.get('version')} {pool.get('architecture', '')} {pool['num_threads']} threads"
            for pool in threadpool_info()
        ],
    }
