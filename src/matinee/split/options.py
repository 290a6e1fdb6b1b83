"""Splits by name, as recipes spell them: `strategy = "random"`, and options that are the functions' own arguments."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matinee.data.dataset import Dataset, Split
from matinee.errors import MatineeError
from matinee.split import strategies
from matinee.split.provided import provided
from matinee.split.sessions import sessions


def _files(data: Dataset, *, test: str | Path, valid: str | Path | None = None, exclude_seen: bool = True) -> Split:
    """`provided` as a recipe can ask for it: by path."""
    return provided(data, test=test, valid=valid, exclude_seen=exclude_seen)


STRATEGIES: dict[str, Callable[..., Split]] = {
    "random": strategies.random,
    "leave_one_out": strategies.leave_one_out,
    "latest": strategies.latest,
    "temporal": strategies.temporal,
    "mixed": strategies.mixed,
    "strong": strategies.strong,
    "sessions": sessions,
    "provided": _files,
}


def make(data: Dataset, strategy: str, options: Mapping[str, object] | None = None, *, seed: int = 0) -> list[Split]:
    """The splits of a recipe's [split] table: one, or n of them for strategy "random" with the option `folds` = n.

    options: arguments of the strategy's function by name (exclude_seen included). The seed goes to those that have one.
    Raises MatineeError naming the strategy or option that is unknown, missing or of the wrong type.
    """
    function, arguments = _call(strategy, options or {}, seed)
    made = function(data, **arguments)
    return [made] if isinstance(made, Split) else made


def check(strategy: str, options: Mapping[str, object] | None = None) -> None:
    """Raise MatineeError for what `make` refuses without looking at the data."""
    _call(strategy, options or {}, 0)


def _call(
    strategy: str, options: Mapping[str, object], seed: int
) -> tuple[Callable[..., Split | list[Split]], dict[str, Any]]:
    """The function of a strategy and its arguments but for the data."""
    if strategy not in STRATEGIES:
        near = difflib.get_close_matches(strategy, STRATEGIES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise MatineeError(f"unknown split strategy {strategy!r}", hint=f"{hint}choose one of {', '.join(STRATEGIES)}")
    if strategy == "random" and "folds" in options:
        renamed = {"n" if name == "folds" else name: value for name, value in options.items()}
        arguments = _typed("random with folds", strategies.folds, renamed, seed)
        if arguments["n"] < 2:
            raise MatineeError(f"{arguments['n']} folds do not make a cross-validation", hint="choose at least 2")
        return strategies.folds, arguments
    return STRATEGIES[strategy], _typed(strategy, STRATEGIES[strategy], options, seed)


def _typed(strategy: str, function: Callable[..., object], options: Mapping[str, object], seed: int) -> dict[str, Any]:
    """The options as the function's annotations want them ("0.1" from a command line becomes 0.1), and the seed."""
    from pydantic import TypeAdapter, ValidationError

    parameters = inspect.signature(function).parameters
    known = [name for name in parameters if name not in ("data", "seed")]
    kinds = typing.get_type_hints(function)
    arguments: dict[str, Any] = {"seed": seed} if "seed" in parameters else {}
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise MatineeError(
                f"split strategy {strategy!r} has no option {name!r}",
                hint=f"did you mean {near[0]}?" if near else f"its options are {', '.join(known)}",
            )
        try:
            arguments[name] = TypeAdapter(kinds[name]).validate_python(value)
        except ValidationError as error:
            raise MatineeError(
                f"split option {name} = {value!r}: {error.errors()[0]['msg']}", hint=f"see split strategy {strategy!r}"
            ) from None
    for name in known:
        if name not in arguments and parameters[name].default is inspect.Parameter.empty:
            raise MatineeError(f"split strategy {strategy!r} needs the option {name!r}", hint=f"add {name} = ...")
    return arguments
