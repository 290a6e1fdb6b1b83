"""Requests made from the schema: no answer of 500 or above, and every answer as the schema says.

Two of three have the ids, titles, columns and names of the catalogue where the schema allows anything, so that they go
through all of the service.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from serve.world import App, started

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from serve.fitting import fitted, fitted_body

FEW, MANY = 8, 1_000  # requests to each of eleven routes
ROUTES = [
    ("POST", "/v1/recommend"), ("POST", "/v1/recommend/batch"), ("POST", "/v1/explain"), ("POST", "/v1/events"),
    ("GET", "/v1/similar/{item}"), ("GET", "/v1/items"), ("GET", "/v1/models"), ("POST", "/v1/models/{name}/reload"),
    ("DELETE", "/v1/users/{id}"), ("GET", "/live"), ("GET", "/ready"),
]  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = tmp_path_factory.mktemp("fuzz") / "events.db"
    with started(mt.create_app(folders, events=str(store), explore=0.3)) as running:
        yield running


def fuzz(running: App, method: str, path: str, count: int) -> dict[int, int]:
    """Ask so often; how often there was which status."""
    schema = schemathesis.openapi.from_dict(running.client.get("/openapi.json").json())
    operation = schema[path][method]
    known = schemathesis.checks
    # not whether all that fits the schema is accepted: that a user or a history is given, it does not say
    checks = [
        known.not_a_server_error, known.status_code_conformance, known.content_type_conformance,
        known.response_schema_conformance,
    ]  # fmt: skip
    statuses: dict[int, int] = {}

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(
        case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)),
        fits=st.sampled_from([True, True, False]), data=st.data(),
    )  # fmt: skip
    def ask(case: Any, fits: bool, data: Any) -> None:
        if fits:
            for part, values in (("body", fitted_body), ("path_parameters", fitted), ("query", fitted)):
                setattr(case, part, data.draw(values(getattr(case, part))))
        given = case.as_transport_kwargs(base_url="http://localhost")
        asked = {name: given[name] for name in ("method", "url", "headers", "params", "json") if name in given}
        body = given.get("data")
        response = running.client.request(**asked, **({} if body is None else {"content": body}))
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=checks)

    ask()
    print(method, path, dict(sorted(statuses.items())))
    return statuses


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_requests_of_the_schema_are_answered_as_it_says(fuzzed: App, method: str, path: str) -> None:
    fuzz(fuzzed, method, path, FEW)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_many_requests_of_the_schema_are_answered_as_it_says(fuzzed: App, method: str, path: str) -> None:
    statuses = fuzz(fuzzed, method, path, MANY)
    if path in ("/live", "/ready", "/v1/models"):
        return
    assert sum(statuses.values()) >= MANY // 2
    assert statuses[200] >= 0.4 * sum(statuses.values())
