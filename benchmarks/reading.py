"""Reading a log: seconds and peak memory of `mt.read`, each time in a fresh process.

    .venv/bin/python benchmarks/reading.py --data-dir ../shared/data
    .venv/bin/python benchmarks/reading.py --data-dir ../shared/data --against OTHER_CHECKOUT/src
    .venv/bin/python benchmarks/reading.py --rows 100000 --repeats 1 --out /tmp/toy.jsonl     # does it run?

The large log has the size and columns of MovieLens 25M's ratings.csv: made from a seed into .cache/, 650 MB, and
removed at the end. Seconds are of `mt.read` with what it imports, polars above all; Python finds its bytecode compiled,
as pip leaves an installed package, whatever PYTHONDONTWRITEBYTECODE says. The peak is the process's, as Linux counts
it. With --against, the other version reads the same files in turn, and must find the same events. One JSON line of the
run goes to --out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from matinee.profiling import machine

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "src"
ROWS, USERS, ITEMS = 25_000_095, 162_541, 59_047  # of MovieLens 25M; its films with ratings
PIECE = 2_000_000  # rows written at a time

CHILD = r"""
import json, re, sys, time
import matinee as mt
path, want = sys.argv[1:]
busy, began = time.process_time(), time.perf_counter()
data = mt.read(path)
busy, seconds = time.process_time() - busy, time.perf_counter() - began
peak = int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1]) / 1e3
print(json.dumps({
    "events": len(data), "users": data.n_users, "items": data.n_items,
    "fingerprint": data.fingerprint if int(want) else "",
    "seconds": seconds, "processor_seconds": busy, "peak_mb": peak, "from": mt.__file__,
}))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--data-dir", type=Path, help="a folder with ml-1m in it; without it only the large log is read"
    )
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--repeats", type=int, default=3, help="processes for each log and version")
    options.add_argument("--against", type=Path, help="the src folder of another version")
    options.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "reading.jsonl")
    given = options.parse_args()
    versions = {"this": OURS} | ({"against": given.against.resolve()} if given.against else {})
    large = ROOT / ".cache" / f"ratings-{given.rows}.csv"
    found: list[dict[str, Any]] = []
    try:
        write_log(large, given.rows)
        logs = {"large": large} | ({"ml-1m": given.data_dir.resolve() / "ml-1m"} if given.data_dir else {})
        for name, path in logs.items():
            found += race(name, path, versions, given.repeats)
    finally:
        large.unlink(missing_ok=True)
    line = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(), "rows": found}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line) + "\n")


def write_log(path: Path, rows: int, *, seed: int = 0) -> None:
    """userId,movieId,rating,timestamp: by user, then film; long tails, ratings in halves, times of 1995 to 2019."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number, frame in enumerate(pieces(rows, np.random.default_rng(seed))):
            frame.write_csv(file, include_header=number == 0)
    print(f"{path.name}: {rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB", flush=True)


def pieces(rows: int, draw: np.random.Generator) -> Iterator[pl.DataFrame]:
    """The rows of `write_log`, in order: every user has 20 or more, film ids go to 209,171, and few pairs repeat."""
    users, items = max(1, USERS * rows // ROWS), max(1, ITEMS * rows // ROWS)
    least = min(20, rows // users)  # ratings of a user
    ends = np.cumsum(draw.lognormal(0.0, 1.2, users))
    counts = least + np.diff(np.floor(ends / ends[-1] * (rows - least * users)).astype(np.int64), prepend=0)
    user = np.repeat(np.arange(1, users + 1), counts)
    ids = np.sort(draw.choice(np.arange(1, 209_172), items, replace=False))
    for start in range(0, rows, PIECE):
        some = user[start : start + PIECE]
        item = ids[(items * draw.random(len(some)) ** 3).astype(np.int64)]
        order = np.lexsort((item, some))
        frame = {"userId": some, "movieId": item[order], "rating": draw.integers(1, 11, len(some)) / 2}
        yield pl.DataFrame(frame | {"timestamp": draw.integers(789_652_009, 1_574_327_703, len(some))})


def race(name: str, path: Path, versions: dict[str, Path], repeats: int) -> list[dict[str, Any]]:
    """Each version's processes, in turn, and their medians. Ends the run where two versions read different events."""
    # a first reading compiles Python's files, and says which events were found
    found = {version: child(path, src, fingerprint=len(versions) > 1) for version, src in versions.items()}
    if len({each["fingerprint"] for each in found.values()}) > 1:
        sys.exit(f"{name}: the versions read different events")
    runs: dict[str, list[dict[str, Any]]] = {version: [] for version in versions}
    for _ in range(repeats):
        for version, src in versions.items():
            runs[version].append(child(path, src, fingerprint=False))
    rows = []
    for version, each in runs.items():
        row = {"log": name, "version": version} | {key: each[0][key] for key in ("events", "users", "items")}
        row |= {key: [round(run[key], 3) for run in each] for key in ("seconds", "processor_seconds", "peak_mb")}
        rows.append(row)
        facts = f"{row['events']:,} events, {row['users']:,} users, {row['items']:,} items"
        seconds, busy, peak = (median(row[key]) for key in ("seconds", "processor_seconds", "peak_mb"))
        times = f"{seconds:.2f} s {row['seconds']}, {busy:.2f} s of all cores"
        print(f"{name}, {version}: {times}, peak {peak:,.0f} MB; {facts}", flush=True)
    return rows


def child(path: Path, src: Path, *, fingerprint: bool) -> dict[str, Any]:
    """What a fresh process measures. The fingerprint is taken after the clock has stopped."""
    command = [sys.executable, "-c", CHILD, str(path), str(int(fingerprint))]
    done = subprocess.run(command, env=environment(src), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    if not Path(found["from"]).is_relative_to(src):
        sys.exit(f"{found['from']} was imported, not {src}")
    return found


def environment(src: Path) -> dict[str, str]:
    """This version's, and bytecode in a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(src), "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "bytecode")}


if __name__ == "__main__":
    main()
