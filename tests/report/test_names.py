"""Readable names: of models that the recipe did not call otherwise, everywhere on the page."""

from __future__ import annotations

import warnings
from dataclasses import replace

import polars as pl
import pytest
from test_report import page_of, quiet_study

from matinee.errors import MatineeWarning
from matinee.explore import analyse
from matinee.models.names import BUILT_IN
from matinee.report.names import readable, with_names, written


def test_models_are_called_as_people_write_them() -> None:
    told = {"ease": "EASE", "item_knn": "ItemKNN", "sasrec": "SASRec", "ials": "iALS", "multi_vae": "Multi-VAE"}
    assert {model: written(model) for model in told} == told
    assert written("of_another_package") == "of_another_package"
    names = [written(model) for model in BUILT_IN]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names)


def test_what_a_user_wrote_is_kept() -> None:
    found = readable({"ease": "ease", "ease_200": "ease", "best": "ials"})
    assert found == {"ease": "EASE", "ease_200": "ease_200", "best": "best"}
    taken = readable({"ease": "ease", "EASE": "slim"})
    assert taken == {"ease": "ease", "EASE": "EASE"}


def test_each_part_of_a_study_is_renamed() -> None:
    study = quiet_study()
    study = replace(study, hyper_parameters={"popularity": {}, "ease": {"members": ["popularity", {"name": "ease"}]}})
    lazy = replace(study, per_query=study.per_query.lazy())
    for each in (study, lazy):
        found = with_names(each)
        assert found.metrics["label"].unique().sort().to_list() == ["EASE", "Popularity"]
        assert found.per_query.lazy().collect()["label"].unique().sort().to_list() == ["EASE", "Popularity"]
        assert found.costs["label"].unique().sort().to_list() == ["EASE", "Popularity"]
        for part in (found.recommendations, found.curves, found.hyper_parameters):
            assert list(part) == ["Popularity", "EASE"]
        assert found.hyper_parameters["EASE"]["members"] == ["Popularity", {"name": "ease"}]
    assert with_names(replace(study, metrics=pl.DataFrame())).costs["label"][0] == "popularity"


@pytest.mark.usefixtures("no_drawings")
def test_the_page_says_no_other_name() -> None:
    words = page_of(quiet_study()).words
    assert "EASE" in words
    assert " ease " not in words


@pytest.mark.usefixtures("no_drawings")
def test_the_analysis_is_renamed_too() -> None:
    study = quiet_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatineeWarning)  # small data is full of ties
        analysis = analyse(study.recommendations, study.split.test, study.split.train, k=5)
    study = replace(study, analysis=analysis)
    found = with_names(study).analysis
    assert found is not None
    assert found.labels == ("Popularity", "EASE")
    assert found.pairs.select("a", "b").row(0) == ("Popularity", "EASE")
    for name in ("metrics", "figures", "by_k", "by_popularity"):
        assert set(getattr(found, name)["label"]) == {"Popularity", "EASE"}
    assert "What the lists are like" in page_of(study).words
