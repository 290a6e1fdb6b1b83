"""open_run: what a finished run gives back, and what is refused; comparing runs from Python."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.study.results import SCHEMA, Curve, MetricRow, RunRecord, UnitRecord
from study.conftest import RANDOM, recipe_of, rows_of

MODELS = """
[[model]]
name = "popularity"
[[model]]
name = "ease"
l2 = 10.0
[[model]]
name = "bpr"
n_factors = 4
epochs = 3
"""


@pytest.fixture(scope="module")
def out(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read")
    evaluate = '[evaluate]\nk = [3, 5]\nmetrics = ["ndcg", "recall"]\ncandidates = "all"\n'
    text = f'title = "Read"\nseeds = [0, 1]\n[data]\nsource = "{log}"\n{RANDOM}{evaluate}{MODELS}'
    mt.run_study(recipe_of(folder, text), folder / "run")
    return folder / "run"


def test_a_notebook_shows_the_means_of_the_test(out: Path) -> None:
    run = mt.open_run(out)
    page = run._repr_html_()
    texts = [text for text in re.findall(r">([^<>]+)<", page.partition("</style>")[2]) if text.strip()]
    assert texts[:3] == ["Read", "log: 400 events, 40 users, 24 items", "means of seeds 0, 1"]
    assert texts[3:8] == ["model", "ndcg@3", "ndcg@5", "recall@3", "recall@5"]
    values = run.metrics.filter(split="test", label="ease", metric="ndcg", k=3)["value"].to_list()
    assert len(values) == 2
    assert texts[texts.index("ease") + 1] == f"{sum(values) / 2:.4f}"
    (protocol,) = {row.protocol for row in run.rows if row.split == "test"}
    assert f"{run.protocols[protocol]} [{protocol}]" in texts
    assert page.count("<table>") == 1


def test_a_run_gives_back_what_it_left(out: Path) -> None:
    run = mt.open_run(out)
    assert run.labels == ["popularity", "ease", "bpr"]
    assert repr(run) == f"Run({str(out)!r}: popularity, ease, bpr)"
    assert run.metrics.to_dicts() == rows_of(out)
    assert run.recipe.to_toml() == (out / "recipe.toml").read_text()
    assert set(run.protocols) == set(run.metrics["protocol"])
    assert all(protocol.fingerprint == fingerprint for fingerprint, protocol in run.protocols.items())
    columns = ["label", "seed", "fold", "fit_seconds", "recommend_seconds", "peak_mb"]
    assert (run.costs.columns, len(run.costs)) == (columns, 6)
    assert (run.warnings, run.notes) == (run.record.warnings, run.record.notes)
    means = run.per_query().group_by("label", "split", "metric", "k", "seed").agg(pl.col("value").mean()).collect()
    assert len(means) == len(run.metrics)


def test_models_and_lists_are_the_first_seeds(out: Path) -> None:
    run = mt.open_run(out / "metrics.parquet")
    (split,) = run.recipe.split_data(run.recipe.load_data(), 0)
    model = run.model("ease")
    expected = mt.recommend(model, split.test.queries, k=5)
    assert expected.to_frame().equals(run.recommendations("ease"))
    lists = run.lists("ease", split)
    assert np.array_equal(lists.item, expected.item)
    assert np.array_equal(lists.tied, expected.tied)


@pytest.mark.parametrize("ask", ["model", "recommendations"])
def test_an_unknown_label_is_refused_with_those_there_are(ask: str, out: Path) -> None:
    with pytest.raises(MatineeError, match=r"no model is called 'eas'(.|\n)*popularity, ease, bpr"):
        getattr(mt.open_run(out), ask)("eas")


@pytest.mark.parametrize("lost", ["run.json", "metrics.json", "metrics.parquet", "recipe.toml"])
def test_a_folder_that_is_no_finished_run_is_refused(lost: str, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "run")
    (tmp_path / "run" / lost).unlink()
    with pytest.raises(MatineeError, match=f"no finished run is here: there is no {lost}"):
        mt.open_run(tmp_path / "run")
    with pytest.raises(MatineeError, match="there is no such folder"):
        mt.open_run(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"schema_version": SCHEMA + 1}, f"written with schema version {SCHEMA + 1}, this library reads {SCHEMA}"),
        ({"title": "before there were versions"}, "written with schema version none"),
        ({"schema_version": SCHEMA}, r"cannot be read \(\w+: Field required\)"),
        ([], "written with schema version none"),
    ],
)
@pytest.mark.parametrize("kind", [RunRecord, UnitRecord])
def test_other_layouts_are_refused(
    kind: type[RunRecord | UnitRecord], content: object, says: str, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(MatineeError, match=says) as caught:
        kind.read(tmp_path / "x.json")
    assert caught.value.hint == "run the study again"


def test_a_unit_of_another_version_stops_a_resumed_study(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "run")
    unit = tmp_path / "run" / "parts" / "seed-0" / "ease" / "unit.json"
    unit.write_text(json.dumps(json.loads(unit.read_text()) | {"schema_version": 0}))
    with pytest.raises(MatineeError, match="written with schema version 0"):
        mt.run_study(mt.open_run(out).recipe, tmp_path / "run")


def test_what_is_written_is_read_back(out: Path) -> None:
    for kind, path in ((RunRecord, out / "run.json"), (UnitRecord, out / "parts" / "seed-0" / "bpr" / "unit.json")):
        record = kind.read(path)
        assert record.to_json() == path.read_text("utf-8")
    row = mt.open_run(out).rows[0]
    assert "fold" not in row.columns()
    assert list(MetricRow(**row.columns() | {"fold": 2}).columns())[-1] == "fold"
    with pytest.raises(ValueError, match="rows"):
        Curve.model_validate({"rounds": "epochs", "loss": "loss", "validation": "ndcg@10"})


# --- compare ----------------------------------------------------------------------------------------------------------


def test_runs_are_compared_from_python(out: Path, tmp_path: Path) -> None:
    found = mt.compare(out, "recall", 5, baseline="popularity")
    assert [test.b for test in found.tests] == ["popularity"] * 2
    assert {(test.metric, test.k) for test in found.tests} == {("recall", 5)}
    assert found.tests[0].difference >= found.tests[1].difference, "the better model first"
    rows = mt.open_run(out).metrics.filter(split="test", metric="recall", k=5, label="ease")
    assert found.evaluation.mean("recall", 5, "ease").value == pytest.approx(rows["value"].mean())
    again = mt.compare([mt.open_run(out)], metric="recall", k=5, baseline="popularity")
    assert again.tests == found.tests
    assert len(mt.compare([out], part="valid").tests) == 3
    shutil.copytree(out, tmp_path / "copy")
    both = mt.compare([out, tmp_path / "copy"])
    assert "copy/ease" in both.evaluation.labels
    assert len(both.tests) == 15


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "mrr"}, r"mrr was not measured(.|\n)*ndcg@3, ndcg@5"),
        ({"k": 7}, "k = 7 was not measured"),
        ({"baseline": "eas"}, r"no model is called 'eas'(.|\n)*use one of popularity"),
        ({"part": "train"}, r"no numbers of the split 'train'(.|\n)*valid, test"),
        ({"protocol": "x"}, r"no protocols begin with 'x'(.|\n)*all items"),
    ],
)
def test_what_cannot_be_compared_is_named(options: dict[str, str], says: str, out: Path) -> None:
    with pytest.raises(MatineeError, match=says):
        mt.compare(out, **options)  # type: ignore[arg-type]
