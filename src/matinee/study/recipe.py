"""A recipe: one TOML file that says a whole study. What it leaves out has the defaults below."""

from __future__ import annotations

import contextlib
import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from matinee import split as splits
from matinee.data.dataset import Dataset, Duplicates, Split
from matinee.errors import MatineeError
from matinee.evaluate import predictions
from matinee.evaluate.metrics import formulas_of
from matinee.files import StrPath
from matinee.models import registry
from matinee.models.base import Model
from matinee.study.model_table import ENSEMBLE, MEMBERS, RERANK, SAY_MEMBERS, STAGES, labels_of, with_defaults
from matinee.study.model_table import ModelTable as ModelTable

DEFAULT = "default_study.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataTable(_Table):
    """[data]: where the log is and which events count."""

    source: str = Field("ml-100k", description="a name of `matinee data`, a folder in a known layout, or a file")
    columns: dict[Literal["user_id", "item_id", "rating", "timestamp"], str] = Field(
        {}, description="column names of a file, where they are not the usual ones"
    )
    format: Literal["log", "sequences", "sessions"] = Field(
        "log", description="of a file: an event a line; a user and their items in order; an anonymous session"
    )
    users: str | None = Field(None, description="a file that describes users, by an id column")
    items: str | None = Field(None, description="a file that describes items: title, year, genres, anything")
    duplicates: Duplicates = Field(
        "keep", description="what happens to a user's repeated events with one item; distinct: one a second stays"
    )
    min_rating: float | None = Field(None, description="keep events rated at least this")
    drop_ratings: list[float] = Field([], description="leave out events with these ratings")
    label_min: float | None = Field(None, description="ratings become 1 (at least this) or 0, after the filters")
    min_user_events: int = Field(0, ge=0, description="leave out users with fewer events; iterated with items")
    min_item_events: int = Field(0, ge=0, description="leave out items with fewer events; iterated with users")
    since: str | None = Field(None, description="keep events from this date or time on (ISO; UTC without a zone)")
    until: str | None = Field(None, description="keep events before this date or time")

    @field_validator("since", "until", mode="before")
    @classmethod
    def _dates(cls, moment: object) -> object:
        """TOML has dates of its own."""
        return moment.isoformat() if isinstance(moment, date) else moment

    @field_validator("since", "until")
    @classmethod
    def _readable(cls, moment: str | None) -> str | None:
        from matinee.data.filters import seconds

        if moment is not None:
            try:
                seconds(moment)
            except MatineeError as error:
                raise ValueError(f"{error.what}; {error.hint}") from None
        return moment


class EvaluateTable(_Table):
    """[evaluate]: what is measured."""

    k: list[int] = Field([10, 20], description="cut-offs; the largest is the length of the lists that are kept")
    metrics: list[str] = Field(
        ["recall", "ndcg", "hit_rate", "mrr"],
        min_length=1,
        description="also precision, map, recall_capped, recall_ndcg (.75 recall + .25 ndcg); of predicted ratings "
        "rmse, mae, bce; of predicted labels (`label_min`) auc, gauc, logloss too",
    )
    convention: str = Field("matinee", description="whose definitions: matinee, or a library's for comparison")
    candidates: str | list[str] = Field(
        "all",
        description='what is ranked: "all" items with a training event, "observed" (each user\'s own hidden rows, by '
        "`label_min`), or a file of sampled negatives for the test; several are measured side by side",
    )
    exclude_seen: bool = Field(True, description="false where repeats are answers (sessions): nothing is excluded")
    refit: bool = Field(False, description="fit again on train + valid before the test; another protocol")

    @field_validator("k")
    @classmethod
    def _positive(cls, k: list[int]) -> list[int]:
        if not k or min(k) < 1:
            raise ValueError("needs at least one cut-off, each 1 or more")
        return sorted(set(k))

    @field_validator("candidates")
    @classmethod
    def _rules(cls, candidates: str | list[str]) -> str | list[str]:
        rules = [candidates] if isinstance(candidates, str) else candidates
        if not rules or len(set(rules)) < len(rules):
            raise ValueError('needs at least one rule, each once: "all", "observed", or a file')
        for rule in rules:
            if rule not in ("all", "observed") and not {".", "/"} & set(rule):
                near = difflib.get_close_matches(rule, ("all", "observed"), n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(f'{rule!r} is neither "all" nor "observed" nor a file{hint}')
        return candidates

    @field_validator("metrics")
    @classmethod
    def _once(cls, metrics: list[str]) -> list[str]:
        return list(dict.fromkeys(metrics))

    @property
    def ranking(self) -> list[str]:
        """The metrics of ranked lists."""
        return [metric for metric in self.metrics if metric not in predictions.names]

    @property
    def predicted(self) -> list[str]:
        """The metrics of predictions for single pairs."""
        return [metric for metric in self.metrics if metric in predictions.names]


class Recipe(_Table):
    """A study. seeds: each seeds the split and the fits; split_seed holds the split while the fits vary."""

    title: str = Field("A study", description="heads the report")
    seeds: list[int] = Field([0], description="the study is done once for each; a seed draws the split and the fits")
    split_seed: int | None = Field(
        None, ge=0, description="draws every split, so that only the fits vary with the seed"
    )
    data: DataTable = Field(DataTable(), description="where the log is and which events count")
    split: dict[str, Any] = Field({"strategy": "random"}, description="the strategy and its options")
    evaluate: EvaluateTable = Field(EvaluateTable(), description="what is measured")
    defaults: dict[str, Any] = Field(
        {}, exclude=True, description="hyper-parameters of each model that has them and does not set them itself"
    )
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
        import tomli_w

        tables = self.model_dump(mode="json", exclude_none=True)
        for table, model in zip(tables["model"], self.model, strict=True):
            made = self.create(model).model_dump(mode="json", exclude_none=True)
            if model.candidates_from is not None:
                made = {**made["second"], "n": made["n"]}
            labels = ("name", MEMBERS, *STAGES)  # stay as they are
            table.update({name: value for name, value in made.items() if name not in labels})
        return tomli_w.dumps(tables)

    def create(self, table: ModelTable, members: Sequence[Model] = ()) -> Model:
        """A table's model. In the place of the labels in it stand these members, or else what the labels stand for."""
        hyper_parameters = table.hyper_parameters
        parts = members or [self.create(each) for each in self.members(table)]
        if table.name == ENSEMBLE:
            hyper_parameters[MEMBERS] = parts
        elif table.name == RERANK:
            hyper_parameters |= dict(zip(STAGES, parts, strict=True))
        elif table.candidates_from is not None:
            n = {"n": hyper_parameters.pop("n")} if "n" in hyper_parameters else {}
            second = registry.create(table.name, hyper_parameters)
            return registry.create(RERANK, {"first": parts[0], "second": second, **n})
        return registry.create(table.name, hyper_parameters)

    def members(self, table: ModelTable) -> list[ModelTable]:
        """The tables that a table's labels stand for: an ensemble's members, a re-ranker's stages, and the model that
        brings another its candidates; none for other models.

        Raises MatineeError unless each is the label of a table above, named once.
        """
        labels = labels_of(table)
        place = self.model.index(table) if labels else 0
        above = {each.label: each for each in self.model[:place]}
        whole = table.name if table.name in (ENSEMBLE, RERANK) else "model"
        say = SAY_MEMBERS if table.name == ENSEMBLE else "name a [[model]] table above"
        for word, label in labels:
            if label == table.label:
                raise MatineeError(f"{word} {label!r} is the {whole} itself", hint="leave it out")
            if label in [each.label for each in self.model[place:]]:
                raise MatineeError(f"{word} {label!r} comes after the {whole}", hint="move its [[model]] table above")
            if label not in above:
                near = difflib.get_close_matches(label, above, n=3) or above
                hint = f"use one of: {', '.join(near)}" if above else say
                raise MatineeError(f"{word} {label!r} is the label of no [[model]] table", hint=hint)
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
                raise MatineeError(
                    f"--set {setting}: no model of the recipe is called {label!r}",
                    hint=f"write LABEL.NAME=VALUE with a label of {', '.join(labels)}",
                )
            if name in ModelTable.model_fields:
                raise MatineeError(f"--set {setting}: {name!r} is no hyper-parameter", hint="change the recipe")
            table = tables["model"][labels.index(label)]
            table |= registry.from_text(table["name"], {name: value})
            if table[name] is None:  # TOML has no null: a setting that is left out has its default
                del table[name]
        return _validated(tables, "recipe")

    def without_torch(self) -> tuple[Recipe, list[str]]:
        """The same study without the models that need PyTorch and what is made of them, and the labels of all these."""
        from matinee.models.families.network import Trained

        gone: list[str] = []
        for table in self.model:
            if issubclass(registry.model_class(table.name), Trained) or {label for _, label in labels_of(table)} & {
                *gone
            }:
                gone.append(table.label)
        return self.model_copy(update={"model": [table for table in self.model if table.label not in gone]}), gone

    def load_data(self, data_dir: StrPath | None = None) -> Dataset:
        """Read and filter the log: a catalogue name, a path, or a path below data_dir."""
        from matinee.data.filters import filter_events
        from matinee.data.read import catalog
        from matinee.data.read.assemble import deduplicated
        from matinee.data.read.columns import AUTO
        from matinee.data.read.log import read

        spec = self.data
        path = located(spec.source, data_dir)
        if spec.source in catalog.ENTRIES or path.is_dir():
            self._refuse_file_keys()
        if spec.source in catalog.ENTRIES:
            data = deduplicated(catalog.load(spec.source, data_dir=data_dir), spec.duplicates)
        else:
            if not path.exists() and not path.suffix:
                catalog.entry(spec.source)  # a mistyped name: raises with the near misses
            data = read(
                path,
                user_id=spec.columns.get("user_id", AUTO),
                item_id=spec.columns.get("item_id", AUTO),
                rating=spec.columns.get("rating", AUTO),
                timestamp=spec.columns.get("timestamp", AUTO),
                format=spec.format,
                users=spec.users and located(spec.users, data_dir),
                items=spec.items and located(spec.items, data_dir),
                duplicates=spec.duplicates,
            )
        return filter_events(
            data,
            min_rating=spec.min_rating,
            drop_ratings=spec.drop_ratings,
            label_min=spec.label_min,
            min_user_events=spec.min_user_events,
            min_item_events=spec.min_item_events,
            since=spec.since,
            until=spec.until,
        )

    def _refuse_file_keys(self) -> None:
        """A known layout says itself what its columns and tables are: these keys would be without effect."""
        empty = DataTable()
        for key in ("columns", "format", "users", "items"):
            if getattr(self.data, key) != getattr(empty, key):
                raise MatineeError(
                    f"[data] {key} is for files, and {self.data.source} has a layout of its own",
                    hint=f"leave {key} out, or name the file to read as source",
                )

    def split_data(self, data: Dataset, seed: int, data_dir: StrPath | None = None) -> list[Split]:
        """The splits of one seed: n where the recipe says folds = n, else one. With label_min, answers are the hidden
        rows labelled 1."""
        options = {name: value for name, value in self.split.items() if name != "strategy"}
        options |= {name: str(path) for name, path in self._split_files(data_dir).items()}
        options["exclude_seen"] = self.evaluate.exclude_seen
        made = splits.make(
            data, self.split["strategy"], options, seed=seed if self.split_seed is None else self.split_seed
        )
        return made if self.data.label_min is None else [splits.labelled(split) for split in made]

    def rules(self, part: str, data_dir: StrPath | None = None) -> list[str | Path]:
        """What is ranked in "valid" or "test", see split.limited. Sampled negatives are of the test: valid ranks all
        items in their place."""
        given = self.evaluate.candidates
        named = [given] if isinstance(given, str) else given
        rules = [rule if rule in ("all", "observed") else located(rule, data_dir) for rule in named]
        if part != "test":
            rules = ["all" if isinstance(rule, Path) else rule for rule in rules]
        return list(dict.fromkeys(rules))

    def files(self, data_dir: StrPath | None = None) -> list[Path]:
        """What the study reads beside its log."""
        described = [located(name, data_dir) for name in (self.data.users, self.data.items) if name]
        sampled = [rule for rule in self.rules("test", data_dir) if isinstance(rule, Path)]
        return [*described, *self._split_files(data_dir).values(), *sampled]

    def _split_files(self, data_dir: StrPath | None) -> dict[str, Path]:
        """The files that the split names: as given, below data_dir, or in the cache beside a named set."""
        from matinee.data.read import catalog

        if self.split["strategy"] not in ("provided", "sessions"):
            return {}
        named = {part: self.split.get(part) for part in ("valid", "test")}
        paths = {part: located(name, data_dir) for part, name in named.items() if isinstance(name, str)}
        return {part: p if p.exists() else located(str(p), catalog.cache_folder()) for part, p in paths.items()}


def located(name: str, data_dir: StrPath | None) -> Path:
    """A path as given, or below data_dir where it is found only there."""
    below = Path(data_dir or ".") / name
    return below if below.exists() and not Path(name).exists() else Path(name)


def load_recipe(path: StrPath | None = None) -> Recipe:
    """The recipe of a TOML file; without one, the default study. Raises MatineeError naming file, table and key."""
    if path is None:
        return _validated(tomllib.loads(files("matinee.study").joinpath(DEFAULT).read_text("utf-8")), DEFAULT)
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except FileNotFoundError:
        raise MatineeError("there is no such recipe", where=str(path), hint="name a TOML file, see recipes/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MatineeError(f"not valid TOML: {error}", where=str(path), hint="mend that line") from None
    except OSError as error:
        raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), hint="name a TOML file") from None
    return _validated(tables, str(path))


def _validated(tables: Mapping[str, Any], where: str) -> Recipe:
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        problems = "; ".join(_problem(e["loc"], e["type"], e["msg"]) for e in error.errors())
        raise MatineeError(problems, where=where, hint="see docs/recipes.md for every key") from None
    # whatever is misspelled is found before the data is read
    for model in recipe.model:
        with _placed(where, f"[[model]] {model.label}"):
            recipe.create(model)
    with _placed(where, "[evaluate]"):
        formulas_of(recipe.evaluate.ranking, recipe.evaluate.convention)
        if not recipe.evaluate.ranking and not any(recipe.create(m).predicts() for m in recipe.model):
            raise MatineeError(
                f"no model of this recipe predicts ratings, so {', '.join(recipe.evaluate.metrics)} is of none",
                hint="add a model that does, or a metric of ranked lists",
            )
        if recipe.data.label_min is None and "observed" in recipe.rules("test"):
            raise MatineeError(
                'candidates = "observed" ranks what users watched by whether they liked it, and nothing says that',
                hint="say in [data] from which rating on: label_min = 4.0, say (of labels 0 and 1: label_min = 1.0)",
            )
    with _placed(where, "[split]"):
        options = {name: value for name, value in recipe.split.items() if name != "strategy"}
        if "exclude_seen" in options:
            raise MatineeError("exclude_seen stands in [evaluate]", hint="move it there")
        splits.check(recipe.split["strategy"], options)
    return recipe


@contextlib.contextmanager
def _placed(where: str, table: str) -> Iterator[None]:
    """Say which file and table an error is about."""
    try:
        yield
    except MatineeError as error:
        raise MatineeError(error.what, where=f"{where}, {table}", hint=error.hint) from None


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        return f"{name}: {message.removeprefix('Value error, ')}" if name else message.removeprefix("Value error, ")
    owners: dict[str, type[BaseModel]] = {"data": DataTable, "evaluate": EvaluateTable}
    near = difflib.get_close_matches(str(place[-1]), owners.get(str(place[0]), Recipe).model_fields, n=1)
    return f"unknown key {name!r}" + (f" (did you mean {near[0]}?)" if near else "")
