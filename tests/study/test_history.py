"""The progress of the best score: the order of time, the best so far, and its files."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError

Runs = tuple[Path, Path]


def aged(run: Path, out: Path, finished: str) -> Path:
    """A copy of a run that was finished at another time."""
    shutil.copytree(run, out)
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(record | {"finished": finished}))
    return out


def best_of(run: Path) -> tuple[str, float]:
    rows = pl.read_parquet(run / "metrics.parquet").filter(split="test", metric="recall", k=5)
    means = rows.group_by("label").agg(pl.col("value").mean()).sort("value", descending=True)
    return means.row(0)


def test_runs_stand_in_the_order_of_time(old_and_new: Runs, tmp_path: Path) -> None:
    old, new = old_and_new
    third = aged(old, tmp_path / "third", "2031-01-01T00:00:00.000+00:00")
    history = mt.score_history([third, new, old], metric="recall", k=5)
    assert [step.run for step in history.steps] == ["old", "new", "third"]
    for step, run in zip(history.steps, (old, new, third), strict=True):
        label, mean = best_of(run)
        assert step.label == label
        assert step.value == pytest.approx(mean)
        assert step.ci_low < step.value < step.ci_high
    first, second, last = history.steps
    assert second.value > first.value  # what follows needs it
    assert [step.best for step in history.steps] == [first.value, second.value, second.value]
    assert [step.improved for step in history.steps] == [True, True, False]
    assert last.moment == "2031-01-01 00:00"
    frame = history.to_frame()
    assert frame["best"].to_list() == frame["value"].cum_max().to_list()
    assert frame.select("metric", "k").unique().rows() == [("recall", 5)]
    assert "Progress of the best recall@5" in str(history)
    assert "third" in history._repr_html_()


def test_a_run_knows_when_it_was_finished(old_and_new: Runs, tmp_path: Path) -> None:
    old, new = (mt.open_run(run) for run in old_and_new)
    assert old.finished < new.finished
    assert abs(datetime.fromisoformat(new.finished) - datetime.now(UTC)).total_seconds() < 3600
    earlier = mt.open_run(aged(old_and_new[0], tmp_path / "earlier", ""))  # as versions before this one wrote it
    os.utime(earlier.path / "run.json", (1e9, 1e9))
    assert earlier.finished == "2001-09-09T01:46:40.000+00:00"


def test_it_is_written_as_a_page_or_a_drawing(old_and_new: Runs, tmp_path: Path) -> None:
    history = mt.score_history(old_and_new)
    history.write(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text("utf-8")
    assert all(f"{step.value:.4f}" in page for step in history.steps)
    history.write(tmp_path / "p.svg")
    assert (tmp_path / "p.svg").read_text("utf-8").startswith("<svg")
    for name in ("p.png", "p"):
        with pytest.raises(MatineeError, match=r"drawn as \.html or \.svg.*\n  hint: name it p\.html"):
            history.write(tmp_path / name)


def test_runs_that_do_not_compare_have_no_history(old_and_new: Runs) -> None:
    with pytest.raises(MatineeError, match="k = 7 was not measured"):
        mt.score_history(old_and_new, k=7)
    with pytest.raises(MatineeError, match="nothing to compare"):
        mt.score_history([])
