"""Run a recipe: split, fit, recommend, measure, keep. Killed at any moment, it goes on where it stopped.

A unit of work is one model on one split. What it leaves lies in parts/, written whole or not at all; a unit whose part
exists is not done again. The run folder's own files are put together from the parts at the end:

    recipe.toml · run.json · metrics.json · metrics.parquet · recommendations/LABEL.parquet
    models/LABEL/ · report.html

(recommendations, models and the report are those of the first seed). Whose folder it is, run_folder.py decides; what is
written, run_results.py says.

Models that are members of an ensemble, or a stage of a re-ranker, also lie in parts/, as model folders, until all units
of their split are done: these take them from there and fit none of them again. If they are gone, they do.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee import split as splits
from matinee.data.dataset import Dataset, Holdout, Split
from matinee.data.side_table_report import SideTableReport, side_table_report
from matinee.errors import MatineeError, MatineeWarning
from matinee.evaluate import Bin, Evaluation, audit, calibration, evaluate, evaluate_ratings
from matinee.evaluate.evaluate import named
from matinee.evaluate.predictions import CLICK
from matinee.files import StrPath, atomic_path, discard, locked, make_folder, sha256
from matinee.models.base import Model
from matinee.models.families.composite import Composite
from matinee.profiling import ResourceUsage, machine, measured
from matinee.rank import Recommendations, recommend
from matinee.store import MANIFEST, load_model, save_model
from matinee.study import results
from matinee.study.folder import RunFolder, Unit
from matinee.study.recipe import Recipe

if TYPE_CHECKING:
    import polars as pl

PHASES = ("fit", "refit")


@dataclass(frozen=True)
class StudyResult:
    """out: the run folder. metrics: one row a mean, see run_results.METRIC_COLUMNS. resumed: units found done. notes:
    what a reader of the numbers should know of the split."""

    out: Path
    metrics: pl.DataFrame
    report: Path
    seconds: float
    resumed: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
    folder = RunFolder(out)
    start = time.perf_counter()
    folder.mark()  # a folder that is not ours is left without even a lock
    make_folder(folder.path)
    with locked(folder / ".lock"):
        run = _Run(recipe, folder, data_dir, tell)
        folder.claim(recipe.to_toml(), run.sources, overwrite=overwrite)
        resumed = sum(folder.done(unit) for unit in run.units)
        for unit in run.units:
            if not folder.done(unit):
                run.work(unit)
        finished = resumed == len(run.units) and folder.has_results
        found = results.kept(folder) if finished else run.collect(command)
    seconds = time.perf_counter() - start
    return StudyResult(
        folder.path, found.metrics, folder / "report.html", seconds, resumed, found.warnings, found.notes
    )


@dataclass
class _Measured:
    """What one model answered in one part of a split. recs: ranked by the first rule, where lists are measured or kept.
    cost: of that ranking, or of the predictions where these alone are measured. told: of each evaluation its first
    column in words. calibration: of predicted probabilities."""

    recs: Recommendations | None = None
    cost: ResourceUsage = field(default_factory=ResourceUsage)
    evaluations: list[Evaluation] = field(default_factory=list)
    summary_lines: list[str] = field(default_factory=list)
    calibration: list[Bin] = field(default_factory=list)

    def add(self, evaluation: Evaluation, rule: str = "") -> None:
        self.evaluations.append(evaluation)
        for column in evaluation.columns[:1]:
            mean = evaluation.mean(*column)
            half = "" if np.isnan(mean.half) else f" ± {mean.half:.4f}"
            self.summary_lines.append(f"{named(*column)} {mean.value:.4f}{half}{rule}")


class _Run:
    """A recipe at work in its folder."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, data_dir: StrPath | None, tell: Callable[[str], None]
    ) -> None:
        self.recipe, self.folder, self.data_dir, self.tell = recipe, folder, data_dir, tell
        folds: list[int | None] = [None]
        if recipe.split.get("folds") is not None:
            folds = list(range(int(recipe.split["folds"])))
        self.units = [
            Unit(s, f, model, s == recipe.seeds[0] and not f)
            for s in recipe.seeds
            for f in folds
            for model in recipe.model
        ]
        self.members = {member.label for model in recipe.model for member in recipe.members(model)}
        self._splits: tuple[int, list[Split]] | None = None
        self._checked: set[str] = set()
        self._reading, self._splitting = ResourceUsage(), ResourceUsage()

    def sources(self) -> dict[str, str]:
        """Fingerprints of all that the study reads."""
        files = {str(path): sha256(path) for path in self.recipe.files(self.data_dir)}
        return {"data": self.data.fingerprint, **files}

    @cached_property
    def data(self) -> Dataset:
        with measured() as self._reading:
            data = self.recipe.load_data(self.data_dir)
        self.tell(f"{data} read in {self._reading.seconds:.1f} s")
        predicted = self.recipe.evaluate.predicted
        if predicted and data.value is None:
            raise MatineeError(
                f"{data.name} has no ratings, so {', '.join(predicted)} cannot be measured",
                hint="map its rating column ([data] columns), or leave these metrics out",
            )
        values = [] if data.value is None else np.unique(data.value).tolist()
        if (clicks := [metric for metric in predicted if metric in CLICK]) and values != [0, 1]:
            raise MatineeError(
                f"the ratings of {data.name} are not labels 0 and 1 but from {values[0]:g} to {values[-1]:g}, so "
                f"{', '.join(clicks)} cannot be measured",
                hint="say in [data] from which rating on they are 1: label_min = 4.0, say",
            )
        return data

    @cached_property
    def described(self) -> tuple[tuple[SideTableReport, ...], list[str]]:
        """How much of the log its side tables describe, and what there is to warn of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MatineeWarning)
            found = side_table_report(self.data)
        _pass_on(caught)
        return found, _texts(caught)

    def split_of(self, unit: Unit) -> Split:
        """The unit's split; the last one made is kept, for units come in the order of splits."""
        seed = unit.seed if self.recipe.split_seed is None else self.recipe.split_seed
        if self._splits is None or self._splits[0] != seed:
            self._splits = None  # the last one need not stay in memory meanwhile
            with measured() as self._splitting:
                made = self.recipe.split_data(self.data, seed, self.data_dir)
            for split in made:
                audit(split).raise_if_failed()
                self._limited(split)
            self._splits = seed, made
        return self._splits[1][unit.fold or 0]

    def _limited(self, split: Split) -> list[Holdout]:
        """The test under each of the recipe's rules. Raises MatineeError where one does not fit the split, before a
        model is fitted. What there is to warn of, every unit tells."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatineeWarning)
            rules = self.recipe.rules("test", self.data_dir)
            return [splits.with_candidates(split.test, rule, split.train.users, split.train.items) for rule in rules]

    def work(self, unit: Unit) -> None:
        """Fit one model on one split, measure it on valid and test, and keep what it leaves."""
        split = self.split_of(unit)
        self._check(unit, split)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MatineeWarning)
            model, found, facts = self._fitted(unit, split)
        _pass_on(caught)
        test = found["test"]
        said = {part: {text for e in one.evaluations for text in e.warnings} for part, one in found.items()}
        if unit.first:
            save_model(model, self.folder / unit.saved_model)
        if test.recs is not None and unit.first:
            with atomic_path(self.folder / unit.recommendations) as temp:
                test.recs.to_frame().write_parquet(temp)
        facts |= {
            "splitting": asdict(self._splitting),
            "calibration": [one._asdict() for one in test.calibration],
            "warnings": [text for text in _texts(caught) if text not in said.get("valid", set()) - said["test"]],
        }
        evaluations = [(part, evaluation) for part, one in found.items() for evaluation in one.evaluations]
        results.keep(self.folder, unit, evaluations, test.recs, facts)
        for what in PHASES:
            discard(self.folder / unit.checkpoint(what))
        self._release(unit.split_name)
        answering = "ranking" if self.recipe.evaluate.ranking else "predicting"
        seconds = facts["costs"]["fit"]["seconds"], test.cost.seconds
        summary_lines = [
            *filter(None, [facts["found"]]),
            *test.summary_lines,
            f"fit {seconds[0]:.2f} s",
            f"{answering} {seconds[1]:.2f} s",
        ]
        self.tell(f"{unit.split_name}  {unit.model.label}: {', '.join(summary_lines)}")

    def _check(self, unit: Unit, split: Split) -> None:
        """Ask what is left to do on this split whether it can be done, before the first of it."""
        if unit.split_name not in self._checked:
            for other in self.units:
                if other.split_name == unit.split_name and not self.folder.done(other):
                    self.recipe.create(other.model).check(split.train)
            self._checked.add(unit.split_name)

    def _fitted(self, unit: Unit, split: Split) -> tuple[Model, dict[str, _Measured], dict[str, Any]]:
        """The model that was tested, what was measured of valid and test, and costs and curve for unit.json."""
        model, fitting = self._fit(unit, split)
        training = {
            "curve": model.curve,
            "curve_names": [model.rounds_field, *model.curve_names],
            "found": model.fit_summary,
        }
        found = {"valid": self._measure(unit, model, "valid", split.valid)} if len(split.valid) else {}
        test = split.test
        if self.recipe.evaluate.refit:
            model, fitting, test = self._refit(unit, split, model)
        found["test"] = self._measure(unit, model, "test", test)
        costs = {"fit": asdict(fitting), "recommend": asdict(found["test"].cost)}
        return model, found, {"costs": costs, **training}

    def _fit(self, unit: Unit, split: Split) -> tuple[Model, ResourceUsage]:
        """The unit's model, fitted on train, and what that cost; members of it cost nothing."""
        model = self.recipe.create(unit.model, self._members(unit, split, "fit"))
        return model, self._learn(unit, "fit", model, split.train, split.valid)

    def _refit(self, unit: Unit, split: Split, model: Model) -> tuple[Model, ResourceUsage, Holdout]:
        """The same fitted once more, on train and valid; and the test as it is then asked."""
        everything, test = splits.refitted(split)
        model = model.for_refit()
        if isinstance(model, Composite) and (members := self._members(unit, split, "refit")):
            model = model.with_members(members)
        return model, self._learn(unit, "refit", model, everything), test

    def _learn(self, unit: Unit, what: str, model: Model, data: Dataset, valid: Holdout | None = None) -> ResourceUsage:
        """Fit the model, going on from its checkpoint; the cost is of all its epochs, also of those before a kill."""
        checkpoint = self.folder / unit.checkpoint(what)
        earlier = _seconds_of(checkpoint)
        with measured() as cost:
            model.fit(data, valid=valid, seed=unit.seed, checkpoint=checkpoint)
        cost.seconds += earlier
        self._keep(unit, what, model)
        return cost

    def _members(self, unit: Unit, split: Split, what: str) -> list[Model]:
        return [self._member(replace(unit, model=table), split, what) for table in self.recipe.members(unit.model)]

    def _member(self, unit: Unit, split: Split, what: str) -> Model:
        """A member as its own unit left it, or, where that is gone, fitted again."""
        folder = self.folder / unit.kept(what)
        if not (folder / MANIFEST).is_file():
            if what == "fit":
                self._fit(unit, split)
            else:
                self._refit(unit, split, self._member(unit, split, "fit"))
        return load_model(folder)

    def _keep(self, unit: Unit, what: str, model: Model) -> None:
        if unit.model.label in self.members:
            save_model(model, self.folder / unit.kept(what))

    def _release(self, split_name: str) -> None:
        """Where all units of a split are done, remove what only they needed: members and states of trainings."""
        beside = [unit for unit in self.units if unit.split_name == split_name]
        if all(map(self.folder.done, beside)):
            for path in [place(what) for unit in beside for what in PHASES for place in (unit.kept, unit.checkpoint)]:
                discard(self.folder / path)

    def _measure(self, unit: Unit, model: Model, part: str, holdout: Holdout) -> _Measured:
        """Lists under each of the recipe's rules, and predictions where it asks for them and the model can."""
        spec, label = self.recipe.evaluate, unit.model.label
        found = _Measured()
        rules = self.recipe.rules(part, self.data_dir)
        if not spec.ranking:  # lists are shown all the same: the first seed's, of the test
            rules = rules[:1] if unit.first and part == "test" else []
        for rule in rules:
            asked = splits.with_candidates(holdout, rule, model.users, model.items)
            with measured() as cost:
                recs = recommend(model, asked.queries, max(spec.k), progress=True)
            if found.recs is None:
                found.recs, found.cost = recs, cost
            if spec.ranking:
                metrics, convention = spec.ranking, spec.convention
                evaluation = evaluate(recs, asked, k=spec.k, metrics=metrics, convention=convention, label=label)
                found.add(evaluation, "" if rule == "all" else f" ({Path(rule).name})")
        if spec.predicted and not model.predicts():
            text = f"{label} predicts no ratings: no {', '.join(spec.predicted)}"
            warnings.warn(text, MatineeWarning, stacklevel=2)
        elif spec.predicted:
            with measured() as cost:
                self._predict(label, model, holdout, found)
            found.cost = found.cost if spec.ranking else cost
        return found

    def _predict(self, label: str, model: Model, holdout: Holdout, found: _Measured) -> None:
        """Add what predictions for the hidden rows are worth, if these have ratings."""
        pairs, metrics, value = holdout.pairs, self.recipe.evaluate.predicted, self.data.value
        if pairs is None or pairs.label is None or value is None:
            text = f"the hidden rows of {holdout.protocol.part} have no ratings: no {', '.join(metrics)}"
            warnings.warn(text, MatineeWarning, stacklevel=2)
            return
        predicted = model.predict(pairs, holdout.queries)
        scale = float(value.min()), float(value.max())
        found.add(evaluate_ratings(predicted, holdout, model.users, scale=scale, metrics=metrics, label=label))
        if set(CLICK) & set(metrics) and predicted.min() >= 0 and predicted.max() <= 1:
            found.calibration = calibration(pairs.label, predicted)

    def collect(self, command: str) -> results.Collected:
        """The files of the run folder from all parts, as results.collect writes and returns them."""
        for split_name in dict.fromkeys(unit.split_name for unit in self.units):
            self._release(split_name)  # what a kill after the last unit left
        data, (side_tables, data_warnings) = self.data, self.described
        split = self.split_of(self.units[0])
        metadata = {
            "title": self.recipe.title,
            "command": command,
            "seeds": self.recipe.seeds,
            "data": {
                "name": data.name,
                "fingerprint": data.fingerprint,
                "events": len(data),
                "users": data.n_users,
                "items": data.n_items,
                "side_tables": [asdict(table) for table in side_tables],
            },
            "machine": machine(),
            "reading": asdict(self._reading),
        }
        audited = audit(split)
        if self.recipe.evaluate.refit:  # the report is of the models that were tested, and of the histories they saw
            everything, test = splits.refitted(split)
            split = replace(split, train=everything, test=test)
        split = replace(split, test=self._limited(split)[0])
        inputs = results.ReportInputs(self.recipe.title, data, split, audited, side_tables)
        return results.collect(self.folder, self.units, inputs, metadata, data_warnings)


def _seconds_of(checkpoint: Path) -> float:
    """What the epochs of an interrupted training took."""
    if not checkpoint.exists():
        return 0.0
    from matinee.nn.checkpoint import seconds

    return seconds(checkpoint)


def _texts(caught: list[warnings.WarningMessage]) -> list[str]:
    """Ours, each once."""
    return list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, MatineeWarning)))


def _pass_on(caught: list[warnings.WarningMessage]) -> None:
    """Warnings that are not ours go where they would have gone."""
    for w in caught:
        if not issubclass(w.category, MatineeWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
