"""Every model of the registry keeps every promise in `checks`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.cases import CASES, SMALL_LOG, VARIANTS, Hyper, case_id, is_slow, log_of
from contract.checks import CHECKS, Check
from contract.shared import PROMISES, Case, exemptions
from matinee.models import registry
from matinee.models.ease import EASE

# some of the logs have no user with two events: then sequence models say so, and keep their promises
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*learns nothing and popularity answers:matinee.errors.MatineeWarning"),
    pytest.mark.filterwarnings("ignore:.*has no table of items:matinee.errors.MatineeWarning"),
]


def slow_marks(name: str, hyper: Hyper) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if is_slow(name, hyper) else []


def group_of(name: str, hyper: Hyper) -> str:
    return "autoint" if name.startswith("autoint") else case_id(name, hyper)  # their kernels compile for long


# With `--dist loadgroup` one worker runs all checks of a case, and so fits its models once.
@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            case,
            id=case_id(*case),
            marks=[pytest.mark.xdist_group(group_of(*case)), *slow_marks(*case)],
        )
        for case in CASES
    ],
)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    name, hyper = request.param
    found = Case(lambda: registry.create(name, hyper), log_of(name))
    yield found
    found.assert_untouched()


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(case: Case, check: Check) -> None:
    check(case)


def test_a_check_that_changes_what_others_share_is_found() -> None:
    case = Case(EASE)
    case.model.score(case.queries)[:] = 0.0
    case.assert_untouched()
    case.model.fit(case.few)
    with pytest.raises(AssertionError, match="a check has changed the model fitted on the log"):
        case.assert_untouched()


@pytest.mark.parametrize("name", registry.names())
def test_a_model_file_is_the_papers_idea_and_nothing_else(name: str) -> None:
    path = Path(inspect.getfile(registry.model_class(name)))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


def test_hyper_parameters_are_for_models_that_exist() -> None:
    assert {*VARIANTS, *SMALL_LOG} <= set(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_exemptions_are_from_known_promises_and_have_a_reason(name: str) -> None:
    found = exemptions(registry.model_class(name))
    assert set(found) <= set(PROMISES)
    assert all(len(reason.split()) > 3 for reason in found.values())


def test_the_results_list_who_is_exempt() -> None:
    """docs/results.md tells of each promise which models are exempt from it."""
    text = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
    section = text.split("## What the contract suite lets pass, and why")[1].split("\n## ")[0]
    for promise in PROMISES:
        line = re.search(rf"^\* `{promise}` \((.*?)\)", section, re.MULTILINE | re.DOTALL)
        assert line, f"no line about {promise}"
        exempt = {name for name in registry.names() if promise in exemptions(registry.model_class(name))}
        assert set(re.findall(r"\w+", line[1])) == exempt
