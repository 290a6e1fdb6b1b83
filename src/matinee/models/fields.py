"""Hyper-parameters as fields of a model: how one is declared, and what is said of one that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic.config import JsonDict

from matinee.errors import MatineeError, did_you_mean
from matinee.models.names import registered_name

RENAMED = {
    "factors": "n_factors",
    "negatives": "n_negatives",
    "blocks": "n_blocks",
    "heads": "n_heads",
    "widening": "ffn_multiplier",
    "start": "init_std",
    "last": "max_len",
    "stop": "stop_epoch",
    "average": "ema_decay",
    "iterations": "epochs",
    "trees": "n_trees",
    "leaves": "n_leaves",
    "neighbours": "n_neighbours",
    "waiting": "time_gaps",
    "grades": "ordinal_weight",
    "k": "n_factors",
}
"""Old names of hyper-parameters -> today's, where the model has that one."""


def tunable(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: Sequence[Any] | None = None,
    ge: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    """A hyper-parameter, written once: its default, meaning, tuning range (low..high or choices) and hard bounds."""
    span: JsonDict = {"choices": list(choices)} if choices else {}
    if low is not None:
        span = {"low": low, "high": high, "log": log}
    return Field(
        default, description=doc, ge=ge, gt=gt, lt=lt, le=le, json_schema_extra={"tune": span} if span else None
    )


def disliked_share() -> Any:
    """The hyper-parameter `dislikes` of models that draw negatives (nn/sampling.py, `Disliked`)."""
    doc = "share of the negatives that are the user's own dislikes, if there are any"
    return tunable(0.0, doc, low=0.0, high=1.0, ge=0.0, le=1.0)


def validation_message(cls: type[BaseModel], error: ValidationError) -> MatineeError:
    """pydantic's findings about a model's hyper-parameters, as one error in our words."""
    name = registered_name(cls) or cls.__name__
    found = "; ".join(_problem(cls, problem) for problem in _of_one_kind(error.errors()))
    return MatineeError(f"model {name!r}: {found}", hint=f"see `matinee models show {name}`")


def _of_one_kind(problems: Sequence[Any]) -> list[Any]:
    """Of a value that may be of several kinds (numbers, or lists of them), what is wrong with it as the first of them;
    pydantic tells of each, and names the kind in the place."""
    first: dict[Any, str] = {}
    found = []
    for problem in problems:
        field, *rest = problem["loc"] or ("",)
        kind = str(rest[0]) if rest and "[" in str(rest[0]) else ""
        if first.setdefault(field, kind) == kind:
            found.append(problem | {"loc": (field, *rest[1:])} if kind else problem)
    return found


def _problem(cls: type[BaseModel], problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"no hyper-parameter {field!r}{_instead(cls, field)}"
    message: str = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if not field:
        return message
    return f"{field}: {message}" if problem["type"] == "missing" else f"{field} = {problem['input']!r}: {message}"


def _instead(cls: type[BaseModel], field: str) -> str:
    """What to write in the place of a hyper-parameter that a model does not have."""
    if field == "device":
        return " (say where to train when fitting: fit(..., device=...), --device, or [fit] device in a recipe)"
    if RENAMED.get(field) in cls.model_fields:
        return f" (it is called {RENAMED[field]} now)"
    return f" ({did_you_mean(field, cls.model_fields, n=1) or 'it has ' + (', '.join(cls.model_fields) or 'none')})"
