"""The processes that run the tests."""

from __future__ import annotations

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="only where tests are spread over processes")
@pytest.mark.xdist_group("one process")
def test_groups_are_known(request: pytest.FixtureRequest) -> None:
    """Else fixtures are made in each process, and models fitted twice: some versions forget groups in silence."""
    assert request.node.nodeid.endswith("@one process")
