"""Rules on the command line: expressions, a file, in lists, submissions and evaluations."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from cli.world import World, answer, done, refused
from matinee import Rules, evaluate, hidden_pairs, load_model, query, recommend, submission
from matinee.errors import MatineeWarning

FILE = """
title = "other tables are left alone"
[rules]
deny = ["Film 107 (2007)"]
[[rules.quota]]
where = "year >= 2010"
at_most = 1
[[rules.pin]]
item = 112
place = 2
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "rules.toml").write_text(FILE, "utf-8")
    return tmp_path / "rules.toml"


def test_expressions_keep_and_leave_out(world: World) -> None:
    found = answer("recommend", world.model, "--user", "1", "--where", "year > 2003", "--where", "year < 2017")
    years = [row["year"] for row in found["recommendations"]]
    assert years
    assert all(2003 < year < 2017 for year in years)
    denied = answer("recommend", world.model, "--user", "1", "--deny-where", "year > 2003", "--include-seen")
    assert all(row["year"] <= 2003 for row in denied["recommendations"])
    text = done("recommend", world.model, "--user", "1", "--where", '"Comedy" in genres', "--include-seen")
    assert "Amélie" in text
    assert "1 of the 10 asked for" in text


def test_a_file_of_rules_is_what_the_library_says(world: World, rules: Path) -> None:
    model = load_model(world.model)
    kept = Rules.read(rules)
    wanted = recommend(model, query(model, user=7), 5, rules=kept).to_frame()
    found = answer("recommend", world.model, "--user", "7", "-k", "5", "--rules", rules)["recommendations"]
    assert [row["item_id"] for row in found] == wanted["item_id"].to_list()
    assert found[1]["item_id"] == 112
    assert sum(row["year"] >= 2010 for row in found) == 1
    assert 107 not in {row["item_id"] for row in found}
    both = answer("recommend", world.model, "--user", "7", "--rules", rules, "--where", "year > 2008", "--deny", "111")
    assert {row["item_id"] for row in both["recommendations"]} <= {109, 110, 112, 113}


def test_submissions_and_all_users_keep_them(world: World, rules: Path, tmp_path: Path) -> None:
    model, out = load_model(world.model), tmp_path / "all.csv"
    done("recommend", world.model, "--all", "-k", "4", "--out", out, "--where", "year < 2009")
    assert pl.read_csv(out)["item_id"].max() == 108
    (tmp_path / "users.txt").write_text("7\n3\n")
    done("recommend", world.model, "--for-users", tmp_path / "users.txt", "-k", "4", "--rules", rules, "--out", out)
    wanted = submission(model, [7, 3], 4, rules=Rules.read(rules))
    assert pl.read_csv(out).equals(wanted)
    assert not wanted.equals(submission(model, [7, 3], 4))


def test_evaluations_keep_them_and_say_so(world: World, rules: Path) -> None:
    model = load_model(world.model)
    holdout = hidden_pairs(model, world.hidden)
    with pytest.warns(MatineeWarning, match=r"11 of 40 queries have a list that is not full"):
        recs = recommend(model, holdout.queries, 5, rules=Rules.read(rules))
    wanted = evaluate(recs, holdout, k=5, metrics=["recall"])
    found = answer("evaluate", world.model, "--truth", world.hidden, "-k", "5", "--metrics", "recall", "--rules", rules)
    assert found["metrics"][0]["value"] == wanted.mean("recall", 5).value
    assert "under the rules: deny 1 item; 1 pin; at most 1 where year >= 2010 [" in found["protocol"]["candidates"]
    plain = answer("evaluate", world.model, "--truth", world.hidden, "-k", "5", "--metrics", "recall")
    assert plain["metrics"][0]["protocol"] != found["metrics"][0]["protocol"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--where", "yeer > 3"], "no column 'yeer' (character 1"),
        (["--where", "year >"], "character 7"),
        (["--where", "year > 3000"], "the rules allow no item"),
        (["--deny-where", "3 > 2"], "two constants"),
        (["--rules", "nothing.toml"], "no such file"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], words: str, world: World) -> None:
    said = refused("recommend", world.model, "--user", "1", *arguments)
    assert words in said
    assert "hint" in said


def test_lists_that_are_made_already_cannot_be_ruled(world: World, rules: Path, tmp_path: Path) -> None:
    done("recommend", world.model, "--all", "-k", "5", "--out", tmp_path / "recs.csv")
    said = refused("evaluate", tmp_path / "recs.csv", "--truth", world.hidden, "--rules", rules)
    assert "--rules is for a model's lists" in said
