"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("matinee", deadline=None)  # test processes share the cores, and first examples compile
settings.load_profile("matinee")

# Before numpy and torch are imported: test processes share the cores already, and threads that wait for one cost much
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $MATINEE_TEST_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("MATINEE_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set MATINEE_TEST_DATA to a folder that holds ml-100k, ml-1m, ...")
    return folder
