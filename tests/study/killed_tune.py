"""Tune a recipe in a process of its own, and die by SIGKILL at a chosen moment. Called by test_tune.py.

python killed_tune.py RECIPE OUT TRIALS begin:N    die when the N-th trial (from 1) was begun, before its fit
python killed_tune.py RECIPE OUT TRIALS fit:N      die in the N-th fit
python killed_tune.py RECIPE OUT TRIALS end:N      die when the N-th trial was measured, before it is kept
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from matinee.models.base import Model
from matinee.study.recipe import load_recipe
from matinee.study.tune import tune
from matinee.study.tuning.store import Store

PLACES: dict[str, tuple[type, str]] = {"begin": (Store, "begin"), "fit": (Model, "fit_in"), "end": (Store, "end")}


def dying(right: Callable[..., Any], at: int, *, after: bool) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and after:
            right(*args, **kwargs)
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return right(*args, **kwargs)

    return wrapped


if __name__ == "__main__":
    recipe, out, trials, moment = sys.argv[1:]
    kind, _, number = moment.partition(":")
    owner, name = PLACES[kind]
    setattr(owner, name, dying(getattr(owner, name), int(number), after=kind == "begin"))
    tune(load_recipe(recipe), out, trials=int(trials), test=False)
