"""A run folder: whose study it holds, and which units of work are done in it.

`parts/study.json` is the mark: the resolved recipe, the data's fingerprint, and the SHA-256 of the other files read. A
folder with another mark is replaced only when asked for; one that holds anything but a study is never written to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matinee.errors import MatineeError
from matinee.files import StrPath, atomic_write, discard
from matinee.store import MANIFEST
from matinee.study.recipe import ModelTable

RESULTS = ("recipe.toml", "metrics.json", "metrics.parquet", "report.html", "run.json")
MARK = Path("parts", "study.json")


@dataclass(frozen=True)
class Unit:
    """One model on one split: a piece of work that is done whole or not at all.

    fold: None unless the recipe cross-validates. first: whether it is of the first split, whose models and
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
        """The folder of what it leaves, in the run folder."""
        return Path("parts", self.split_name, self.model.label)

    @property
    def saved_model(self) -> Path:
        return Path("models", self.model.label)

    @property
    def recommendations(self) -> Path:
        return Path("recommendations", f"{self.model.label}.parquet")

    def checkpoint(self, what: str = "fit") -> Path:
        """Where a training keeps its state until the unit is done."""
        return self.part.with_name(f".{self.model.label}.{what}.safetensors")

    def kept(self, what: str = "fit") -> Path:
        """The model's folder while ensembles of its split may ask for it."""
        return self.part.with_name(f".{self.model.label}.{what}")


class RunFolder:
    """The folder of one study. Creating the object touches nothing."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)

    def __truediv__(self, name: StrPath) -> Path:
        return self.path / name

    def mark(self) -> dict[str, str]:
        """The mark of the study in it; empty where the folder is. Raises MatineeError for other folders."""
        try:
            mark: dict[str, str] = json.loads((self / MARK).read_text("utf-8"))
            return mark
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise MatineeError(
                f"cannot be read: {error}", where=str(self / MARK), hint="choose another --out"
            ) from None
        # names with a dot are the lock, and what a killed first write left
        others = [e.name for e in self.path.iterdir() if not e.name.startswith(".")] if self.path.is_dir() else []
        if [name for name in others if name != MARK.parts[0] or any((self / name).glob("[!.]*"))]:
            raise MatineeError(
                f"this folder holds {min(others)!r} and no study, and nothing was touched",
                where=str(self.path),
                hint="choose another --out: a new folder, or one of a study",
            )
        return {}

    def claim(self, recipe: str, read: Callable[[], Mapping[str, str]], *, overwrite: bool) -> None:
        """Make sure the folder is empty or holds this very study on this very data, and mark it.

        recipe: the resolved recipe. read: what else the mark holds; it is called only where the recipe fits, because
        it reads the data. Raises MatineeError for another study, unless it may be overwritten, or came to nothing: its
        recipe was refused before a model was fitted.
        """
        theirs = self.mark()
        overwrite = overwrite or not self._begun
        if theirs and theirs.get("recipe") != recipe and not overwrite:
            raise self._another("another recipe")
        mine = {"recipe": recipe, **read()}
        if theirs and theirs != mine:
            if not overwrite:
                raise self._another("results on other data")
            self._clear()
        if theirs != mine:
            atomic_write(self / MARK, json.dumps(mine, indent=2))
        if not (self / "recipe.toml").is_file():
            atomic_write(self / "recipe.toml", recipe)

    def done(self, unit: Unit) -> bool:
        """Whether all that a unit leaves is there."""
        needed = [unit.part / "unit.json"]
        if unit.first:
            needed += [unit.saved_model / MANIFEST, unit.recommendations]
        return all((self / name).is_file() for name in needed)

    @property
    def has_results(self) -> bool:
        """Whether the files that are put together from all units are there."""
        return all((self / name).is_file() for name in RESULTS)

    @property
    def _begun(self) -> bool:
        """Whether there is anything but a mark and a recipe: a finished unit, or a training's state."""
        work = [path for path in self.path.glob("parts/**/*") if path.is_file() and path != self / MARK]
        return bool(work) or any((self / name).exists() for name in (*RESULTS, "models") if name != "recipe.toml")

    def _another(self, what: str) -> MatineeError:
        return MatineeError(
            f"this folder holds {what} already, and nothing was touched",
            where=str(self.path),
            hint="choose another --out, or pass --overwrite to replace the study in it",
        )

    def _clear(self) -> None:
        """Remove another study. Its mark stays until ours replaces it, so a kill in between leaves a study's folder."""
        for name in (*RESULTS, "models", "recommendations"):
            discard(self / name)
        for part in self.path.glob("parts/*"):
            if part != self / MARK:
                discard(part)
