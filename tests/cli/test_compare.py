"""`compare`: models side by side, what is refused, progress, power, and the exit codes of gates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import matinee as mt
from cli.world import World, answer, ask, done, refused


def test_compare_the_models_of_a_run_over_all_its_seeds(world: World) -> None:
    found = answer("compare", world.run, "--metric", "recall", "-k", "5")
    values = pl.read_parquet(world.run / "metrics.parquet").filter(split="test", metric="recall", k=5)
    means = {r["label"]: r["value"] for r in found["metrics"] if (r["metric"], r["k"]) == ("recall", 5)}
    assert means == pytest.approx(dict(values.group_by("label").agg(pl.col("value").mean()).iter_rows()))
    (test,) = found["tests"]
    assert {test["a"], test["b"]} == {"ease", "popularity"}
    assert test["difference"] == pytest.approx(means[test["a"]] - means[test["b"]])
    assert (test["n_queries"], test["n_users"]) == (80, 40)


def test_compare_runs_and_baselines(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done("run", world.recipe, "--out", other, "--set", "ease.l2=500")
    found = answer("compare", world.run, other / "metrics.parquet", "--baseline", "small/popularity")
    labels = {"small/popularity", "small/ease", "other/popularity", "other/ease"}
    assert {row["label"] for row in found["metrics"]} == labels
    assert [test["b"] for test in found["tests"]] == ["small/popularity"] * 3
    assert all(test["p_corrected"] >= test["p"] for test in found["tests"])
    text = done("compare", world.run, other)
    assert "Differences in ndcg@3" in text
    assert "40 users (80 queries)" in text


def test_compare_refuses_other_protocols_and_other_queries(world: World, tmp_path: Path) -> None:
    recipe = tmp_path / "other.toml"
    recipe.write_text(world.recipe.read_text().replace('strategy = "random"', 'strategy = "random"\nby = "row"'))
    done("run", recipe, "--out", tmp_path / "by_row")
    text = refused("compare", world.run, tmp_path / "by_row")
    assert "different protocols" in text
    assert "random by row" in text
    done("run", world.recipe, "--out", tmp_path / "one_seed", "--seeds", "0")
    assert "same queries" in refused("compare", world.run, tmp_path / "one_seed")
    recipe.write_text("split_seed = 5\n" + world.recipe.read_text())
    done("run", recipe, "--out", tmp_path / "held")
    assert "same queries" in refused("compare", world.run, tmp_path / "held")


def test_compare_refuses_what_is_not_there(world: World, tmp_path: Path) -> None:
    assert "no finished run" in refused("compare", tmp_path)
    assert "k = 7 was not measured" in refused("compare", world.run, "-k", "7")
    assert "popularity, ease" in refused("compare", world.run, "--baseline", "eas")
    shutil.copytree(world.run, tmp_path / "x")
    (tmp_path / "x" / "run.json").write_text("{")
    assert "cannot be read" in refused("compare", tmp_path / "x")


def test_the_test_and_the_correction_are_chosen_by_name(world: World, tmp_path: Path) -> None:
    found = answer("compare", world.run, "--test", "wilcoxon", "--correction", "benjamini_hochberg")
    (test,) = found["tests"]
    (ours,) = mt.compare(world.run, test="wilcoxon", correction="benjamini_hochberg").tests
    assert (test["test"], test["p"], test["p_corrected"]) == ("wilcoxon", ours.p, ours.p_corrected)
    text = done("compare", world.run, "--test", "bootstrap", "--correction", "none")
    assert "paired bootstrap test over 40 users (80 queries); 1 comparison, not corrected" in text
    assert "p (" not in text
    recipe = tmp_path / "t.toml"
    recipe.write_text(world.recipe.read_text().replace("[evaluate]", '[evaluate]\ntest = "t"'))
    done("run", recipe, "--out", tmp_path / "t")
    assert "paired t-test over" in done("compare", tmp_path / "t")
    (again,) = answer("compare", tmp_path / "t", "--test", "wilcoxon")["tests"]
    assert (again["p"], again["correction"]) == (test["p"], "holm")


def test_how_many_users_a_difference_takes(world: World) -> None:
    found = answer("compare", world.run, "--power", "--difference", "2%")["power"]
    (ours,) = mt.power(world.run, difference="2%").pairs
    (pair,) = found["pairs"]
    assert (pair["users_needed"], pair["smallest"]) == (ours.users_needed, ours.smallest)
    text = done("compare", world.run, "--power", "--difference", "2%")
    assert f"{ours.users_needed:,}" in text
    assert "with a power of 80%" in text
    assert "used only with --power" in refused("compare", world.run, "--difference", "2%")
    assert "--difference 0%" in refused("compare", world.run, "--power", "--difference", "0%")


def test_several_runs_show_their_progress(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.run, tmp_path / "later")
    record = json.loads((tmp_path / "later" / "run.json").read_text())
    (tmp_path / "later" / "run.json").write_text(json.dumps(record | {"finished": "2031-01-01T00:00:00+00:00"}))
    both = tmp_path / "later", world.run
    text = done("compare", *both, "--plot", tmp_path / "p.html")
    assert "Progress of the best ndcg@3" in text
    assert text.rstrip().endswith("p.html")
    steps = answer("compare", *both)["progress"]
    assert [step["run"] for step in steps] == ["small", "later"]
    assert f"{steps[0]['value']:.4f}" in (tmp_path / "p.html").read_text("utf-8")
    assert "Progress" not in done("compare", world.run)
    assert "progress" not in answer("compare", world.run)
    assert ".html or .svg" in refused("compare", *both, "--plot", tmp_path / "p.pdf")


def test_a_gate_that_is_passed_exits_0_and_one_that_is_not_3(world: World, tmp_path: Path) -> None:
    labels = ("--new-label", "ease", "--old-label", "popularity")
    text = done("compare", world.run, *labels, "--gate", "ndcg@3=-0.5%", "--gate", "recall@5=-1%")
    assert f"ease ({world.run}) may replace popularity ({world.run})" in text
    out = tmp_path / "record.json"
    result = ask("compare", world.run, world.run, *labels, "--gate", "ndcg@3=+0.9", "--record", out)
    assert result.exit_code == 3, result.stderr
    assert result.stderr == ""
    assert "may not replace" in result.stdout
    kept = json.loads(out.read_text("utf-8"))
    told = ask("compare", world.run, *labels, "--gate", "ndcg@3=+0.9", "--confidence", "0.9", "--json")
    assert told.exit_code == 3
    found = json.loads(told.stdout)
    assert (kept["may_replace"], found["may_replace"], found["warnings"]) == (False, False, [])
    assert (kept["confidence"], found["confidence"]) == (0.95, 0.9)
    assert kept["gates"][0]["difference"] == found["gates"][0]["difference"]
    assert kept["gates"][0]["bound"] < found["gates"][0]["bound"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gate", "ndcg@3=-1%"], "has 2 models: which is the new one?"),
        (["--gate", "ndcg@3"], "'ndcg@3' is no gate"),
        (["--gate", "ndcg@3=-1%", "-k", "3"], "-k is not used with --gate"),
        (["--gate", "ndcg@3=-1%", "--power"], "--power is not used with --gate"),
        (["--record", "x.json"], "--record is used only with --gate"),
        (["--new-label", "ease"], "--new-label is used only with --gate"),
    ],
)
def test_options_that_do_not_go_together_are_refused(world: World, arguments: list[str], words: str) -> None:
    assert words in refused("compare", world.run, *arguments)


def test_a_gate_is_about_two_runs(world: World) -> None:
    text = refused("compare", world.run, world.run, world.run, "--gate", "ndcg@3=-1%")
    assert "two runs, NEW and OLD, got 3" in text
    missing = refused("compare", world.run, "--gate", "ndcg@3=-1%", "--new-label", "ease")
    assert "add --old-label popularity" in missing
