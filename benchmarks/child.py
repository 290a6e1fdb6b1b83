"""One EASE fit in a process of its own: seconds and peak memory above what stood before it, as JSON.

python child.py LIBRARY LOG [DATA_DIR]    LIBRARY: matinee, rectools, irspack, floor; LOG: toy, ml-1m, large
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import workload
from floor import Floor
from peers import LIBRARIES, Library, quiet
from workload import Log


def settled_megabytes() -> float:
    """What the process holds once freed memory is handed back, which a fit could else reuse unseen."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return megabytes("VmRSS")


def megabytes(field: str) -> float:
    """VmRSS or VmHWM of this process."""
    line = next(s for s in Path("/proc/self/status").read_text("utf-8").splitlines() if s.startswith(field))
    return int(line.split()[1]) / 1024


def measure(kind: type[Library], log: Log) -> dict[str, float]:
    """cold_mb: what a first fit adds to a process that has only read the data. mb: what one adds after a toy fit has
    loaded and compiled the library."""
    library = kind(log)
    before = settled_megabytes()
    kind(workload.toy()).fit_ease()
    warm = settled_megabytes()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts anew
    start = time.perf_counter()
    model = library.fit_ease()
    seconds = time.perf_counter() - start
    peak = megabytes("VmHWM")
    del model
    return {"seconds": seconds, "mb": peak - warm, "cold_mb": peak - before}


def main() -> None:
    name, log_name, *rest = sys.argv[1:]
    quiet()
    makers: dict[str, Callable[[], Log]] = {
        "toy": workload.toy,
        "ml-1m": lambda: workload.ml_1m(Path(rest[0])),
        "large": workload.large,
    }
    kinds: list[type[Library]] = [*LIBRARIES, Floor]
    kind = next(kind for kind in kinds if kind.name.startswith(name))
    print(json.dumps(measure(kind, makers[log_name]())))


if __name__ == "__main__":
    main()
