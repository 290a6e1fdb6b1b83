"""A recipe: one TOML file that describes a whole study. What it leaves out has the defaults below."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from matinee import split as splits
from matinee.data.dataset import Dataset, Split
from matinee.data.read import catalog
from matinee.data.read.options import TableFile, parsed
from matinee.errors import MatineeError, did_you_mean, near_misses, worded_for
from matinee.evaluate.metrics import formulas_of
from matinee.files import StrPath
from matinee.models import registry
from matinee.models.base import Model
from matinee.rules import Rules
from matinee.study.data_table import DataTable as DataTable
from matinee.study.data_table import Table, below, located
from matinee.study.evaluate_table import EvaluateTable as EvaluateTable
from matinee.study.evaluate_table import FitTable as FitTable
from matinee.study.model_table import ModelTable as ModelTable
from matinee.study.model_table import with_defaults
from matinee.study.space import spaces
from matinee.study.tune_table import TuneTable as TuneTable

DEFAULT = "default_study.toml"


def _rules(given: object) -> Rules:
    """Raises ValueError, which pydantic places."""
    try:
        return given if isinstance(given, Rules) else Rules.from_dict(given)  # type: ignore[arg-type]
    except MatineeError as error:
        raise ValueError(f"{error.what}; {error.hint}") from None


RulesTable = Annotated[Rules, BeforeValidator(_rules), PlainSerializer(lambda rules: rules.to_dict())]


class Recipe(Table):
    """A study. seeds: each seeds the split and the fits; split_seed holds the split while the fits vary."""

    title: str = Field("A study", description="heads the report")
    seeds: list[int] = Field([0], description="the study is done once for each; a seed draws the split and the fits")
    split_seed: int | None = Field(
        None, ge=0, description="draws every split, so that only the fits vary with the seed"
    )
    data: DataTable = Field(DataTable(), description="where the log is and which events count")
    split: dict[str, Any] = Field({"strategy": "random"}, description="the strategy and its options")
    evaluate: EvaluateTable = Field(EvaluateTable(), description="what is measured")
    fit: FitTable = Field(FitTable(), description="how models are fitted")
    rules: RulesTable | None = Field(
        None, description="what every list must keep: expressions, quotas, pins, boosts; see [rules](rules.md)"
    )
    defaults: dict[str, Any] = Field(
        {}, exclude=True, description="hyper-parameters of each model that has them and does not set them itself"
    )
    tune: TuneTable = Field(TuneTable(), exclude=True, description="how models are tuned; a run does not read it")
    model: list[ModelTable] = Field(description="one [[model]] table a model; grids are expanded")

    @field_validator("model")
    @classmethod
    def _expanded(cls, model: list[ModelTable]) -> list[ModelTable]:
        return [table for each in model for table in each.expanded()]

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: needs at least one, each once and none negative")
        if not self.model:
            raise ValueError("needs at least one [[model]] table")
        labels = [model.label.casefold() for model in self.model]  # some file systems cannot tell EASE from ease
        twice = [model.label for model in self.model if labels.count(model.label.casefold()) > 1]
        if twice:
            raise ValueError(f"label {twice[-1]!r} is used twice: give one of the models another `label`")
        if not isinstance(self.split.get("strategy"), str):
            raise ValueError("split: needs a strategy")
        object.__setattr__(self, "model", with_defaults(self.model, self.defaults))
        return self

    def to_toml(self) -> str:
        """The resolved recipe, defaults written out."""
        tables = self.model_dump(mode="json", exclude_none=True)
        for table, model in zip(tables["model"], self.model, strict=True):
            table.update(model.resolved(self.create(model)))
        return tomli_w.dumps(tables)

    def create(self, table: ModelTable, members: Sequence[Model] = ()) -> Model:
        """A table's model. members: what stands for the labels in it; when left out, new models of their tables."""
        return table.create(members or [self.create(each) for each in self.members(table)])

    def members(self, table: ModelTable) -> list[ModelTable]:
        """The tables whose labels a table names: an ensemble's members, a re-ranker's stages, the model that brings
        candidates; none for other models.

        Raises MatineeError unless each is the label of a table above.
        """
        labels = table.labels()
        place = self.model.index(table) if labels else 0
        above = {each.label: each for each in self.model[:place]}
        for key, label in labels:
            if label == table.label:
                raise MatineeError(f"{key}: {label!r} is the model itself", hint="leave it out")
            if label in [each.label for each in self.model[place:]]:
                raise MatineeError(f"{key}: {label!r} comes after {table.label}", hint="move its [[model]] table above")
            if label not in above:
                near = near_misses(label, above, cutoff=0.6) or above
                hint = f"use one of: {', '.join(near)}" if above else "write a [[model]] table with this label above"
                raise MatineeError(f"{key}: {label!r} is the label of no [[model]] table", hint=hint)
        return [above[label] for _, label in labels]

    def with_changes(self, *, seeds: Sequence[int] | None = None, settings: Mapping[str, str] | None = None) -> Recipe:
        """The same study with other seeds, and hyper-parameters set as "label.name" -> value."""
        tables = self.model_dump(mode="json", exclude_none=True)
        if seeds is not None:
            tables["seeds"] = list(seeds)
        labels = [model.label for model in self.model]
        for setting, value in (settings or {}).items():
            label, _, name = setting.rpartition(".")
            if label not in labels:
                hint = f"write LABEL.NAME=VALUE with a label of {', '.join(labels)}"
                raise MatineeError(f"--set {setting}: no model of the recipe is called {label!r}", hint=hint)
            if name in ModelTable.model_fields:
                raise MatineeError(f"--set {setting}: {name!r} is no hyper-parameter", hint="change the recipe")
            table = tables["model"][labels.index(label)]
            table |= registry.from_text(table["name"], {name: value})
            if table[name] is None:  # TOML has no null: a setting that is left out has its default
                del table[name]
        return _validated(tables, "recipe").model_copy(update={"tune": self.tune})

    def without_torch(self) -> tuple[Recipe, list[str]]:
        """The same study without the models that need PyTorch and those that use them, and the labels of all these."""
        gone: list[str] = []
        for table in self.model:
            if table.needs_torch or {label for _, label in table.labels()} & set(gone):
                gone.append(table.label)
        return self.model_copy(update={"model": [table for table in self.model if table.label not in gone]}), gone

    def load_data(self, data_dir: StrPath | None = None) -> Dataset:
        """Read and filter the log: a catalogue name, a path, or a path below data_dir."""
        return self.data.load(data_dir)

    def split_data(self, data: Dataset, seed: int, data_dir: StrPath | None = None) -> list[Split]:
        """The splits of one seed: n of them where the recipe has folds = n, else one. With label_min, only hidden rows
        labelled 1 are answers."""
        options = {name: value for name, value in self.split.items() if name != "strategy"}
        options |= self._split_files(data_dir)
        options["exclude_seen"] = self.evaluate.exclude_seen
        seed = seed if self.split_seed is None else self.split_seed
        with worded_for("recipe", fallback=True):
            made = splits.make(data, self.split["strategy"], options, seed=seed)
            if self.evaluate.moment != "given":
                made = [splits.predicted_moments(split, self.evaluate.moment) for split in made]
        return made if self.data.label_min is None else [splits.labelled(split) for split in made]

    def files(self, data_dir: StrPath | None = None) -> list[Path]:
        """What the study reads beside its log."""
        tables = [below(table, data_dir) for table in (self.data.users, self.data.items) if table]
        named = [*tables, *self._split_files(data_dir).values()]
        sampled = [rule for rule in self.evaluate.rules("test", data_dir) if isinstance(rule, Path)]
        return [*(Path(file.path if isinstance(file, TableFile) else file) for file in named if file), *sampled]

    def _split_files(self, data_dir: StrPath | None) -> dict[str, str | TableFile]:
        """The files that the split names: as given, below data_dir, or in the cache beside a named set."""
        if self.split["strategy"] not in ("provided", "sessions"):
            return {}
        named = {part: self.split.get(part) for part in ("valid", "test")}
        return {part: _found(file, data_dir) for part, file in named.items() if isinstance(file, str | dict)}


def _found(file: str | dict[str, Any], data_dir: StrPath | None) -> str | TableFile:
    """A file of the split where it is."""
    if isinstance(file, dict):
        with worded_for("recipe", fallback=True):
            table = parsed(TableFile, file)
        return table.model_copy(update={"path": _found(str(table.path), data_dir)})
    path = located(file, data_dir)
    return str(path if path.exists() else located(str(path), catalog.cache_folder()))


def load_recipe(path: StrPath | None = None) -> Recipe:
    """The recipe of a TOML file; without one, the default study. Raises MatineeError naming file, table and key.

    Example: `recipe = mt.load_recipe("recipe.toml")`
    """
    if path is None:
        return _validated(tomllib.loads(files("matinee.study").joinpath(DEFAULT).read_text("utf-8")), DEFAULT)
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except FileNotFoundError:
        raise MatineeError("there is no such file", where=str(path), hint="name a TOML file, see recipes/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MatineeError(f"not valid TOML: {error}", where=str(path), hint="correct that line") from None
    except OSError as error:
        raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), hint="name a TOML file") from None
    return _validated(tables, str(path))


def _validated(tables: Mapping[str, Any], where: str) -> Recipe:
    """The recipe, everything in it checked that can be checked before the data is read."""
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        problems = "; ".join(_problem(e["loc"], e["type"], e["msg"]) for e in error.errors())
        raise MatineeError(problems, where=where, hint="see docs/recipes.md for every key") from None
    predicts = False
    for table in recipe.model:
        with _placed(where, f"[[model]] {table.label}"):
            predicts |= recipe.create(table).predicts()
    with _placed(where, "[evaluate]"):
        _check_evaluate(recipe, predicts)
    if "tune" in recipe.model_fields_set:
        with _placed(where, "[tune]"):
            spaces(recipe.model, recipe.tune)
    with _placed(where, "[split]"):
        options = {name: value for name, value in recipe.split.items() if name != "strategy"}
        if "exclude_seen" in options:
            raise MatineeError("exclude_seen stands in [evaluate]", hint="move it there")
        with worded_for("recipe"):
            splits.check(recipe.split["strategy"], options)
    return recipe


def _check_evaluate(recipe: Recipe, predicts: bool) -> None:
    """predicts: whether any of the recipe's models does."""
    spec = recipe.evaluate
    if not formulas_of(spec.ranking, spec.convention) and spec.ranking:
        what = f"{', '.join(spec.ranking)}: one number of all lists of a model"
        raise MatineeError(what, hint="add a metric with a value a query, e.g. ndcg")
    if not spec.ranking and not predicts:
        hint = "add a model that predicts ratings, or a metric of ranked lists"
        raise MatineeError(f"{', '.join(spec.metrics)} needs a rating model; the recipe has none", hint=hint)
    if recipe.data.label_min is None and "observed" in spec.rules("test"):
        hint = "set label_min in [data], e.g. label_min = 4.0 (for a log of labels 0 and 1: label_min = 1.0)"
        raise MatineeError('candidates = "observed" needs labels', hint=hint)


@contextlib.contextmanager
def _placed(where: str, table: str) -> Iterator[None]:
    """Add to an error which file and table it is about."""
    try:
        yield
    except MatineeError as error:
        raise MatineeError(error.what, where=f"{where}, {table}", hint=error.hint) from None


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        return f"{name}: {message.removeprefix('Value error, ')}" if name else message.removeprefix("Value error, ")
    owners: dict[str, type[BaseModel]] = {
        "data": DataTable,
        "evaluate": EvaluateTable,
        "fit": FitTable,
        "tune": TuneTable,
    }
    near = did_you_mean(str(place[-1]), owners.get(str(place[0]), Recipe).model_fields, n=1)
    return f"unknown key {name!r}" + (f" ({near})" if near else "")
