"""What models cost in seconds: the median over the runs, members included once each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import polars as pl

from matinee.report.seconds import composites, fit_seconds, medians
from matinee.report.study import Study


def of(costs: dict[str, list[Any]], values: dict[str, dict[str, Any]]) -> dict[str, float]:
    return fit_seconds(cast(Study, SimpleNamespace(costs=pl.DataFrame(costs), hyper_parameters=values)))


def test_a_model_of_others_takes_their_time_too() -> None:
    labels = ["EASE", "SASRec", "pair", "all", "EASE", "SASRec", "pair", "all", "EASE"]
    seconds = [1.0, 60.0, 0.25, 0.5, 3.0, 100.0, 0.75, 0.5, 2.0]
    values: dict[str, dict[str, Any]] = {
        "EASE": {"l2": 300.0},
        "pair": {"members": ["EASE", "SASRec"], "method": "rank", "weights": [1, 2]},
        "all": {"members": ["pair", "EASE", "gone"]},
    }
    found = of({"label": labels, "fit_seconds": seconds}, values)
    assert found == {"EASE": 2.0, "SASRec": 80.0, "pair": 0.5 + 82.0, "all": 0.5 + 82.5 + 2.0}


def test_what_has_no_costs() -> None:
    assert medians(pl.DataFrame(), "fit_seconds") == {}
    costs = pl.DataFrame(
        {"label": ["a", "b"], "fit_seconds": [None, 2.0]}, schema_overrides={"fit_seconds": pl.Float64}
    )
    assert medians(costs, "fit_seconds") == {"b": 2.0}


def test_models_made_of_others() -> None:
    costs = pl.DataFrame({"label": ["a", "b", "pair", "anew"], "fit_seconds": [0.0, 1.0, 0.0, 2.0]})
    values = {"a": {}, "b": {"l2": 3.0}, "pair": {"members": ["a", "b"]}, "anew": {"base": "pair"}}
    assert composites(cast(Study, SimpleNamespace(costs=costs, hyper_parameters=values))) == ["pair", "anew"]
