"""[rules] in a recipe: what is measured and kept, its protocol, and what is refused before a model is fitted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from matinee import Rules, evaluate, open_run, recommend
from matinee.errors import MatineeError
from matinee.study.recipe import Recipe
from matinee.study.run import run_study
from study.conftest import RANDOM, recipe_of, rows_of

MODELS = """
[[model]]
name = "ease"
l2 = 10.0
[[model]]
name = "popularity_discount"
base = "ease"
lam = 0.4
places = 5
"""
KEPT = """
[rules]
where = '"Film" in title'
deny = ["Film 3 (1990)", 104]
[[rules.quota]]
where = 'title in ["Film 10 (1990)", "Film 11 (1990)", "Film 12 (1990)"]'
at_most = 1
"""


def recipe(files: Path, folder: Path, rules: str = KEPT, models: str = MODELS) -> Recipe:
    data = f'[data]\nsource = "{files / "log.csv"}"\nitems = "{files / "films.csv"}"\n'
    return recipe_of(folder, f'{data}{RANDOM}[evaluate]\nk = [5]\nmetrics = ["ndcg"]\n{rules}{models}')


def test_lists_keep_the_rules_and_the_protocol_says_so(files: Path, tmp_path: Path) -> None:
    ruled = recipe(files, tmp_path)
    run_study(ruled, tmp_path / "run")
    run = open_run(tmp_path / "run")
    (split,) = ruled.split_data(ruled.load_data(), 0)
    assert ruled.rules is not None
    for label in ("ease", "popularity_discount"):
        recs = recommend(run.model(label), split.test.queries, 5, rules=ruled.rules)
        assert run.recommendations(label).equals(recs.to_frame())
        assert not {103, 104} & set(recs.to_frame()["item_id"].to_list())
        value = evaluate(recs, split.test, k=5, metrics=["ndcg"]).mean("ndcg", 5).value
        rows = [row for row in rows_of(tmp_path / "run") if (row["label"], row["split"]) == (label, "test")]
        assert [row["value"] for row in rows] == [value]
    words = [protocol.candidates for protocol in run.protocols.values()]
    assert all(text.endswith(f"under the rules: {ruled.rules}") for text in words)
    assert "under the rules" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_other_rules_are_another_study_and_another_protocol(files: Path, tmp_path: Path) -> None:
    run_study(recipe(files, tmp_path), tmp_path / "run")
    with pytest.raises(MatineeError, match="another recipe"):
        run_study(recipe(files, tmp_path, KEPT.replace("104", "105")), tmp_path / "run")
    run_study(recipe(files, tmp_path, ""), tmp_path / "plain")
    ruled, plain = (open_run(tmp_path / name).protocols.keys() for name in ("run", "plain"))
    assert not ruled & plain


def test_a_resolved_recipe_has_them_as_they_were(files: Path, tmp_path: Path) -> None:
    ruled = recipe(files, tmp_path)
    again = recipe_of(tmp_path, ruled.to_toml())
    assert again.rules == ruled.rules
    assert again.to_toml() == ruled.to_toml()
    (tmp_path / "kept.toml").write_text(ruled.to_toml(), "utf-8")
    assert Rules.read(tmp_path / "kept.toml") == ruled.rules
    assert "rules" not in recipe(files, tmp_path, "").to_toml()
    settings = {"popularity_discount.lam": "0.2"}
    assert ruled.with_changes(settings=settings).rules == ruled.rules


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("[rules]\nwhere = 'year ='\n", r"recipe.toml: (.|\n)*rules(.|\n)*character 6"),
        ("[rules]\nwher = 'year'\n", "wher: unknown key"),
        ("rules = 3\n", "rules"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_file(rules: str, words: str, files: Path, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=words):
        recipe(files, tmp_path, rules)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("[rules]\nwhere = 'stars > 3'\n", "rules: the table of items has no column 'stars'"),
        ("[rules]\ndeny = ['Nothing']\n", "rules: no item has the title or id 'Nothing'"),
    ],
)
def test_what_no_list_can_keep_is_refused_before_a_fit(
    rules: str, words: str, files: Path, tmp_path: Path, fits: Counter[str]
) -> None:
    with pytest.raises(MatineeError, match=words):
        run_study(recipe(files, tmp_path, rules), tmp_path / "run")
    assert not fits


def test_a_grid_of_lam(files: Path, tmp_path: Path) -> None:
    grid = MODELS.replace("lam = 0.4", "grid.lam = [0.0, 0.9]")
    made = recipe(files, tmp_path, "", grid)
    assert [table.label for table in made.model] == ["ease", "popularity_discount_0", "popularity_discount_0.9"]
    run_study(made, tmp_path / "run")
    lists: dict[str, pl.DataFrame] = {t.label: open_run(tmp_path / "run").recommendations(t.label) for t in made.model}
    ease, same, other = lists.values()
    assert same["item_id"].to_list() == ease["item_id"].to_list()
    assert other["item_id"].to_list() != ease["item_id"].to_list()
