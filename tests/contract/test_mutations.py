"""The suites are worth what they catch: each defect must turn the check red that is named for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

# importing them registers the mutations
from contract import (  # noqa: F401
    content_mutations,
    ensemble_mutations,
    general_mutations,
    item_mutations,
    net_mutations,
)
from contract.checks import CHECKS
from contract.mutation import MUTATIONS, Mutation
from contract.shared import Case
from matinee.errors import MatineeError
from matinee.models import registry
from oracle import model_checks

pytestmark = pytest.mark.slow  # they try the checks, not the models


def check_of(mutation: Mutation) -> Callable[[], None]:
    """The check named for a mutation, ready to run on a model of its own."""
    for oracle in model_checks.CHECKS[mutation.model]:
        if oracle.__name__ == mutation.check:
            return oracle
    cls = registry.model_class(mutation.model)
    case = Case(lambda: cls.model_validate(mutation.hyper))
    return partial(CHECKS[mutation.check], case)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_defect_turns_its_check_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = check_of(MUTATIONS[name])
    MUTATIONS[name].apply(monkeypatch)
    # only a broken promise counts: any other exception is the test's own fault
    with pytest.raises((AssertionError, MatineeError)):
        check()


UNBROKEN = {(m.model, m.check, *map(str, m.hyper.items())): m for m in MUTATIONS.values()}


@pytest.mark.parametrize("key", UNBROKEN, ids="-".join)
def test_the_check_is_green_without_the_defect(key: tuple[str, ...]) -> None:
    check_of(UNBROKEN[key])()


def test_every_kind_of_model_has_defects_to_find() -> None:
    assert {"multi_dae", "ials", "bpr", "gmf", "sasrec", "gru4rec"} <= {m.model for m in MUTATIONS.values()}
