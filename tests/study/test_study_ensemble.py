"""Ensembles in a study: members are labels, fitted once for each split, handed over, gone when the study is done."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from matinee import load_model, open_run, recommend
from matinee import split as splits
from matinee.errors import MatineeError
from matinee.models.base import Model
from matinee.models.ensemble import Ensemble
from matinee.store import save_model
from matinee.study.recipe import Recipe, load_recipe
from matinee.study.run import run_study
from study.conftest import RANDOM, contents, recipe_of

Patch = pytest.MonkeyPatch
MODELS = """
[[model]]
name = "ease"
l2 = 10.0
[[model]]
name = "multi_dae"
label = "net"
hidden = 8
epochs = 4
batch_size = 10
learning_rate = 0.05
[[model]]
name = "popularity"
[[model]]
name = "ensemble"
label = "pair"
members = ["ease", "net"]
[[model]]
name = "ensemble"
label = "all"
members = ["pair", "popularity"]
method = "zscore"
weights = [3, 1]
"""
RESULTS = ("metrics", "recommendations", "models", "logs", "recipe")


Make = Callable[..., Recipe]


@pytest.fixture
def make(log: Path, tmp_path: Path) -> Make:
    def recipe(*, split: str = RANDOM, seeds: str = "[0]", more: str = "", models: str = MODELS) -> Recipe:
        evaluate = f'[evaluate]\nk = [5]\nmetrics = ["ndcg"]\n{more}\n'
        return recipe_of(tmp_path, f'seeds = {seeds}\n[data]\nsource = "{log}"\n{split}{evaluate}{models}')

    return recipe


def left_in_parts(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "parts").glob("*/.*"))


# --- what is fitted, and on what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("refit", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("split", [RANDOM, '[split]\nstrategy = "random"\nfolds = 2\nvalid = 0.1\n'])
def test_members_are_fitted_once_for_each_split(
    refit: bool, split: str, make: Make, fits: Counter[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    recipe = make(split=split, seeds="[0, 1]", more=f"refit = {str(refit).lower()}")
    run_study(recipe, out)
    each = 2 * (2 if "folds" in split else 1) * (2 if refit else 1)
    assert fits == {"EASE": each, "MultiDAE": each, "Popularity": each, "Ensemble": 2 * each}
    assert left_in_parts(out) == []
    rows = pl.read_json(out / "metrics.json").filter(split="test")
    assert rows["label"].to_list() == ["ease", "net", "popularity", "pair", "all"] * (each // (2 if refit else 1))
    pair = rows.filter(label="pair")
    assert pair["value"].n_unique() == len(pair), "each split has its own"


@pytest.mark.parametrize("refit", [False, True])
def test_an_ensemble_of_a_study_is_that_of_members_fitted_by_hand(refit: bool, make: Make, tmp_path: Path) -> None:
    recipe = make(more=f"refit = {str(refit).lower()}")
    run_study(recipe, tmp_path / "run")
    (split,) = recipe.split_data(recipe.load_data(), 0)
    ease, net = (recipe.create(table).fit(split.train, valid=split.valid, seed=0) for table in recipe.model[:2])
    pair: Model = Ensemble(members=[ease, net]).fit(split.train, valid=split.valid)
    queries = split.test.queries
    if refit:
        everything, test = splits.refitted(split)
        pair, queries = pair.for_refit().fit(everything, seed=0), test.queries
    saved = pl.read_parquet(tmp_path / "run" / "recommendations" / "pair.parquet")
    assert recommend(pair, queries, 5).to_frame().equals(saved)
    loaded = load_model(tmp_path / "run" / "models" / "pair")
    assert recommend(loaded, queries, 5).to_frame().equals(saved)
    assert loaded.fitted.learned.weights.tolist() == pair.fitted.learned.weights.tolist()
    whole = load_model(tmp_path / "run" / "models" / "all")
    assert whole.fitted.learned.weights.tolist() == [0.75, 0.25]
    inner, _ = whole.fitted.learned.members
    assert inner.score(queries).tobytes() == loaded.score(queries).tobytes()


def test_the_cost_of_an_ensemble_is_that_of_its_weights(make: Make, tmp_path: Path, monkeypatch: Patch) -> None:
    from matinee.models.ease import EASE

    right = EASE.weights

    def slow(self: EASE, X: Any) -> Any:
        time.sleep(0.5)
        return right(self, X)

    monkeypatch.setattr(EASE, "weights", slow)
    models = MODELS.replace('members = ["pair", "popularity"]', 'members = ["ease", "popularity"]')
    run_study(make(models=models), tmp_path / "run")
    costs = fit_seconds(tmp_path / "run")
    assert costs["ease"] >= 0.5 > costs["all"]


def fit_seconds(run: Path) -> dict[str, float]:
    return dict(open_run(run).costs.select("label", "fit_seconds").iter_rows())


@pytest.mark.parametrize("refit", [False, True])
def test_the_cost_of_a_training_counts_its_epochs_before_a_kill(
    refit: bool, make: Make, tmp_path: Path, monkeypatch: Patch
) -> None:
    from matinee.nn.train import Loop

    right, slow, walked = Loop._epoch, 0.3, 0
    last = 4 + 2 if refit else 2  # walks whose epochs are kept; the refit's own are two of them in both cases

    def stumbling(self: Loop, number: int) -> float:
        nonlocal walked
        if walked == last:
            raise KeyboardInterrupt
        walked += 1
        time.sleep(slow if walked > last - 2 else 0.0)
        return right(self, number)

    recipe = make(more=f"refit = {str(refit).lower()}")
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_epoch", stumbling)
        with pytest.raises(KeyboardInterrupt):
            run_study(recipe, tmp_path / "run")
    monkeypatch.setattr(Loop, "_epoch", lambda self, number: 0.0)  # what is left takes no time
    run_study(recipe, tmp_path / "run")
    assert 2 * slow <= fit_seconds(tmp_path / "run")["net"] < 4 * slow


# --- killed, resumed, made again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refit", "lost"),
    [
        (True, None),
        (False, "net"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(False, None), (False, "ease"), (True, "ease"), (True, "net")]
        ),
    ],
)
def test_a_study_killed_at_its_ensemble_goes_on_with_the_members_it_has(
    refit: bool, lost: str | None, make: Make, fits: Counter[str], tmp_path: Path, monkeypatch: Patch
) -> None:
    recipe = make(seeds="[0, 1]", more=f"refit = {str(refit).lower()}")
    run_study(recipe, tmp_path / "undisturbed")
    right = Ensemble.learn

    def dies(self: Ensemble, *arguments: Any) -> Any:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "learn", dies)
        with pytest.raises(KeyboardInterrupt):
            run_study(recipe, out)
    assert Ensemble.learn is right
    phases = ["fit", "refit"] if refit else ["fit"]
    kept = sorted(f".{label}.{what}" for label in ("ease", "net", "popularity") for what in phases)
    assert left_in_parts(out) == kept
    if lost is not None:
        for what in phases:
            shutil.rmtree(out / "parts" / "seed-0" / f".{lost}.{what}")
    fits.clear()
    assert run_study(recipe, out).resumed == 3
    again = {None: "", "ease": "EASE", "net": "MultiDAE"}[lost]
    once = 2 if refit else 1
    wanted = {"EASE": once, "MultiDAE": once, "Popularity": once, "Ensemble": 4 * once}
    # a refit is of the fit that was validated, so where it is gone both are done again
    assert fits == {name: n + (once if name == again else 0) for name, n in wanted.items()}
    assert contents(out, *RESULTS) == contents(tmp_path / "undisturbed", *RESULTS)
    assert left_in_parts(out) == []


def test_an_ensemble_that_was_deleted_is_made_again(make: Make, fits: Counter[str], tmp_path: Path) -> None:
    recipe, out = make(), tmp_path / "run"
    run_study(recipe, out)
    before = contents(out, *RESULTS)
    shutil.rmtree(out / "models" / "all")
    fits.clear()
    assert run_study(recipe, out).resumed == 4
    assert fits == {"EASE": 1, "MultiDAE": 1, "Popularity": 1, "Ensemble": 2}
    assert contents(out, *RESULTS) == before
    assert left_in_parts(out) == []


def test_what_a_kill_after_the_last_unit_left_is_removed(make: Make, tmp_path: Path) -> None:
    recipe, out = make(), tmp_path / "run"
    run_study(recipe, out)
    save_model(load_model(out / "models" / "ease"), out / "parts" / "seed-0" / ".ease.fit")
    (out / "run.json").unlink()
    run_study(recipe, out)
    assert left_in_parts(out) == []


def test_a_damaged_member_stops_the_ensemble_and_says_which(make: Make, tmp_path: Path, monkeypatch: Patch) -> None:
    recipe, out = make(), tmp_path / "run"
    right = Ensemble.fit

    def damaging(self: Ensemble, *arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "fit", damaging)
    with pytest.raises(KeyboardInterrupt):
        run_study(recipe, out)
    monkeypatch.setattr(Ensemble, "fit", right)
    (out / "parts" / "seed-0" / ".ease.fit" / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(MatineeError, match=r"\.ease\.fit/weights\.safetensors: is missing or differs"):
        run_study(recipe, out)


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_a_resolved_recipe_keeps_labels(make: Make, tmp_path: Path) -> None:
    recipe = make()
    text = recipe.to_toml()
    (tmp_path / "resolved.toml").write_text(text)
    again = load_recipe(tmp_path / "resolved.toml")
    assert again.to_toml() == text
    assert again.model[3].hyper_parameters["members"] == ["ease", "net"]
    assert again.model[3].hyper_parameters["method"] == "rank"
    assert again.create(again.model[4]) == recipe.create(recipe.model[4])
    inner = recipe.create(recipe.model[4]).model_dump()["members"][0]
    assert [member["name"] for member in inner["members"]] == ["ease", "multi_dae"], "labels, not registry names"
    assert inner["members"][0]["l2"] == 10.0


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ('["ease", "nett"]', r"members: 'nett' is the label of no \[\[model\]\] table\n.*use one of: net"),
        ('["item_knn"]', r"members: 'item_knn' is the label of no(.|\n)*use one of: ease, net, popularity"),
        ('["ease", "later"]', r"members: 'later' comes after mix(.|\n)*move its \[\[model\]\] table above"),
        ('["ease", "mix"]', "members: 'mix' is the model itself"),
        ('["ease", "ease"]', "mix names 'ease' twice"),
        ("[]", r"members = \[\] is no list of labels"),
        ('"ease"', r"members = 'ease' is no list of labels(.|\n)*labels of \[\[model\]\] tables above"),
        ("3", "members = 3 is no list"),
        ('["ease", 3]', r"members = \['ease', 3\] is no list of labels"),
        ('[{ name = "ease" }]', r"members = \[\{'name': 'ease'\}\] is no list of labels"),
        ('["ease"]\nweights = [1, 2]', "2 weights for 1 members"),
        ('["ease"]\nmethod = "ranks"', "method = 'ranks'"),
    ],
)
def test_members_that_are_no_labels_above_are_refused(members: str, words: str, make: Make) -> None:
    first = MODELS.partition('[[model]]\nname = "ensemble"')[0]
    later = '[[model]]\nname = "markov"\nlabel = "later"\n'
    with pytest.raises(MatineeError, match=r"\[\[model\]\] mix") as refused:
        make(models=f'{first}[[model]]\nname = "ensemble"\nlabel = "mix"\nmembers = {members}\n{later}')
    with pytest.raises(MatineeError, match=words):
        raise refused.value


def test_an_ensemble_without_members_or_at_the_top_is_refused(make: Make) -> None:
    with pytest.raises(MatineeError, match="members = None is no list of labels"):
        make(models='[[model]]\nname = "ensemble"\n')
    with pytest.raises(MatineeError, match=r"write a \[\[model\]\] table with this label above"):
        make(models='[[model]]\nname = "ensemble"\nmembers = ["ease"]\n')


def test_members_and_weights_may_be_set_from_a_command_line(make: Make) -> None:
    changed = make().with_changes(settings={"pair.members": '["net", "popularity"]', "pair.weights": "[1, 2]"})
    assert changed.model[3].hyper_parameters["members"] == ["net", "popularity"]
    assert changed.create(changed.model[3]).model_dump()["weights"] == (1.0, 2.0)
    with pytest.raises(MatineeError, match="is no list of labels"):
        make().with_changes(settings={"pair.members": "net"})
