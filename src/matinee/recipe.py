"""A recipe: one TOML file that says a whole study. What it leaves out has the defaults below."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.files import StrPath
from matinee.models import registry
from matinee.models.base import Model

DEFAULT = "default_study.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataTable(_Table):
    """[data]: where the log is and which events count."""

    source: str = "ml-100k"
    columns: dict[Literal["user_id", "item_id", "rating", "timestamp"], str] = {}
    format: Literal["log", "sequences", "sessions"] = "log"
    users: str | None = None
    items: str | None = None
    duplicates: Literal["keep", "last", "first", "sum", "error"] = "keep"
    min_rating: float | None = None
    drop_ratings: list[float] = []
    label_min: float | None = None
    min_user_events: int = Field(0, ge=0)
    min_item_events: int = Field(0, ge=0)
    since: str | None = None
    until: str | None = None


class EvaluateTable(_Table):
    """[evaluate]: what is measured."""

    k: list[int] = [10, 20]
    metrics: list[str] = ["recall", "ndcg", "hit_rate", "mrr"]
    convention: str = "matinee"
    candidates: Literal["all"] = "all"
    exclude_seen: bool = True
    refit: bool = False

    @field_validator("k")
    @classmethod
    def _positive(cls, k: list[int]) -> list[int]:
        if not k or min(k) < 1:
            raise ValueError("needs at least one cut-off, each 1 or more")
        return sorted(set(k))


class ModelTable(BaseModel):
    """[[model]]: a registry name, a label for tables and folders, and hyper-parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    label: str = ""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.label:
            object.__setattr__(self, "label", self.name)
        if not self.label.replace("_", "").replace("-", "").replace(".", "").isalnum() or self.label.startswith("."):
            raise ValueError(f"label {self.label!r} names a folder: use letters, digits, '_', '-' and '.'")
        return self

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def create(self) -> Model:
        return registry.create(self.name, self.hyper_parameters)


class Recipe(_Table):
    """A study. seeds: each seeds the split and the fits; split_seed holds the split while the fits vary."""

    title: str = "A study"
    seeds: list[int] = [0]
    split_seed: int | None = None
    data: DataTable = DataTable()
    split: dict[str, Any] = {"strategy": "random"}
    evaluate: EvaluateTable = EvaluateTable()
    model: list[ModelTable]

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds: needs at least one, each once and none negative")
        if not self.model:
            raise ValueError("needs at least one [[model]] table")
        labels = [model.label for model in self.model]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"label {twice[0]!r} is used twice: give one of the models another `label`")
        if "strategy" not in self.split:
            raise ValueError("split: needs a strategy")
        return self

    def to_toml(self) -> str:
        """The resolved recipe, defaults written out."""
        import tomli_w

        tables = self.model_dump(mode="json", exclude_none=True)
        for table, model in zip(tables["model"], self.model, strict=True):
            hyper_parameters = model.create().model_dump(mode="json", exclude_none=True)
            table.update(hyper_parameters)
        return tomli_w.dumps(tables)

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
                    mend=f"write LABEL.NAME=VALUE with a label of {', '.join(labels)}",
                )
            table = tables["model"][labels.index(label)]
            table |= registry.from_text(table["name"], {name: value})
            if table[name] is None:  # TOML has no null: a setting that is left out has its default
                del table[name]
        return _validated(tables, "recipe")

    def load_data(self, data_dir: StrPath | None = None) -> Dataset:
        """Read and filter the log: a catalogue name, a path, or a path below data_dir."""
        from matinee.data import catalog
        from matinee.data.columns import AUTO
        from matinee.data.filters import filter_events
        from matinee.data.readers import read

        spec = self.data
        if spec.source in catalog.ENTRIES:
            data = catalog.load(spec.source, data_dir=data_dir)
        else:
            path = Path(spec.source)
            if not path.exists():
                path = Path(data_dir or ".") / spec.source
            if not path.exists() and not path.suffix:
                catalog.entry(spec.source)  # a mistyped name: raises with the near misses
            data = read(
                path,
                user_id=spec.columns.get("user_id", AUTO),
                item_id=spec.columns.get("item_id", AUTO),
                rating=spec.columns.get("rating", AUTO),
                timestamp=spec.columns.get("timestamp", AUTO),
                format=spec.format,
                users=spec.users,
                items=spec.items,
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


def load_recipe(path: StrPath | None = None) -> Recipe:
    """The recipe of a TOML file; without one, the default study. Raises MatineeError naming file, table and key."""
    if path is None:
        return _validated(tomllib.loads(files("matinee").joinpath(DEFAULT).read_text("utf-8")), DEFAULT)
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise MatineeError("there is no such recipe", where=str(path), mend="name a TOML file, see recipes/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MatineeError(f"not valid TOML: {error}", where=str(path), mend="mend that line") from None
    except OSError as error:
        raise MatineeError(f"cannot be read: {error.strerror}", where=str(path), mend="name a TOML file") from None
    return _validated(tables, str(path))


def _validated(tables: Mapping[str, Any], where: str) -> Recipe:
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        problems = "; ".join(_problem(e["loc"], e["type"], e["msg"]) for e in error.errors())
        raise MatineeError(problems, where=where, mend="see docs/recipes.md for every key") from None
    for model in recipe.model:
        model.create()  # an unknown model or hyper-parameter is found before the data is read
    return recipe


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        return f"{name}: {message.removeprefix('Value error, ')}" if name else message.removeprefix("Value error, ")
    owners: dict[str, type[BaseModel]] = {"data": DataTable, "evaluate": EvaluateTable}
    near = difflib.get_close_matches(str(place[-1]), owners.get(str(place[0]), Recipe).model_fields, n=1)
    return f"unknown key {name!r}" + (f" (did you mean {near[0]}?)" if near else "")
