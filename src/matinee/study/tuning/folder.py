"""The folder of a tuning: which study it holds, on which data, tuned for what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from matinee.errors import MatineeError
from matinee.files import StrPath, discard
from matinee.study.recipe import Recipe
from matinee.study.tuning.records import BEST, DATABASE, REPORT, TEST, TRIALS, TUNING
from matinee.study.tuning.store import Store

REPLACE = "choose another --out, or pass --overwrite to replace the tuning in it"
OURS = (TUNING, TRIALS, BEST, REPORT, TEST, f"{DATABASE}-wal", f"{DATABASE}-shm", DATABASE)
DIFFERS = {
    "recipe": "a tuning of another recipe", "metric": "a tuning for another metric",
    "space": "a tuning with other ranges", "data": "a tuning on other data",
}  # fmt: skip


class TuningFolder:
    """The folder of one tuning. Creating the object touches nothing."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)

    def __truediv__(self, name: StrPath) -> Path:
        return self.path / name

    def check(self) -> None:
        """Raise MatineeError for a folder that holds anything but a tuning: nothing is written there."""
        if self.path.is_file():
            raise MatineeError("is a file, not a folder", where=str(self.path), hint="choose another --out")
        others = [e.name for e in self.path.iterdir() if not e.name.startswith(".")] if self.path.is_dir() else []
        if others and DATABASE not in others:
            hint = "choose another --out: a new folder, or one of a tuning"
            raise self._refused(f"{min(others)!r} and no tuning", hint)

    def claim(self, mark: Mapping[str, str], read: Callable[[], str], *, overwrite: bool) -> Store:
        """The folder's store, where it is new or holds this tuning.

        mark: says what the tuning is. read: gives the fingerprint of its data; it reads them, so it is called only
        where the mark is the same. Raises MatineeError for another tuning, unless overwrite is set, or no trial of that
        one was begun.
        """
        if overwrite:
            discard_all(self.path)
        store = Store(self / DATABASE)
        theirs = store.about()
        if theirs and not store.ended() and not store.take_up():
            store.close()
            discard_all(self.path)
            store, theirs = Store(self / DATABASE), {}
        try:
            self._compare(theirs, mark)
            everything = {**mark, "data": read()}
            self._compare(theirs, everything)
        except BaseException:
            store.close()
            raise
        if not theirs:
            store.mark(everything)
        return store

    def _compare(self, theirs: Mapping[str, str], mine: Mapping[str, str]) -> None:
        for key, value in mine.items():
            if theirs and theirs.get(key) != value:
                raise self._refused(f"{DIFFERS.get(key, 'another tuning')} already")

    def _refused(self, holds: str, hint: str = REPLACE) -> MatineeError:
        return MatineeError(f"this folder holds {holds}, and nothing was touched", where=str(self.path), hint=hint)


def discard_all(path: Path) -> None:
    """Remove what a tuning left; the database last, which says that the folder is one of a tuning."""
    for name in OURS:
        discard(path / name)


def mark_of(recipe: Recipe) -> dict[str, str]:
    """What a tuning is, but for its data. How many trials, how long, and which of the models may change from call to
    call."""
    tune = recipe.tune
    space = json.dumps(tune.model_dump(mode="json")["space"], sort_keys=True)
    return {"recipe": recipe.to_toml(), "metric": tune.metric or "", "space": space}
