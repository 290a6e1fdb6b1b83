"""Splits by name, as recipes spell them: `strategy = "random"`, and options that are the functions' own arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from matinee.data.dataset import Dataset, Split
from matinee.data.read.options import TableFile
from matinee.errors import MatineeError, suggestion
from matinee.split import strategies
from matinee.split.lists import lists
from matinee.split.new_items import new_items
from matinee.split.provided import provided
from matinee.split.sessions import sessions
from matinee.split.shares import check_folds, check_ratio

NEW_ITEMS = "new_items"
File = str | Path | TableFile


def _files(data: Dataset, *, test: File, valid: File | None = None, exclude_seen: bool = True) -> Split:
    """`provided` with the options that a recipe can write: paths, or tables that say how a file is written."""
    return provided(data, test=test, valid=valid, exclude_seen=exclude_seen)


STRATEGIES: dict[str, Callable[..., Split]] = {
    "random": strategies.random,
    "leave_one_out": strategies.leave_one_out,
    "latest": strategies.latest,
    "temporal": strategies.temporal,
    "mixed": strategies.mixed,
    "strong": strategies.strong,
    "lists": lists,
    "sessions": sessions,
    "provided": _files,
}


def make(data: Dataset, strategy: str, options: Mapping[str, object] | None = None, *, seed: int = 0) -> list[Split]:
    """The splits of a recipe's [split] table: one, or n of them for strategy "random" with the option `folds` = n.

    options: arguments of the strategy's function by name (exclude_seen included), and with every strategy `new_items`,
    the share of the items without an event in train (see split.new_items). The seed goes to those that have one.
    Raises MatineeError naming the strategy or option that is unknown, missing or of the wrong type.
    """
    function, arguments = _call(strategy, options or {}, seed)
    share = arguments.pop(NEW_ITEMS, 0.0)
    made = function(data, **arguments)
    splits = [made] if isinstance(made, Split) else made
    return [new_items(split, share, seed=seed) for split in splits] if share else splits


def check(strategy: str, options: Mapping[str, object] | None = None) -> None:
    """Raise MatineeError for what `make` refuses without looking at the data."""
    _call(strategy, options or {}, 0)


def _call(
    strategy: str, options: Mapping[str, object], seed: int
) -> tuple[Callable[..., Split | list[Split]], dict[str, Any]]:
    """The function of a strategy and its arguments but for the data."""
    if strategy not in STRATEGIES:
        raise MatineeError(f"unknown split strategy {strategy!r}", hint=suggestion(strategy, STRATEGIES))
    if strategy == "random" and "folds" in options:
        renamed = {"n" if name == "folds" else name: value for name, value in options.items()}
        arguments = _typed("random with folds", strategies.folds, renamed, seed)
        check_folds(arguments["n"])
        return strategies.folds, arguments
    return STRATEGIES[strategy], _typed(strategy, STRATEGIES[strategy], options, seed)


def _typed(strategy: str, function: Callable[..., object], options: Mapping[str, object], seed: int) -> dict[str, Any]:
    """The options as the function's annotations want them ("0.1" from a command line becomes 0.1), and the seed."""
    parameters = inspect.signature(function).parameters
    known = [*(name for name in parameters if name not in ("data", "seed")), NEW_ITEMS]
    kinds = typing.get_type_hints(function) | {NEW_ITEMS: float}
    arguments: dict[str, Any] = {"seed": seed} if "seed" in parameters else {}
    for name, value in options.items():
        if name not in known:
            raise MatineeError(f"split strategy {strategy!r} has no option {name!r}", hint=suggestion(name, known))
        try:
            arguments[name] = TypeAdapter(kinds[name]).validate_python(value)
        except ValidationError as error:
            hint = f"see split strategy {strategy!r}"
            raise MatineeError(f"split option {name} = {value!r}: {error.errors()[0]['msg']}", hint=hint) from None
    check_ratio(NEW_ITEMS, arguments.get(NEW_ITEMS, 0.0), zero=True)
    for name in known:
        if name not in arguments and name in parameters and parameters[name].default is inspect.Parameter.empty:
            raise MatineeError(f"split strategy {strategy!r} needs the option {name!r}", hint=f"add {name} = ...")
    return arguments
