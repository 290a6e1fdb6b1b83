"""benchmarks/load.py: it asks as often as it says, and counts what is no success."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.serve.limits import Limits
from serve.test_server import in_a_thread

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processor time is read from /proc")
def test_each_request_of_a_rate_is_asked_and_timed(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    load: Any = importlib.import_module("load")
    limits = Limits()
    with in_a_thread(mt.create_app(folders["ease"], limits=limits), limits) as port:
        service = load.Service(os.getpid(), port, 0.0)
        given = argparse.Namespace(seconds=0.4, connections=3, k=3, where=None)
        row = load.measured(service, 100.0, given, [100, 101])
        assert (row["requests"], row["errors"]) == (40, 0)
        assert 0 < row["p50"] <= row["p90"] <= row["p99"]
        assert "0 errors" in load.line("ease", row)
        given.where = "no_such_column > 3"
        assert load.measured(service, 100.0, given, [100])["errors"] == 40
        monkeypatch.setattr(load, "SAMPLE", 30)
        given.memory = 60
        rows = list(load.held(service, given, [100, 101]))
        assert [(row["requests"], row["errors"]) for row in rows] == [(0, 0), (30, 0), (60, 0)]
        assert all(row["mb"] > 10 for row in rows)
        assert "60 requests  0 errors" in load.line("ease", rows[-1])
