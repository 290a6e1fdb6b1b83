"""Train the toy net in forked processes that die by SIGKILL, then go on. Called by test_killed_training.py.

python killed_training.py FOLDER TRIAL...   a trial is one moment or several, joined by '+': each kills one process in
turn, then a last one trains to the end. Prints one JSON object a trial: how its processes ended, which of its files
differ from those of an undisturbed training, and what was left behind.

    call:SHARE      at this share (0..1) of all calls of Matinee's functions in an undisturbed training
    write:N         inside the N-th write of a checkpoint: half of the file is there, not yet synced or renamed
    rename:N        between the N-th write and its rename
    renamed:N       after the N-th rename, before its folder is synced
    validation:N    inside the N-th validation

Processes are forked because importing torch anew forty times takes a minute. One thread: torch's pool does not survive.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch._dynamo  # an optimiser's first step imports it: once here, not in every child
from safetensors.numpy import load_file, save_file

import matinee
from matinee import files

sys.path.insert(0, str(Path(__file__).parents[1]))

from matinee.nn.train import Loop
from nn.toy import loop, without_seconds

HOME = str(Path(matinee.__file__).parent)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


def dying(
    function: Callable[..., Any],
    at: int,
    *,
    counts: Callable[..., bool] = lambda *_: True,
    instead: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """The function, dying at the end of the at-th call (from 1) that counts; `instead` is what that one does."""
    calls = 0

    def wrapped(*args: Any) -> Any:
        nonlocal calls
        counted = counts(*args)
        calls += counted
        if counted and calls == at:
            (instead or function)(*args)
            die()
        return function(*args)

    return wrapped


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


class Calls:
    """Counts calls of Matinee's functions, and dies at one of them."""

    def __init__(self, last: int = 0) -> None:
        self.count, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(HOME):
            self.count += 1
            if self.count == self.last:
                die()


def arm(moment: str, running: Loop, calls: int) -> Calls:
    kind, _, number = moment.partition(":")
    counter = Calls(1 + int(float(number) * (calls - 1)) if kind == "call" else 0)
    if kind == "validation":
        assert running.validate is not None
        running.validate = dying(running.validate, int(number))
    elif kind == "write":
        vars(files)["_sync"] = dying(files._sync, int(number), counts=Path.is_file, instead=halve)
    elif kind == "rename":
        vars(files)["_sync"] = dying(files._sync, int(number), counts=Path.is_file)
    elif kind == "renamed":
        vars(files)["_sync"] = dying(files._sync, int(number), counts=Path.is_dir, instead=lambda path: None)
    return counter


def train(folder: Path, moment: str, calls: int) -> None:
    running, net = loop(checkpoint=folder / "checkpoint")
    counter = arm(moment, running, calls)
    sys.setprofile(counter)
    curve = running.run()
    sys.setprofile(None)
    save_file({name: value.numpy() for name, value in net.state_dict().items()}, folder / "weights")
    (folder / "curve").write_text(json.dumps([counter.count, without_seconds(curve)]))


def in_a_child(folder: Path, moment: str, calls: int) -> int:
    """How it ended: 0, or -9 for SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            train(folder, moment, calls)
        except BaseException:  # noqa: BLE001 - the parent's part of the program must not run twice
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def differing(folder: Path, undisturbed: Path) -> list[str]:
    out = []
    for name in ("weights", "checkpoint"):  # a checkpoint's words hold seconds: its tensors are compared
        one, other = (load_file(place / name) for place in (folder, undisturbed))
        out += [f"{name} {key}" for key in one.keys() | other.keys() if one[key].tobytes() != other[key].tobytes()]
    curves = [json.loads((place / "curve").read_text())[1] for place in (folder, undisturbed)]
    return out + (["curve"] if curves[0] != curves[1] else [])


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    assert in_a_child(undisturbed, "never", 0) == 0
    calls = json.loads((undisturbed / "curve").read_text())[0]
    for number, trial in enumerate(sys.argv[2:]):
        place = folder / str(number)
        place.mkdir()
        ends = [in_a_child(place, moment, calls) for moment in trial.split("+")]
        ends.append(in_a_child(place, "never", 0))
        left = sorted({path.name for path in place.iterdir()} - {"weights", "curve", "checkpoint"})
        differ = differing(place, undisturbed) if ends[-1] == 0 else ["everything"]
        print(json.dumps({"trial": trial, "calls": calls, "ends": ends, "differ": differ, "left": left}), flush=True)


if __name__ == "__main__":
    main()
