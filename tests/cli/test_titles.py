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
    assert said.split("\n")[0].split() == ["#", "artist", "probability"]
    assert "which knows artist" in refused("recommend", model, "--title", "party", "--of", "genre")
    assert "--of shows attributes" in refused("recommend", model, "--all", "--out", "x.csv", "--of", "artist")


def test_a_model_that_reads_no_titles_says_so(world: World) -> None:
    found = answer("recommend", world.model, "--title", "summer", "-k", "2")
    assert found["fallback"]
    assert any("does not read titles" in text for text in found["warnings"])
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
