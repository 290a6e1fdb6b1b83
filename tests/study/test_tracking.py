"""What MLflow is told of a run, a tuning and a fit."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.study.recipe import Recipe
from matinee.study.tracking import tracking
from study.conftest import RANDOM, recipe_of

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None, reason="MLflow is not installed (pip install mlflow-skinny)"
)
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own dependencies warn


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "mlruns").as_uri()


def small(folder: Path, log: Path) -> Recipe:
    text = f'title = "Small"\n[data]\nsource = "{log}"\n{RANDOM}[evaluate]\nk = [5]\nmetrics = ["recall"]\n'
    return recipe_of(folder, text + '[[model]]\nname = "bpr"\nepochs = 3\nn_factors = 4\n')


def runs(store: str) -> dict[str, Any]:
    """All runs by name."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=store)
    found = client.search_runs([client.get_experiment_by_name("matinee").experiment_id])
    return {run.info.run_name: run for run in found}


@needs_mlflow
def test_a_run_tells_parameters_rounds_results_and_files(tmp_path: Path, log: Path, store: str) -> None:
    import mlflow

    out = mt.run_study(small(tmp_path, log), tmp_path / "r", track=f"mlflow:{store}")
    found = runs(store)
    assert set(found) == {"Small", "seed-0 bpr"}
    whole, unit = found["Small"], found["seed-0 bpr"]
    assert (whole.info.status, unit.info.status) == ("FINISHED", "FINISHED")
    assert unit.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert unit.data.params["n_factors"] == "4"
    means = {row.split: row.value for row in out.rows}
    assert unit.data.metrics["recall_at_5 test"] == means["test"]
    client = mlflow.MlflowClient(tracking_uri=store)
    curve = client.get_metric_history(unit.info.run_id, "train_loss")
    assert [point.value for point in curve] == [row["train_loss"] for row in out.curves["bpr"].rows]
    names = {file.path for file in client.list_artifacts(whole.info.run_id)}
    assert names == {"recipe.toml", "metrics.json", "report.html"}


@needs_mlflow
def test_a_tuning_tells_each_trial(tmp_path: Path, log: Path, store: str) -> None:
    made = mt.tune(small(tmp_path, log), tmp_path / "t", trials=3, track=f"mlflow:{store}")
    found = runs(store)
    assert set(found) == {"Small", "bpr 0", "bpr 1", "bpr 2"}
    for trial in made.record.trials:
        run = found[f"bpr {trial.number}"]
        assert run.data.metrics["ndcg_at_10 valid"] == trial.value
        assert float(run.data.params["learning_rate"]) == trial.values["learning_rate"]
        assert run.data.metrics["valid_metric"] == trial.looks[-1].value
    after = made.record.labels[0].test_after
    assert after is not None
    assert found["Small"].data.metrics["bpr ndcg_at_10 test after"] == after.value


@needs_mlflow
def test_what_raises_has_failed(store: str) -> None:
    def failing() -> None:
        with tracking(f"mlflow:{store}", "one") as tracked:
            tracked.nested("two", {"a": [1, 2]})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    found = runs(store)
    assert {name: run.info.status for name, run in found.items()} == {"one": "FAILED", "two": "FAILED"}
    assert found["two"].data.params == {"a": "[1, 2]"}


def test_another_tracker_and_a_missing_package_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MatineeError, match="no tracker is called 'wandb'"), tracking("wandb", "x"):
        pass
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MatineeError, match=r"pip install 'matinee\[mlflow\]'"), tracking("mlflow", "x"):
        pass
    with tracking(None, "x") as nobody:
        nobody.nested("y", {}).round(0, 1.0, 2.0)
