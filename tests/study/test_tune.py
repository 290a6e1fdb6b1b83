"""Tuning: which trials are made, what is kept of them, and what comes of the best."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.files import locked
from matinee.models.names import BUILT_IN
from matinee.study.compare import compare
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.tune import TuneResult, tune
from matinee.study.tuning import sampler
from matinee.study.tuning.reader import summary_rows
from study import toy_models
from study.conftest import RANDOM, recipe_of

pytestmark = pytest.mark.filterwarnings("ignore::matinee.errors.MatineeWarning")

KNN = """
[[model]]
name = "item_knn"
k = 7
[[model]]
name = "popularity"
"""
DRIVER = Path(__file__).with_name("killed_tune.py")


def small(folder: Path, log: Path, models: str = KNN, more: str = "") -> Recipe:
    evaluate = '[evaluate]\nk = [5]\nmetrics = ["recall"]\n'
    return recipe_of(folder, f'title = "Small"\n[data]\nsource = "{log}"\n{RANDOM}{evaluate}{more}{models}')


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Noisy", "Fragile", "Unalike"):
        monkeypatch.setitem(BUILT_IN, name.lower(), f"study.toy_models:{name}")
    toy_models.FITS.clear()


def numbers(found: TuneResult) -> dict[str, list[int]]:
    return {label: [trial.number for trial in found.record.of(label)] for label in found.labels}


def valid_of(out: Path, label: str, metric: str, k: int) -> float:
    rows = json.loads((out / "metrics.json").read_text())
    (row,) = [r for r in rows if (r["label"], r["split"], r["metric"], r["k"]) == (label, "valid", metric, k)]
    return float(row["value"])


# --- what is tried, and what comes of it ------------------------------------------------------------------------------


def test_the_recipes_own_values_come_first_and_the_best_run_reproduces_the_score(tmp_path: Path, log: Path) -> None:
    told: list[str] = []
    found = tune(small(tmp_path, log), tmp_path / "t", trials=6, tell=told.append)
    assert numbers(found) == {"item_knn": list(range(6))}
    assert (found.done, found.resumed) == (6, 0)
    (one,) = found.record.labels
    assert one.metric == "ndcg@10"  # what early stopping measures
    first = found.record.trials[0]
    assert first.own
    assert first.values == {"k": 7, "weighting": "tfidf", "shrinkage": 0.0}
    assert [trial.own for trial in found.record.trials[1:]] == [False] * 5
    values = [trial.value for trial in found.record.trials]
    assert one.best is not None
    assert one.best.value == max(v for v in values if v is not None)
    run = mt.run_study(load_recipe(tmp_path / "t" / "best.toml"), tmp_path / "again")
    assert valid_of(tmp_path / "again", "item_knn", "ndcg", 10) == one.best.value
    assert run.labels == ["item_knn", "popularity"]
    own = mt.run_study(small(tmp_path, log, more=""), tmp_path / "own")
    assert own.recipe.model[0].hyper_parameters["k"] == 7
    assert "0/6: ndcg@10" in told[1]


def test_values_stay_in_the_ranges_and_own_values_widen_them(tmp_path: Path, log: Path) -> None:
    more = '[tune]\nmodels = ["item_knn"]\n[tune.space.item_knn]\nk = { low = 10, high = 12 }\nshrinkage = false\n'
    found = tune(small(tmp_path, log, more=more), tmp_path / "t", trials=25, test=False)
    (one,) = found.record.labels
    assert [(axis.name, axis.low, axis.high, axis.choices) for axis in one.axes] == [
        ("k", 7, 12, ()), ("weighting", 0, 0, ("none", "tfidf", "bm25")),
    ]  # fmt: skip
    tried = Counter(trial.values["k"] for trial in found.record.trials)
    assert set(tried) <= set(range(7, 13))
    assert len(tried) > 3
    assert all(isinstance(trial.values["k"], int) for trial in found.record.trials)
    assert {trial.values["weighting"] for trial in found.record.trials} == {"none", "tfidf", "bm25"}
    assert "shrinkage" not in found.record.trials[0].values


def test_choices_may_be_lists_and_a_value_of_none_is_tried_once(toys: None, tmp_path: Path, log: Path) -> None:
    found = tune(small(tmp_path, log, '[[model]]\nname = "noisy"\n'), tmp_path / "t", trials=12, test=False)
    tried = [trial.values for trial in found.record.trials]
    assert tried[0] == {"noise": 0.3, "colour": [1, 2], "most": None}
    assert all(one["most"] in range(1, 10) for one in tried[1:])
    assert {json.dumps(one["colour"]) for one in tried} == {"[1, 2]", "[3]"}
    frame = found.values("noisy")
    assert frame["colour"].to_list()[0] == "[1, 2]"
    assert frame["most"].to_list() == [one["most"] for one in tried]
    again = load_recipe(tmp_path / "t" / "best.toml").model[0]
    best = found.best("noisy")
    assert again.hyper_parameters == {name: value for name, value in best.items() if value is not None}


def test_the_test_is_looked_at_once_with_own_and_best_values(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matinee.study import measure

    parts: list[str] = []
    right = vars(measure)["evaluate"]

    def noting(recs: Any, holdout: Any, **options: Any) -> Any:
        parts.append(holdout.protocol.part)
        return right(recs, holdout, **options)

    monkeypatch.setattr(measure, "evaluate", noting)
    recipe = small(tmp_path, log, KNN.replace("k = 7", "k = 1"), '[tune]\nmetric = "recall@3"\n')
    found = tune(recipe, tmp_path / "t", trials=8)
    (one,) = found.record.labels
    assert one.changed
    assert parts == ["valid"] * 8 + ["valid", "test"] * 2
    assert found.run is not None
    assert found.run.labels == ["item_knn_before", "item_knn"]
    means = {row.label: row.value for row in found.run.rows if (row.split, row.metric, row.k) == ("test", "recall", 3)}
    assert one.test_before is not None
    assert one.test_after is not None
    assert {"item_knn_before": one.test_before.value, "item_knn": one.test_after.value} == means
    (p,) = compare(found.run, "recall", 3, baseline="item_knn_before").tests
    assert one.change is not None
    assert (one.change.difference, one.change.p, one.change.test) == (p.difference, p.p, "randomisation")
    assert one.change.difference == pytest.approx((one.test_after.value or 0) - (one.test_before.value or 0))
    assert f"{p.p:.2g}" in summary_rows(found.record)[0]
    assert one.default is not None
    assert one.default.value == valid_of(tmp_path / "t" / "best", "item_knn_before", "recall", 3)
    tune(recipe, tmp_path / "t", trials=8)
    assert parts.count("test") == 2, "the same tuning looked at the test again"


def test_ratings_are_tuned_for_their_error_and_less_is_better(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [(u, i, float(1 + (u % 3 + i % 2 + rng.integers(2)) % 5)) for u in range(30) for i in range(12)]
    text = "user_id,item_id,rating\n" + "".join(f"{u},{i},{r}\n" for u, i, r in rows)
    (tmp_path / "log.csv").write_text(text)
    found = tune(small(tmp_path, tmp_path / "log.csv", '[[model]]\nname = "biased_mf"\nepochs = 5\n'), tmp_path / "t",
                 trials=4)  # fmt: skip
    (one,) = found.record.labels
    assert (one.metric, one.lower) == ("rmse", True)
    assert one.best is not None
    assert one.best.value == min(trial.value for trial in found.record.trials if trial.value is not None)
    assert valid_of(tmp_path / "t" / "best", "biased_mf", "rmse", None) == one.best.value  # type: ignore[arg-type]


# --- pruning and failures ---------------------------------------------------------------------------------------------


def test_pruning_ends_fits_that_stand_below_the_median(toys: None, tmp_path: Path, log: Path) -> None:
    found = tune(small(tmp_path, log, '[[model]]\nname = "noisy"\n'), tmp_path / "t", trials=25, test=False)
    pruned = [trial for trial in found.record.trials if trial.state == "pruned"]
    rounds = [rounds for _, rounds in toy_models.FITS]
    assert len(rounds) == 25
    assert pruned
    for trial in found.record.trials:
        noise, gone = toy_models.FITS[trial.number]
        assert noise == trial.values["noise"]
        assert gone == (2 if trial.state == "pruned" else toy_models.ROUNDS)
    done = [trial for trial in found.record.trials if trial.state == "done"]
    for trial in pruned:  # the second look, after one that is let go
        assert trial.number >= sampler.STARTUP
        before = [one.value for one in done if one.number < trial.number and one.value is not None]
        assert trial.looks[-1].value < np.median(before)
        assert trial.value is None
        assert trial.reason.startswith("after round 2: at best ")
        assert f"below the median of {len(before)} trials, {np.median(before):.4g}" in trial.reason
    frame = found.trials.filter(pl.col("state") == "pruned")
    assert frame["rounds"].to_list() == [2] * len(pruned)


def test_fits_whose_rounds_do_not_compare_are_not_ended(toys: None, tmp_path: Path, log: Path) -> None:
    found = tune(small(tmp_path, log, '[[model]]\nname = "unalike"\n'), tmp_path / "t", trials=15, test=False)
    assert {trial.state for trial in found.record.trials} == {"done"}
    assert {rounds for _, rounds in toy_models.FITS} == {toy_models.ROUNDS}
    assert not mt.models.LightGBM().measures_alike()


def test_the_recipes_own_values_are_never_pruned(toys: None, tmp_path: Path, log: Path) -> None:
    recipe = small(tmp_path, log, '[[model]]\nname = "noisy"\nnoise = 99.0\n')
    found = tune(recipe, tmp_path / "t", trials=1, test=False)
    assert found.record.trials[0].state == "done"
    assert not found.record.labels[0].changed


def test_failed_trials_are_kept_with_their_reason_and_the_tuning_goes_on(toys: None, tmp_path: Path, log: Path) -> None:
    told: list[str] = []
    found = tune(small(tmp_path, log, '[[model]]\nname = "fragile"\n'), tmp_path / "t", trials=20, tell=told.append)
    assert numbers(found) == {"fragile": list(range(20))}
    reasons = {trial.reason for trial in found.record.trials if trial.state == "failed"}
    assert reasons == {"the loss is not finite", "there is not enough memory for this"}
    assert all((trial.values["noise"] > 5) == (trial.state == "failed") for trial in found.record.trials)
    assert sum("failed: the loss is not finite" in text for text in told) == 1


def test_only_where_all_fail_is_it_an_error(toys: None, tmp_path: Path, log: Path) -> None:
    models = '[[model]]\nname = "fragile"\nnoise = 60.0\n'
    more = "[tune.space.fragile]\nnoise = { low = 51, high = 90 }\n"
    with pytest.raises(MatineeError, match="every trial failed; the first, of fragile: there is not enough memory"):
        tune(small(tmp_path, log, models, more), tmp_path / "t", trials=3)
    both = models + '[[model]]\nname = "item_knn"\n'
    found = tune(small(tmp_path, log, both, more), tmp_path / "u", trials=3)
    fragile, knn = found.record.labels
    assert (fragile.best, fragile.test_after) == (None, None)
    assert knn.test_after is not None
    assert "every trial failed" in (tmp_path / "u" / "best.toml").read_text()
    assert "fragile: every trial failed" in (tmp_path / "u" / "report.html").read_text()


def test_a_bug_is_no_failed_trial(toys: None, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(self: Any, data: Any, context: Any) -> Any:
        raise KeyError("here")

    monkeypatch.setattr(toy_models.Noisy, "learn", learn)
    with pytest.raises(KeyError, match="here"):
        tune(small(tmp_path, log, '[[model]]\nname = "noisy"\n'), tmp_path / "t", trials=2)


# --- going on, after a kill or otherwise ------------------------------------------------------------------------------


def stored(out: Path) -> list[tuple[str, int, str, int]]:
    with contextlib.closing(sqlite3.connect(out / "tuning.db")) as db:
        return list(db.execute("select label, number, state, begun from trial order by label, number"))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_killed_it_goes_on_as_if_it_had_not_been(tmp_path: Path, log: Path) -> None:
    models = KNN + '[[model]]\nname = "user_knn"\n'
    recipe = small(tmp_path, log, models)
    undisturbed = tune(recipe, tmp_path / "whole", trials=12, test=False)
    for moment, ended in (("begin:3", 2), ("fit:21", 20), ("end:1", 0)):
        out = tmp_path / moment.replace(":", "-")
        command = [sys.executable, str(DRIVER), str(tmp_path / "recipe.toml"), str(out), "12", moment]
        killed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        states = Counter(state for _, _, state, _ in stored(out))
        assert states == Counter({"done": ended, "running": 1} if ended else {"running": 1})
        found = tune(recipe, out, trials=12, test=False)
        assert (found.resumed, found.done) == (ended, 24 - ended)
        assert sum(begun for *_, begun in stored(out)) == 25, "the trial that was killed was done again"
        seen = [(t.label, t.number, t.values, t.value) for t in found.record.trials]
        assert seen == [(t.label, t.number, t.values, t.value) for t in undisturbed.record.trials]


def test_a_trial_in_which_processes_die_again_and_again_has_failed(tmp_path: Path, log: Path) -> None:
    recipe = small(tmp_path, log)
    tune(recipe, tmp_path / "t", trials=2, test=False)
    with contextlib.closing(sqlite3.connect(tmp_path / "t" / "tuning.db")) as db, db:
        db.execute("update trial set state = 'running', value = null, begun = 5 where number = 1")
    found = tune(recipe, tmp_path / "t", trials=3, test=False)
    assert [trial.state for trial in found.record.trials] == ["done", "failed", "done"]
    assert found.record.trials[1].reason == "the process died in this trial 5 times"


def test_trials_count_over_all_calls_and_a_timeout_ends_one(tmp_path: Path, log: Path) -> None:
    recipe = small(tmp_path, log)
    first = tune(recipe, tmp_path / "t", trials=2, test=False)
    assert (first.done, first.resumed) == (2, 0)
    more = tune(recipe, tmp_path / "t", trials=5, test=False)
    assert (more.done, more.resumed) == (3, 2)
    none = tune(recipe, tmp_path / "t", trials=3, test=False)
    assert (none.done, none.resumed) == (0, 5)
    with pytest.raises(MatineeError, match="no trial ended in time"):
        tune(recipe, tmp_path / "u", timeout=1e-9)
    assert tune(recipe, tmp_path / "u", trials=1, test=False).done == 1


def test_interrupted_it_leaves_what_it_found(
    toys: None, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, calls = toy_models.Noisy.learn, Counter[str]()

    def learn(self: Any, data: Any, context: Any) -> Any:
        calls["fits"] += 1
        if calls["fits"] == 4:
            raise KeyboardInterrupt
        return right(self, data, context)

    monkeypatch.setattr(toy_models.Noisy, "learn", learn)
    recipe = small(tmp_path, log, '[[model]]\nname = "noisy"\n')
    with pytest.raises(KeyboardInterrupt):
        tune(recipe, tmp_path / "t", trials=6)
    assert len(mt.open_tuning(tmp_path / "t").record.trials) == 3
    assert stored(tmp_path / "t")[-1] == ("noisy", 3, "running", 0), "somebody's Ctrl-C counts as a death"
    assert load_recipe(tmp_path / "t" / "best.toml")
    assert numbers(tune(recipe, tmp_path / "t", trials=6, test=False)) == {"noisy": list(range(6))}


def test_another_tuning_or_folder_is_refused(tmp_path: Path, log: Path) -> None:
    recipe = small(tmp_path, log)
    tune(recipe, tmp_path / "t", trials=1, test=False)
    kept = (tmp_path / "t" / "tuning.json").read_bytes()
    other = recipe.with_changes(settings={"item_knn.k": "9"})
    for changed, options, words in (
        (other, {}, "a tuning of another recipe"),
        (recipe, {"metric": "recall@5"}, "a tuning for another metric"),
        (small(tmp_path, log, more="[tune.space.item_knn]\nk = [3, 4]\n"), {}, "a tuning with other ranges"),
    ):
        with pytest.raises(MatineeError, match=words):
            tune(changed, tmp_path / "t", trials=1, **options)  # type: ignore[arg-type]
    assert (tmp_path / "t" / "tuning.json").read_bytes() == kept
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(MatineeError, match=r"'notes.txt' and no tuning"):
        tune(recipe, tmp_path / "mine")
    make = tmp_path / "t"
    with locked(make / ".lock"), pytest.raises(MatineeError, match="another process is writing here"):
        tune(recipe, make)
    found = tune(other, tmp_path / "t", trials=1, test=False, overwrite=True)
    assert found.record.trials[0].values["k"] == 9


def test_another_log_in_the_same_folder_is_refused(tmp_path: Path, log: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(log.read_bytes())
    recipe = small(tmp_path, copy)
    tune(recipe, tmp_path / "t", trials=1, test=False)
    copy.write_text(copy.read_text() + "0,123,99999\n")
    with pytest.raises(MatineeError, match="a tuning on other data"):
        tune(recipe, tmp_path / "t", trials=2)


# --- workers ----------------------------------------------------------------------------------------------------------


def test_two_workers_do_the_trials_that_were_asked_for(tmp_path: Path, log: Path) -> None:
    models = KNN + '[[model]]\nname = "user_knn"\n'
    found = tune(small(tmp_path, log, models), tmp_path / "t", trials=4, workers=2, test=False)
    assert numbers(found) == {"item_knn": [0, 1, 2, 3], "user_knn": [0, 1, 2, 3]}
    assert {trial.state for trial in found.record.trials} == {"done"}
    alone = tune(small(tmp_path, log, models), tmp_path / "u", trials=4, test=False)
    by_values = {json.dumps(t.values): t.value for t in alone.record.trials}
    for trial in found.record.trials:  # as many as have the same values: the others were chosen knowing less
        assert by_values.get(json.dumps(trial.values), trial.value) == trial.value
    assert any(json.dumps(t.values) in by_values for t in found.record.trials)


# --- what is refused before anything is done --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[tune]\nmetric = "ndgc@10"\n', "ndgc"),
        ('[tune]\nmodels = ["item_kn"]\n', "no model of the recipe is called 'item_kn'"),
        ('[tune]\nmodels = ["popularity"]\n', "popularity cannot be tuned: it has no hyper-parameter with a range"),
        ("[tune.space.item_knn]\nkk = [1]\n", "item_knn has no hyper-parameter 'kk'"),
        ("[tune.space.item_knn]\nk = { low = 9, high = 3 }\n", "low = 9 must be below high = 3"),
        ("[tune.space.item_knn]\nk = { low = 0, high = 3, log = true }\n", "must be above 0"),
        ("[tune.space.item_knn]\nk = { low = 1.5, high = 3 }\n", "k is a whole number"),
        ("[tune.space.item_knn]\nk = [5, -1]\n", "k = -1"),
        ('[tune.space.item_knn]\nweighting = ["tfidf", "idf"]\n', "weighting = 'idf'"),
        ("[tune.space.item_knn]\nweighting = { low = 1, high = 2 }\n", "weighting is no number"),
        ("[tune.space.item_knn]\nk = 5\n", "write { low = 1.0"),
        ("[tune]\ntrails = 5\n", "did you mean trials"),
    ],
)
def test_what_is_wrong_in_the_table_is_found_when_the_recipe_is_read(
    more: str, words: str, tmp_path: Path, log: Path
) -> None:
    with pytest.raises(MatineeError) as raised:
        small(tmp_path, log, more=more)
    assert words in str(raised.value)


def test_what_cannot_be_tuned_is_said_before_the_first_fit(tmp_path: Path, log: Path) -> None:
    recipe = small(tmp_path, log)
    with pytest.raises(MatineeError, match="item_knn cannot be tuned for rmse: the hidden rows of valid have no rat"):
        tune(recipe, tmp_path / "t", metric="rmse")
    with pytest.raises(MatineeError, match="has no valid part"):
        tune(
            recipe_of(tmp_path, f'[data]\nsource="{log}"\n[split]\nstrategy="random"\nvalid=0.0\n{KNN}'), tmp_path / "v"
        )
    for options, words in (
        ({"workers": 0}, "0 workers"),
        ({"trials": 0}, "trials = 0"),
        ({"timeout": -1}, "timeout = -1"),
    ):
        with pytest.raises(MatineeError, match=words):
            tune(recipe, tmp_path / "t", **options)  # type: ignore[arg-type]


def test_without_optuna_the_error_says_what_to_install(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MatineeError, match=r"tuning needs Optuna\n  hint: pip install 'matinee\[tune\]'"):
        tune(small(tmp_path, log), tmp_path / "t")


def test_composites_are_left_out_and_keep_their_members(tmp_path: Path, log: Path) -> None:
    models = KNN + '[[model]]\nname = "ensemble"\nlabel = "both"\nmembers = ["item_knn", "popularity"]\n'
    models += '[[model]]\nname = "user_knn"\ncandidates_from = "item_knn"\nn = 5\n'
    found = tune(small(tmp_path, log, models), tmp_path / "t", trials=2, test=False)
    assert found.labels == ["item_knn"]
    assert found.record.left_out == {
        "popularity": "it has no hyper-parameter with a range",
        "both": "it is made of other models, which are tuned by themselves",
        "user_knn": "it is made of other models, which are tuned by themselves",
    }
    again = load_recipe(tmp_path / "t" / "best.toml")
    assert [table.label for table in again.model] == ["item_knn", "popularity", "both", "user_knn"]
    assert again.model[3].candidates_from == "item_knn"


# --- the reader -------------------------------------------------------------------------------------------------------


def test_the_reader_has_what_the_folder_has(tmp_path: Path, log: Path) -> None:
    made = tune(small(tmp_path, log), tmp_path / "t", trials=12)
    found = mt.open_tuning(tmp_path / "t" / "report.html")
    assert found.record == made.record
    assert found.trials.equals(made.trials)
    written = pl.read_csv(tmp_path / "t" / "trials.csv")
    assert written["value"].to_list() == found.trials["value"].to_list()
    assert json.loads(written["hyper_parameters"][0]) == found.record.trials[0].values
    assert found.recipe.model[0].hyper_parameters | found.best("item_knn") == found.recipe.model[0].hyper_parameters
    shares = [axis.importance for axis in found.of("item_knn").axes]
    assert sum(share for share in shares if share is not None) == pytest.approx(1)
    assert "item_knn" in found._repr_html_()
    assert found.report.is_file()
    with pytest.raises(MatineeError, match="no model 'ease' was tuned"):
        found.best("ease")
    with pytest.raises(MatineeError, match="no tuning is here"):
        mt.open_tuning(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path: Path, log: Path) -> None:
    (tmp_path / "t").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "t" / "tuning.db")) as db, db:
        db.execute("create table studies (study_id integer)")
    kept = (tmp_path / "t" / "tuning.db").read_bytes()
    with pytest.raises(MatineeError, match="holds no tuning of schema version 1"):
        tune(small(tmp_path, log), tmp_path / "t", trials=1)
    assert (tmp_path / "t" / "tuning.db").read_bytes() == kept
    (tmp_path / "t" / "tuning.db").write_text("nothing of a database, but long enough to be one" * 100)
    with pytest.raises(MatineeError, match="cannot be read as a tuning"):
        tune(small(tmp_path, log), tmp_path / "t", trials=1)


def test_a_page_without_any_value_is_drawn(toys: None, tmp_path: Path, log: Path, drawings: None) -> None:
    more = "[tune.space.fragile]\nnoise = { low = 51, high = 90 }\n"
    models = '[[model]]\nname = "fragile"\nnoise = 60.0\n[[model]]\nname = "noisy"\n'
    tune(small(tmp_path, log, models, more), tmp_path / "t", trials=2, test=False)
    page = (tmp_path / "t" / "report.html").read_text()
    assert "fragile: every trial failed." in page
    assert page.count("<svg") == 1 + 4
