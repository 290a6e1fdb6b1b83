"""`matinee explore`: the page, the JSON, several logs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import matinee as mt
from cli.world import World, answer, done, refused
from matinee.errors import MatineeWarning
from matinee.explore import Exploration


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def explored(world: World) -> Exploration:
    """In Python; one film of the table is not in the log."""
    with pytest.warns(MatineeWarning, match="not in the log: 1 of the items"):
        return mt.explore(mt.read(world.log, items=world.items))


def test_the_page_and_the_takeaways(world: World) -> None:
    text = done("explore", world.log, "--items", world.items)
    assert text.splitlines()[0] == "log: 320 events, 40 users, 20 items"
    assert text.splitlines()[-1] == "explore.html"
    for topic in (each.topic for each in explored(world).takeaways):
        assert f"\n{topic} " in text
    assert "\ufffd" not in text
    assert "320" in Path("explore.html").read_text("utf-8")


def test_the_json_is_the_typed_result(world: World) -> None:
    told = answer("explore", world.log, "--items", world.items)
    assert told.pop("page") is None
    told.pop("warnings")
    told.pop("takeaways")  # their hints are worded for the command line
    expected = explored(world).to_dict()
    del expected["takeaways"]
    absent = told.pop("absent"), expected.pop("absent")
    assert set(absent[0]) == set(absent[1]) == {"users"}
    assert "--users people.csv" in absent[0]["users"]
    assert told == json.loads(json.dumps(expected))
    assert not Path("explore.html").exists()
    assert answer("explore", world.log, "--out", "both.html")["page"] == "both.html"
    assert Path("both.html").is_file()


def test_several_logs_stand_side_by_side(world: World) -> None:
    text = done("explore", world.log, world.hidden, "--out", "two.html")
    lines = [line.split() for line in text.splitlines()]
    assert ["log", "hidden"] in lines
    assert ["Events", "320", "40"] in lines
    assert "–" in next(line for line in lines if line[:2] == ["Mean", "rating"])
    assert "log and hidden share 40 users" in text
    assert {"logs", "overlaps", "side_by_side", "page", "warnings"} == set(answer("explore", world.log, world.hidden))


def test_options_reach_the_function(world: World) -> None:
    told = answer("explore", world.log, "--items", world.items, "--top", "1", "--pause", "1h", "--min-rating", "4")
    assert {len(each["top"]) for each in told["attributes"]} == {1}
    assert told["times"]["pause"] == 3600
    assert told["ratings"]["spread"]["smallest"] == 4
    assert "--pause 30m" in refused("explore", world.log, "--pause", "soon")
    one, other = (answer("explore", world.log, "--seed", seed)["splits"][0] for seed in ("0", "1"))
    assert one != other


def test_a_file_of_somebody_else_is_kept(world: World) -> None:
    Path("mine.html").write_text("<p>mine", encoding="utf-8")
    text = refused("explore", world.log, "--out", "mine.html")
    assert "no page of Matinee" in text
    assert Path("mine.html").read_text(encoding="utf-8") == "<p>mine"
    done("explore", world.log)
    before = Path("explore.html").read_bytes()
    done("explore", world.log)
    assert Path("explore.html").read_bytes() == before


def test_what_does_not_exist(world: World) -> None:
    assert "there is no such file" in refused("explore", world.folder / "nothing.csv")
    assert "missing argument" in refused("explore").lower()
