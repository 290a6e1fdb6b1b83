"""Models by their registry names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, get_args

from matinee.errors import MatineeError, did_you_mean
from matinee.models.base import Model
from matinee.models.names import BUILT_IN, locations, registered_name


def names() -> list[str]:
    """All registry names, ours first."""
    return list(locations())


def model_class(name: str) -> type[Model]:
    """The class of a registry name. Raises MatineeError with near misses for an unknown one."""
    known = BUILT_IN if name in BUILT_IN else locations()  # asking all packages for entry points takes 20 ms
    if name not in known:
        hint = f"{did_you_mean(name, known)} `matinee models` lists all".lstrip()
        raise MatineeError(f"unknown model {name!r}", hint=hint)
    module, _, attribute = known[name].partition(":")
    found: type[Model] = getattr(import_module(module), attribute)
    return found


def name_of(model: Model) -> str:
    """The registry name of a model's class. Raises MatineeError for a class that is not registered."""
    name = registered_name(type(model))
    if name is None:
        raise MatineeError(
            f"{type(model).__module__}:{type(model).__name__} is not in the registry",
            hint="register it in the entry-point group `matinee.models`",
        )
    return name


def member_fields(name: str) -> tuple[str, ...]:
    """The hyper-parameters of a registered model that name other models; none for most."""
    return model_class(name).member_fields


def create(name: str, hyper_parameters: Mapping[str, Any] | None = None) -> Model:
    """A model by its registry name. Raises MatineeError naming each hyper-parameter that does not fit."""
    return model_class(name).model_validate(dict(hyper_parameters or {}))


def as_model(given: object) -> Model:
    """A model from itself, its name, or a table {"name": ..., hyper-parameters}. Raises MatineeError."""
    if isinstance(given, Model):
        name_of(given)
        return given
    if isinstance(given, str):
        return create(given)
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return create(given["name"], {key: value for key, value in given.items() if key != "name"})
    raise MatineeError(f"{given!r} is not a model", hint="write a name of `matinee models`, or a table with one")


def from_text(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """Hyper-parameters as a command line spells them -> what `create` takes; pydantic then types "200" and "true".

    "none" is None where the field may be None, and [1, 2] is a list; all else stays text.
    """
    fields = model_class(name).model_fields
    values: dict[str, Any] = {}
    for key, text in settings.items():
        values[key] = text
        if text.lower() == "none" and key in fields and type(None) in get_args(fields[key].annotation):
            values[key] = None
        elif text[:1] in ("[", "{"):
            try:
                values[key] = json.loads(text)
            except json.JSONDecodeError:
                hint = """write texts in double quotes: '["ease", {"name": "sasrec"}]'"""
                raise MatineeError(f"{key} = {text} is not JSON", hint=hint) from None
    return values
