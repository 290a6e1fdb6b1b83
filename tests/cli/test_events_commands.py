"""The commands about stored events print what the functions found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import matinee as mt
from cli.world import World, answer, ask, done, refused
from matinee.errors import MatineeWarning
from matinee.serve.events.refit import RefitDecision


def test_export_says_how_to_read_the_log(world: World, tmp_path: Path) -> None:
    text = done("export-events", world.store, "--out", tmp_path / "log.csv", "--impressions", tmp_path / "shown.csv")
    assert "log.csv: 120 events (14 dislike, 106 watch) of " in text
    assert "shown.csv: 360 items shown, " in text
    command = text.splitlines()[-1].removeprefix("next: matinee ").split()
    assert command[-6:] == ["--kind-column", "event", "--kind", "watch=1", "--kind", "dislike=-1"]
    done(*command, "--out", tmp_path / "model")
    assert len(mt.load_model(tmp_path / "model").data) <= 106


def test_evaluate_log_is_the_function(world: World) -> None:
    with pytest.warns(MatineeWarning):
        expected = mt.evaluate_log(world.model, str(world.store), clip=2.0)
    found = answer("evaluate-log", world.model, "--events", world.store, "--clip", "2")
    assert {name: found[name] for name in expected.to_dict()} == json.loads(json.dumps(expected.to_dict()))
    assert any("effective sample size" in text for text in found["warnings"])
    text = done("evaluate-log", world.model, "--events", world.store, "-k", "2")
    assert "the other model, SNIPS" in text
    assert "answers to" in text


def test_refit_ends_with_the_decision(world: World, tmp_path: Path) -> None:
    common = ("refit", world.model, "--events", world.store, "--out")
    text = done(*common, tmp_path / "new", "--gate", "ndcg@5=-0.9", "--gate", "recall@5=-0.9")
    assert text.count("passed  ") == 2
    assert f"saved to {tmp_path / 'new'}" in text
    assert RefitDecision.read(tmp_path / "new.decision.json").may_replace
    result = ask(*common, tmp_path / "no", "--gate", "ndcg@5=+900%", "--record", tmp_path / "why.json")
    assert result.exit_code == 3
    assert "may not replace the old one" in result.stdout
    assert not (tmp_path / "no").exists()
    assert not RefitDecision.read(tmp_path / "why.json").may_replace
    assert "a model is here already" in refused(*common, tmp_path / "new")
    assert "is no gate" in refused(*common, tmp_path / "no", "--gate", "better")
    assert "there is no such file" in refused("refit", world.model, "--events", "none.db", "--out", tmp_path / "no")
