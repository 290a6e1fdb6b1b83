"""`recommend --title` and `--of`, and a study of lists by tasks."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from cli.world import World, answer, done, refused

RECIPE = """
[data]
source = "{log}"
format = "titled_lists"
min_item_users = 2
[split]
strategy = "lists"
valid = 0.2
test = 0.3
tasks = ["title", "title + first 2"]
[evaluate]
k = [5]
metrics = ["r_precision", "r_precision_credit"]
[[model]]
name = "popularity"
[[model]]
name = "item_knn"
"""


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 lists of two kinds, called by them; tracks 0 to 9 are by Ann or Abe, 10 to 19 by Bo or Bea."""
    draw, rows = random.Random(3), ["list_id,title,track_id,track_name,artist"]
    for number in range(60):
        kind = number % 2
        title = ("rainy evening", "🎄 party")[kind]
        for track in draw.sample(range(10 * kind, 10 * kind + 10), 6):
            artist = (("Ann", "Abe"), ("Bo", "Bea"))[kind][track % 2]
            rows.append(f"{number},{title},{track},Song {track},{artist}")
    path = tmp_path_factory.mktemp("lists") / "lists.csv"
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def model(lists: Path) -> Path:
    small = [f"--set={name}" for name in ("hidden=8", "filters=4", "epochs=60", "batch_size=10", "learning_rate=0.02")]
    done("fit", "mmcf", "--data", lists, "--format", "titled_lists", *small, "--out", lists.parent / "mmcf")
    return lists.parent / "mmcf"


def test_a_title_alone_asks_for_a_list(model: Path) -> None:
    said = done("recommend", model, "--title", "Rainy", "-k", "4")
    assert said.startswith("for someone with a list called 'Rainy'\n")
    assert said.count("Song ") == 4
    found = answer("recommend", model, "--title", "🎄", "-k", "4")
    assert {row["item_id"] for row in found["recommendations"]} <= set(range(10, 20))
    assert not found["fallback"]
    with_items = done("recommend", model, "--title", "rainy", "--history", "Song 3", "-k", "2")
    assert with_items.startswith("for someone who watched Song 3 with a list called 'rainy'\n")
    assert "The model knows nothing of this title" in done("recommend", model, "--title", "¿")


def test_artists_of_a_title(model: Path) -> None:
    found = answer("recommend", model, "--title", "party", "--of", "artist", "-k", "2")
    assert {row["value"] for row in found["attributes"]} == {"Bo", "Bea"}
    said = done("recommend", model, "--title", "party", "--of", "artist", "-k", "2")
    assert said.startswith("for someone with a list called 'party'\n\n")
    assert said.split("\n")[2].split() == ["#", "artist", "probability"]
    assert not found["fallback"]
    assert found["title"] == "party"
    assert "knows nothing" not in said
    assert "which knows artist" in refused("recommend", model, "--title", "party", "--of", "genre")
    assert "--of shows attributes" in refused("recommend", model, "--all", "--out", "x.csv", "--of", "artist")


def test_artists_of_a_title_that_nobody_can_read(model: Path) -> None:
    """Popularity says what the model cannot: the likeliest artists are those of a list of which nothing is known."""
    found = answer("recommend", model, "--title", "ⵣⵣⵣ", "--of", "artist", "-k", "4")
    fitted = mt.load_model(model)
    frame = mt.recommend_attributes(fitted, mt.query(fitted, title="ⵣⵣⵣ"), "artist", k=4)
    assert found["fallback"]
    assert found["attributes"] == frame.to_dicts()
    said = done("recommend", model, "--title", "ⵣⵣⵣ", "--of", "artist")
    assert said.split("\n")[2] == "The model knows nothing of this title, so these are likely on any list."


def test_artists_of_several_lists_say_whose_they_are(model: Path) -> None:
    found = answer("recommend", model, "--user", "1", "--user", "0", "--of", "artist", "-k", "2")["answers"]
    assert [one["user_id"] for one in found] == [1, 0]
    assert [one["title"] for one in found] == ["🎄 party", "rainy evening"]
    assert [{row["value"] for row in one["attributes"]} for one in found] == [{"Bo", "Bea"}, {"Ann", "Abe"}]
    said = done("recommend", model, "--user", "1", "--user", "0", "--of", "artist", "-k", "2")
    assert "user 0 with a list called 'rainy evening' watched 6 items, the last 5:" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--allow", "Song 3"],
        ["--deny", "Song 3"],
        ["--where", "year > 1990"],
        ["--deny-where", "year > 1990"],
        ["--rules", "no.toml"],
        ["--include-seen"],
    ],
    ids=lambda options: str(options[0]),
)
def test_options_of_items_do_not_go_with_attributes(options: list[str]) -> None:
    said = refused("recommend", "nowhere", "--title", "party", "--of", "artist", *options)
    assert f"{options[0]} says which items are recommended, and --of shows no items" in said
    assert f"hint: leave out {options[0]}, or --of" in said


def test_the_options_that_do_not_go_with_attributes_are_all_named() -> None:
    said = refused("recommend", "nowhere", "--of", "artist", "--user", "1", "--deny", "3", "--include-seen")
    assert "--deny and --include-seen say which items are recommended" in said


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """title_match on eight lists, the last one empty; and on the same lists without their titles."""
    folder = tmp_path_factory.mktemp("votes")
    rows = [f"{user},{10 * (user % 2) + n}" for user in range(1, 8) for n in range(user % 2, 4)]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n", "utf-8")
    lists = [f"{user},{('rainy day', 'party')[user % 2]}" for user in range(1, 9)]
    (folder / "lists.csv").write_text("\n".join(["user_id,name", *lists]) + "\n", "utf-8")
    fit = ("fit", "title_match", "--data", folder / "log.csv")
    done(*fit, "--users", folder / "lists.csv", "--users-option", "title=name", "--out", folder / "titled")
    done(*fit, "--out", folder / "untitled")
    return folder / "titled", folder / "untitled"


def test_an_empty_list_is_answered_by_its_title_which_is_said(votes: tuple[Path, Path]) -> None:
    titled, _ = votes
    said = done("recommend", titled, "--user", "8", "-k", "4")
    assert said.startswith("user 8 with a list called 'rainy day' watched 0 items\n\n#")
    found = answer("recommend", titled, "--user", "8", "-k", "4")
    assert (found["title"], found["history_items"], found["fallback"]) == ("rainy day", 0, False)
    assert {row["item_id"] for row in found["recommendations"]} == {0, 1, 2, 3}
    other = answer("recommend", titled, "--user", "8", "--title", "party", "-k", "3")
    assert other["title"] == "party"
    assert {row["item_id"] for row in other["recommendations"]} == {11, 12, 13}


def test_a_log_without_titles_is_said_to_have_none(votes: tuple[Path, Path]) -> None:
    _, untitled = votes
    found = answer("recommend", untitled, "--title", "rainy day", "-k", "1")
    assert found["warnings"] == [
        "no list that TitleMatch learned from has a title: --title 'rainy day' changes nothing"
    ]
    said = done("recommend", untitled, "--title", "rainy day", "-k", "1")
    assert "No list that the model learned from has a title, so these are popular items." in said
    assert "The model knows nothing of this title" in done("recommend", votes[0], "--title", "ⵣ", "-k", "1")


def test_nobody_is_named_and_a_title_would_do(votes: tuple[Path, Path], world: World) -> None:
    said = refused("recommend", votes[0], "-k", "1")
    assert "neither --user nor --history nor --title is given" in said
    assert '--title "summer bbq"' in said
    assert "--title" not in refused("recommend", world.model), "it reads none"
    assert "--title" not in refused("explain", votes[0], "--item", "11"), "it takes none"


def test_a_model_that_reads_no_titles_says_so(world: World) -> None:
    found = answer("recommend", world.model, "--title", "summer", "-k", "2")
    assert found["fallback"]
    assert any("does not read titles" in text for text in found["warnings"])
    assert found["title"] is None
    known = answer("recommend", world.model, "--user", "9", "--user", "7", "--title", "summer", "-k", "2")
    assert known["warnings"] == ["EASE does not read titles: --title summer changes nothing"]
    assert [one["title"] for one in known["answers"]] == [None, None]
    assert "The history is empty, so these are popular" in done("recommend", world.model, "--title", "summer")
    assert "--title is empty" in refused("recommend", world.model, "--title", " ")
    assert "EASE predicts no attributes" in refused("recommend", world.model, "--user", "9", "--of", "genres")


def test_a_study_of_lists_has_a_table_for_each_task(lists: Path) -> None:
    recipe, run = lists.parent / "lists.toml", lists.parent / "run"
    recipe.write_text(RECIPE.format(log=lists), "utf-8")
    done("run", recipe, "--out", run)
    found = answer("compare", run, "--task", "title + first 2", "--metric", "r_precision")
    by_label = {row["label"]: row["value"] for row in found["metrics"] if row["metric"] == "r_precision"}
    assert by_label["item_knn"] > by_label["popularity"], "two items say which kind it is"
    alone = answer("compare", run, "--task", "title", "--metric", "r_precision")
    values = {row["label"]: row["value"] for row in alone["metrics"] if row["metric"] == "r_precision"}
    assert values["item_knn"] == values["popularity"]
    assert "no query is of the task 'titles'" in refused("compare", run, "--task", "titles")


def test_vectors_of_items_are_named_on_the_command_line(lists: Path) -> None:
    rows = np.eye(2)[np.arange(20) // 10]
    np.save(lists.parent / "v.npy", rows)
    (lists.parent / "v.txt").write_text("\n".join(map(str, range(20))), "utf-8")
    vectors = [
        "--item-vectors",
        f"sound={lists.parent / 'v.npy'}",
        "--item-vectors-ids",
        f"sound={lists.parent / 'v.txt'}",
    ]
    options = ["--data", str(lists), "--format", "titled_lists", "--set", 'attributes=["sound"]', "--set", "k=9"]
    done("fit", "content", *options, *vectors, "--out", lists.parent / "by_sound")
    scores = mt.load_model(lists.parent / "by_sound").fitted.learned.W.toarray()
    np.testing.assert_allclose(scores, (rows @ rows.T) * (1 - np.eye(20)), atol=1e-6)
    lost = refused("fit", "content", *options, *vectors[2:], "--out", lists.parent / "no")
    assert "--item-vectors-ids sound is about vectors that are not named" in lost


def test_a_study_of_cold_starts_refuses_its_drawing_before_all_else() -> None:
    assert "is drawn as .svg, not as '.png'" in refused("cold-start", "ease", "--data", "no.csv", "--out", "known.png")


def test_a_study_of_cold_starts_refuses_a_kind_of_answers_in_its_own_words(world: World) -> None:
    said = refused("cold-start", "ease", "--data", world.log, "--metric", "recall:new")
    assert "'recall:new' counts answers of one kind, 'new', and these lists have no kinds" in said
    assert "hint: pass --metric recall;" in said
