"""`matinee study` as somebody types it."""

from __future__ import annotations

from pathlib import Path

import pytest

import matinee as mt
from cli.world import World, answer, done, refused


def test_without_a_name_the_studies_are_listed() -> None:
    text = done("study")
    found = answer("study")
    assert [each["name"] for each in found] == [study.name for study in mt.founding_studies()]
    assert all(f"\n{each['name']} " in text for each in found)
    assert all(set(each) == {"name", "summary"} for each in found)


def test_what_is_refused_before_any_work(world: World, tmp_path: Path) -> None:
    assert "did you mean film-contest?" in refused("study", "film-contets")
    text = refused("study", "tour", "--items", world.items)
    assert text.startswith("error: --items is about a log of your own")
    assert "hint: add --data FILE" in text
    assert "no such file" in refused("study", "tour", "--data", tmp_path / "no" / "log.csv")
    assert "no model of the recipe is called 'eas'" in refused("study", "tour", "--set", "eas.l2=3")


@pytest.mark.slow
def test_a_study_of_ones_own_log(world: World, tmp_path: Path) -> None:
    """The report, the page about the log, and the number of epochs that was asked for."""
    out = tmp_path / "out"
    given = ("--data", world.log, "--items", world.items, "--quick", "--set", "squared.l2=7", "--out", out)
    text = done("study", "matrix-factorisation", *given)
    assert "Predicted ratings, by matrix factorisation: log (quick: at most 2 epochs)" in text
    assert text.splitlines()[-2:] == [str(out / "run" / "report.html"), str(out / "explore.html")]
    tables = {table.label: table.hyper_parameters for table in mt.open_run(out / "run").recipe.model}
    assert (tables["squared"]["l2"], tables["squared"]["epochs"], tables["bayesian_mf"]["samples"]) == (7, 2, 5)
    found = answer("study", "matrix-factorisation", *given)
    assert (found["study"], found["run"], found["resumed"]) == ("matrix-factorisation", str(out / "run"), 15)
    assert (found["winner"], found["submission"]) == (None, None)
