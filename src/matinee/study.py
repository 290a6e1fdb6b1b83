"""Run a recipe: split, fit, recommend, measure, keep. Killed at any moment, it goes on where it stopped.

A unit of work is one model on one split. What it leaves lies in parts/, written whole or not at all; a unit whose part
exists is not done again. The run folder's own files are put together from the parts at the end:

    recipe.toml · run.json · metrics.json · metrics.parquet · recommendations/LABEL.parquet
    models/LABEL/ · report.html

(recommendations, models and the report are those of the first seed).
"""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee import split as splits
from matinee.data.coverage import Coverage, coverage
from matinee.data.dataset import Dataset, Holdout, Protocol, Split
from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate import AuditReport, Evaluation, audit, evaluate, evaluate_ratings
from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import RATING
from matinee.files import (
    StrPath,
    atomic_folder,
    atomic_path,
    atomic_write,
    discard,
    locked,
    make_folder,
    sha256,
)
from matinee.meter import Cost, machine, measured
from matinee.models.base import Model
from matinee.rank import Recommendations, recommend
from matinee.recipe import ModelTable, Recipe
from matinee.store import MANIFEST, save_model

if TYPE_CHECKING:
    import polars as pl

METRIC_COLUMNS = (
    "label", "model", "split", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "seed", "protocol",
)  # fmt: skip
RESULTS = ("recipe.toml", "metrics.json", "metrics.parquet", "report.html", "run.json")
MARK = Path("parts", "study.json")  # which study a folder holds: its recipe, data and other files


@dataclass(frozen=True)
class StudyResult:
    """out: the run folder. metrics: one row a mean, see METRIC_COLUMNS. resumed: units that were found done."""

    out: Path
    metrics: pl.DataFrame
    report: Path
    seconds: float
    resumed: int
    warnings: tuple[str, ...]


def run_study(
    recipe: Recipe,
    out: StrPath,
    *,
    data_dir: StrPath | None = None,
    overwrite: bool = False,
    command: str = "",
    tell: Callable[[str], None] = lambda text: None,
) -> StudyResult:
    """Run a recipe into a folder. tell: is given one line for each finished piece of work. A study that is finished is
    left as it is.

    Raises MatineeError when the folder holds another study (unless overwrite) or no study, another process is writing
    to it, or the audit finds an event in both train and test.
    """
    folder = Path(out)
    start = time.perf_counter()
    _study_in(folder)  # a folder that is not ours is left without even a lock
    make_folder(folder)
    with locked(folder / ".lock"):
        run = _Run(recipe, folder, data_dir, tell)
        run.claim(overwrite)
        resumed = sum(run.done(unit) for unit in run.units)
        for unit in run.units:
            if not run.done(unit):
                run.work(unit)
        finished = resumed == len(run.units) and all((folder / name).is_file() for name in RESULTS)
        metrics, warned = run.kept() if finished else run.collect(command)
    seconds = time.perf_counter() - start
    return StudyResult(folder, metrics, folder / "report.html", seconds, resumed, warned)


@dataclass(frozen=True)
class _Unit:
    """One model on one split. fold is None unless the recipe cross-validates."""

    seed: int
    fold: int | None
    model: ModelTable

    @property
    def split_name(self) -> str:
        return f"seed-{self.seed}" + ("" if self.fold is None else f"-fold-{self.fold}")

    @property
    def part(self) -> Path:
        return Path("parts", self.split_name, self.model.label)


class _Run:
    """A recipe at work in its folder."""

    def __init__(self, recipe: Recipe, folder: Path, data_dir: StrPath | None, tell: Callable[[str], None]) -> None:
        self.recipe, self.folder, self.data_dir, self.tell = recipe, folder, data_dir, tell
        folds: list[int | None] = [None]
        if recipe.split.get("folds") is not None:
            folds = list(range(int(recipe.split["folds"])))
        self.units = [_Unit(s, f, model) for s in recipe.seeds for f in folds for model in recipe.model]
        self._splits: tuple[int, list[Split]] | None = None
        self._reading, self._splitting = Cost(), Cost()

    # -- the folder --------------------------------------------------------------------------------------------------

    def claim(self, overwrite: bool) -> None:
        """Make sure the folder is empty or holds this very study on this very data."""
        theirs = _study_in(self.folder)
        mine = {"recipe": self.recipe.to_toml()}
        if theirs and theirs.get("recipe") != mine["recipe"] and not overwrite:
            raise self._another("another recipe")  # known before the data is read
        mine["data"] = self.data.fingerprint
        mine |= {str(path): sha256(path) for path in self.recipe.files(self.data_dir)}
        if theirs and theirs != mine:
            if not overwrite:
                raise self._another("results on other data")
            self._clear()
        if theirs != mine:
            atomic_write(self.folder / MARK, json.dumps(mine, indent=2))
        if not (self.folder / "recipe.toml").is_file():
            atomic_write(self.folder / "recipe.toml", mine["recipe"])

    def _another(self, what: str) -> MatineeError:
        return MatineeError(
            f"this folder holds {what} already, and nothing was touched",
            where=str(self.folder),
            mend="choose another --out, or pass --overwrite to replace the study in it",
        )

    def _clear(self) -> None:
        """Remove another study. Its mark stays until ours replaces it, so a kill in between leaves a study's folder."""
        for name in (*RESULTS, "models", "recommendations"):
            discard(self.folder / name)
        for part in self.folder.glob("parts/*"):
            if part != self.folder / MARK:
                discard(part)

    def done(self, unit: _Unit) -> bool:
        needed = [unit.part / "unit.json"]
        if self._is_first(unit):
            needed += [Path("models", unit.model.label, MANIFEST), _recommendations(unit)]
        return all((self.folder / name).is_file() for name in needed)

    # -- the work ------------------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> Dataset:
        with measured() as self._reading:
            data = self.recipe.load_data(self.data_dir)
        self.tell(f"{data} read in {self._reading.seconds:.1f} s")
        rated = [metric for metric in self.recipe.evaluate.metrics if metric in RATING]
        if rated and data.value is None:
            raise MatineeError(
                f"{data.name} has no ratings, so {', '.join(rated)} cannot be measured",
                mend="map its rating column ([data] columns), or leave these metrics out",
            )
        return data

    @cached_property
    def described(self) -> tuple[tuple[Coverage, ...], list[str]]:
        """How much of the log its side tables describe, and what there is to warn of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MatineeWarning)
            found = coverage(self.data)
        _pass_on(caught)
        return found, _texts(caught)

    def split_of(self, unit: _Unit) -> Split:
        """The unit's split; the last one made is kept, for units come in the order of splits."""
        seed = unit.seed if self.recipe.split_seed is None else self.recipe.split_seed
        if self._splits is None or self._splits[0] != seed:
            self._splits = None  # the last one need not stay in memory meanwhile
            with measured() as self._splitting:
                made = self.recipe.split_data(self.data, seed, self.data_dir)
            for split in made:
                audit(split).raise_if_failed()
            self._splits = seed, made
        return self._splits[1][unit.fold or 0]

    def work(self, unit: _Unit) -> None:
        """Fit one model on one split, measure it on valid and test, and keep what it leaves."""
        split = self.split_of(unit)
        model = unit.model.create()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MatineeWarning)
            with measured() as fitting:
                model.fit(split.train, valid=split.valid, seed=unit.seed, checkpoint=self._checkpoint(unit))
            training = {"curve": model.curve, "curve_names": [model.rounds, *model.curve_names]}  # a refit has no valid
            found = {"valid": self._measure(unit, model, split.valid)} if len(split.valid) else {}
            if self.recipe.evaluate.refit:
                everything, test = splits.refitted(split)
                with measured() as fitting:
                    model = model.for_refit()
                    model.fit(everything, seed=unit.seed, checkpoint=self._checkpoint(unit, "refit"))
            else:
                test = split.test
            found["test"] = self._measure(unit, model, test)
        _pass_on(caught)
        _, recs, ranking = found["test"]
        evaluations = [(part, e) for part, (measures, _, _) in found.items() for e in measures]
        said = {part: {text for p, e in evaluations if p == part for text in e.warnings} for part in ("valid", "test")}
        if self._is_first(unit):
            save_model(model, self.folder / "models" / unit.model.label)
            with atomic_path(self.folder / _recommendations(unit)) as temp:
                recs.to_frame().write_parquet(temp)
        facts = {
            "splitting": asdict(self._splitting),
            "costs": {"fit": asdict(fitting), "recommend": asdict(ranking)},
            **training,
            "warnings": [text for text in _texts(caught) if text not in said["valid"] - said["test"]],
        }
        self._keep(unit, evaluations, recs, facts)
        for what in ("fit", "refit"):
            discard(self._checkpoint(unit, what))
        told = [
            f"{named(*column)} {e.mean(*column).value:.4f} ± {e.mean(*column).half:.4f}"
            for e in found["test"][0]
            for column in e.columns[:1]
        ]
        told += [f"fit {fitting.seconds:.2f} s", f"ranking {ranking.seconds:.2f} s"]
        self.tell(f"{unit.split_name}  {unit.model.label}: {', '.join(told)}")

    def _checkpoint(self, unit: _Unit, what: str = "fit") -> Path:
        """Where a training keeps its state until the unit is done."""
        return self.folder / unit.part.with_name(f".{unit.model.label}.{what}.safetensors")

    def _keep(
        self, unit: _Unit, evaluations: list[tuple[str, Evaluation]], recs: Recommendations, facts: dict[str, Any]
    ) -> None:
        """Write a unit's part; with it the unit is done."""
        import polars as pl

        per_query = [
            e.per_query().with_columns(split=pl.lit(part), protocol=pl.lit(e.protocol.fingerprint))
            for part, e in evaluations
        ] or [pl.DataFrame(schema={"query": pl.Int32, "k": pl.Int32})]  # nothing that the model could be asked
        content = {
            "metrics": [self._row(unit, part, mean) for part, e in evaluations for mean in e.to_frame().to_dicts()],
            "protocols": {e.protocol.fingerprint: asdict(e.protocol) for _, e in evaluations},
            **facts,
        }
        with atomic_folder(self.folder / unit.part) as temp:
            pl.concat(per_query).with_columns(seed=pl.lit(unit.seed), fold=pl.lit(unit.fold, pl.Int32)).write_parquet(
                temp / "per_query.parquet"
            )
            _save_recommendations(recs, temp / "recommendations.npz")
            (temp / "unit.json").write_text(json.dumps(content), "utf-8")

    def _measure(self, unit: _Unit, model: Model, holdout: Holdout) -> tuple[list[Evaluation], Recommendations, Cost]:
        """Up to two evaluations: of the ranking, and of predicted ratings where the recipe asks and the model can."""
        spec, label = self.recipe.evaluate, unit.model.label
        with measured() as cost:
            recs = recommend(model, holdout.queries, max(spec.k), progress=True)
        ranked = [metric for metric in spec.metrics if metric not in RATING]
        rated = [metric for metric in spec.metrics if metric in RATING]
        found = []
        if ranked:
            found.append(evaluate(recs, holdout, k=spec.k, metrics=ranked, convention=spec.convention, label=label))
        if rated and not model.predicts:
            warnings.warn(f"{label} predicts no ratings: no {', '.join(rated)}", MatineeWarning, stacklevel=2)
        elif rated and holdout.pairs is not None and self.data.value is not None:
            predicted = model.predict(holdout.pairs, holdout.queries)
            scale = float(self.data.value.min()), float(self.data.value.max())
            found.append(evaluate_ratings(predicted, holdout, model.users, scale=scale, metrics=rated, label=label))
        return found, recs, cost

    def _is_first(self, unit: _Unit) -> bool:
        return unit.seed == self.recipe.seeds[0] and not unit.fold

    def _row(self, unit: _Unit, part: str, mean: dict[str, Any]) -> dict[str, Any]:
        row = {**mean, "model": unit.model.name, "split": part, "seed": unit.seed}
        ordered = {column: None if row[column] != row[column] else row[column] for column in METRIC_COLUMNS}  # no NaN
        return ordered if unit.fold is None else {**ordered, "fold": unit.fold}

    # -- the results ------------------------------------------------------------------------------------------------

    def collect(self, command: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """Put the run folder's files together from all parts; run.json is the last."""
        import polars as pl

        parts = [json.loads((self.folder / unit.part / "unit.json").read_text("utf-8")) for unit in self.units]
        rows = [row for part in parts for row in part["metrics"]]
        protocols = {fingerprint: words for part in parts for fingerprint, words in part["protocols"].items()}
        side_tables, doubts = self.described
        warned = _distinct([*doubts, *(text for part in parts for text in part["warnings"])])
        lines = ",\n".join(json.dumps(row) for row in rows)
        atomic_write(self.folder / "metrics.json", f"[\n{lines}\n]\n")
        tables = [pl.read_parquet(self.folder / unit.part / "per_query.parquet") for unit in self.units]
        per_query = pl.concat([table for table in tables if table.height] or tables, how="diagonal_relaxed")
        with atomic_path(self.folder / "metrics.parquet") as temp:
            per_query.write_parquet(temp)
        costs = [
            {"label": unit.model.label, "seed": unit.seed, "fold": unit.fold, **part["costs"]}
            for unit, part in zip(self.units, parts, strict=True)
        ]
        metrics = pl.DataFrame(rows, infer_schema_length=None)
        report = audit(self.split_of(self.units[0]))
        facts = {
            "title": self.recipe.title,
            "command": command,
            "seeds": self.recipe.seeds,
            "data": {"name": self.data.name, "fingerprint": self.data.fingerprint, "events": len(self.data),
                     "users": self.data.n_users, "items": self.data.n_items,
                     "side_tables": [asdict(table) for table in side_tables]},
            "machine": machine(),
            "reading": asdict(self._reading),
            "splitting": {f"seed-{unit.seed}": part["splitting"] for unit, part in zip(self.units, parts, strict=True)},
            "costs": costs,
            **{
                what: {
                    unit.model.label: part[one]
                    for unit, part in zip(self.units, parts, strict=True)
                    if self._is_first(unit) and part["curve"]
                }
                for what, one in (("curves", "curve"), ("curve_names", "curve_names"))
            },
            "protocols": protocols,
            "audit": [asdict(finding) for finding in report.findings],
            "notes": list(self.split_of(self.units[0]).notes),
            "warnings": list(warned),
        }  # fmt: skip
        self._write_report(metrics, per_query, costs, facts, report)
        atomic_write(self.folder / "run.json", json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")
        return metrics, warned

    def kept(self) -> tuple[pl.DataFrame, tuple[str, ...]]:
        """What `collect` left when the study was finished."""
        import polars as pl

        rows, facts = (json.loads((self.folder / name).read_text("utf-8")) for name in ("metrics.json", "run.json"))
        return pl.DataFrame(rows, infer_schema_length=None), tuple(facts["warnings"])

    def _write_report(
        self, metrics: pl.DataFrame, per_query: pl.DataFrame, costs: list[dict[str, Any]], facts: dict[str, Any],
        audited: AuditReport,
    ) -> None:  # fmt: skip
        import polars as pl

        from matinee.report import Study, write_report

        first = [unit for unit in self.units if self._is_first(unit)]
        split = self.split_of(first[0])
        same_ids = split.train.users is self.data.users and split.train.items is self.data.items
        words = {fingerprint: str(Protocol(**fields)) for fingerprint, fields in facts["protocols"].items()}
        peaks = [max(c["fit"]["peak_mb"] or 0.0, c["recommend"]["peak_mb"] or 0.0) or None for c in costs]
        study = Study(
            title=self.recipe.title,
            data=self.data if same_ids else split.train,  # provided files may bring ids of their own
            split=split,
            metrics=metrics,
            protocols=words,
            findings=audited.findings,
            warnings=facts["warnings"],
            recommendations={
                unit.model.label: _load_recommendations(self.folder / unit.part / "recommendations.npz", split)
                for unit in first
            },
            per_query=per_query,
            costs=pl.DataFrame(
                {
                    "label": [c["label"] for c in costs],
                    "seed": [c["seed"] for c in costs],
                    "fit_seconds": [c["fit"]["seconds"] for c in costs],
                    "recommend_seconds": [c["recommend"]["seconds"] for c in costs],
                    "peak_mb": peaks,
                }
            ),
            facts={"command": facts["command"], **facts["machine"]},
            curves=facts["curves"],
            curve_names=facts["curve_names"],
            side_tables=self.described[0],
        )
        write_report(study, self.folder / "report.html")


def _save_recommendations(recs: Recommendations, path: Path) -> None:
    np.savez(path, item=recs.item, score=recs.score, tied=recs.tied, fallback=recs.fallback)


def _load_recommendations(path: Path, split: Split) -> Recommendations:
    with np.load(path, allow_pickle=False) as arrays:
        kept = {name: arrays[name] for name in ("item", "score", "tied", "fallback")}
    return Recommendations(split.train.users, split.train.items, split.test.queries.user, **kept)


def _recommendations(unit: _Unit) -> Path:
    return Path("recommendations", f"{unit.model.label}.parquet")


def _study_in(folder: Path) -> dict[str, str]:
    """The mark of the study that a folder holds; empty where the folder is. Raises MatineeError for other folders."""
    try:
        mark: dict[str, str] = json.loads((folder / MARK).read_text("utf-8"))
        return mark
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise MatineeError(f"cannot be read: {error}", where=str(folder / MARK), mend="choose another --out") from None
    # names with a dot are the lock, and what a killed first write left
    others = [e.name for e in folder.iterdir() if not e.name.startswith(".")] if folder.is_dir() else []
    if [name for name in others if name != MARK.parts[0] or any((folder / name).glob("[!.]*"))]:
        raise MatineeError(
            f"this folder holds {min(others)!r} and no study, and nothing was touched",
            where=str(folder),
            mend="choose another --out: a new folder, or one of a study",
        )
    return {}


def _texts(caught: list[warnings.WarningMessage]) -> list[str]:
    """Ours, each once."""
    return list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, MatineeWarning)))


def _pass_on(caught: list[warnings.WarningMessage]) -> None:
    """Warnings that are not ours go where they would have gone."""
    for w in caught:
        if not issubclass(w.category, MatineeWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def _distinct(texts: list[str]) -> tuple[str, ...]:
    """Seeds and folds say the same with other shares: the first of each is kept."""
    kept: dict[str, str] = {}
    for text in texts:
        kept.setdefault(re.sub(r"[\d.,]+ ?%", "%", text), text)
    return tuple(kept.values())
