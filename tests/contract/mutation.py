"""How a defect is registered: what it changes, in which model it is looked for, and the check that must find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from contract.cases import SMALL_LOG, Hyper

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]


@dataclass(frozen=True)
class Mutation:
    """apply puts the defect in; then the check must fail for the model. check: of the contract or of the oracles."""

    apply: Break
    check: str
    model: str
    hyper: Hyper


MUTATIONS: dict[str, Mutation] = {}


def breaks(check: str, model: str, *, hyper: Hyper | None = None) -> Callable[[Break], Break]:
    """Register the decorated defect; a defect may be looked for in several models, or by several checks."""

    def register(apply: Break) -> Break:
        settings = SMALL_LOG.get(model, {}) if hyper is None else hyper
        MUTATIONS[f"{apply.__name__}-{model}-{check}"] = Mutation(apply, check, model, settings)
        return apply

    return register
