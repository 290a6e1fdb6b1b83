"""Two stages in a recipe, in both spellings: what is fitted and handed over, and which labels are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from matinee import load_model, recommend
from matinee.errors import MatineeError
from matinee.models.rerank import Rerank
from matinee.study.recipe import Recipe
from matinee.study.run import run_study
from study.conftest import RANDOM, recipe_of

FIRST = '[[model]]\nname = "ease"\nl2 = 10.0\n'
MODELS = f"""{FIRST}
[[model]]
name = "item_knn"
label = "near"
k = 5
candidates_from = "ease"
n = 6
[[model]]
name = "markov"
[[model]]
name = "rerank"
label = "both"
first = "ease"
second = "markov"
n = 6
"""


Make = Callable[..., Recipe]


@pytest.fixture
def make(log: Path, tmp_path: Path) -> Make:
    def recipe(models: str, more: str = "") -> Recipe:
        evaluate = f'[evaluate]\nk = [5]\nmetrics = ["ndcg"]\n{more}\n'
        return recipe_of(tmp_path, f'[data]\nsource = "{log}"\n{RANDOM}{evaluate}{models}')

    return recipe


@pytest.mark.parametrize("refit", [False, True])
def test_stages_are_fitted_once_and_handed_over(refit: bool, make: Make, tmp_path: Path, fits: Counter[str]) -> None:
    recipe = make(MODELS, f"refit = {str(refit).lower()}")
    run_study(recipe, tmp_path / "run")
    once = 2 if refit else 1
    assert fits == {"EASE": once, "ItemKNN": once, "Markov": once, "Rerank": 2 * once}
    assert sorted(path.name for path in (tmp_path / "run" / "parts").glob("*/.*")) == []
    rows = pl.read_json(tmp_path / "run" / "metrics.json").filter(split="test")
    assert rows["label"].to_list() == ["ease", "near", "markov", "both"]
    near, both = (load_model(tmp_path / "run" / "models" / label) for label in ("near", "both"))
    assert isinstance(near, Rerank)
    assert isinstance(both, Rerank)
    assert (near.n, near.second.model_dump()["k"], both.n) == (6, 5, 6)
    saved = pl.read_parquet(tmp_path / "run" / "recommendations" / "both.parquet")
    (split,) = recipe.split_data(recipe.load_data(), 0)
    if not refit:
        assert recommend(both, split.test.queries, 5).to_frame().equals(saved)
    ease = load_model(tmp_path / "run" / "models" / "ease")
    queries = split.test.queries
    assert both.stages[0].score(queries).tobytes() == ease.score(queries).tobytes()


def test_a_resolved_recipe_keeps_labels(make: Make, tmp_path: Path) -> None:
    recipe = make(MODELS)
    text = recipe.to_toml()
    again = recipe_of(tmp_path, text)
    assert again.to_toml() == text
    near, both = again.model[1], again.model[3]
    assert (near.name, near.candidates_from, near.hyper_parameters["n"]) == ("item_knn", "ease", 6)
    assert near.hyper_parameters["weighting"] == "tfidf", "the model's own defaults are written out"
    assert (both.hyper_parameters["first"], both.hyper_parameters["second"]) == ("ease", "markov")
    assert again.create(near) == recipe.create(recipe.model[1])
    changed = recipe.with_changes(settings={"near.n": "9", "near.k": "3", "both.n": "4"})
    made = changed.create(changed.model[1])
    assert isinstance(made, Rerank)
    assert (made.n, made.second.model_dump()["k"]) == (9, 3)


def test_a_grid_may_vary_how_many_are_brought(make: Make) -> None:
    grid = f'{FIRST}[[model]]\nname = "markov"\ncandidates_from = "ease"\ngrid.n = [5, 9]\n'
    recipe = make(grid)
    made = [recipe.create(table) for table in recipe.model[1:]]
    assert [model.model_dump()["n"] for model in made] == [5, 9]
    assert [table.label for table in recipe.model[1:]] == ["markov_5", "markov_9"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            'name = "markov"\ncandidates_from = "eas"',
            r"candidates_from: 'eas' is the label of no(.|\n)*use one of: ease",
        ),
        ('name = "markov"\ncandidates_from = "markov"', "candidates_from: 'markov' is the model itself"),
        ('name = "markov"\ncandidates_from = "later"', r"'later' comes after markov(.|\n)*move its"),
        ('name = "markov"\ncandidates_from = "ease"\nn = 0', "n = 0"),
        ('name = "markov"\ncandidates_from = "ease"\nwindw = 3', r"no hyper-parameter 'windw' \(did you mean window"),
        ('name = "markov"\nn = 3', "no hyper-parameter 'n'"),
        ('name = "rerank"\nfirst = "ease"', "second = None is no label"),
        ('name = "rerank"\nfirst = "ease"\nsecond = "ease"', "rerank names 'ease' twice"),
        ('name = "rerank"\nfirst = "ease"\nsecond = { name = "markov" }', r"second = \{.* is no label"),
        ('name = "rerank"\nfirst = "ease"\nsecond = "later"', "second: 'later' comes after rerank"),
        ('name = "ensemble"\nmembers = ["ease"]\ncandidates_from = "ease"', r'(.|\n)*name = "rerank", first = "ease"'),
    ],
)
def test_what_does_not_fit_is_named(table: str, words: str, make: Make) -> None:
    later = '[[model]]\nname = "popularity"\nlabel = "later"\n'
    with pytest.raises(MatineeError, match=words):
        make(f"{FIRST}[[model]]\n{table}\n{later}")
