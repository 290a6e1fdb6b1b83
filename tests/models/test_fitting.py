"""The fit context: what early stopping measures, the hook of each round, and refits that keep a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.logs import groups, last_hidden
from matinee import split as splits
from matinee.data.dataset import Dataset
from matinee.data.filters import filter_events
from matinee.errors import MatineeError
from matinee.evaluate import evaluate
from matinee.models import registry
from matinee.models.base import Model
from matinee.rank import recommend
from matinee.store import load_model, save_model

ROUNDS: dict[str, dict[str, Any]] = {
    "bpr": {"n_factors": 8, "epochs": 24, "learning_rate": 0.3},
    "biased_mf": {"n_factors": 4, "epochs": 6},
    "prod2vec": {"dim": 8, "epochs": 6},
    "multi_dae": {"hidden": 8, "epochs": 6, "batch_size": 20, "learning_rate": 0.02},
    "sasrec": {"dim": 8, "epochs": 6, "batch_size": 20, "learning_rate": 0.02},
    "auto_rec": {"hidden": 8, "epochs": 6},
    "lightgbm": {"n_trees": 6, "min_rows": 5, "objective": "binary"},
}


def made(name: str) -> Model:
    return registry.create(name, ROUNDS[name])


def rows(data: Dataset) -> Any:
    return splits.random(data, by="row", seed=3)


@pytest.mark.parametrize("name", ROUNDS)
def test_every_model_in_rounds_tells_each_round_and_stops_when_told(name: str) -> None:
    split = rows(groups())
    seen: list[tuple[int, float, float]] = []
    model = made(name).fit(split.train, valid=split.valid, seed=1, on_round=lambda *told: seen.append(told))
    assert [told[0] for told in seen] == list(range(len(model.curve)))
    for told, row in zip(seen, model.curve, strict=True):
        measured = None if np.isnan(told[2]) else told[2]
        assert (told[0], measured) == (row["epoch"], row["valid_metric"])
    stopped = made(name).fit(split.train, valid=split.valid, seed=1, on_round=lambda number, *told: number == 2)
    assert len(stopped.curve) == 3


def test_the_metric_is_measured_as_evaluate_does(tmp_path: Path) -> None:
    train, valid = last_hidden(groups())
    model = made("multi_dae").fit(train, valid=valid, metric="recall@5", seed=1)
    found = evaluate(recommend(model, valid.queries, 5), valid, k=5, metrics=["recall"]).mean("recall", 5).value
    assert found == pytest.approx(max(row["valid_metric"] or 0.0 for row in model.curve), rel=1e-9)
    assert model.curve_names == ("loss", "recall@5")
    loaded = load_model(save_model(model, tmp_path / "m"))
    assert loaded.curve_names == ("loss", "recall@5")


@pytest.mark.parametrize(("name", "error"), [("biased_mf", "rmse"), ("auto_rec", "rmse"), ("sasrec", "ndcg@10")])
def test_the_default_is_by_task(name: str, error: str) -> None:
    split = rows(groups())
    model = made(name).fit(split.train, valid=split.valid, seed=1)
    assert model.curve_names[1] == error
    if error == "rmse":
        pairs = split.valid.pairs
        wanted = np.sqrt(np.mean((model.predict(pairs, split.valid.queries) - pairs.label) ** 2, dtype=np.float64))
        assert -wanted == pytest.approx(max(row["valid_metric"] or -np.inf for row in model.curve), rel=1e-5)


def test_labels_are_stopped_by_logloss() -> None:
    split = rows(filter_events(groups(), label_min=3.0))
    model = registry.create("fm", {"dim": 4, "epochs": 2, "batch_size": 64}).fit(split.train, valid=split.valid)
    assert model.curve_names[1] == "logloss"
    assert all((row["valid_metric"] or 0.0) < 0 for row in model.curve), "of a loss less is better, hence the minus"


@pytest.mark.parametrize("metric", ["ndcg", "rmse@5", "recal@10", "recall@0"])
def test_a_metric_that_does_not_exist_is_refused_before_the_fit(metric: str) -> None:
    train, valid = last_hidden(groups())
    with pytest.raises(MatineeError) as caught:
        made("multi_dae").fit(train, valid=valid, metric=metric)
    assert caught.value.hint is not None


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(MatineeError, match="device"):
        made("multi_dae").fit(groups(), device="tpu")


@pytest.mark.parametrize("name", ["bpr", "prod2vec"])
def test_a_falling_rate_keeps_its_pace_in_a_refit(name: str) -> None:
    """Fitted again on the same log, it ends with the vectors of the best round."""
    train, valid = last_hidden(groups())
    model = made(name).fit(train, valid=valid, seed=5)
    assert model.best_round is not None
    again = model.for_refit()
    assert again.model_dump()["stop_epoch"] == model.best_round
    assert again.model_dump()["epochs"] == model.model_dump()["epochs"]
    again.fit(train, seed=5)
    assert len(again.curve) == model.best_round
    assert again.score(valid.queries).tobytes() == model.score(valid.queries).tobytes()


def test_what_python_shows_of_a_model() -> None:
    model = registry.create("ease", {"l2": 5.0})
    assert repr(model) == "EASE(l2=5.0) [not fitted]"
    assert repr(model.fit(groups())) == "EASE(l2=5.0) [fitted on log]"
    assert {"l2", "fit", "score", "data"} <= set(dir(model))
    assert not {"model_dump", "copy", "model_fields"} & set(dir(model))
    assert "ridge on the Gram diagonal" in (type(model).__doc__ or "")


def test_hyper_parameters_are_given_by_name_and_stay() -> None:
    ease: Any = registry.model_class("ease")
    with pytest.raises(MatineeError, match="by name") as caught:
        ease(500)
    assert caught.value.hint is not None
    assert "=500" in caught.value.hint
    with pytest.raises(MatineeError, match="do not change"):
        ease().l2 = 3.0


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("bpr", "factors", "n_factors"), ("sasrec", "heads", "n_heads"), ("markov", "last", "max_len")],
)
def test_an_old_name_is_refused_with_the_new_one(name: str, old: str, new: str) -> None:
    with pytest.raises(MatineeError, match=f"it is called {new} now"):
        registry.create(name, {old: 2})
