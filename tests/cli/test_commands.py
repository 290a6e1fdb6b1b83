"""Each command in this process: what it prints, what its JSON says, what it refuses and how."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cli.world import World, answer, ask, done, refused
from contract.logs import groups
from matinee.cli import app, screen
from matinee.cli.options import LogOptions
from matinee.cli.screen import Column
from matinee.data.dataset import Dataset
from matinee.data.read.log import read
from matinee.data.read.options import ReadOptions
from matinee.errors import COLUMNS
from matinee.evaluate import evaluate
from matinee.explain import explain
from matinee.files import atomic_write
from matinee.models import registry
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.rank import recommend, similar_items
from matinee.similar import similar_users
from matinee.split import provided
from matinee.store import load_model
from matinee.study.recipe import DataTable, Recipe

COMMANDS: list[tuple[str, ...]] = [
    ("run",),
    ("study",),
    ("init",),
    ("fit",),
    ("export",),
    ("recommend",),
    ("similar",),
    ("explain",),
    ("evaluate",),
    ("compare",),
    ("negatives",),
    ("vectors",),
    ("demo",),
]
GROUPS: list[tuple[str, ...]] = [
    ("data",),
    ("data", "formats"),
    ("data", "list"),
    ("data", "show"),
    ("data", "sniff"),
    ("models",),
    ("models", "list"),
    ("models", "show"),
]


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS])
def test_every_help_has_an_example_in_one_line(command: tuple[str, ...]) -> None:
    lines = [line.strip() for line in done(*command, "--help").splitlines()]
    assert any(line.startswith(f"Example: matinee {command[0]}") for line in lines)


def test_every_summary_fits_the_overview() -> None:
    overview = done("--help")
    assert all(name in overview for (name,) in COMMANDS)
    for help_text in (overview, done("data", "--help"), done("models", "--help")):
        assert "..." not in help_text.partition("Commands:")[2]


@pytest.mark.parametrize(("name", "summary"), [(name, summary) for name, (_, summary) in app.COMMANDS.items()])
def test_the_overview_says_what_the_command_says(name: str, summary: str) -> None:
    """The table of the overview is written by hand, so that a command's module need not be imported for it."""
    assert f"  {summary}" in done(name, "--help").splitlines()


def test_the_options_of_a_log_are_the_same_everywhere() -> None:
    for command in (("fit",), ("data", "show")):
        shown = done(*command, "--help")
        for field in fields(LogOptions):
            assert f"--{field.name.replace('_', '-')} " in shown
    of_recipes = {*DataTable.model_fields, *COLUMNS} - {"source", "columns"}
    of_commands = {field.name for field in fields(LogOptions)} - {"data_dir", "users_option", "items_option"}
    assert {"kind_column", "kind", "keep_kind"} <= of_commands  # the keys of `events`, and of Python's `kinds`
    of_commands -= {"kind_column", "kind", "keep_kind"}
    assert "item_vectors_ids" in of_commands  # in a recipe a key of the file's table
    of_commands -= {"item_vectors_ids"}
    of_recipes -= {"events"}
    only_in_recipes = {"drop_ratings", "label_min", "since", "until"}
    assert of_recipes - only_in_recipes == of_commands
    filters = ("min_rating", "min_user_events", "min_item_events", "min_item_users")
    assert {name: getattr(DataTable(), name) for name in filters} == {n: getattr(LogOptions(), n) for n in filters}
    of_python = set(inspect.signature(read).parameters) - {"source", "name"}
    of_commands -= {"item_vectors"}  # in Python they are arrays, for `with_item_vectors`
    assert of_python == set(ReadOptions.model_fields) == (of_commands | {"kinds"}) - set(filters)


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_prints_progress_the_table_and_the_report_last(world: World, tmp_path: Path) -> None:
    lines = done("run", world.recipe, "--out", tmp_path / "x", "--seeds", "3").splitlines()
    assert "320 events" in lines[0]
    assert sum("ndcg@3" in line and "seed-3" in line for line in lines) == 2
    assert any(line.split()[:3] == ["model", "ndcg@3", "ndcg@5"] for line in lines)
    assert lines[-1] == str(tmp_path / "x" / "report.html")
    assert Path(lines[-1]).is_file()


def test_run_goes_on_where_it_stopped_and_speaks_json(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.run, tmp_path / "x")
    found = answer("run", world.recipe, "--out", tmp_path / "x")
    assert found["resumed"] == 4
    assert found["metrics"] == json.loads((world.run / "metrics.json").read_text())
    assert found["report"] == str(tmp_path / "x" / "report.html")


def test_what_the_split_left_out_is_told(tmp_path: Path) -> None:
    """Of sessions that repeat an item, answers that were seen are left out: the reader of the table has to know."""
    rows = [f"{user},{item},{9 * user + n}\n" for user in range(30) for n, item in enumerate("abaca")]
    log = "user_id,item_id,timestamp\n" + "".join(rows)
    (tmp_path / "log.csv").write_text(log)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[data]\nsource = "{tmp_path / "log.csv"}"\n[split]\nstrategy = "sessions"\n[evaluate]\nk = [2]\n'
        '[[model]]\nname = "markov"\n'
    )
    result = ask("run", recipe, "--out", tmp_path / "x")
    assert "repeat an excluded event and are left out" in " ".join(result.stderr.split())
    found = answer("run", recipe, "--out", tmp_path / "x")
    assert any("repeat an excluded event" in note for note in found["notes"]), "also when it is found done"


def test_the_tables_values_are_means_over_seeds(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.run, tmp_path / "x")
    line = next(x for x in done("run", world.recipe, "--out", tmp_path / "x").splitlines() if x.startswith("ease"))
    rows = pl.read_json(world.run / "metrics.json")
    values = rows.filter(split="test", label="ease", metric="ndcg", k=3)["value"].to_list()
    assert line.split()[1] == f"{sum(values) / 2:.4f}"


def test_run_sets_hyper_parameters_by_label(world: World, tmp_path: Path) -> None:
    done("run", world.recipe, "--out", tmp_path, "--seeds", "0", "--set", "ease.l2=77", "--set", "ease.half_life=2")
    assert load_model(tmp_path / "models" / "ease") == registry.create("ease", {"l2": 77, "half_life": 2})


def test_run_refuses_before_it_works(world: World, tmp_path: Path) -> None:
    assert "there is no such file" in refused("run", tmp_path / "no.toml")
    assert "popularity, ease" in refused("run", world.recipe, "--set", "eas.l2=3")
    assert "did you mean l2?" in refused("run", world.recipe, "--set", "ease.l22=3")
    assert "--seeds 1,x" in refused("run", world.recipe, "--seeds", "1,x")
    shutil.copytree(world.run, tmp_path / "x")
    assert "--overwrite" in ask("run", world.recipe, "--out", tmp_path / "x", "--set", "ease.l2=3").stderr
    assert (tmp_path / "x" / "metrics.json").read_text() == (world.run / "metrics.json").read_text()


ALWAYS = ["popularity", "user_knn", "item_knn", "ease", "ease_decayed", "pctm"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of MovieLens 100K a log of 90 users."""
    data = groups()
    monkeypatch.setattr(Recipe, "load_data", lambda recipe, data_dir=None: data)


def labels(found: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["label"] for row in found["metrics"]))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_default_study_ends_with_a_net_and_a_pair(tmp_path: Path) -> None:
    found = answer("run", "--out", tmp_path / "x", "--set", "sasrec.epochs=1", "--set", "sasrec.dim=8")
    assert labels(found) == [*ALWAYS, "sasrec", "ease_decayed_and_sasrec"]
    pair = load_model(tmp_path / "x" / "models" / "ease_decayed_and_sasrec")
    assert isinstance(pair, Ensemble)
    assert (pair.method, pair.weights) == ("rank", None)
    assert [(registry.name_of(m), getattr(m, "half_life", None)) for m in pair.members] == [
        ("ease", 5.0),
        ("sasrec", None),
    ]


@pytest.mark.usefixtures("small")
def test_without_torch_the_default_study_leaves_out_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = ask("run", "--out", tmp_path / "x", "--set", "sasrec.epochs=1", "--json")
    assert result.exit_code == 0, result.stderr
    assert labels(json.loads(result.stdout)) == ALWAYS
    (warned,) = [line for line in result.stderr.splitlines() if "torch" in line.lower()]
    says = "sasrec and ease_decayed_and_sasrec need PyTorch and are left out: pip install 'matinee[torch]'"
    assert warned == f"warning: {says}"


@pytest.mark.usefixtures("small")
def test_without_torch_a_recipe_that_asks_for_it_is_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "mine.toml").write_text('[[model]]\nname = "sasrec"\n')
    result = ask("run", tmp_path / "mine.toml", "--out", tmp_path / "x")
    assert result.exit_code == 2
    assert "needs PyTorch" in result.stderr
    assert "pip install 'matinee[torch]'" in result.stderr


# --- fit --------------------------------------------------------------------------------------------------------------


def test_fit_saves_the_model_of_the_whole_log(world: World, tmp_path: Path) -> None:
    found = answer("fit", "ease", "--data", world.log, "--set", "l2=10", "--out", tmp_path / "m")
    assert found["data"]["events"] == 320
    assert found["hyper_parameters"]["l2"] == 10.0
    plain = registry.create("ease", {"l2": 10}).fit(read(world.log))
    assert np.array_equal(load_model(tmp_path / "m").fitted.learned.W, plain.fitted.learned.W)


def test_fit_does_not_replace_a_model_that_is_there(world: World, tmp_path: Path) -> None:
    done("fit", "popularity", "--data", world.log, "--out", tmp_path / "m")
    said = refused("fit", "ease", "--data", world.log, "--out", tmp_path / "m")
    assert said.startswith(f"error: {tmp_path / 'm'}: a model is here already\n  hint: add --overwrite")
    assert registry.name_of(load_model(tmp_path / "m")) == "popularity"
    done("fit", "ease", "--data", world.log, "--out", tmp_path / "m", "--overwrite")
    assert registry.name_of(load_model(tmp_path / "m")) == "ease"
    (tmp_path / "m" / "notes.txt").write_text("mine")
    assert "holds 'notes.txt'" in refused("fit", "ease", "--data", world.log, "--out", tmp_path / "m", "--overwrite")


def test_what_comes_next_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("user_id,item_id\nann o'neil;$HOME,7\n")
    out = tmp_path / "my models" / "of (two) words"
    lines = done("fit", "popularity", "--data", tmp_path / "l.csv", "--out", out).splitlines()
    assert lines[1] == "fitted on l: 1 event, 1 user, 1 item"
    command = lines[-1].removeprefix("next: ")
    said = subprocess.run(
        ["sh", "-c", f"matinee() {{ printf '%s\\n' \"$@\"; }}; {command}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said == ["recommend", str(out), "--user", "ann o'neil;$HOME"]
    assert done(*said).startswith("user ann o'neil;$HOME watched 1 item:")


def test_fit_hands_on_the_device(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[dict[str, Any]] = []
    fitted = EASE.fit

    def fit(self: EASE, data: Dataset, *, seed: int, **options: Any) -> EASE:
        chosen.append(options)
        return fitted(self, data, seed=seed)

    monkeypatch.setattr(EASE, "fit", fit)
    for device in ("auto", "cpu"):
        done("fit", "ease", "--data", world.log, "--device", device, "--out", tmp_path / "m", "--overwrite")
    assert chosen == [{"device": "auto"}, {"device": "cpu"}]
    assert "'gpu'" in refused("fit", "ease", "--data", world.log, "--device", "gpu")


def test_export_writes_a_model_of_a_run_that_stands_alone(world: World, tmp_path: Path) -> None:
    found = answer("export", world.run, "ease", "--out", tmp_path / "m")
    assert found["bytes"] == sum(file.stat().st_size for file in (tmp_path / "m").rglob("*") if file.is_file())
    assert len(load_model(tmp_path / "m").data) > 0
    assert "--overwrite" in refused("export", world.run, "popularity", "--out", tmp_path / "m")
    assert registry.name_of(load_model(tmp_path / "m")) == "ease", "it is as it was"
    assert "saved to" in done("export", world.run, "popularity", "--out", tmp_path / "m", "--overwrite")
    assert registry.name_of(load_model(tmp_path / "m")) == "popularity"
    assert "use one of: ease, popularity" in refused("export", world.run, "easy", "--out", tmp_path / "n")
    assert "not empty" in refused("export", world.run, "ease", "--out", tmp_path)


def test_fit_maps_columns_and_filters(world: World, tmp_path: Path) -> None:
    text = world.log.read_text().replace("user_id,item_id,rating,timestamp", "who,what,stars,at")
    atomic_write(tmp_path / "odd.csv", text)
    columns = ["--user-id", "who", "--item-id", "what", "--rating", "stars", "--timestamp", "at"]
    filters = ["--min-rating", "4", "--min-user-events", "2"]
    found = answer("fit", "popularity", "--data", tmp_path / "odd.csv", "--out", tmp_path / "m", *columns, *filters)
    kept = pl.read_csv(world.log).filter(pl.col("rating") >= 4).filter(pl.len().over("user_id") >= 2)
    assert found["data"]["events"] == len(kept)
    assert found["data"]["users"] == kept["user_id"].n_unique()
    assert "user_id" in refused("fit", "popularity", "--data", tmp_path / "odd.csv", "--out", tmp_path / "n")


def test_settings_are_typed_by_the_models_fields() -> None:
    typed = registry.from_text("item_knn", {"weighting": "none", "half_life": "None", "k": "20"})
    assert typed == {"weighting": "none", "half_life": None, "k": "20"}
    assert registry.create("item_knn", typed).model_dump()["k"] == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eas"], "did you mean ease?"),
        (["ease", "--set", "l22=3"], "did you mean l2?"),
        (["ease", "--set", "l2=abc"], "l2 = 'abc'"),
        (["ease", "--set", "l2"], "NAME=VALUE"),
        (["ease", "--set", "l2=1", "--set", "l2=2"], "given twice"),
        (["ensemble", "--set", "members=[ease, markov]"], "write texts in double quotes"),
        (["ease", "--data", "ml-100"], "did you mean ml-100k"),
        (["ease", "--data", "nowhere.csv"], "no such file"),
        (["ease", "--data-dir", "/nowhere"], "does not exist"),
    ],
)
def test_fit_refuses_what_it_cannot_mean(arguments: list[str], words: str, tmp_path: Path) -> None:
    assert words in refused("fit", *arguments, "--out", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_log_of_one_column_may_be_sequences_or_sessions(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("1 2 3\n2 3 4\n")
    said = refused("fit", "markov", "--data", tmp_path / "s.txt", "--out", tmp_path / "m")
    assert "--format sequences reads" in said
    done("fit", "markov", "--data", tmp_path / "s.txt", "--format", "sessions", "--out", tmp_path / "m")
    (tmp_path / "odd.csv").write_text("who,what\n1,2\n")
    assert "--user-id" in refused("fit", "markov", "--data", tmp_path / "odd.csv", "--out", tmp_path / "n")


def test_what_a_fit_could_not_know_is_said(world: World, tmp_path: Path) -> None:
    """Times in a column of another name, how many epochs are enough, and what members weigh."""
    (tmp_path / "log.csv").write_text(world.log.read_text().replace("timestamp", "watched_at"))
    hyper = ["--set", "dim=4", "--set", "max_len=4"]
    for extra, words in (
        (["markov"], ["takes the order of its lines for that of time", "'watched_at'"]),
        (["gru4rec", *hyper, "--timestamp", "watched_at"], ["trains all 200 epochs"]),
        (["ensemble", "--set", 'members=["ease", "popularity"]'], ["all members weigh the same"]),
        (["markov", "--timestamp", "watched_at"], []),
        (["gru4rec", *hyper, "--set", "epochs=1", "--timestamp", "watched_at"], []),
    ):
        result = ask("fit", *extra, "--data", tmp_path / "log.csv", "--out", tmp_path / "m", "--overwrite")
        assert result.exit_code == 0, result.stderr
        said = " ".join(result.stderr.split())
        assert all(word in said for word in words)
        assert ("warning" in said) == bool(words)


def test_fit_refuses_a_place_that_holds_something_else(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("dear")
    assert "holds no model" in refused("fit", "ease", "--data", world.log, "--out", tmp_path)
    assert "is a file" in refused("fit", "ease", "--data", world.log, "--out", tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "dear"


def test_fit_refuses_a_place_it_may_not_write(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # a mode of 0o555 would not stop the superuser
    assert "nothing can be written" in refused("fit", "ease", "--data", world.log, "--out", tmp_path / "m")


# --- recommend, similar, explain --------------------------------------------------------------------------------------


def test_recommend_to_a_user_is_what_the_library_says(world: World) -> None:
    found = answer("recommend", world.model, "--user", "7", "-k", "4")
    model = load_model(world.model)
    recs = recommend(model, model.data.queries([7]), 4)
    assert [r["item_id"] for r in found["recommendations"]] == model.items.decode(recs.item[0])
    assert [r["score"] for r in found["recommendations"]] == pytest.approx(recs.score[0].tolist())
    assert [r["rank"] for r in found["recommendations"]] == [1, 2, 3, 4]
    assert found["user_id"] == 7
    assert found["history_items"] == 8
    assert [h["item_id"] for h in found["history"]] == model.items.decode(model.data.queries([7]).history[0][-5:])


def test_people_see_titles_genres_and_the_last_five(world: World) -> None:
    text = done("recommend", world.model, "--user", "7", "-k", "3")
    assert text.startswith("user 7 watched 8 items, the last 5:")
    assert text.count("Film ") >= 7
    assert "Drama, [bold]Odd" in text  # as it is: no markup


def test_the_year_has_a_column_where_titles_do_not_end_in_it(world: World, tmp_path: Path) -> None:
    plain = "item_id,title,year\n" + "".join(f"{i},Film {i},{1900 + i}\n" for i in range(100, 121))
    atomic_write(tmp_path / "items.csv", plain)
    done("fit", "ease", "--data", world.log, "--items", tmp_path / "items.csv", "--out", tmp_path / "m")
    head = [x for x in done("recommend", tmp_path / "m", "--user", "7").splitlines() if x.split()[:1] == ["#"]]
    assert head[0].split() == ["#", "title", "year", "score", "id"]
    assert "year" not in done("recommend", world.model, "--user", "7")


def test_recommend_to_someone_new_by_title_or_id(world: World) -> None:
    by_title = answer("recommend", world.model, "--history", "Amélie (2000)", "--history", "film 103 (2003)")
    by_id = answer("recommend", world.model, "--history", "100", "--history", "103")
    assert by_title == by_id
    assert by_title["user_id"] is None
    assert [h["item_id"] for h in by_title["history"]] == [100, 103]
    assert not {100, 103} & {r["item_id"] for r in by_title["recommendations"]}


def test_include_seen_allow_and_deny(world: World, tmp_path: Path) -> None:
    seen = answer("recommend", world.model, "--history", "100", "--include-seen", "-k", "50")["recommendations"]
    assert 100 in {r["item_id"] for r in seen}
    (tmp_path / "allowed.txt").write_text("101\nFilm 102 (2002)\n\n")
    allowed = answer("recommend", world.model, "--history", "100", "--allow", f"@{tmp_path / 'allowed.txt'}")
    assert {r["item_id"] for r in allowed["recommendations"]} == {101, 102}
    best = answer("recommend", world.model, "--history", "100", "-k", "1")["recommendations"][0]["item_id"]
    denied = answer("recommend", world.model, "--history", "100", "--deny", best)["recommendations"]
    assert best not in {r["item_id"] for r in denied}
    assert "nothing else may be recommended" in done(
        "recommend", world.model, "--user", "1", "--allow", "101", "--include-seen"
    )


def test_when_they_ask_is_told_to_models_that_read_it(world: World, tmp_path: Path) -> None:
    hyper = ["dim=4", "max_len=4", "epochs=3", "learning_rate=0.05", "time_gaps=true"]
    done("fit", "sasrec", "--data", world.log, *(x for h in hyper for x in ("--set", h)), "--out", tmp_path / "m")
    model = load_model(tmp_path / "m")
    code = model.users.code(7)
    for at, second in (("9000", 9_000), ("1970-01-02", 86_400), ("1970-01-02T00:00:30+00:00", 86_430)):
        queries = replace(model.data.queries_of(np.array([code], np.int32)), request_time=np.array([second]))
        wanted = recommend(model, queries, 3).score[0].tolist()
        found = answer("recommend", tmp_path / "m", "--user", "7", "-k", "3", "--at", at)
        assert [row["score"] for row in found["recommendations"]] == pytest.approx(wanted)
    asked = ("--user", "7", "--at")
    soon, late = (answer("recommend", tmp_path / "m", *asked, at)["recommendations"] for at in ("7010", "2020-01-01"))
    assert soon != late
    item = ("--item", str(soon[0]["item_id"]))
    why = [answer("explain", tmp_path / "m", *item, *asked, at)["score"] for at in ("7010", "9999999")]
    assert why[0] == pytest.approx(soon[0]["score"])
    assert why[0] != why[1]
    assert "is not a time" in refused("recommend", tmp_path / "m", "--user", "7", "--at", "tomorrow")


def test_popularity_is_owned_up_to(world: World) -> None:
    assert answer("recommend", world.model, "--history", "120")["fallback"] is True  # never watched by anyone
    assert "popular items" in done("recommend", world.model, "--history", "120")
    assert "popular items" not in done("recommend", world.model, "--history", "100")


def read_table(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_ndjson(path)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_recommend_to_all_into_a_file(world: World, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "new" / f"recs.{suffix}"
    assert answer("recommend", world.model, "--all", "-k", "3", "--out", out)["rows"] == 120
    table = read_table(out)
    model = load_model(world.model)
    assert table.columns == ["user_id", "item_id", "score", "rank"]
    assert table["item_id"].to_list() == recommend(model, model.data.queries(), 3).to_frame()["item_id"].to_list()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "neither --user nor --history"),
        (["--user", "1", "--history", "100"], "both --user and --history"),
        (["--user", "400"], "users, from "),
        (["--user", "nobody"], "for someone new give a history"),
        (["--history", " "], "--history is empty"),
        (["--history", "Amelie (2000)"], "Amélie (2000)"),
        (["--history", "Film"], "did you mean: Film 101 (2001)"),
        (["--user", "1", "--deny", "@/nowhere"], "/nowhere: cannot be read"),
        (["--user", "1", "--out", "x.xls"], ".csv, .tsv, .parquet, .jsonl"),
        (["--all"], "--out"),
        (["--all", "--user", "1", "--out", "x.csv"], "leave out --user"),
        (["--user", "1", "-k", "0"], "-k"),
    ],
)
def test_recommend_refuses_what_it_cannot_answer(world: World, arguments: list[str], words: str) -> None:
    assert words in refused("recommend", world.model, *arguments)


def test_a_run_answers_by_the_label_of_a_model(world: World) -> None:
    """In the place of the model's own folder, in each command that asks a model."""
    model = world.run / "models" / "ease"
    for command in (["recommend", "--user", "7"], ["similar", "103"], ["explain", "--user", "7", "--item", "119"]):
        name, *rest = command
        assert answer(name, world.run, *rest, "--model", "ease") == answer(name, model, *rest)
        assert "add --model and one of ease, popularity" in refused(name, world.run, *rest)
        assert "did you mean ease?" in refused(name, world.run, *rest, "--model", "eas")
        assert "leave out --model" in refused(name, model, *rest, "--model", "ease")


def test_several_users_are_all_answered(world: World, tmp_path: Path) -> None:
    alone = [answer("recommend", world.model, "--user", user, "-k", "4") for user in ("7", "12")]
    both = answer("recommend", world.model, "--user", "7", "--user", "12", "-k", "4", "--out", tmp_path / "r.csv")
    assert [one | {"warnings": []} for one in both["answers"]] == alone
    table = pl.read_csv(tmp_path / "r.csv")
    assert table["user_id"].to_list() == [7] * 4 + [12] * 4
    assert table["item_id"].to_list() == [row["item_id"] for one in alone for row in one["recommendations"]]
    text = done("recommend", world.model, "--user", "7", "--user", "12", "-k", "4")
    assert text == "\n".join(done("recommend", world.model, "--user", user, "-k", "4") for user in ("7", "12"))
    why = answer("explain", world.model, "--user", "7", "--user", "12", "--item", "110")
    assert [one["user_id"] for one in why["answers"]] == [7, 12]
    assert why["answers"][1]["score"] == answer("explain", world.model, "--user", "12", "--item", "110")["score"]
    assert "unknown user '400'" in refused("recommend", world.model, "--user", "7", "--user", "400")


def test_a_folder_that_is_no_model_names_the_models_near_it(world: World) -> None:
    assert "matinee fit --out" in refused("recommend", world.folder / "runs", "--user", "1")


def test_a_model_without_histories_answers_only_the_new(world: World) -> None:
    assert "without histories" in refused("recommend", world.bare, "--user", "1")
    assert "without histories" in refused("recommend", world.bare, "--all", "--out", "x.csv")
    assert "without histories" in refused("evaluate", world.bare, "--truth", world.hidden)
    new = ("--history", "103")
    assert answer("recommend", world.bare, *new) == answer("recommend", world.model, *new)


def test_similar(world: World) -> None:
    found = answer("similar", world.model, "Film 103 (2003)", "-k", "5")
    model = load_model(world.model)
    recs = similar_items(model, [103], 5)
    assert found["item"]["item_id"] == 103
    assert [r["item_id"] for r in found["recommendations"]] == model.items.decode(recs.item[0])
    assert done("similar", world.model, "103").startswith("like Film 103 (2003) (Drama, [bold]Odd):")
    assert "Film 101" in refused("similar", world.model, "Film 1001 (2001)")


def test_similar_users(world: World) -> None:
    found = answer("similar", world.model, "--user", "7", "-k", "3")
    wanted = similar_users(load_model(world.model), 7, 3)
    assert found == {"user_id": 7, "similar": wanted.to_dicts(), "warnings": []}
    text = done("similar", world.model, "--user", "7", "-k", "1")
    assert text.startswith("users who watched the same as user 7:")
    assert text.split()[-3:] == [str(wanted["user_id"][0]), f"{wanted['similarity'][0]:.4f}", str(wanted["shared"][0])]
    assert "unknown user '70000'" in refused("similar", world.model, "--user", "70000")
    assert "neither an item nor --user" in refused("similar", world.model)
    assert "both an item and --user" in refused("similar", world.model, "103", "--user", "7")
    assert "without histories" in refused("similar", world.bare, "--user", "7")


def test_explain(world: World) -> None:
    found = answer("explain", world.model, "--user", "7", "--item", "119", "-k", "3")
    model = load_model(world.model)
    why = explain(model, model.data.queries([7]), model.items.code(119))
    assert found["score"] == pytest.approx(why.score)
    assert found["history_items"] == 8
    pushes = [row["push"] for row in found["pushed_by"]]
    assert pushes == pytest.approx(sorted(why.push.tolist(), reverse=True)[:3])
    for row in found["pushed_by"]:
        assert row["push"] == pytest.approx(found["score"] - row["score_without"], abs=1e-6)
    text = done("explain", world.model, "--history", "101", "--history", "102", "--item", "103")
    assert "EASE scores Film 103 (2003)" in text
    assert "never saw" in refused("explain", world.model, "--history", "101", "--item", "120")


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_a_model_as_the_library_does(world: World) -> None:
    found = answer("evaluate", world.model, "--truth", world.hidden, "-k", "3,5", "--metrics", "recall,ndcg")
    split = provided(read(world.log), test=world.hidden)
    model = registry.create("ease", {"l2": 10}).fit(split.train)
    held = split.test
    plain = evaluate(recommend(model, held.queries, 5), held, k=[3, 5], metrics=["recall", "ndcg"])
    assert len(found["metrics"]) == 4
    for row in found["metrics"]:
        assert row["value"] == pytest.approx(plain.mean(row["metric"], row["k"]).value)
        assert row["n_queries"] == 40


def test_a_file_of_recommendations_measures_as_its_model(world: World, tmp_path: Path) -> None:
    out = tmp_path / "recs.parquet"
    done("recommend", world.model, "--all", "-k", "10", "--out", out)
    by_rank = answer("evaluate", out, "--truth", world.hidden, "-k", "3,10")["metrics"]
    pl.read_parquet(out).drop("rank").sample(fraction=1, shuffle=True, seed=1).write_csv(tmp_path / "scores.csv")
    by_score = answer("evaluate", tmp_path / "scores.csv", "--truth", world.hidden, "-k", "3,10")["metrics"]
    model = answer("evaluate", world.model, "--truth", world.hidden, "-k", "3,10")["metrics"]
    for rows in (by_rank, by_score):
        assert [(r["metric"], r["k"], r["value"]) for r in rows] == [(r["metric"], r["k"], r["value"]) for r in model]


def test_what_no_model_can_know_stays_in_the_denominator(world: World, tmp_path: Path) -> None:
    known = answer("evaluate", world.model, "--truth", world.hidden, "-k", "5", "--metrics", "recall")["metrics"][0]
    rows = world.hidden.read_text().splitlines()
    unknown = [rows[0], *(line for row in rows[1:] for line in (row, f"{row.split(',')[0]},99999"))]
    (tmp_path / "more.csv").write_text("\n".join(unknown) + "\n")
    more = answer("evaluate", world.model, "--truth", tmp_path / "more.csv", "-k", "5", "--metrics", "recall")
    assert more["metrics"][0]["value"] == pytest.approx(known["value"] / 2)
    done("recommend", world.model, "--all", "--out", tmp_path / "recs.csv")
    of_file = answer("evaluate", tmp_path / "recs.csv", "--truth", tmp_path / "more.csv", "-k", "5")
    assert of_file["metrics"][0]["value"] == pytest.approx(known["value"] / 2)


def test_strangers_are_answered_by_popularity_with_a_warning(world: World, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,item_id\n1,120\n9999,110\n")
    result = ask("evaluate", world.model, "--truth", tmp_path / "t.csv", "-k", "21", "--metrics", "recall", "--json")
    assert result.stderr.startswith("warning: 1 of 2 users")
    assert json.loads(result.stdout)["metrics"][0]["value"] == pytest.approx(0.5)


def test_missing_users_of_a_file_are_misses_and_said(world: World, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,item_id\n1,100\n2,101\n")
    (tmp_path / "r.csv").write_text("user_id,item_id,rank\n1,100,1\n77,5,1\n")
    result = ask("evaluate", tmp_path / "r.csv", "--truth", tmp_path / "t.csv", "--metrics", "recall", "--json")
    assert "1 of 2 users has no recommendations" in result.stderr
    assert [(m["k"], m["value"]) for m in json.loads(result.stdout)["metrics"]] == [(1, 0.5)]


def test_integer_and_text_ids_meet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,item_id\n1,7\n2,x8\n")
    (tmp_path / "r.csv").write_text("user_id,item_id,rank\n1,7,1\n2,9,1\n")
    found = answer("evaluate", tmp_path / "r.csv", "--truth", tmp_path / "t.csv", "--metrics", "recall")
    assert found["metrics"][0]["value"] == pytest.approx(0.5)


def test_evaluate_refuses(world: World, tmp_path: Path) -> None:
    assert "fitted on" in refused("evaluate", world.model, "--truth", world.log)
    assert done("evaluate", world.model, "--truth", world.log, "--include-seen")
    assert "did you mean recall" in refused("evaluate", world.model, "--truth", world.hidden, "--metrics", "recal")
    assert "use one of matinee" in refused("evaluate", world.model, "--truth", world.hidden, "--convention", "ours")
    assert "no such file" in refused("evaluate", world.model, "--truth", tmp_path / "no.csv")
    assert "'rank' or 'score'" in refused("evaluate", world.log, "--truth", world.hidden)
    (tmp_path / "r.csv").write_text("user_id,item_id,rank\n1,100,1\n1,101,1\n")
    assert "two items at rank 1" in refused("evaluate", tmp_path / "r.csv", "--truth", world.hidden)
    (tmp_path / "r.csv").write_text("user_id,item_id,rank\n991,100,1\n")
    assert "none of its users" in refused("evaluate", tmp_path / "r.csv", "--truth", world.hidden)
    (tmp_path / "r.csv").write_text("user_id,item_id,rank\n1,100,1\n")
    assert "is more than the 1 item of" in refused("evaluate", tmp_path / "r.csv", "--truth", world.hidden, "-k", "5")


# --- negatives --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sampling(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe, in the folder where the commands are then given, that ranks a file which is not there yet."""
    text = world.recipe.read_text("utf-8").replace("seeds = [0, 1]", "seeds = [3]")
    (tmp_path / "small.toml").write_text(text.replace("k = [3, 5]", 'k = [3, 5]\ncandidates = ["all", "s.negative"]'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "small.toml"


def test_negatives_are_drawn_and_a_run_ranks_them(world: World, sampling: Path) -> None:
    assert "s.negative" in refused("run", sampling, "--out", "early")
    text = done("negatives", sampling, "--out", "s.negative", "--n", "5")
    assert re.match(r"40 users, each with an answer and 5 negatives, in \d\.\d\d s, written to s\.negative\n", text)
    assert text.endswith('to rank them, in [evaluate]: candidates = ["all", "s.negative"]\n')
    watched = pl.read_csv(world.log).group_by("user_id").agg("item_id")
    of = dict(zip(watched["user_id"], watched["item_id"].to_list(), strict=True))
    lines = Path("s.negative").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 40
    for line in lines:
        head, *others = line.split("\t")
        user, item = map(int, head.strip("()").split(","))
        assert item in of[user]
        assert len(set(map(int, others)) - set(of[user])) == 5
    rows = answer("run", sampling, "--out", "run")["metrics"]
    test = {row["protocol"] for row in rows if row["split"] == "test"}
    assert len(test) == 2
    assert {row["n_queries"] for row in rows} == {40}
    words = json.loads(Path("run", "run.json").read_text(encoding="utf-8"))["protocols"]
    assert sorted(words[f]["candidates"].split(" ")[0] for f in test) == ["all", "as"]


def test_what_negatives_tells(world: World, sampling: Path) -> None:
    found = answer("negatives", sampling, "--out", "new", "--n", "12", "--seed", "2")
    assert found["candidates"] == ["all", "s.negative", "./new"], "a recipe would not take `new` for a file"
    lengths = [line.count("\t") for line in Path("new").read_text(encoding="utf-8").splitlines()]
    assert (found["lines"], found["negatives"]) == (40, sum(lengths))
    assert (found["fewest"], found["most"]) == (min(lengths), max(lengths))
    done("negatives", sampling, "--out", "again", "--n", "12", "--seed", "2")
    assert Path("again").read_bytes() == Path("new").read_bytes()
    done("negatives", sampling, "--out", "again", "--n", "12")
    assert Path("again").read_bytes() != Path("new").read_bytes()
    several = ask("negatives", world.recipe, "--out", "x.negative", "--n", "3")
    assert several.exit_code == 0
    assert "this is the test of seed 0, but other seeds hide other rows: add split_seed = 0" in several.stderr
    assert several.stdout.endswith('candidates = ["all", "x.negative"]\n')
    Path("held.toml").write_text("split_seed = 0\n" + world.recipe.read_text("utf-8"), encoding="utf-8")
    held = ask("negatives", "held.toml", "--out", "y.negative", "--n", "3")
    assert (held.exit_code, held.stderr) == (0, "")
    assert Path("x.negative").read_bytes() == Path("y.negative").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small.toml"], "--out"),
        (["small.toml", "--out", "x.negative", "--n", "0"], "--n"),
        (["small.toml", "--out", "x.negative", "--seed", "-1"], "--seed"),
        (["nothing.toml", "--out", "x.negative"], "there is no such file"),
        (["small.toml", "--out", "small.toml"], "small.toml: exists and holds no sampled negatives"),
        (["small.toml", "--out", "."], "is a folder"),
        (["folds.toml", "--out", "x.negative"], "leave folds out"),
        (["nobody.toml", "--out", "x.negative"], "no answer of a user in the log"),
    ],
)
@pytest.mark.usefixtures("sampling")
def test_negatives_refuses_what_it_cannot_draw(arguments: list[str], words: str) -> None:
    text = Path("small.toml").read_text(encoding="utf-8")
    Path("folds.toml").write_text(text.replace("test = 0.2", "folds = 3"), encoding="utf-8")
    Path("test.txt").write_text("100 101\t102\n", encoding="utf-8")
    Path("nobody.toml").write_text(
        text.replace("valid = 0.2\ntest = 0.2", 'test = "test.txt"').replace("random", "provided"), encoding="utf-8"
    )
    assert words in refused("negatives", *arguments)
    assert not Path("x.negative").exists()
    assert Path("small.toml").read_text(encoding="utf-8") == text


# --- data, models -----------------------------------------------------------------------------------------------------


def test_data_lists_sets_and_licences(tmp_path: Path) -> None:
    (tmp_path / "ml-1m").mkdir()
    rows = {row["name"]: row for row in answer("data", "--data-dir", tmp_path)}
    assert rows["ml-1m"]["folder"] == str(tmp_path / "ml-1m")
    assert rows["ml-100k"]["events"] == 100_000
    assert done("data") == done("data", "list")
    assert "Research use only" in done("data")


def test_formats_are_listed_and_told(tmp_path: Path) -> None:
    listed = {row["name"]: row for row in answer("data", "formats")}
    assert listed["netflix_prize"]["files"].startswith("combined_data_1.txt")
    assert "netflix_prize" in done("data", "formats")
    (tmp_path / "combined_data_1.txt").write_text("1:\n70011,3,2005-09-06\n70012,5,2005-05-13\n")
    for source, *options in ((tmp_path,), (tmp_path / "combined_data_1.txt", "--format", "auto")):
        found = answer("data", "show", source, *options)
        assert (found["format"], found["events"] if "events" in found else found["n_events"]) == ("netflix_prize", 2)
        assert "Netflix Prize" in done("data", "show", source, *options)


@pytest.mark.parametrize("command", [("data", "show"), ("fit", "popularity", "--data")])
def test_a_table_of_unknown_items_is_told_once(command: tuple[str, ...], world: World, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "model") if "fit" in command else ()
    stderr = ask(*command, world.log, "--items", world.items, *out).stderr
    assert stderr.count("warning: log: not in the log: 1 of the items in items.csv (kept, without an event)") == 1


def test_data_show(world: World) -> None:
    found = answer("data", "show", world.log, "--items", world.items)
    assert (found["n_events"], found["n_users"], found["n_catalogue"]) == (320, 40, 21)
    assert found["first_rows"][0]["title"].startswith("Film ")
    assert sum(found["ratings"].values()) == 320
    text = done("data", "show", world.log, "--items", world.items)
    assert "8 to 8, median 8, mean 8.0" in text
    assert "1970-01-01 00:16" in text
    (table,) = found["side_tables"]
    assert (table["what"], table["in_log"], table["described"], table["without_event"]) == ("items", 20, 20, 1)
    assert "item table         20 of 20 in the log are described, 1 more without an event" in text
    assert "did you mean ml-100k" in refused("data", "show", "ml100k")


def test_models_list_and_show() -> None:
    rows = {row["name"]: row for row in answer("models")}
    assert set(rows) == set(registry.names())
    assert rows["ease"]["class"] == "EASE"
    assert done("models") == done("models", "list")
    found = {row["name"]: row for row in answer("models", "show", "item_knn")["hyper_parameters"]}
    assert found["weighting"]["type"] == "none | tfidf | bm25"
    assert found["half_life"] == {
        "name": "half_life",
        "type": "float | none",
        "default": None,
        "range": "",
        "meaning": found["half_life"]["meaning"],
    }
    assert found["k"]["range"] == "10 to 1000 (log)"
    assert "Steck, WWW 2019" in done("models", "show", "ease")
    assert "did you mean ease?" in refused("models", "show", "eese")
    assert all(row["doc"].endswith(".") for row in rows.values()), "whole sentences"


def test_models_that_fit_this_machine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("matinee.models.fits", "matinee.models.needs", "matinee.cli.models"):
        monkeypatch.setattr(f"{module}.available_memory", lambda: 20 * 10**9)
    found = answer("models", "--size", "50000,98127,100000")
    rows = {row["model"]: row for row in found["models"]}
    assert found["memory_free_bytes"] == 20 * 10**9
    assert rows["ease"]["memory_bytes"] == EASE().needs(50_000, 98_127, 100_000).memory_bytes
    assert (rows["ease"]["fits"], rows["ials"]["fits"]) == (False, True)
    lines = {line.split()[0]: line for line in done("models", "--size", "50000,98127,100000").splitlines() if line}
    assert re.search(r"38\.5 GB +38\.5 GB +no +20\.0 GB of memory free", lines["ease"])
    of_log = {row["model"]: row for row in answer("models", "--data", world.log, "--items", world.items)["models"]}
    assert of_log["ease"]["memory_bytes"] == EASE().needs(40, 21, 320).memory_bytes
    assert all(row["fits"] for row in of_log.values())
    assert "three positive whole numbers" in refused("models", "--size", "1,2")
    assert "keep one of them" in refused("models", "--size", "1,2,3", "--data", world.log)
    assert "not for show" in refused("models", "--size", "1,2,3", "show", "ease")


def test_a_fit_is_refused_and_a_large_model_announced_before_it_is_fitted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.models.fits.LARGE", 1_000)
    said = ask("fit", "popularity", "--data", world.log, "--out", tmp_path / "m").stderr
    assert "warning: popularity will take about 10 kB on disk, and " in said
    monkeypatch.setattr("matinee.models.needs.available_memory", lambda: 1_000)
    assert "EASE at 20 items, 40 users and 320 events: " in refused("fit", "ease", "--data", world.log)


def test_models_show_what_a_fitted_one_holds(world: World) -> None:
    found = answer("models", "show", world.model)
    assert found["fitted"]["data"] == "log"
    assert (found["fitted"]["events"], found["fitted"]["users"], found["fitted"]["items"]) == (320, 40, 21)
    assert found["fitted"]["arrays"] == [{"name": "W", "shape": [21, 21], "kind": "float32, dense", "parameters": 441}]
    assert found["fitted"]["files"]["weights.safetensors"] > 441 * 4
    assert {"name": "l2", "value": 10.0}.items() <= found["hyper_parameters"][1].items()
    text = done("models", "show", world.model)
    assert "21 x 21" in text
    assert "log/events.safetensors" in text


def test_models_show_a_nets_own_weights(world: World, tmp_path: Path) -> None:
    hyper = ["dim=4", "max_len=5", "epochs=1"]
    done("fit", "sasrec", "--data", world.log, *(x for h in hyper for x in ("--set", h)), "--out", tmp_path / "m")
    arrays = {a["name"]: a["shape"] for a in answer("models", "show", tmp_path / "m")["fitted"]["arrays"]}
    assert arrays["items.weight"] == [21, 4]  # 20 films and the empty slot
    assert arrays["positions.weight"] == [5, 4]
    assert "curve" not in arrays


@pytest.mark.slow
def test_the_weights_that_were_found_are_told(world: World, tmp_path: Path) -> None:
    text = world.recipe.read_text() + '[[model]]\nname = "ensemble"\nlabel = "pair"\nmembers = ["popularity", "ease"]\n'
    (tmp_path / "r.toml").write_text(text.replace("seeds = [0, 1]", "seeds = [0]"))
    said = done("run", tmp_path / "r.toml", "--out", tmp_path / "x")
    weights = load_model(tmp_path / "x" / "models" / "pair").fitted.learned.weights
    told = f"weights popularity {weights[0]:.2f}, ease {weights[1]:.2f}"
    assert f"pair: {told}, ndcg@3" in said
    assert json.loads((tmp_path / "x" / "run.json").read_text())["fit_summaries"] == {"pair": told}
    assert told in done("models", "show", tmp_path / "x" / "models" / "pair")


def test_an_ensemble_is_fitted_shown_and_asked(world: World, tmp_path: Path) -> None:
    members = '[{"name": "ease", "l2": 20}, "popularity"]'
    given: list[str | Path] = [
        "--data",
        world.log,
        "--set",
        f"members={members}",
        "--set",
        "weights=[3, 1]",
        "--out",
        tmp_path / "m",
    ]
    said = done("fit", "ensemble", *given)
    assert "ensemble (members=[ease (l2=20, dropout=0, user_damping=0), popularity], weights=[3, 1]" in said
    found = answer("models", "show", tmp_path / "m")
    values = {row["name"]: row["value"] for row in found["hyper_parameters"]}
    assert [member["name"] for member in values["members"]] == ["ease", "popularity"]
    assert values["weights"] == [3.0, 1.0]
    assert [a["name"] for a in found["fitted"]["arrays"]] == ["members/0/W", "members/1/counts", "weights"]
    assert found["fitted"]["files"]["members/0/weights.safetensors"] > 441 * 4
    types = {row["name"]: row["type"] for row in answer("models", "show", "ensemble")["hyper_parameters"]}
    assert types["members"] == "[Model, ...]"
    assert types["weights"] == "[float, ...] | [[float, ...], ...] | none"
    assert types["method"] == "rank | zscore | softmax | minmax | borda | raw"
    assert "[ease (l2=20, dropout=0, user_damping=0), popularity]" in done("models", "show", tmp_path / "m")
    user = read(world.log).users.ids[0]
    assert len(done("recommend", tmp_path / "m", "--user", user, "-k", "3").splitlines()) > 3
    assert "members: field required" in refused("fit", "ensemble", "--data", world.log)


# --- the screen -------------------------------------------------------------------------------------------------------


def narrow(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from rich.console import Console

    made = screen.console
    monkeypatch.setattr(
        screen, "console", lambda **k: Console(file=made(**k).file, width=width, markup=False, force_terminal=False)
    )


def test_a_narrow_table_folds_then_leaves_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [Column("title", least=10), Column("a", right=True), Column("bb", keep=False), Column("ccc", keep=False)]
    row = ["The film with a long name", "12345", "x" * 12, "y" * 12]
    screen.table(columns, [row])
    assert len(capsys.readouterr().out.splitlines()) == 2
    narrow(monkeypatch, 36)
    screen.table(columns, [row])
    text = capsys.readouterr().out
    assert "(too narrow to show: ccc)" in text
    assert "xxxxxxxxxxxx" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 36
    assert " ".join(line.split("  ")[0] for line in lines[1:-1]) == "The film with a long name"


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table([Column("title")], [["\x1b[31mred\x07"]])
    screen.say("\x1b]0;owned\x07")
    assert "\x1b" not in capsys.readouterr().out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    screen.emit({"a": float("nan"), "b": [float("inf"), 1.5], "c": Path("x"), "d": True, "e": "é"})
    assert json.loads(capsys.readouterr().out) == {
        "a": None, "b": [None, 1.5], "c": "x", "d": True, "e": "é", "warnings": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words", "command"),
    [
        (["nosuch"], "no such command 'nosuch'", "matinee"),
        (["--nosuch"], "no such option: --nosuch", "matinee"),
        (["recommend"], "missing argument 'MODEL_DIR'", "matinee recommend"),
        (["models", "show"], "missing argument 'NAME|MODEL_DIR'", "matinee models show"),
    ],
)
def test_wrong_usage_reads_like_every_other_error(arguments: list[str], words: str, command: str) -> None:
    assert refused(*arguments) == f"error: {words}\n  hint: see `{command} --help`\n"


def test_show_counts_kinds_weights_and_dislikes(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user,item,event_type\n1,a,view\n1,b,buy\n2,a,view\n2,b,dislike\n")
    assert re.search(r"kinds +view \(2\), .*; all count alike", done("data", "show", path, "--kind-column", "none"))
    kinds = ("--kind-column", "event_type", "--kind", "view=1", "--kind", "buy=4", "--kind", "dislike=-1")
    shown = done("data", "show", path, *kinds)
    assert re.search(r"weights +1 \(2\), 4 \(1\), mean 2\.00", shown)
    assert re.search(r"dislikes +1, no rows of the log", shown)
    found = answer("data", "show", path, *kinds)
    assert (found["n_events"], found["dislikes"]) == (3, 1)
    assert found["weights"] == {"1.0": 2, "4.0": 1}


def test_a_filter_on_ratings_says_what_it_forgets(world: World, tmp_path: Path) -> None:
    rows = [(1, "a", 9), (1, "b", 2), (1, "b", 3), (1, "c", 1), (2, "a", 8), (2, "b", 9), (3, "d", 1)]
    text = "user,item,rating\n" + "".join(f"{user},{item},{rating}\n" for user, item, rating in rows)
    atomic_write(tmp_path / "log.csv", text)
    result = ask("fit", "popularity", "--data", tmp_path / "log.csv", "--min-rating", "8", "--out", tmp_path / "m")
    assert "3 items that a user rated below 8 are left out" in result.stderr, "1: b and c; 3: d"
    assert "--dislike-below 8 in place of --min-rating keeps them out" in result.stderr
    assert "fitted on log: 3 events, 2 users with events (of 3), 2 items with events (of 4)" in result.stdout
    assert "b" in [row["item_id"] for row in answer("recommend", tmp_path / "m", "--user", "1")["recommendations"]]
    other = ask("fit", "popularity", "--data", tmp_path / "log.csv", "--dislike-below", "8", "--out", tmp_path / "n")
    assert "a user rated below" not in other.stderr
    found = answer("recommend", tmp_path / "n", "--user", "1")["recommendations"]
    assert {"b", "c"}.isdisjoint(row["item_id"] for row in found)
