"""A recipe's [[model]] table: a model by its registry name, its hyper-parameters, and the labels of models it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from matinee.errors import MatineeError, did_you_mean
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.families.network import Trained
from matinee.study.grid import MAX_LABEL, RESERVED, combinations
from matinee.study.values import names_a_folder

TWO_STAGES = "rerank"  # the model that `candidates_from` stands for


class ModelTable(BaseModel):
    """[[model]]: a registry name, a label for tables and folders, and hyper-parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="a name of `matinee models`; its hyper-parameters are further keys of this table")
    label: str = Field(
        "", max_length=MAX_LABEL, description="a unique name for tables and folders; when left out, the model's name"
    )
    grid: dict[str, list[Any]] | None = Field(
        None, description="hyper-parameters with a list of values each: a model for every combination"
    )
    candidates_from: str | None = Field(
        None, description="the label of a model above, whose `n` best (200) this model puts in order"
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if not self.label:
            object.__setattr__(self, "label", self.name)
        if not names_a_folder(self.label) or self.label.startswith("."):
            raise ValueError(f"label {self.label!r} names a folder: use letters, digits, '_', '-' and '.'")
        self.expanded()  # here, so that an error names this table
        return self

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @property
    def needs_torch(self) -> bool:
        return issubclass(registry.model_class(self.name), Trained)

    def expanded(self) -> list[ModelTable]:
        """A table for each combination of its grid, labelled LABEL_value_value...; without a grid, itself."""
        if self.grid is None:
            return [self]
        found = combinations(self.label, self.hyper_parameters, self.grid)
        shared = {"name": self.name, "candidates_from": self.candidates_from}
        return [ModelTable.model_validate({**shared, "label": label, **values}) for label, values in found]

    def labels(self) -> list[tuple[str, str]]:
        """(key, label) of each model that this table names, each once. Raises MatineeError for what is no label."""
        fields = registry.member_fields(self.name)
        if self.candidates_from is not None:
            if fields:
                below = f'name = "{TWO_STAGES}", first = "{self.candidates_from}", second = "{self.label}"'
                hint = f"leave it out, and write a table below: {below}"
                raise MatineeError(f"candidates_from in a table of {self.name!r}", hint=hint)
            return [("candidates_from", self.candidates_from)]
        found = [(field, label) for field in fields for label in self._labels_in(field)]
        given = [label for _, label in found]
        if twice := [label for label in given if given.count(label) > 1]:
            raise MatineeError(f"{self.label} names {twice[0]!r} twice", hint="name each model once")
        return found

    def _labels_in(self, field: str) -> list[str]:
        value = self.hyper_parameters.get(field)
        several = get_origin(registry.model_class(self.name).model_fields[field].annotation) is tuple
        labels: list[Any] = [value] if not several else value if isinstance(value, list) else []
        if not labels or not all(isinstance(label, str) for label in labels):
            what, example = ("list of labels", '["ease", "sasrec"]') if several else ("label", '"ease"')
            hint = f"write for example {field} = {example}, with labels of [[model]] tables above"
            raise MatineeError(f"{field} = {value!r} is no {what}", hint=hint)
        return labels

    def create(self, members: Sequence[Model]) -> Model:
        """The table's model. members: the models that its labels name, in the order of `labels`."""
        given = self.hyper_parameters
        if self.candidates_from is not None:
            n = {"n": given.pop("n")} if "n" in given else {}
            second = registry.create(self.name, given)
            return registry.create(TWO_STAGES, {"first": members[0], "second": second, **n})
        left = iter(members)
        for field in registry.member_fields(self.name):
            given[field] = [next(left) for _ in given[field]] if isinstance(given[field], list) else next(left)
        return registry.create(self.name, given)

    def resolved(self, model: Model) -> dict[str, Any]:
        """Every hyper-parameter of `model`, which this table created, that is not None; without those that are
        labels."""
        values = model.model_dump(mode="json", exclude_none=True)
        if self.candidates_from is not None:
            values = {**values["second"], "n": values["n"]}
        labels = ("name", *registry.member_fields(self.name))
        return {key: value for key, value in values.items() if key not in labels}


def with_defaults(tables: Sequence[ModelTable], defaults: Mapping[str, Any]) -> list[ModelTable]:
    """The tables, each with the defaults that its model has and it does not set itself. Raises ValueError naming a
    default that no model has."""
    if not defaults:
        return list(tables)
    known = {table.name: _fields(table.name) for table in tables}
    for key in defaults:
        if key in RESERVED or not any(key in fields for fields in known.values()):
            near = did_you_mean(key, {field for fields in known.values() for field in fields}, n=1)
            hint = f" ({near})" if near else ""
            raise ValueError(f"defaults.{key}: no model of the recipe has this hyper-parameter{hint}")

    def given(table: ModelTable) -> dict[str, Any]:
        return {k: v for k, v in defaults.items() if k in known[table.name] and k not in table.hyper_parameters}

    return [table.model_copy(update=given(table)) for table in tables]


def _fields(name: str) -> frozenset[str]:
    """A model's hyper-parameters; none for an unknown name, which is refused when the model is created."""
    try:
        return frozenset(registry.model_class(name).model_fields)
    except MatineeError:
        return frozenset()
