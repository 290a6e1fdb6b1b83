"""Trainings of nets side by side, in turn, each in a process of its own with the same threads; the command line."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from timing import Row, environment

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """library: matinee, recbole or rectools; model, settings: the library's own names for it."""

    library: str
    model: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """What is trained side by side, on one of splits.SPLITS.

    jobs: the same net in several libraries. sequences: what an epoch learns from is counted in events, and told a
    second. evaluates: valid is ranked and timed too. toy: what to change in each library's settings where the log is
    made up.
    """

    title: str
    split: str
    jobs: Sequence[Job]
    sequences: bool = False
    evaluates: bool = True
    toy: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    data_dir: Path
    epochs: int
    repeats: int
    threads: int
    toy: bool


def race(work: Work, options: Options) -> Row:
    """A B, A B, ...: the seconds of every epoch but each process's first, which also warms up."""
    row = Row(work.title)
    measured: dict[str, list[dict[str, Any]]] = {}
    for _ in range(options.repeats):
        for job in work.jobs:
            measured.setdefault(job.library, []).append(run(job, work, options))
    for library, results in measured.items():
        if missing := next((result["missing"] for result in results if "missing" in result), None):
            row.seconds[library], row.facts[library] = [], {"not measured:": missing.partition("\n")[0]}
            continue
        row.seconds[library] = [s for result in results for s in result["seconds"][len(result["seconds"]) > 1 :]]
        row.facts[library] = facts(work, results, median(row.seconds[library]))
    return row


def facts(work: Work, results: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    last = results[-1]
    found = {
        **({"events": round(last["events"]), "events/s": round(last["events"] / seconds)} if work.sequences else {}),
        "peak MB above start": round(median(result["mb"] for result in results)),
        "peak MB": round(median(result["peak_mb"] for result in results)),
        "losses": [round(loss, 4) for loss in last["losses"]],
    }
    if work.evaluates:
        found["evaluation s"] = round(median(result["evaluation_seconds"] for result in results), 3)
        found["valid ndcg@10"] = round(last["ndcg"], 4)
    return found


def run(job: Job, work: Work, options: Options) -> dict[str, Any]:
    """A child's answer, on the last `threads` of the cores this process may use."""
    split = f"toy, {work.split.partition(', ')[2]}" if options.toy else work.split
    settings = {**job.settings, **(work.toy.get(job.library, {}) if options.toy else {})}
    words = {
        "library": job.library,
        "model": job.model,
        "settings": settings,
        "split": split,
        "data_dir": str(options.data_dir),
        "epochs": options.epochs,
        "threads": options.threads,
        "evaluate": work.evaluates,
    }
    cores = sorted(os.sched_getaffinity(0))[-options.threads :]
    threads = {f"{name}_NUM_THREADS": str(options.threads) for name in ("OMP", "MKL", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, str(HERE / "train_child.py"), json.dumps(words)],
        capture_output=True,
        text=True,
        env={**os.environ, **threads},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{job.library}'s {job.model} failed:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(description: str, works: Mapping[str, Work], out: str) -> None:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m and ml-100k")
    parser.add_argument("--work", default=",".join(works), help="comma-separated; default: %(default)s")
    parser.add_argument("--epochs", type=int, default=4, help="a process, the first one not counted")
    parser.add_argument("--repeats", type=int, default=1, help="processes of each library")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--toy", action="store_true", help="200 x 100 made-up events: only to see that it runs")
    parser.add_argument("--out", type=Path, default=HERE / "results" / out)
    given = parser.parse_args()
    chosen = given.work.split(",")
    if unknown := set(chosen) - set(works):
        parser.error(f"unknown work {', '.join(sorted(unknown))}; choose from {', '.join(works)}")
    options = Options(given.data_dir, given.epochs, given.repeats, given.threads, given.toy)
    machine = environment()
    print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_at_start']:.2f}; {machine['when']}")
    print(f"{options.threads} threads, {options.epochs} epochs a process, {options.repeats} processes each; s an epoch")
    rows = []
    try:
        for name in chosen:
            row = race(works[name], options)
            print(row, flush=True)
            rows.append({**asdict(row), "jobs": [asdict(job) for job in works[name].jobs]})
    finally:  # what was measured before an error stays measured
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with given.out.open("a") as file:
            file.write(json.dumps({**machine, "threads": options.threads, "toy": options.toy, "rows": rows}) + "\n")
