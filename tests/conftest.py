"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from markupsafe import Markup

settings.register_profile("matinee", deadline=None)  # test processes share the cores, and first examples compile
settings.load_profile("matinee")

# Before numpy and torch are imported: test processes share the cores already, and threads that wait for one cost much
for library in ("OPENBLAS", "OMP", "MKL", "MATINEE"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $MATINEE_TEST_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("MATINEE_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set MATINEE_TEST_DATA to a folder that holds ml-100k, ml-1m, ...")
    return folder


@pytest.fixture
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a report says: drawing takes most of its time."""
    from matinee.report import plots

    monkeypatch.setattr(plots, "draw", lambda paint, name, alt, **sizes: Markup("<svg></svg>"))


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` tests that share a fixture of a file or folder run in one process: it is made once."""
    for item in items:
        if isinstance(item, pytest.Function) and not any(item.iter_markers("xdist_group")):
            defined = [one for found in item._fixtureinfo.name2fixturedefs.values() for one in found]
            shared = {one.scope: one.baseid for one in defined if one.scope in ("session", "module") and one.baseid}
            if shared:
                item.add_marker(pytest.mark.xdist_group(shared.get("session") or shared["module"]))
