"""Studies on small logs: what a run folder holds, that it is the same every time, and that nothing in it gets lost."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from matinee import load_model, open_run, recommend
from matinee.data.dataset import Dataset, Split
from matinee.errors import MatineeError, MatineeWarning
from matinee.files import discard
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.study import folder as run_folder
from matinee.study.folder import RunFolder
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.run import StudyResult, run_study
from study.conftest import RANDOM, contents, recipe_of, rows_of

KEYS = ["label", "model", "split", "metric", "k", "value", "ci_low", "ci_high", "n_queries", "seed", "protocol"]
MODELS = '[[model]]\nname = "popularity"\n[[model]]\nname = "ease"\nlabel = "mine"\nl2 = 10.0\n'
HEAD = 'title = "Small"\nseeds = {seeds}\n{more}[data]\nsource = "{log}"\nitems = "{items}"\n'
EVALUATE = '[evaluate]\nk = [5, 3]\nmetrics = ["ndcg", "recall"]\n'


Make = Callable[..., Recipe]


@pytest.fixture
def make(files: Path, tmp_path: Path) -> Make:
    def recipe(body: str = RANDOM + EVALUATE, *, seeds: str = "[0]", more: str = "", models: str = MODELS) -> Recipe:
        head = HEAD.format(seeds=seeds, more=more, log=files / "log.csv", items=files / "films.csv")
        return recipe_of(tmp_path, head + body + models)

    return recipe


@pytest.fixture(scope="module")
def finished(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, StudyResult, Path, list[str]]:
    """One run with two seeds that many tests look at and none changes."""
    folder = tmp_path_factory.mktemp("finished")
    head = HEAD.format(seeds="[3, 1]", more="", log=files / "log.csv", items=files / "films.csv")
    recipe, told = recipe_of(folder, head + RANDOM + EVALUATE + MODELS), list[str]()
    return recipe, run_study(recipe, folder / "run", command="matinee run x", tell=told.append), folder / "run", told


# --- the run folder ---------------------------------------------------------------------------------------------------


def test_the_run_folder_holds_what_is_promised(finished: tuple[Recipe, StudyResult, Path, list[str]]) -> None:
    recipe, result, out, told = finished
    top = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    promised = {"recipe.toml", "run.json", "metrics.json", "metrics.parquet", "analysis.json", "report.html"}
    assert top == promised | {"recommendations", "models", "parts", "logs"}
    assert {path.name for path in (out / "recommendations").iterdir()} == {"popularity.parquet", "mine.parquet"}
    assert {path.name for path in (out / "models").iterdir()} == {"popularity", "mine"}
    assert (out / "recipe.toml").read_text() == recipe.to_toml()
    assert "<h1" in (out / "report.html").read_text()
    assert not list(out.rglob(".tmp-*"))
    assert (result.path, result.report, result.resumed) == (out, out / "report.html", 0)
    assert len(told) == 1 + 4, "reading, and each model on each split"
    assert told[1].startswith("seed-3  popularity: ndcg@3 0.")


def test_metrics_json_has_the_promised_keys_in_order(finished: tuple[Recipe, StudyResult, Path, list[str]]) -> None:
    _, result, out, _ = finished
    rows = rows_of(out)
    assert [list(row) for row in rows] == [KEYS] * len(rows)
    combinations = [(r["seed"], r["label"], r["split"], r["metric"], r["k"]) for r in rows]
    assert combinations == [
        (seed, label, part, metric, k)
        for seed in (3, 1)
        for label in ("popularity", "mine")
        for part in ("valid", "test")
        for metric in ("ndcg", "recall")
        for k in (3, 5)
    ]
    assert {row["label"]: row["model"] for row in rows} == {"popularity": "popularity", "mine": "ease"}
    assert all(row["ci_low"] < row["value"] < row["ci_high"] and row["n_queries"] == 40 for row in rows)
    assert len({(r["split"], r["protocol"]) for r in rows}) == 2, "one protocol a part, whatever the seed"
    assert result.metrics.to_dicts() == rows


def test_the_means_are_those_of_metrics_parquet(finished: tuple[Recipe, StudyResult, Path, list[str]]) -> None:
    _, _, out, _ = finished
    keys = ["label", "split", "metric", "k", "seed", "protocol"]
    means = pl.read_parquet(out / "metrics.parquet").group_by(keys).agg(pl.col("value").mean(), n=pl.len())
    rows = rows_of(out)
    assert len(means) == len(rows)
    found = {tuple(row[key] for key in keys): (row["value"], row["n"]) for row in means.to_dicts()}
    for row in rows:
        value, n = found[tuple(row[key] for key in keys)]
        assert value == pytest.approx(row["value"], rel=1e-6)
        assert n == row["n_queries"]


def test_run_json_says_what_the_numbers_rest_on(finished: tuple[Recipe, StudyResult, Path, list[str]]) -> None:
    recipe, _, out, _ = finished
    facts, data = open_run(out).record, recipe.load_data()
    assert json.loads((out / "run.json").read_text(), parse_constant=pytest.fail)["schema_version"] == 1
    assert facts.command == "matinee run x"
    assert facts.seeds == (3, 1)
    found = facts.data
    assert (found.name, found.fingerprint, found.events, found.users) == ("log", data.fingerprint, 400, 40)
    assert [vars(table) for table in found.side_tables] == [
        {
            "what": "items",
            "in_log": 24,
            "described": 24,
            "without_event": 0,
            "missing": {"title": 0, "year": 0},
            "unmatched": (),
        }
    ]
    assert {"python", "matinee", "numpy", "cpu", "cores"} <= set(facts.machine)
    units = [(cost.label, cost.seed, cost.fold) for cost in facts.costs]
    assert units == [(label, seed, None) for seed in (3, 1) for label in ("popularity", "mine")]
    assert list(facts.splitting) == ["seed-3", "seed-1"]
    costs = [facts.reading, *facts.splitting.values()]
    costs += [phase for cost in facts.costs for phase in (cost.fit, cost.recommend)]
    assert all(0 < cost.seconds < 60 for cost in costs)
    assert all(10 < (cost.peak_mb or 0) < 1e5 for cost in costs)
    assert set(facts.protocols) == {row["protocol"] for row in rows_of(out)}
    assert any(finding.what == "shared events" for finding in facts.audit)


def test_what_side_tables_tell_of_unknown_films_is_reported(make: Make, files: Path, tmp_path: Path) -> None:
    more = (files / "films.csv").read_text() + "900,Unseen (1991)\n901,Unseen too (1992)\n"
    (tmp_path / "more.csv").write_text(more)
    recipe = make()
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"items": str(tmp_path / "more.csv")})})
    warning = "log: not in the log: 2 of the items in more.csv (kept, without an event)"
    assert warning in run_study(recipe, tmp_path / "run").warnings
    run = open_run(tmp_path / "run")
    (table,) = run.record.data.side_tables
    assert (table.in_log, table.described, table.without_event) == (24, 24, 2)
    assert [each.ids for each in table.unmatched] == [2]
    assert warning in run.warnings
    assert warning in run.report.read_text()


def test_models_are_the_first_seeds_and_answer_as_they_did(
    finished: tuple[Recipe, StudyResult, Path, list[str]],
) -> None:
    recipe, _, out, _ = finished
    data = recipe.load_data()
    (first,), (second,) = recipe.split_data(data, 3), recipe.split_data(data, 1)
    for label in ("popularity", "mine"):
        saved = pl.read_parquet(out / "recommendations" / f"{label}.parquet")
        assert saved.columns == ["user_id", "item_id", "score", "rank"]
        model = load_model(out / "models" / label)
        assert recommend(model, first.test.queries, k=5).to_frame().equals(saved)
        assert not recommend(model, second.test.queries, k=5).to_frame().equals(saved)


def test_the_recommendations_are_what_was_measured(finished: tuple[Recipe, StudyResult, Path, list[str]]) -> None:
    recipe, _, out, _ = finished
    (split,) = recipe.split_data(recipe.load_data(), 3)
    truth = {user: set(split.test.truth[row].tolist()) for row, user in enumerate(split.test.queries.user.tolist())}
    saved = pl.read_parquet(out / "recommendations" / "mine.parquet").filter(pl.col("rank") <= 3)
    hits = dict.fromkeys(truth, 0)
    for user_id, item_id in saved.select("user_id", "item_id").iter_rows():
        user = split.train.users.code(user_id)
        hits[user] += split.train.items.code(item_id) in truth[user]
    recall = np.mean([hits[user] / len(answers) for user, answers in truth.items()])
    (row,) = [
        r
        for r in rows_of(out)
        if (r["label"], r["split"], r["metric"], r["k"], r["seed"]) == ("mine", "test", "recall", 3, 3)
    ]
    assert row["value"] == pytest.approx(recall, rel=1e-6)


# --- the same every time ----------------------------------------------------------------------------------------------


def test_equal_studies_leave_equal_bytes(finished: tuple[Recipe, StudyResult, Path, list[str]], tmp_path: Path) -> None:
    recipe, _, out, _ = finished
    run_study(recipe, tmp_path / "run")
    here, there = contents(tmp_path / "run"), contents(out)
    results = [n for n in there if n.startswith(("metrics", "recommendations", "models", "logs", "recipe"))]
    assert len(results) > 10
    assert {n: here[n] for n in results} == {n: there[n] for n in results}


def test_a_finished_study_is_left_as_it_is(make: Make, tmp_path: Path) -> None:
    recipe = make(seeds="[0, 1]")
    first = run_study(recipe, tmp_path / "run", command="the first")
    before = contents(tmp_path / "run")
    told: list[str] = []
    again = run_study(recipe, tmp_path / "run", command="the second", tell=told.append)
    assert (first.resumed, again.resumed) == (0, 4)
    assert contents(tmp_path / "run") == before
    assert again.metrics.equals(first.metrics)
    assert again.warnings == first.warnings
    assert len(told) == 1, "the data was read, and nothing else was done"


@pytest.mark.parametrize(
    ("lost", "resumed"),
    [
        ("metrics.json", 2),
        ("metrics.parquet", 2),
        ("recipe.toml", 2),
        ("recommendations/mine.parquet", 1),
        ("models/mine/manifest.json", 1),
        ("parts/seed-0/mine/unit.json", 1),
    ],
)
def test_what_is_missing_is_made_again(lost: str, resumed: int, make: Make, tmp_path: Path) -> None:
    recipe = make()
    run_study(recipe, tmp_path / "run")
    before = contents(tmp_path / "run")
    (tmp_path / "run" / lost).unlink()
    assert run_study(recipe, tmp_path / "run").resumed == resumed
    after = contents(tmp_path / "run")
    assert set(after) == set(before)
    assert {name for name in before if after[name] != before[name]} <= {
        "run.json",
        "report.html",
        "parts/seed-0/mine/unit.json",
    }


def test_what_is_done_is_asked_for_nothing(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study that lacks only its report is put together on a machine that could not fit its models."""
    run_study(make(), tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    (tmp_path / "run" / "parts/seed-0/mine/unit.json").unlink()
    asked: list[Model] = []
    monkeypatch.setattr(Model, "check", lambda model, data: asked.append(model))
    assert run_study(make(), tmp_path / "run").resumed == 1
    labels = {model.label: load_recipe(tmp_path / "recipe.toml").create(model) for model in make().model}
    assert asked == [labels["mine"], labels["mine"]], "by the study, and by its fit"


def test_a_resolved_recipe_is_the_same_study(make: Make, tmp_path: Path) -> None:
    run_study(make(), tmp_path / "run")
    again = run_study(load_recipe(tmp_path / "run" / "recipe.toml"), tmp_path / "run")
    assert again.resumed == 2


# --- seeds, folds, protocols ------------------------------------------------------------------------------------------


def values(out: Path, label: str = "mine", part: str = "test") -> dict[int, float]:
    """The first metric by seed."""
    return {
        r["seed"]: r["value"]
        for r in rows_of(out)
        if (r["label"], r["split"], r["metric"], r["k"]) == (label, part, "ndcg", 3)
    }


def test_each_seed_draws_its_split_unless_it_is_held(
    finished: tuple[Recipe, StudyResult, Path, list[str]], make: Make, tmp_path: Path
) -> None:
    drawn = values(finished[2])
    assert drawn[3] != drawn[1]
    run_study(make(seeds="[3, 1]", more="split_seed = 1\n"), tmp_path / "held")
    held = values(tmp_path / "held")
    assert held == {3: drawn[1], 1: drawn[1]}, "EASE has no seed of its own"


def test_a_held_split_is_made_once(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    split_data = Recipe.split_data

    def counting(self: Recipe, data: Dataset, seed: int, data_dir: Path | None = None) -> list[Split]:
        made.append(seed)
        return split_data(self, data, seed, data_dir)

    monkeypatch.setattr(Recipe, "split_data", counting)
    run_study(make(seeds="[0, 1, 2]", more="split_seed = 7\n"), tmp_path / "run")
    assert made == [7]


def test_folds_are_told_apart(make: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_study(make('[split]\nstrategy = "random"\nfolds = 3\nvalid = 0.1\n' + EVALUATE, seeds="[0, 1]"), out)
    rows = rows_of(out)
    assert [list(row) for row in rows] == [[*KEYS, "fold"]] * len(rows)
    test = [row for row in rows if (row["split"], row["label"], row["metric"], row["k"]) == ("test", "mine", "ndcg", 3)]
    assert [(row["seed"], row["fold"]) for row in test] == [(s, f) for s in (0, 1) for f in (0, 1, 2)]
    assert len({row["value"] for row in test}) == 6
    per_query = pl.read_parquet(out / "metrics.parquet")
    assert per_query["fold"].unique().sort().to_list() == [0, 1, 2]
    folds = load_recipe(out / "recipe.toml").split_data(make().load_data(), 0)
    saved = pl.read_parquet(out / "recommendations" / "mine.parquet")
    model = load_model(out / "models" / "mine")
    assert recommend(model, folds[0].test.queries, k=5).to_frame().equals(saved), "models are those of the first fold"


def test_refit_is_another_protocol(
    finished: tuple[Recipe, StudyResult, Path, list[str]], make: Make, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run_study(make(RANDOM + EVALUATE + "refit = true\n", seeds="[3]"), out)
    plain = {row["split"]: row["protocol"] for row in rows_of(finished[2])}
    refit = {row["split"]: row["protocol"] for row in rows_of(out)}
    assert refit["valid"] == plain["valid"]
    assert refit["test"] != plain["test"]
    assert "fitted on train + valid" in open_run(out).protocols[refit["test"]].history
    assert values(out, part="valid")[3] == values(finished[2], part="valid")[3], "valid is measured before the refit"
    assert values(out)[3] != values(finished[2])[3]
    assert len(load_model(out / "models" / "mine").data) > len(load_model(finished[2] / "models" / "mine").data)


def test_a_refit_keeps_the_curve_of_the_fit_that_was_validated(files: Path, make: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    head, *rows = (files / "log.csv").read_text().split()
    rated = [f"{row},{rating}" for row, rating in zip(rows, rng.integers(1, 6, len(rows)), strict=True)]
    (tmp_path / "rated.csv").write_text("\n".join([f"{head},rating", *rated]))
    models = '[[model]]\nname = "biased_mf"\nn_factors = 6\nl2 = 0.1\nnu = 0.0\nepochs = 30\n'
    body = RANDOM + '[evaluate]\nk = [5]\nmetrics = ["ndcg", "rmse"]\nrefit = true\n'
    recipe = make(body, models=models)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": str(tmp_path / "rated.csv")})})
    run_study(recipe, tmp_path / "run")
    curve = open_run(tmp_path / "run").curves["biased_mf"]
    assert (curve.rounds, curve.loss, curve.validation) == ("epochs", "rmse", "rmse")
    metrics = [row["valid_metric"] or -np.inf for row in curve.rows]
    model = load_model(tmp_path / "run" / "models" / "biased_mf")
    assert len(metrics) == 30
    assert model.model_dump()["epochs"] == 1 + int(np.argmax(metrics)) < 30, "noise is best left alone early"
    (valid,) = [r["value"] for r in rows_of(tmp_path / "run") if (r["split"], r["metric"]) == ("valid", "rmse")]
    assert valid == pytest.approx(-max(metrics), rel=1e-6)
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"best validation rmse {-max(metrics):.4f} in epoch {1 + int(np.argmax(metrics))}" in page
    assert f"1 model learned from {len(model.data)} of the 400 events" in page
    assert "Favourites" in page


def test_repeats_may_be_answers(files: Path, make: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_study(make(RANDOM + EVALUATE + "exclude_seen = false\n"), out)
    assert {protocol.exclude for protocol in open_run(out).protocols.values()} == {"nothing"}
    train = load_model(out / "models" / "mine").data
    seen = set(zip(train.users.decode(train.user), train.items.decode(train.item), strict=True))
    given = pl.read_parquet(out / "recommendations" / "mine.parquet").select("user_id", "item_id").rows()
    assert len(seen & set(given)) > 20


def test_without_a_valid_part(make: Make, tmp_path: Path) -> None:
    body = RANDOM.replace("valid = 0.2", "valid = 0.0") + EVALUATE
    run_study(make(body), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert {row["split"] for row in rows} == {"test"}
    assert len(rows) == 8


def test_one_query_has_no_interval_and_says_so(make: Make, tmp_path: Path) -> None:
    """NaN is no JSON."""
    log = "user_id,item_id,timestamp\n" + "".join(f"1,{i},{i}\n" for i in range(6)) + "2,0,1\n2,3,2\n"
    (tmp_path / "log.csv").write_text(log)
    source = f'title = "One"\n[data]\nsource = "{tmp_path / "log.csv"}"\n[split]\nstrategy = "leave_one_out"\n'
    (tmp_path / "one.toml").write_text(source + EVALUATE + MODELS)
    result = run_study(load_recipe(tmp_path / "one.toml"), tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert {(row["ci_low"], row["ci_high"], row["n_queries"]) for row in rows} == {(None, None, 1)}
    assert result.report.is_file()


def test_lists_longer_than_the_catalogue(make: Make, tmp_path: Path) -> None:
    run_study(make(RANDOM + EVALUATE.replace("[5, 3]", "[3, 500]")), tmp_path / "run")
    assert {row["value"] for row in rows_of(tmp_path / "run") if (row["metric"], row["k"]) == ("recall", 500)} == {1.0}


# --- provided files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def candidates(files: Path, tmp_path: Path) -> Path:
    """Three queries: the answer among sampled negatives. One knows a film that the log does not."""
    lines = [
        {"user": 0, "history": [110, 111], "candidates": [115, 101, 102, 103], "truth": [101]},
        {"user": 1, "history": [100, 101], "candidates": [102, 120, 121, 122], "truth": [120]},
        {"history": [], "candidates": [50, 104, 123, 100], "truth": [50]},
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_candidates_of_provided_lines_are_all_that_is_ranked(candidates: Path, make: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_study(make('[split]\nstrategy = "provided"\ntest = "asked.jsonl"\n' + EVALUATE), out, data_dir=tmp_path)
    saved = pl.read_parquet(out / "recommendations" / "mine.parquet")
    lists = {
        user: set(part["item_id"])
        for (user,), part in saved.partition_by("user_id", as_dict=True, maintain_order=True).items()
    }
    assert lists == {0: {115, 101, 102, 103}, 1: {102, 120, 121, 122}, None: {104, 123, 100}}
    rows = {(r["label"], r["metric"], r["k"]): r for r in rows_of(out)}
    assert {r["n_queries"] for r in rows.values()} == {3}
    assert rows["mine", "recall", 5]["value"] == pytest.approx(2 / 3), "the film that nobody knows cannot be found"
    run = open_run(out)
    assert "asked.jsonl" in run.protocols[rows["mine", "recall", 5]["protocol"]].split
    assert list(run.notes) == ["1 item id of the provided files is not in the log"]
    report = (out / "report.html").read_text()
    picked = {f"Film {item - 100}" for picks in lists.values() for item in picks}
    assert {film for film in picked if film not in report} == set(), "codes of the split's ids, not of the log's"


def test_other_provided_files_are_another_study(candidates: Path, make: Make, tmp_path: Path) -> None:
    recipe = make(f'[split]\nstrategy = "provided"\ntest = "{candidates}"\n' + EVALUATE)
    run_study(recipe, tmp_path / "run")
    before = contents(tmp_path / "run")
    candidates.write_text(candidates.read_text(encoding="utf-8").replace("103", "104"), encoding="utf-8")
    with pytest.raises(MatineeError, match="other data"):
        run_study(recipe, tmp_path / "run")
    assert contents(tmp_path / "run") == before


# --- whose folder is it? ----------------------------------------------------------------------------------------------


def test_another_study_is_refused_and_nothing_is_touched(files: Path, make: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_study(make(), out)
    before = contents(out)
    with pytest.raises(MatineeError, match="another recipe already"):
        run_study(make(RANDOM + EVALUATE + "refit = true\n"), out)
    assert contents(out) == before
    moved = tmp_path / "log.csv"
    moved.write_text((files / "log.csv").read_text())
    text = (tmp_path / "recipe.toml").read_text().replace("refit = true\n", "")
    (tmp_path / "recipe.toml").write_text(text.replace(str(files / "log.csv"), str(moved)))
    recipe = load_recipe(tmp_path / "recipe.toml")
    run_study(recipe, tmp_path / "second")
    before = contents(tmp_path / "second")
    moved.write_text("\n".join(moved.read_text().splitlines()[:-1]))
    with pytest.raises(MatineeError, match="results on other data already"):
        run_study(recipe, tmp_path / "second")
    assert contents(tmp_path / "second") == before


def test_another_recipe_is_refused_before_the_data_is_read(make: Make, tmp_path: Path) -> None:
    run_study(make(), tmp_path / "run")
    told: list[str] = []
    with pytest.raises(MatineeError, match="another recipe"):
        run_study(make(seeds="[1]"), tmp_path / "run", tell=told.append)
    assert told == []


def test_overwrite_replaces_the_whole_study(make: Make, tmp_path: Path) -> None:
    run_study(make(seeds="[0, 1]"), tmp_path / "run")
    other = make(models='[[model]]\nname = "item_knn"\nk = 5\n')
    assert run_study(other, tmp_path / "run", overwrite=True).resumed == 0
    run_study(other, tmp_path / "fresh")
    here, there = contents(tmp_path / "run"), contents(tmp_path / "fresh")
    assert set(here) == set(there)
    same = [name for name in there if name.startswith(("metrics", "models", "logs", "recommendations", "recipe"))]
    assert {name: here[name] for name in same} == {name: there[name] for name in same}


def test_a_training_that_was_begun_is_not_thrown_away(make: Make, tmp_path: Path) -> None:
    """A checkpoint is work, though no model is finished."""
    folder = RunFolder(tmp_path / "run")
    folder.claim(make().to_toml(), dict, overwrite=False)
    folder.claim(make(seeds="[1]").to_toml(), dict, overwrite=False)
    checkpoint = folder / "parts/seed-1/.ease.fit.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"state")
    with pytest.raises(MatineeError, match="another recipe already"):
        folder.claim(make().to_toml(), dict, overwrite=False)
    assert checkpoint.read_bytes() == b"state"


@pytest.mark.parametrize("moment", [0, 3, 6, 7])
def test_killed_while_overwriting(moment: int, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the clearing came, the folder is still a study's, and either recipe can be run in it."""
    out = tmp_path / "run"
    run_study(make(), out)
    other, calls = make(seeds="[1]"), 0

    def dying(path: Path) -> None:
        nonlocal calls
        if calls == moment:
            raise KeyboardInterrupt
        calls += 1
        discard(path)

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "discard", dying)
        with pytest.raises(KeyboardInterrupt):
            run_study(other, out, overwrite=True)
    for recipe, whole in ((make(), tmp_path / "first"), (other, tmp_path / "second")):
        run_study(recipe, out, overwrite=True)
        run_study(recipe, whole)
        assert (out / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
        assert set(contents(out)) == set(contents(whole))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "recipe.toml", "models/mine/manifest.json", "parts/a.txt"])
def test_a_foreign_folder_is_never_written_to(name: str, overwrite: bool, make: Make, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("precious")
    with pytest.raises(MatineeError, match="no study, and nothing was touched"):
        run_study(make(), out, overwrite=overwrite)
    assert contents(out) == {name: b"precious"}


def test_a_file_is_no_folder(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MatineeError):
            run_study(make(), out)
    assert (tmp_path / "file").read_text() == "precious"


def test_an_unreadable_mark_is_not_taken_for_an_empty_folder(make: Make, tmp_path: Path) -> None:
    run_study(make(), tmp_path / "run")
    (tmp_path / "run" / "parts" / "study.json").write_text("{")
    with pytest.raises(MatineeError, match=r"study\.json"):
        run_study(make(), tmp_path / "run", overwrite=True)


HOLDER = """
import sys
from matinee.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A run folder that another process is writing to."""
    (tmp_path / "held").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path / "held" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield tmp_path / "held"
        process.communicate("")


def test_two_processes_do_not_write_to_one_folder(held: Path, make: Make) -> None:
    with pytest.raises(MatineeError, match="another process is writing here"):
        run_study(make(), held)
    assert contents(held) == {".lock": b""}


# --- what can go wrong ------------------------------------------------------------------------------------------------


def test_a_leaking_split_stops_the_run_before_anything_is_fitted(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same event twice, once in train and once hidden."""
    log = "user_id,item_id,timestamp\n" + "".join(f"{u},{i},{i // 2}\n" for u in range(9) for i in (0, 0, 2, 2, 4, 4))
    (tmp_path / "log.csv").write_text(log)
    head = f'[data]\nsource = "{tmp_path / "log.csv"}"\n'
    (tmp_path / "leak.toml").write_text(head + RANDOM + EVALUATE + "exclude_seen = false\n" + MODELS)
    fitted: list[object] = []
    monkeypatch.setattr("matinee.models.base.Model.fit", lambda *args, **options: fitted.append(args))
    with pytest.raises(MatineeError, match="the split leaks"):
        run_study(load_recipe(tmp_path / "leak.toml"), tmp_path / "run")
    assert fitted == []
    assert not list((tmp_path / "run").rglob("unit.json"))
    monkeypatch.undo()
    mended = (tmp_path / "leak.toml").read_text().replace("[data]\n", '[data]\nduplicates = "distinct"\n')
    (tmp_path / "leak.toml").write_text(mended)
    run_study(load_recipe(tmp_path / "leak.toml"), tmp_path / "run")  # a folder in which nothing came to be is free
    with pytest.raises(MatineeError, match="another recipe already"):
        run_study(make(), tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ('name = "sasrec"\ntime_gaps = true', "has no timestamps, so it is not known how long anyone waited"),
        ('name = "popularity"\nhalf_life_days = 3.0', "popularity cannot be decayed in time"),
        ('name = "fm"\ntarget = "label"', "has no labels 0 and 1"),
        ('name = "biased_mf"', "log has no ratings"),
        ('name = "auto_rec"', "log has no ratings"),
        ('name = "svd"\ncentred = true', "log has no ratings"),
        ('name = "gru4rec"\n[fit]\ndevice = "mps"', "offers PyTorch no device 'mps'"),
        ('name = "fm"\nfields = ["user", "item.genres"]', "no field 'item.genres'"),
        ('name = "lightgbm"\nfields = ["item", "time.hour"]', "no field 'time.hour'"),
        ('name = "ensemble"\nmembers = ["ease", "late"]', "popularity cannot be decayed in time"),
    ],
)
def test_what_a_model_lacks_is_found_before_any_is_fitted(
    model: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = "user_id,item_id\n" + "".join(f"{u},{(u + i) % 7}\n" for u in range(9) for i in range(5))
    (tmp_path / "log.csv").write_text(log)
    late = '\n[[model]]\nname = "popularity"\nlabel = "late"\nhalf_life_days = 3.0\n' if "late" in model else ""
    first = f'[[model]]\nname = "ease"\n{late}\n[[model]]\n{model}\n'
    recipe = tmp_path / "study.toml"
    recipe.write_text(f'[data]\nsource = "{tmp_path / "log.csv"}"\n{RANDOM}{EVALUATE}{first}')
    monkeypatch.setattr("matinee.models.base.Model.fit", lambda *args, **options: pytest.fail("a model was fitted"))
    with pytest.raises(MatineeError, match=words):
        run_study(load_recipe(recipe), tmp_path / "run")


def test_our_warnings_are_kept_and_reported(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = EASE.fit

    def warning(self: EASE, data: Dataset, **options: Any) -> EASE:
        warnings.warn(f"EASE: thin ice under {options['seed']}.5% of it", MatineeWarning, stacklevel=2)
        if options["seed"] == 1:
            warnings.warn("EASE: seed one alone", MatineeWarning, stacklevel=2)
        return fit(self, data, **options)

    monkeypatch.setattr(EASE, "fit", warning)
    result = run_study(make(seeds="[0, 1]"), tmp_path / "run")
    ours = [text for text in result.warnings if text.startswith("EASE")]
    assert ours == ["EASE: thin ice under 0.5% of it", "EASE: seed one alone"], "the first of each kind, of any seed"
    assert open_run(tmp_path / "run").warnings == result.warnings
    report = (tmp_path / "run" / "report.html").read_text()
    assert "thin ice under 0.5% of it" in report
    assert "seed one alone" in report
    assert run_study(make(seeds="[0, 1]"), tmp_path / "run").warnings == result.warnings


def test_a_tie_everywhere_is_told_though_valid_says_the_same(make: Make, tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp\n" + "".join(f"{u},{(u + i) % 30},{i}\n" for u in range(30) for i in range(6))
    (tmp_path / "log.csv").write_text(log)
    head = f'[data]\nsource = "{tmp_path / "log.csv"}"\n[split]\nstrategy = "leave_one_out"\n'
    (tmp_path / "tie.toml").write_text(head + '[evaluate]\nk = [3]\n[[model]]\nname = "popularity"\n')
    result = run_study(load_recipe(tmp_path / "tie.toml"), tmp_path / "run")
    assert [text for text in result.warnings if "100.0% of the queries" in text]


def test_other_peoples_warnings_are_not_swallowed(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = EASE.fit

    def warning(self: EASE, data: Dataset, **options: Any) -> EASE:
        warnings.warn("overflow encountered", RuntimeWarning, stacklevel=2)
        return fit(self, data, **options)

    monkeypatch.setattr(EASE, "fit", warning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.warns(RuntimeWarning, match="overflow"):
            run_study(make(), tmp_path / "run")


def test_a_failing_model_leaves_the_others_work(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: EASE, data: Dataset, **options: Any) -> EASE:
        raise MatineeError("too big")

    with monkeypatch.context() as patched:
        patched.setattr(EASE, "fit", failing)
        with pytest.raises(MatineeError, match="too big"):
            run_study(make(), tmp_path / "run")
    assert run_study(make(), tmp_path / "run").resumed == 1


def test_rating_metrics_need_ratings_and_models_that_predict_them(
    make: Make, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EASE, "predicts", lambda self: True)
    monkeypatch.setattr(EASE, "predict", lambda self, pairs, queries: np.full(len(pairs), 3.0, np.float32))
    rated = RANDOM + EVALUATE.replace('["ndcg", "recall"]', '["rmse", "ndcg"]')
    with pytest.raises(MatineeError, match="log has no ratings, so rmse cannot be measured"):
        run_study(make(rated), tmp_path / "none")
    assert not list((tmp_path / "none").rglob("unit.json"))
    head, *lines = (files / "log.csv").read_text().splitlines()
    stars = "".join(f"{line},{1 + int(line.split(',')[1]) % 5}\n" for line in lines)
    (tmp_path / "stars.csv").write_text(f"{head},rating\n{stars}")
    text = (tmp_path / "recipe.toml").read_text().replace(str(files / "log.csv"), str(tmp_path / "stars.csv"))
    (tmp_path / "recipe.toml").write_text(text)
    result = run_study(load_recipe(tmp_path / "recipe.toml"), tmp_path / "run")
    found = {(r["label"], r["split"], r["metric"], r["k"]): r for r in rows_of(tmp_path / "run")}
    assert [list(row) for row in rows_of(tmp_path / "run")] == [KEYS] * len(found)
    assert {key for key in found if key[2] == "rmse"} == {
        ("mine", "valid", "rmse", None),
        ("mine", "test", "rmse", None),
    }
    row = found["mine", "test", "rmse", None]  # 3 stars for films that have 1 to 5, each as often
    assert row["value"] == pytest.approx(2**0.5, abs=0.2)
    assert 0 < row["ci_low"] < row["value"] < row["ci_high"] < 2
    assert any(text == "popularity predicts no ratings: no rmse" for text in result.warnings)
