"""Run a recipe: split, fit, recommend, measure, keep. Killed at any moment, it goes on where it stopped.

A unit of work is one model on one split. What it leaves lies in parts/, written whole or not at all; a unit whose part
exists is not done again. The run folder's other files (results.py lists them) are put together from the parts at the
end; models, recommendations and the report are those of the first seed.

Models that others use (an ensemble's members, the stages of a re-ranker) also lie in parts/, as model folders, until
all units of their split are done, so that they are fitted once. If such a folder is gone, its model is fitted again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from matinee import split as splits
from matinee.data.dataset import Dataset, Holdout, Split
from matinee.data.side_table_report import side_table_report
from matinee.errors import MatineeError, MatineeWarning, option, worded_for
from matinee.evaluate import audit
from matinee.evaluate.evaluate import named
from matinee.evaluate.lists import refuse_missing
from matinee.evaluate.metrics import refuse_missing_kinds
from matinee.evaluate.predictions import CLICK
from matinee.explore import analyse
from matinee.files import StrPath, atomic_path, atomic_write, discard, locked, make_folder, sha256
from matinee.models.base import Model
from matinee.models.families.composite import Composite
from matinee.models.fits import announce
from matinee.models.needs import refuse_too_large
from matinee.profiling import ResourceUsage, machine, measured
from matinee.report import Study, write_report
from matinee.rules.applied import check_rules
from matinee.store import MANIFEST, load_model, save_model
from matinee.study.collect import collect, write_unit
from matinee.study.folder import ANALYSIS, LOGS, METRICS, RECIPE, REPORT, RESULTS, RunFolder, Unit, units_of
from matinee.study.measure import Measured, measure, our_warnings
from matinee.study.reader import Run, open_run
from matinee.study.recipe import Recipe
from matinee.study.results import Curve, DataFacts, MetricRow, UnitCosts, UnitRecord
from matinee.study.tracking import NO_TRACKING, Nested, Tracking, tracking

PHASES = ("fit", "refit")


@dataclass(frozen=True)
class StudyResult(Run):
    """The finished run, and what this call did for it. resumed: units that were done before."""

    seconds: float = 0.0
    resumed: int = 0


def run_study(
    recipe: Recipe,
    out: StrPath,
    *,
    data_dir: StrPath | None = None,
    overwrite: bool = False,
    track: str | None = None,
    command: str = "",
    tell: Callable[[str], None] = lambda text: None,
) -> StudyResult:
    """Run a recipe into a folder. tell: is given one line for each finished piece of work. track: "mlflow", or
    "mlflow:URI", is told of what this call does. A finished study is left as it is.

    Raises MatineeError when the folder holds another study (unless overwrite) or no study, another process is writing
    to it, or the audit finds an event in both train and test.

    Example: `mt.run_study(mt.load_recipe("recipe.toml"), "runs/small")`
    """
    folder = RunFolder(out)
    start = time.perf_counter()
    folder.mark()  # raises for a folder that is not ours, before a lock is put there
    make_folder(folder.path)
    with locked(folder / ".lock"), tracking(track, recipe.title) as tracked:
        runner = Runner(recipe, folder, data_dir, tell, tracked)
        folder.claim(recipe.to_toml(), runner.sources, overwrite=overwrite)
        finished = [unit for unit in runner.units if folder.done(unit)]
        for unit in finished:
            folder.record(unit)  # raises for another schema version, before anything is fitted
        for unit in runner.units:
            if unit not in finished:
                runner.work(unit)
        if len(finished) < len(runner.units) or not all((folder / name).is_file() for name in RESULTS):
            runner.collect(command)
        tracked.artefacts([folder / RECIPE, folder / METRICS, folder / REPORT])
    run = open_run(folder.path)
    return StudyResult(run.path, run.record, time.perf_counter() - start, len(finished))


class Runner:
    """A recipe at work in its folder."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, data_dir: StrPath | None, tell: Callable[[str], None],
        tracked: Tracking = NO_TRACKING,
    ) -> None:  # fmt: skip
        self.recipe, self.folder, self.data_dir, self.tell = recipe, folder, data_dir, tell
        self.tracked, self._tracked = tracked, Nested()
        self.units = units_of(recipe)
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
        with worded_for("recipe"):
            refuse_missing(self.recipe.evaluate.ranking, data)
        predicted = self.recipe.evaluate.predicted
        if predicted and data.value is None:
            with worded_for("recipe"):
                hint = f"name its column of ratings in [data]: {option('rating', 'stars')}, or leave these metrics out"
            raise MatineeError(f"{data.name} has no ratings, so {', '.join(predicted)} cannot be measured", hint=hint)
        values = [] if data.value is None else np.unique(data.value).tolist()
        if (clicks := [metric for metric in predicted if metric in CLICK]) and values != [0, 1]:
            found = f"not labels 0 and 1 but from {values[0]:g} to {values[-1]:g}"
            what = f"the ratings of {data.name} are {found}, so {', '.join(clicks)} cannot be measured"
            raise MatineeError(what, hint="set in [data] from which rating on they are 1, e.g. label_min = 4.0")
        return data

    def split_of(self, unit: Unit) -> Split:
        """The unit's split. The last one is kept, because units come in the order of splits."""
        seed = unit.seed if self.recipe.split_seed is None else self.recipe.split_seed
        if self._splits is None or self._splits[0] != seed:
            self._splits = None  # frees the memory of the last one
            with measured() as self._splitting:
                made = self.recipe.split_data(self.data, seed, self.data_dir)
            for split in made:
                audit(split).raise_if_failed()
                self._tests(split)
            self._splits = seed, made
        return self._splits[1][unit.fold or 0]

    def _tests(self, split: Split) -> list[Holdout]:
        """The test under each of the recipe's rules. Raises MatineeError for a rule that does not fit the split, before
        a model is fitted. Warnings are left to the units."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatineeWarning)
            rules = self.recipe.evaluate.rules("test", self.data_dir)
            made = [splits.with_candidates(split.test, rule, split.train.users, split.train.items) for rule in rules]
        with worded_for("recipe"):
            for test in made:
                refuse_missing_kinds(self.recipe.evaluate.ranking, test.kinds)
        return made

    def work(self, unit: Unit) -> None:
        """Fit one model on one split, measure it on valid and test, and keep what it leaves."""
        split = self.split_of(unit)
        self._check(unit, split)
        with our_warnings() as texts:
            if unit.first or unit.model.label in self.members:
                announce(self.recipe.create(unit.model), split.train, self.folder.path)
            self._tracked = self.tracked.nested(f"{unit.split_name} {unit.model.label}", self._parameters(unit))
            model, found, record = self._fitted(unit, split)
        self._tracked.metrics(results_of(record.metrics))
        self._tracked.end()
        test = found["test"]
        if unit.first:
            save_model(model, self.folder / unit.saved_model, log=self.folder / LOGS)
        if test.recs is not None and unit.first:
            with atomic_path(self.folder / unit.recommendations) as temp:
                test.recs.to_frame().write_parquet(temp)
        texts_of = {part: {text for e in one.evaluations for text in e.warnings} for part, one in found.items()}
        only_valid = texts_of.get("valid", set()) - texts_of["test"]
        record = record.model_copy(update={"warnings": tuple(text for text in texts if text not in only_valid)})
        evaluations = [(part, evaluation) for part, one in found.items() for evaluation in one.evaluations]
        write_unit(self.folder, unit, record, evaluations, test.recs)
        for phase in PHASES:
            discard(self.folder / unit.checkpoint(phase))
        self._release(unit.split_name)
        answering = "ranking" if self.recipe.evaluate.ranking else "predicting"
        seconds = f"fit {record.costs.fit.seconds:.2f} s", f"{answering} {test.cost.seconds:.2f} s"
        summary = ", ".join(filter(None, [record.fit_summary, *test.summary, *seconds]))
        self.tell(f"{unit.split_name}  {unit.model.label}: {summary}")

    def _parameters(self, unit: Unit) -> dict[str, object]:
        """What a tracker is told of a unit."""
        hyper_parameters = unit.model.resolved(self.recipe.create(unit.model))
        return {"model": unit.model.name, "seed": unit.seed, "fold": unit.fold, **hyper_parameters}

    def _check(self, unit: Unit, split: Split) -> None:
        """Before the first unit of a split: whether each model that is left to do can be fitted on it."""
        if unit.split_name in self._checked:
            return
        if self.recipe.rules is not None:
            check_rules(self.recipe.rules, split.train, max(self.recipe.evaluate.k))
        for other in self.units:
            if other.split_name == unit.split_name and not self.folder.done(other):
                model = self.recipe.create(other.model)
                model.check(split.train)
                refuse_too_large(model, split.train)
                if other.model.needs_torch:
                    from matinee.nn.train import chosen_device  # loads torch

                    chosen_device(self.recipe.fit.device)  # raises where PyTorch has no such device here
        self._checked.add(unit.split_name)

    def _fitted(self, unit: Unit, split: Split) -> tuple[Model, dict[str, Measured], UnitRecord]:
        """The model that was tested, its answers to valid and test, and unit.json but for the warnings."""
        model, fitting = self._fit(unit, split)
        (loss, validation), rows, summary = model.curve_names, model.curve, model.fit_summary
        curve = Curve(rounds=model.rounds_field, loss=loss, validation=validation, rows=tuple(rows)) if rows else None
        found = {"valid": self._measure(unit, model, "valid", split.valid)} if len(split.valid) else {}
        test = split.test
        if self.recipe.evaluate.refit:
            model, fitting, test = self._refit(unit, split, model)
        found["test"] = self._measure(unit, model, "test", test)
        evaluations = [(part, e) for part, one in found.items() for e in one.evaluations]
        ranking = found["test"].cost
        of_unit = {"model": unit.model.name, "seed": unit.seed, "fold": unit.fold}
        means = [(part, mean) for part, e in evaluations for mean in e.to_frame().fill_nan(None).to_dicts()]
        record = UnitRecord(
            metrics=tuple(MetricRow(**mean, split=part, **of_unit) for part, mean in means),  # JSON has no NaN
            protocols={e.protocol.fingerprint: e.protocol for _, e in evaluations},
            remarks={e.protocol.fingerprint: e.notes for _, e in evaluations if e.notes},
            costs=UnitCosts(label=unit.model.label, seed=unit.seed, fold=unit.fold, fit=fitting, recommend=ranking),
            splitting=self._splitting,
            curve=curve,
            fit_summary=summary,
            calibration=tuple(found["test"].calibration),
            warnings=(),
        )
        return model, found, record

    def _measure(self, unit: Unit, model: Model, part: str, holdout: Holdout) -> Measured:
        spec, value = self.recipe.evaluate, self.data.value
        rules = spec.rules(part, self.data_dir)
        if not spec.ranking:  # the report shows lists all the same: the first split's, of the test
            rules = rules[:1] if unit.first and part == "test" else []
        scale = None if value is None else (float(value.min()), float(value.max()))
        return measure(model, unit.model.label, holdout, spec, rules, scale, self.recipe.rules)

    def _fit(self, unit: Unit, split: Split) -> tuple[Model, ResourceUsage]:
        """The unit's model, fitted on train, and its cost without that of its members."""
        model = self.recipe.create(unit.model, self._members(unit, split, "fit"))
        valid = self.recipe.evaluate.stopping_part(split.valid)
        return model, self._learn(unit, "fit", model, split.train, valid)

    def _refit(self, unit: Unit, split: Split, model: Model) -> tuple[Model, ResourceUsage, Holdout]:
        """The same fitted once more, on train and valid; and the test with the histories it then has."""
        everything, test = splits.refitted(split)
        model = model.for_refit()
        if isinstance(model, Composite) and (members := self._members(unit, split, "refit")):
            model = model.with_submodels(members)
        return model, self._learn(unit, "refit", model, everything, None), test

    def _learn(self, unit: Unit, phase: str, model: Model, data: Dataset, valid: Holdout | None) -> ResourceUsage:
        """Fit the model, going on from its checkpoint; the cost is of all epochs, those before a kill included."""
        checkpoint = self.folder / unit.checkpoint(phase)
        earlier = _seconds_of(checkpoint)
        with measured() as cost, worded_for("recipe"):
            told = self.recipe.fit.options | (self._tracked.hook if phase == "fit" else {})
            model.fit(data, valid=valid, seed=unit.seed, checkpoint=checkpoint, **told)
        cost.seconds += earlier
        if unit.model.label in self.members:  # with a log of its own: both are removed when the split is done
            save_model(model, self.folder / unit.kept(phase))
        return cost

    def _members(self, unit: Unit, split: Split, phase: str) -> list[Model]:
        return [self._member(replace(unit, model=table), split, phase) for table in self.recipe.members(unit.model)]

    def _member(self, unit: Unit, split: Split, phase: str) -> Model:
        """A member as its own unit left it; fitted again, where that is gone."""
        folder = self.folder / unit.kept(phase)
        if not (folder / MANIFEST).is_file():
            if phase == "fit":
                self._fit(unit, split)
            else:
                self._refit(unit, split, self._member(unit, split, "fit"))
        return load_model(folder)

    def _release(self, split_name: str) -> None:
        """When all units of a split are done, remove what only they needed: members and states of trainings."""
        units = [unit for unit in self.units if unit.split_name == split_name]
        if all(map(self.folder.done, units)):
            for unit in units:
                for phase in PHASES:
                    discard(self.folder / unit.kept(phase))
                    discard(self.folder / unit.checkpoint(phase))

    def collect(self, command: str) -> None:
        """Write the run folder's files from all parts, the report last."""
        for split_name in dict.fromkeys(unit.split_name for unit in self.units):
            self._release(split_name)  # a kill after the last unit may have left something
        split = self.split_of(self.units[0])
        with our_warnings() as texts:
            side_tables = side_table_report(self.data)
        data = DataFacts(
            name=self.data.name, fingerprint=self.data.fingerprint, events=len(self.data), users=self.data.n_users,
            items=self.data.n_items, side_tables=side_tables,
        )  # fmt: skip
        collect(
            self.folder, self.units, title=self.recipe.title, command=command, seeds=tuple(self.recipe.seeds),
            data=data, machine=machine(), reading=self._reading, audit=audit(split).findings, notes=tuple(split.notes),
            warnings=texts,
        )  # fmt: skip
        if self.recipe.evaluate.refit:  # the report shows the models that were tested, and the histories they saw
            everything, test = splits.refitted(split)
            split = replace(split, train=everything, test=test)
        split = replace(split, test=self._tests(split)[0])
        self._analyse(split)
        run = open_run(self.folder.path)
        write_report(Study.of(run, self.data, split), run.report)

    def _analyse(self, split: Split) -> None:
        """Write what the models recommend. Warnings are left to the units, which gave the same."""
        if not split.test.truth.lengths.any():
            return
        run = open_run(self.folder.path)
        lists = {label: run.lists(label, split) for label in run.labels}
        with our_warnings():
            found = analyse(lists, split.test, split.train)
        atomic_write(self.folder / ANALYSIS, found.to_json())


def results_of(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Each mean that is known, by a name."""
    return {f"{named(row.metric, row.k or 0)} {row.split}": row.value for row in rows if row.value is not None}


def _seconds_of(checkpoint: Path) -> float:
    """What the epochs of an interrupted training took."""
    if not checkpoint.exists():
        return 0.0
    from matinee.nn.checkpoint import seconds  # loads torch

    return seconds(checkpoint)
