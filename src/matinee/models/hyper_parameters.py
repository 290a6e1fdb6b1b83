"""What a model's hyper-parameters are, and which arrays a fitted model holds: for people who read a table of them."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from matinee.models import registry
from matinee.models.base import Model


@dataclass(frozen=True)
class HyperParameter:
    """One hyper-parameter. type: as `--set` takes it (`float | none`, `tfidf | bm25`). default: "required" where there
    is none. range: the tuning range, "" where it is not tuned. value: what a model was given, None for a class."""

    name: str
    type: str
    default: Any
    range: str
    meaning: str
    value: Any = None


@dataclass(frozen=True)
class LearnedArray:
    """One array of a fitted model. kind: dtype, and "dense" or "sparse". parameters: stored numbers."""

    name: str
    shape: tuple[int, ...]
    kind: str
    parameters: int


def describe(model: str | type[Model] | Model) -> list[HyperParameter]:
    """The hyper-parameters of a model: of a registry name, of a class, or of a model with its values.

    Raises MatineeError with near misses for an unknown name.

    Example: `for parameter in mt.describe("ease"): print(parameter.name, parameter.default, parameter.meaning)`
    """
    given = registry.model_class(model) if isinstance(model, str) else model
    values = given.model_dump(mode="json") if isinstance(given, Model) else {}
    found = []
    for name, field in (type(given) if isinstance(given, Model) else given).model_fields.items():
        extra = field.json_schema_extra
        found.append(
            HyperParameter(
                name=name,
                type=_type(field.annotation),
                default="required" if field.is_required() else field.get_default(call_default_factory=True),
                range=_range(extra.get("tune") if isinstance(extra, dict) else None),
                meaning=field.description or "",
                value=values.get(name),
            )
        )
    return found


def weights_used(model: type[Model] | Model) -> str:
    """Whether the weights of a log's events count: "used", "ignored", or "as its members do" of an ensemble's class."""
    if isinstance(model, type) and model.member_fields:
        return "as its members do"
    return "used" if (model() if isinstance(model, type) else model).uses_weights() else "ignored"


def learned_arrays(model: Model) -> list[LearnedArray]:
    """The arrays that a fitted model learned. Those of a member are named as in its folder: members/0/W.

    Raises MatineeError when the model is not fitted.

    Example: `sum(array.parameters for array in mt.learned_arrays(model))`
    """
    return list(_arrays(model, ""))


def _arrays(model: Model, place: str) -> Iterator[LearnedArray]:
    for entry in fields(model.fitted.learned):
        value = getattr(model.fitted.learned, entry.name)
        if isinstance(value, tuple):
            for number, member in enumerate(value):  # of a composite
                yield from _arrays(member, f"{place}{entry.name}/{number}/")
        for name, array in (value if isinstance(value, dict) else {entry.name: value}).items():
            if hasattr(array, "shape") and name != "curve" and 0 not in array.shape:
                stored = getattr(array, "nnz", None)
                kind = f"{array.dtype}, {'dense' if stored is None else 'sparse'}"
                yield LearnedArray(place + name, array.shape, kind, int(array.size if stored is None else stored))


def _type(annotation: Any) -> str:
    """A field's type as --set takes it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join(map(_type, inner))
    if origin is Annotated:
        return _type(inner[0])
    if origin is tuple:
        return f"[{_type(inner[0])}, ...]"
    if origin is Literal:
        return " | ".join(map(str, inner))
    if annotation is type(None):
        return "none"
    return annotation.__name__ if isinstance(annotation, type) and not inner else str(annotation)


def _range(tune: Any) -> str:
    if not tune:
        return ""
    if "choices" in tune:
        return ", ".join(map(str, tune["choices"]))
    return f"{tune['low']:g} to {tune['high']:g}" + (" (log)" if tune.get("log") else "")
