"""Run `matinee ARGS` and die by SIGKILL at a chosen moment. Called by test_killed_run.py in a process of its own.

python killed_run.py COUNT ARGS...     count calls of Matinee's functions, print the number at the end
python killed_run.py call:N ARGS...    die at the N-th such call
python killed_run.py write:N ARGS...   die inside the N-th write: the file is half there, not yet synced or renamed
python killed_run.py rename:N ARGS...  die between a write and its rename
python killed_run.py evaluation:N ARGS...   die inside the N-th evaluation, hits found and nothing yet measured
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from markupsafe import Markup

import matinee

HOME = str(Path(matinee.__file__).parent)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


def dying(function: Callable[..., Any], at: int) -> Callable[..., Any]:
    """The function, dying at its at-th call (from 1) after its work is done."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            function(*args, **kwargs)
            die()
        return function(*args, **kwargs)

    return wrapped


def half_written(sync: Callable[[Path], None], at: int) -> Callable[[Path], None]:
    """sync, dying at its at-th file with half of the bytes on the disk."""

    files = 0

    def counting(path: Path) -> None:
        nonlocal files
        files += path.is_file()
        if path.is_file() and files == at:
            os.truncate(path, path.stat().st_size // 2)
            die()
        sync(path)

    return counting


def main() -> None:
    moment, _, number = sys.argv[1].partition(":")
    sys.argv = ["matinee", *sys.argv[2:]]
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(HOME):
            count += 1
            if moment == "call" and count == int(number):
                die()

    from matinee import cli, files
    from matinee.evaluate import metrics
    from matinee.report import plots

    vars(plots)["draw"] = lambda paint, name, alt, **sizes: Markup("<svg></svg>")  # takes half of a small run's time
    if moment == "write":
        vars(files)["_sync"] = half_written(files._sync, int(number))
    elif moment == "rename":
        vars(files)["_sync"] = dying(files._sync, int(number))
    elif moment == "evaluation":
        vars(metrics)["find_hits"] = dying(metrics.find_hits, int(number))
    else:
        sys.setprofile(profile)
    try:
        cli.main()
    except SystemExit as stop:
        sys.setprofile(None)
        if stop.code:
            raise
    sys.setprofile(None)
    print(f"calls: {count}")


if __name__ == "__main__":
    main()
