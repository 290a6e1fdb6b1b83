"""A small log, models of it in folders, and a service that answers in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

import matinee as mt
from serve.world import App, made_log, started


@pytest.fixture(scope="session")
def data() -> mt.Dataset:
    return made_log(np.random.default_rng(3))


@pytest.fixture(scope="session")
def folders(data: mt.Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ease, pop (popularity) and markov, which reads the order of a history."""
    at = tmp_path_factory.mktemp("models")
    models = {"ease": mt.models.EASE(l2=5.0), "pop": mt.models.Popularity(), "markov": mt.models.Markov()}
    return {name: mt.save_model(model.fit(data), at / name) for name, model in models.items()}


@pytest.fixture(scope="session")
def ease(folders: dict[str, Path]) -> mt.models.Model:
    return mt.load_model(folders["ease"])


@pytest.fixture
def service(folders: dict[str, Path], tmp_path: Path) -> Iterator[App]:
    """ease first, then the others, and a store of events."""
    app = mt.create_app(folders, events=f"sqlite:///{tmp_path / 'events.db'}")
    with started(app) as running:
        yield running


@pytest.fixture(scope="session")
def plain(folders: dict[str, Path]) -> Iterator[App]:
    """The same without events, for all tests that change nothing."""
    with started(mt.create_app(folders)) as running:
        yield running
