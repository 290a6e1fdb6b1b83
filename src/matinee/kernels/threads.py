"""Ranges of rows over plain threads: numba's own threading layers fail when two threads of a server enter at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

LIMIT = "MATINEE_NUM_THREADS"
"""The environment variable that lowers `n_threads`: several processes share the cores."""


def n_threads() -> int:
    """Cores this process may use, or the number in LIMIT."""
    if (limit := os.environ.get(LIMIT, "")).isdecimal():
        return max(1, int(limit))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(run: Callable[[int, int], Any], n: int, *, chunk: int) -> None:
    """Call run(start, stop) over 0..n in chunks, on this thread and others, one a core; a single chunk on this one."""
    n_chunks = -(-n // chunk)
    helpers = min(n_threads(), n_chunks) - 1 if n_chunks > 1 else 0  # for one chunk cores are not counted
    if helpers < 1:
        run(0, n)
        return
    starts = iter(range(0, n, chunk))

    def work() -> None:
        for start in starts:
            run(start, min(start + chunk, n))

    others = [_helpers().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():  # cancelled: never begun, since helpers were busy, and all chunks are done by now
                other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: new ones start on the core that made them, which costs as much as a short kernel gains."""
    return ThreadPoolExecutor(n_threads() - 1, "matinee")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a fork has none of the threads
