"""Studies of items without a training event, which alone are ranked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.study.reader import open_run
from matinee.study.run import run_study
from study.conftest import recipe_of, rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*inside a tie")
SPLIT = '[split]\nstrategy = "random"\nvalid = 0.2\ntest = 0.2\nnew_items = 0.2\n'
EVALUATE = '[evaluate]\nk = [3]\nmetrics = ["recall"]\ncandidates = "new"\n'
MODELS = '[[model]]\nname = "content"\nattributes = ["genres"]\n[[model]]\nname = "ease"\n'


def test_new_items_alone_are_ranked_and_measured(log: Path, tmp_path: Path) -> None:
    rows = [f"{100 + i},{'A' if i < 12 else 'B'}|C{i % 3}" for i in range(24)]
    (tmp_path / "items.csv").write_text("item_id,genres\n" + "\n".join(rows) + "\n")
    text = f'[data]\nsource = "{log}"\nitems = "{tmp_path / "items.csv"}"\n{SPLIT}{EVALUATE}{MODELS}'
    run_study(recipe_of(tmp_path, text), tmp_path / "run")
    run = open_run(tmp_path / "run")
    (split,) = run.recipe.split_data(run.recipe.load_data(), 0)
    for part, holdout in (("valid", split.valid), ("test", split.test)):
        alone = mt.split.new_alone(holdout)
        model = mt.models.Content(attributes=("genres",)).fit(split.train)
        wanted = mt.evaluate(mt.recommend(model, alone.queries, 3), alone, k=3, metrics=["recall"]).mean("recall", 3)
        (found,) = [row for row in rows_of(run.path) if (row["label"], row["split"]) == ("content", part)]
        assert (found["value"], found["n_queries"]) == (wanted.value, wanted.n_queries)
        assert wanted.value > 0
    new = set(split.train.items.decode(np.unique(mt.split.new_alone(split.test).truth.values)))
    kept = pl.read_parquet(next((run.path / "recommendations").glob("content*")))
    assert set(kept["item_id"]) <= new
    (ease,) = [row for row in rows_of(run.path) if (row["label"], row["split"]) == ("ease", "test")]
    assert ease["value"] == 0.0  # it can score none of them
    assert "new items alone" in run.report.read_text("utf-8")


def test_early_stopping_looks_at_new_items_where_these_are_ranked(log: Path, tmp_path: Path) -> None:
    text = f'[data]\nsource = "{log}"\n{SPLIT}{EVALUATE}[[model]]\nname = "popularity"\n'
    recipe = recipe_of(tmp_path, text)
    (split,) = recipe.split_data(recipe.load_data(), 0)
    assert recipe.evaluate.stopping_part(split.valid).protocol.candidates == "new items alone"
    nobody = replace(split.valid, queries=split.valid.queries.slice(0, 0), truth=split.valid.truth.slice(0, 0))
    assert recipe.evaluate.stopping_part(nobody) is nobody
    both = recipe.evaluate.model_copy(update={"candidates": ["all", "new"]})
    assert both.stopping_part(split.valid) is split.valid
