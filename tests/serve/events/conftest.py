"""Event stores for tests: each of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.events.postgres import Cluster

pytest.importorskip("sqlalchemy")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of the tests' own; skipped, with the reason, where there is none."""
    pytest.importorskip("psycopg")
    try:
        made = Cluster()
    except Cluster.Missing as reason:
        pytest.skip(str(reason))
    with made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.db'}"
    fresh: str = request.getfixturevalue("cluster").new_database()
    return fresh
