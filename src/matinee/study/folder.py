"""A run folder: which study it holds, and which units of work are done in it.

`parts/study.json` is the mark: the resolved recipe, the data's fingerprint, and the SHA-256 of the other files read. A
folder with another mark is replaced only on request; a folder that holds anything but a study is never written to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from matinee.errors import MatineeError
from matinee.files import StrPath, atomic_write, discard
from matinee.store import MANIFEST, logs
from matinee.study.recipe import ModelTable, Recipe
from matinee.study.results import UnitRecord

RECIPE, METRICS, PER_QUERY, RUN, REPORT = "recipe.toml", "metrics.json", "metrics.parquet", "run.json", "report.html"
ANALYSIS = "analysis.json"  # not in runs of older versions
LOGS = logs.SHARED
RESULTS = (RECIPE, METRICS, PER_QUERY, RUN, REPORT)
MARK = Path("parts", "study.json")
REPLACE = "choose another --out, or pass --overwrite to replace the study in it"
UNIT, UNIT_VALUES, UNIT_LISTS = "unit.json", "per_query.parquet", "recommendations.npz"  # in a unit's part


@dataclass(frozen=True)
class Unit:
    """One model on one split: a piece of work that is done whole or not at all.

    fold: None unless the recipe cross-validates. first: whether the split is the first, whose models and
    recommendations are kept.
    """

    seed: int
    fold: int | None
    model: ModelTable
    first: bool

    @property
    def split_name(self) -> str:
        return f"seed-{self.seed}" + ("" if self.fold is None else f"-fold-{self.fold}")

    @property
    def part(self) -> Path:
        """Its folder of results, in the run folder."""
        return Path("parts", self.split_name, self.model.label)

    @property
    def saved_model(self) -> Path:
        return Path("models", self.model.label)

    @property
    def recommendations(self) -> Path:
        return Path("recommendations", f"{self.model.label}.parquet")

    def checkpoint(self, what: str = "fit") -> Path:
        """The file that keeps a training's state until the unit is done."""
        return self.part.with_name(f".{self.model.label}.{what}.safetensors")

    def kept(self, what: str = "fit") -> Path:
        """The model's folder while composites on the same split may need it."""
        return self.part.with_name(f".{self.model.label}.{what}")


def units_of(recipe: Recipe) -> list[Unit]:
    """All units of a study, in the order they are done in."""
    n_folds = recipe.split.get("folds")
    folds: Sequence[int | None] = [None] if n_folds is None else range(int(n_folds))
    of_units = product(recipe.seeds, folds, recipe.model)
    return [Unit(seed, fold, model, seed == recipe.seeds[0] and not fold) for seed, fold, model in of_units]


class RunFolder:
    """The folder of one study. Creating the object touches nothing."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)

    def __truediv__(self, name: StrPath) -> Path:
        return self.path / name

    def mark(self) -> dict[str, str]:
        """The mark of the study in it; {} for an empty folder. Raises MatineeError for any other folder."""
        try:
            mark: dict[str, str] = json.loads((self / MARK).read_text("utf-8"))
            return mark
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            what = f"cannot be read: {error}"
            raise MatineeError(what, where=str(self / MARK), hint="choose another --out") from None
        # names with a dot are the lock, and what a killed first write left behind
        others = [e.name for e in self.path.iterdir() if not e.name.startswith(".")] if self.path.is_dir() else []
        if [name for name in others if name != MARK.parts[0] or any((self / name).glob("[!.]*"))]:
            hint = "choose another --out: a new folder, or one of a study"
            raise self._refused(f"{min(others)!r} and no study", hint)
        return {}

    def claim(self, recipe: str, read: Callable[[], Mapping[str, str]], *, overwrite: bool) -> None:
        """Make sure the folder is empty or holds this study on this data, and mark it.

        recipe: the resolved recipe. read: gives the rest of the mark; it reads the data, so it is called only where the
        recipe is the same. Raises MatineeError for another study, unless overwrite is set, or no model of that study
        was ever fitted.
        """
        theirs = self.mark()
        # anything but a mark and a recipe: a finished unit, or a training's state
        work = [path for path in self.path.glob("parts/**/*") if path.is_file() and path != self / MARK]
        begun = bool(work) or any((self / name).exists() for name in (*RESULTS, "models") if name != RECIPE)
        overwrite = overwrite or not begun
        if theirs and theirs.get("recipe") != recipe and not overwrite:
            raise self._refused("another recipe already")
        mine = {"recipe": recipe, **read()}
        if theirs and theirs != mine:
            if not overwrite:
                raise self._refused("results on other data already")
            for name in (*RESULTS, ANALYSIS, "models", "recommendations", LOGS):
                discard(self / name)
            for part in self.path.glob("parts/*"):
                if part != self / MARK:  # it stays until ours replaces it, so that a kill leaves a study's folder
                    discard(part)
        if theirs != mine:
            atomic_write(self / MARK, json.dumps(mine, indent=2))
        if not (self / RECIPE).is_file():
            atomic_write(self / RECIPE, recipe)

    def done(self, unit: Unit) -> bool:
        """Whether all files of a finished unit are there."""
        needed = [unit.part / UNIT]
        if unit.first:
            needed += [unit.saved_model / MANIFEST, unit.recommendations]
        has_log = not unit.first or any((self / LOGS).glob(f"*/{MANIFEST}"))
        return has_log and all((self / name).is_file() for name in needed)

    def record(self, unit: Unit) -> UnitRecord:
        return UnitRecord.read(self / unit.part / UNIT)

    def _refused(self, holds: str, hint: str = REPLACE) -> MatineeError:
        return MatineeError(f"this folder holds {holds}, and nothing was touched", where=str(self.path), hint=hint)
