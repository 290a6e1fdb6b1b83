"""Studies that measure what lists are like: in metrics.json, in the analysis, in the report, and in `compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.study.compare import compare
from matinee.study.reader import Run, open_run
from matinee.study.run import run_study
from study.conftest import RANDOM, recipe_of, rows_of

pytestmark = pytest.mark.filterwarnings("ignore:.*inside a tie")
METRICS = ["ndcg", "novelty", "diversity", "diversity:directors", "head_share:3", "recall_debiased", "coverage", "gini"]
MODELS = '[[model]]\nname = "popularity"\n[[model]]\nname = "ease"\nlabel = "mine"\nl2 = 10.0\n'


def text(log: Path, items: Path | None, metrics: list[str], models: str = MODELS) -> str:
    table = "" if items is None else f'items = "{items}"\n'
    evaluate = f"[evaluate]\nk = [3, 5]\nmetrics = {metrics}\n"
    return f'seeds = [0, 4]\n[data]\nsource = "{log}"\n{table}{RANDOM}{evaluate}{models}'


@pytest.fixture(scope="module")
def run(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("lists")
    rows = [f"{100 + i},Film {i},{1980 + i},{'A' if i < 12 else 'B'}|C{i % 3},P{i % 7}|Q{i % 2}" for i in range(24)]
    (folder / "items.csv").write_text("item_id,title,year,genres,directors\n" + "\n".join(rows) + "\n")
    run_study(recipe_of(folder, text(log, folder / "items.csv", METRICS)), folder / "run")
    return open_run(folder / "run")


def test_every_metric_is_measured_as_evaluate_does(run: Run) -> None:
    (split,) = run.recipe.split_data(run.recipe.load_data(), 0)
    for label in run.labels:
        found = mt.evaluate(run.lists(label, split), split.test, k=[3, 5], metrics=METRICS, train=split.train)
        rows = [r for r in rows_of(run.path) if (r["label"], r["seed"], r["split"]) == (label, 0, "test")]
        assert {(r["metric"], r["k"]) for r in rows} == set(found.columns)
        for row in rows:
            mean = found.mean(row["metric"], row["k"])
            assert row["value"] == mean.value
            assert row["n_queries"] == mean.n_queries
            assert row["ci_low"] == (None if np.isnan(mean.low) else mean.low)
            assert (row["ci_low"] is None) == (row["metric"] in ("coverage", "gini"))


def test_the_run_keeps_the_analysis_and_its_report_shows_it(run: Run) -> None:
    (split,) = run.recipe.split_data(run.recipe.load_data(), 0)
    again = mt.analyse({label: run.lists(label, split) for label in run.labels}, split.test, split.train)
    assert run.analysis is not None
    assert run.analysis.to_json() == again.to_json()
    page = run.report.read_text("utf-8")
    for title in ("What the lists are like", "How quality grows with k", "Release years", "Most frequent directors"):
        assert title in page
    for label in run.labels:
        assert f"<td>{run.analysis.value('gini', label):.4f}</td>" in page
    (run.path / "analysis.json").rename(run.path / "gone")
    assert open_run(run.path).analysis is None, "as in runs of older versions"
    (run.path / "gone").rename(run.path / "analysis.json")


def test_compare_tests_what_has_values_and_shows_the_rest(run: Run) -> None:
    found = compare(run, "novelty", 3)
    (test,) = found.tests
    assert (test.metric, test.a, test.b) == ("novelty", "mine", "popularity")
    shown = compare(run, "gini", 5)
    assert shown.tests == ()
    for label in run.labels:
        values = [r["value"] for r in rows_of(run.path) if (r["label"], r["metric"], r["k"]) == (label, "gini", 5)
                  and r["split"] == "test"]  # fmt: skip
        assert len(values) == 2
        assert shown.evaluation.mean("gini", 5, label).value == pytest.approx(np.mean(values))
    with pytest.raises(MatineeError, match="one number of all lists"):
        mt.power(run, "gini", 5)


def test_what_cannot_be_measured_is_refused_before_a_fit(log: Path, files: Path, tmp_path: Path) -> None:
    def refused(metrics: list[str], words: str, items: Path | None = None) -> None:
        with pytest.raises(MatineeError, match=words):
            run_study(recipe_of(tmp_path, text(log, items, metrics)), tmp_path / "run")
        assert not list((tmp_path / "run").glob("parts/*/*"))

    refused(["ndcg", "diversity"], "no table of items, so no column 'genres'")
    refused(["ndcg", "diversity:directr"], "no column 'directr'", files / "films.csv")
    refused(["coverage"], "one number of all lists")
    refused(["recall:genres"], "not told apart, so none is 'genres'")
    refused(["novelti"], "did you mean novelty")
    with pytest.raises(MatineeError, match="metric for early stopping"):
        recipe_of(tmp_path, text(log, None, ["ndcg"]) + '[fit]\nmetric = "novelty@3"\n')
