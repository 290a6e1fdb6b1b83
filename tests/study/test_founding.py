"""The founding studies: what they hold, what a log leaves of them, and what a run of each writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.study.founding.catalogue import FoundingStudy, named_study
from matinee.study.founding.running import winner
from matinee.study.founding.suited import QUICK, liked_from, quick, suited
from matinee.study.recipe import Recipe

Keep = Callable[..., None]


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """log.csv: 30 people who like one half or the other of 30 films, rated 1 to 10; films.csv; users.csv."""
    folder = tmp_path_factory.mktemp("rated")
    rng = np.random.default_rng(8)
    lines = ["user_id,item_id,rating,timestamp"]
    for user in range(30):
        liked = rng.permutation(np.arange(0, 20) if user % 2 else np.arange(12, 30))[:14]
        lines += [
            f"{user},{item},{rng.integers(1, 11)},{10**9 + 90000 * user + 3600 * n}" for n, item in enumerate(liked)
        ]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    films = [f"{n},Film {n} ({1950 + n}),{'Drama' if n < 15 else 'Comedy'}|Odd" for n in range(30)]
    (folder / "films.csv").write_text("item_id,title,genres\n" + "\n".join(films) + "\n")
    (folder / "users.csv").write_text("user_id,gender\n" + "\n".join(f"{n},{'FM'[n % 2]}" for n in range(30)) + "\n")
    return folder


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Calling it leaves these models of every study's recipe, by labels, so that it is done in a second."""
    whole = FoundingStudy.recipe

    def chosen(*labels: str) -> None:
        def recipe(study: FoundingStudy) -> Recipe:
            found = whole(study)
            return found.model_copy(update={"model": [table for table in found.model if table.label in labels]})

        monkeypatch.setattr(FoundingStudy, "recipe", recipe)

    return chosen


def told(recipe: Recipe, data: mt.Dataset) -> tuple[Recipe, list[str]]:
    """The recipe as the log allows it, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = suited(recipe, data)
    return found, [str(each.message) for each in caught]


def labels(recipe: Recipe) -> list[str]:
    return [table.label for table in recipe.model]


# --- what they hold ---------------------------------------------------------------------------------------------------


def test_each_study_has_its_recipe_and_no_recipe_is_left_over() -> None:
    packaged = {each.name for each in resources("matinee.study.founding").iterdir() if each.name.endswith(".toml")}
    assert packaged == {f"{study.name}.toml" for study in mt.founding_studies()}
    for study in mt.founding_studies():
        assert study.draws is None or study.draws in study.recipe().evaluate.candidates


def test_the_tour_has_every_model_of_the_registry() -> None:
    """All but the one that answers titles of lists, which MovieLens has none of."""
    assert {table.name for table in named_study("tour").recipe().model} == set(registry.names()) - {"title_match"}


def test_a_near_miss_is_named() -> None:
    with pytest.raises(MatineeError, match="did you mean autoint"):
        named_study("autoit")


# --- what a log leaves of them ----------------------------------------------------------------------------------------


def test_what_a_bare_log_leaves_of_the_contest(log: Path) -> None:
    """Neither tables nor ratings: what is conditioned on them goes, context models keep ids, ensembles what is left."""
    recipe = named_study("film-contest").recipe()
    found, texts = told(recipe, mt.read(log))
    assert set(labels(recipe)) - set(labels(found)) == {"cvae"}
    by_label = {table.label: table.hyper_parameters for table in found.model}
    assert by_label["fm"]["fields"] == by_label["deepfm"]["fields"] == ["user", "item"]
    greedy = next(table for table in recipe.model if table.label == "all_greedy").hyper_parameters["members"]
    assert by_label["all_greedy"]["members"] == [member for member in greedy if member != "cvae"]
    assert texts[0].startswith("cvae is left out: ")
    assert texts[-1] == "all_greedy goes without cvae"
    assert len(texts) == 4


def test_a_log_with_everything_changes_nothing(rated: Path) -> None:
    data = mt.read(rated / "log.csv", items=rated / "films.csv", users=rated / "users.csv")
    recipe = named_study("matrix-factorisation").recipe()
    assert told(recipe, data) == (recipe, [])


def test_a_model_that_is_another_without_its_fields_is_left_out(log: Path) -> None:
    found, texts = told(named_study("next-content").recipe(), mt.read(log))
    assert "neumf_features" not in labels(found)
    assert "neumf" in labels(found)
    assert [text for text in texts if "neumf_features" in text and text.endswith("it is neumf")]


def test_models_of_ratings_go_where_there_are_none(log: Path) -> None:
    found, texts = told(named_study("tour").recipe(), mt.read(log))
    gone = {"biased_mf", "bayesian_mf", "auto_rec", "cvae"}
    assert set(labels(named_study("tour").recipe())) - set(labels(found)) == gone
    assert {text.partition(" is left out")[0] for text in texts if " is left out" in text} == gone


def test_a_composite_goes_with_what_it_cannot_do_without(log: Path) -> None:
    recipe = named_study("tour").recipe()
    tables = [
        table.model_copy(update={"base": "cvae"}) if table.label == "mmr" else table
        for table in recipe.model
    ]  # fmt: skip
    found, texts = told(recipe.model_copy(update={"model": tables}), mt.read(log))
    assert "mmr" not in labels(found)
    assert "mmr is left out: it is made of cvae" in texts


def test_a_study_of_which_nothing_is_left_is_refused(log: Path) -> None:
    with (
        pytest.warns(MatineeWarning, match="is left out"),
        pytest.raises(MatineeError, match="no model of the study can be fitted"),
    ):
        suited(named_study("matrix-factorisation").recipe(), mt.read(log))


def test_metrics_go_with_the_columns_that_they_need(log: Path) -> None:
    recipe = named_study("next-content").recipe()
    evaluate = recipe.evaluate.model_copy(update={"metrics": ["ndcg", "diversity", "rmse"]})
    tables = [table for table in recipe.model if table.label == "ease"]
    found, texts = told(recipe.model_copy(update={"evaluate": evaluate, "model": tables}), mt.read(log))
    assert found.evaluate.metrics == ["ndcg"]
    assert [text.partition(" is left out")[0] for text in texts] == ["the metric diversity", "the metric rmse"]


@pytest.mark.parametrize(
    ("ratings", "liked"),
    [([1, 2, 3, 4, 5], 4), ([0, 1], 1), (list(range(1, 11)), 8), ([0.5 * n for n in range(1, 11)], 4)],
)
def test_from_where_on_a_rating_is_a_like(ratings: list[float], liked: float) -> None:
    log = [{"user_id": n, "item_id": 1, "rating": rating} for n, rating in enumerate(ratings)]
    assert liked_from(mt.read(log)) == liked


def test_quick_bounds_rounds_and_says_so() -> None:
    recipe = named_study("tour").recipe()
    found = quick(recipe)
    assert found.title == f"{recipe.title} (quick: at most 2 epochs)"
    for table in found.model:
        model = found.create(table)
        assert all(getattr(model, name, 0) <= most for name, most in QUICK.items()), table.label


# --- what a run of each writes ----------------------------------------------------------------------------------------


def test_a_study_of_ratings_and_it_goes_on(rated: Path, tmp_path: Path, keep: Keep) -> None:
    keep("constant", "squared")
    study = partial(mt.founding_study, "matrix-factorisation", tmp_path / "out", data=rated / "log.csv", quick=True)
    found = study(items=str(rated / "films.csv"))
    assert found.run.labels == ["constant", "squared"]
    assert found.run.record.title == "Predicted ratings, by matrix factorisation: log (quick: at most 2 epochs)"
    assert found.run.report.is_file()
    assert 'content="Matinee"' in found.exploration.read_text("utf-8")
    assert (found.winner, found.submission) == (None, None)
    again = study(items=str(rated / "films.csv"))
    assert again.run.resumed == 2 * len(found.run.recipe.seeds)
    assert again.run.rows == found.run.rows


def test_the_contest_submits_the_ensemble_that_is_best_on_valid(rated: Path, tmp_path: Path, keep: Keep) -> None:
    keep("popularity", "ease", "pctm", "markov", "item_knn", "ials", "fast", "fast_by_history")
    found = mt.founding_study("film-contest", tmp_path / "out", data=rated / "log.csv", quick=True)
    assert found.winner is not None
    assert found.submission is not None
    valid = found.run.metrics.filter(split="valid", metric="recall_capped").filter(
        pl.col("label").str.starts_with("fast")
    )
    assert found.winner == valid.sort("value", descending=True, maintain_order=True)["label"][0]
    assert found.submission == tmp_path / "out" / "submission.csv"
    table = pl.read_csv(found.submission)
    own = mt.submission(found.run.model(found.winner), list(range(30)), 10)
    assert table.rows() == own.rows()
    seen = set(mt.read(rated / "log.csv").to_frame().select("user_id", "item_id").rows())
    hidden = len(seen & set(table.select("user_id", "item_id").rows()))
    assert hidden > 0  # the test is not masked: it is what is asked


def test_without_an_ensemble_the_best_model_wins(rated: Path, tmp_path: Path, keep: Keep) -> None:
    keep("popularity", "ease")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        found = mt.founding_study("tour", tmp_path / "out", data=rated / "log.csv")
    values = {row.label: row.value or 0 for row in found.run.rows if (row.split, row.metric) == ("valid", "ndcg")}
    assert winner(found.run) == max(values, key=lambda label: values[label])


def test_next_content_draws_its_negatives(rated: Path, tmp_path: Path, keep: Keep) -> None:
    keep("ease", "markov")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)
        found = mt.founding_study("next-content", tmp_path / "out", data=rated / "log.csv")
    drawn = tmp_path / "out" / "test.negative"
    assert found.run.recipe.evaluate.candidates == ["all", str(drawn)]
    assert len(drawn.read_text().splitlines()) == 30
    assert len(found.run.protocols) == 3  # valid, the test, and the test among the drawn


def test_clicks_are_made_of_ones_own_ratings(rated: Path, tmp_path: Path, keep: Keep) -> None:
    keep("fm")
    study = partial(mt.founding_study, "autoint", tmp_path / "out", data=rated / "log.csv", quick=True)
    with pytest.warns(MatineeWarning) as caught:
        found = study(items=str(rated / "films.csv"), users=str(rated / "users.csv"))
    texts = [str(each.message) for each in caught]
    assert "log: events rated 8 or more are likes, the others are not" in texts
    assert found.run.recipe.data.label_min == 8
    (fields,) = [table.hyper_parameters["fields"] for table in found.run.recipe.model]
    assert fields[:5] == ["user", "user.gender", "time.year", "time.month", "time.decade"]
    assert "user.occupation" not in fields
    assert "item.year:decade" in fields


def test_options_of_a_log_need_one(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="items is about a log of your own") as caught:
        mt.founding_study("tour", tmp_path, items="films.csv")
    assert caught.value.hint == 'add data="FILE"'
    with pytest.raises(MatineeError, match="there is no option 'starz'"):
        mt.founding_study("tour", tmp_path, data="log.csv", starz="x")
