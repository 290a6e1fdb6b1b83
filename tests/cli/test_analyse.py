"""`analyse` and `front`: what they print is what a run and `mt.front` hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import World, answer, done, refused
from matinee.explore.front import front
from matinee.models import MMR
from matinee.study.fronts import fronts
from matinee.study.reader import open_run


def test_metrics_and_pairs_are_those_of_the_run(world: World) -> None:
    found = open_run(world.run).analysis
    assert found is not None
    told = answer("analyse", world.run)
    assert told["metrics"] == found.metrics.to_dicts()
    assert told["pairs"] == found.pairs.to_dicts()
    text = done("analyse", world.run)
    for label in found.labels:
        value = found.value("novelty", label)
        assert value is not None
        assert f"{value:.4f}" in next(line for line in text.splitlines() if line.startswith("novelty@5"))
    assert all(words in text for words in found.left_out)


def test_a_pair_is_seen_from_the_first(world: World) -> None:
    (one,) = answer("analyse", world.run, "--pair", "popularity", "ease")["pairs"]
    (other,) = answer("analyse", world.run, "--pair", "ease", "popularity")["pairs"]
    assert (one["a"], one["b"], other["a"], other["b"]) == ("popularity", "ease", "ease", "popularity")
    assert (one["only_a"], one["only_b"], one["both"]) == (other["only_b"], other["only_a"], other["both"])
    truth = {(a, b): only for a, b, only in open_run(world.run).analysis.pairs.select("a", "b", "only_a").rows()}  # type: ignore[union-attr]
    assert truth["popularity", "ease"] == one["only_a"]
    line = done("analyse", world.run, "--pair", "ease", "popularity").splitlines()
    assert any(row.split()[:2] == ["ease", "popularity"] and str(other["only_a"]) in row.split() for row in line)
    assert "novelty" not in " ".join(line)


@pytest.mark.parametrize(("pair", "words"), [(("ease", "nobody"), "nobody"), (("ease", "ease"), "two models")])
def test_a_pair_that_is_none_is_refused(world: World, pair: tuple[str, str], words: str) -> None:
    assert words in refused("analyse", world.run, "--pair", *pair)


def test_fronts_are_those_of_each_model_on_the_runs_split(world: World) -> None:
    told = answer("front", world.lists, "--lam", "0,1", "-k", "2", "--metric", "recall")["rows"]
    assert [(row["model"], row["lam"]) for row in told] == [("mmr", 0.0), ("mmr", 1.0), ("mild", 0.0), ("mild", 1.0)]
    run = open_run(world.lists)
    split = run.recipe.split_data(run.recipe.load_data(), 0)[0]
    alone = front(MMR(base=run.model("ease"), n=8, places=2), split, [0.0, 1.0], metric="recall", k=2).to_dicts()
    for mine, theirs in zip(told[:2], alone, strict=True):
        assert {**mine, "model": "mmr"} == theirs
    assert told[0]["recall@2"] == told[2]["recall@2"], "at lam 0 both are the base's lists"
    assert told[0]["mean_popularity"] != told[1]["mean_popularity"]


def test_a_front_is_printed_and_drawn(world: World, tmp_path: Path) -> None:
    drawing = tmp_path / "front.svg"
    options = ("--models", "mild", "--lam", "0,1", "--against", "coverage", "--split", "test", "--out", drawing)
    lines = done("front", world.lists, *options).splitlines()
    assert lines[0].split()[:3] == ["model", "lam", "ndcg@10"]
    found = fronts(world.lists, [0.0, 1.0], models=["mild"], part="test").to_dicts()
    for line, row in zip(lines[1:3], found, strict=True):
        assert line.split()[:3] == ["mild", f"{row['lam']:g}", f"{row['ndcg@10']:.4f}"]
    svg = drawing.read_text("utf-8")
    assert svg.startswith("<svg ")
    assert "share of the catalogue recommended" in svg
    assert "--hue1: #" in svg


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--lam", "0,2"), "--lam 0,2"),
        (("--models", "ease"), "no model that orders lists by a lam is called ease"),
        (("--lam", "0", "--out", "front.pdf"), "drawn as .svg"),
        (("--lam", "0", "--no-column", "--against", "diversity", "--out", "f.svg"), "no column 'diversity'"),
    ],
)
def test_what_does_not_fit_is_refused(world: World, options: tuple[str, ...], words: str) -> None:
    assert words in refused("front", world.lists, *options)


def test_a_run_without_such_models_says_what_to_add(world: World) -> None:
    assert "calibrated, mmr or popularity_discount" in refused("front", world.run)
