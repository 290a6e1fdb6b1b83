"""Shares, seeds and positions within a user: the arithmetic of all strategies, and the checks of their options."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.errors import MatineeError, option

Counts = NDArray[np.int64]


def share(ratio: float, n: Counts) -> Counts:
    """int64 (n.shape,): floor(ratio * n) up to rounding; .29 of 100 is 29, though .29 * 100 = 28.999999999999996."""
    whole: Counts = np.floor(ratio * n + 1e-9).astype(np.int64)
    return whole


def at_least_one(ratio: float, n: Counts) -> Counts:
    """int64 (n.shape,): max(1, floor(ratio * n)); 0 where the ratio is 0 (that part is not wanted)."""
    return np.maximum(1, share(ratio, n)) if ratio else np.zeros_like(n)


def check_ratio(name: str, ratio: float, *, zero: bool = False) -> None:
    """Raises MatineeError unless 0 < ratio < 1 (or ratio = 0 where `zero` allows it)."""
    if not isinstance(ratio, int | float | np.number) or not (0 < ratio < 1 or (zero and ratio == 0)):
        hint = f"give a share: {option(name, 0.1)}" + (f", or {option(name, 0)} for no such part" if zero else "")
        raise MatineeError(f"{name} must be between 0 and 1, got {ratio!r}", hint=hint)


def check_ratios(valid: float, test: float) -> None:
    """Raises MatineeError unless valid and test are shares that leave something for train."""
    check_ratio("valid", valid, zero=True)
    check_ratio("test", test)
    if not valid + test < 1:
        hint = f"choose smaller shares: {option('valid', 0.1)}, {option('test', 0.1)}"
        raise MatineeError(f"valid {valid:g} and test {test:g} leave nothing for train", hint=hint)


def words_of(ratio: float) -> str:
    """ ".1" for 0.1, as protocols print it."""
    return f"{ratio:g}".removeprefix("0") or "0"


def generator(seed: int) -> np.random.Generator:
    """The only source of randomness. Raises MatineeError for a seed that is negative or no whole number."""
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise MatineeError(f"seed must be 0 or more, got {seed!r}", hint="pass a whole number from 0")
    return np.random.default_rng(seed)


def check_folds(n: int) -> None:
    """Raises MatineeError unless n is a whole number from 2."""
    if not isinstance(n, int | np.integer) or n < 2:
        raise MatineeError(f"cross-validation needs 2 folds or more, got {n!r}", hint="pass a whole number from 2")


def place(user: NDArray[np.integer[Any]]) -> Counts:
    """int64 (n,) for users in sorted order: 0, 1, 2, ... within each user."""
    first = np.flatnonzero(np.diff(user, prepend=-1))
    return np.arange(len(user)) - np.repeat(first, np.diff(first, append=len(user)))


def random_place(user: NDArray[np.integer[Any]], key: NDArray[np.float64]) -> Counts:
    """int64 (n,) for users in sorted order: each user's rows numbered from 0 by ascending key."""
    ranks = np.empty(len(user), np.int64)
    ranks[np.lexsort((key, user))] = place(user)
    return ranks
