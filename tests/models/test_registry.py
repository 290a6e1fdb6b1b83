"""Names of models, and the words for what does not fit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import matinee
from matinee import models
from matinee.errors import MatineeError
from matinee.models import names, registry
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.item_knn import ItemKNN
from matinee.models.popularity import Popularity
from matinee.models.sasrec import SASRec


class Unregistered(Popularity):
    pass


def test_every_name_is_a_class_of_its_own() -> None:
    classes = {name: registry.model_class(name) for name in registry.names()}
    assert len(set(classes.values())) == len(classes)
    needed: dict[str, dict[str, Any]] = {
        "ensemble": {"members": ["ease"]},
        "stacking": {"members": ["ease", "markov"]},
        "rerank": {"first": "ease", "second": "markov"},
        **{name: {"base": "ease"} for name in ("mmr", "calibrated", "popularity_discount")},
    }
    for name, cls in classes.items():
        assert registry.name_of(registry.create(name, needed.get(name, {}))) == name
        assert getattr(models, cls.__name__) is cls
        assert cls.__name__ in dir(models)


def test_the_package_offers_models_by_class_name() -> None:
    assert matinee.models.EASE is EASE
    with pytest.raises(AttributeError, match="no attribute 'Eeze'"):
        _ = models.Eeze


@pytest.mark.parametrize(
    ("name", "hyper", "words"),
    [
        ("eas", {}, r"unknown model 'eas'(.|\n)*ease"),
        ("qqqq", {}, r"unknown model 'qqqq'(.|\n)*lists all"),
        ("ease", {"l22": 1}, r"no hyper-parameter 'l22' \(did you mean l2\?\)"),
        ("ease", {"zzz": 1}, r"no hyper-parameter 'zzz' \(it has .*l2\b.*\)"),
        ("ease", {"l2": 0}, r"l2 = 0: input should be greater than 0"),
        ("ease", {"l2": "much"}, "l2 = 'much'"),
        ("ease", {"l2": None}, "l2 = None"),
        ("ease", {"l2": float("nan")}, "l2 = nan"),
        ("item_knn", {"k": 2.5}, r"k = 2\.5"),
        ("item_knn", {"weighting": "tf-idf"}, "weighting = 'tf-idf'"),
        ("item_knn", {"k": 0, "shrinkage": -1}, r"k = 0(.|\n)*shrinkage = -1"),
        ("ensemble", {}, "members: field required"),
        ("ensemble", {"members": []}, r"members = \[\]: a list of at least one model"),
        ("ensemble", {"members": "ease"}, "members = 'ease': a list"),
        ("ensemble", {"members": ["eas"]}, r"members.0 = 'eas': unknown model 'eas'; did you mean .*ease"),
        ("ensemble", {"members": [{"name": "ease", "l22": 1}]}, r"no hyper-parameter 'l22' \(did you mean l2\?\)"),
        ("ensemble", {"members": [{"l2": 1}]}, r"\{'l2': 1\} is not a model"),
        ("ensemble", {"members": [{"name": 3}]}, "is not a model"),
        ("ensemble", {"members": ["ease"], "weights": [1, 2]}, "2 weights for 1 members"),
        ("ensemble", {"members": ["ease", "svd"], "weights": [1, -1]}, r"weights \[1.0, -1.0\]: none may be negative"),
        ("ensemble", {"members": ["ease", "svd"], "weights": [0, 0]}, "one must be positive"),
        ("ensemble", {"members": ["ease", "svd"], "weights": [1, float("inf")]}, r"weights\.1 = inf"),
    ],
)
def test_what_does_not_fit_is_named(name: str, hyper: dict[str, Any], words: str) -> None:
    with pytest.raises(MatineeError, match=words):
        registry.create(name, hyper)


def test_text_from_a_command_line_becomes_numbers() -> None:
    assert registry.create("item_knn", {"k": "7", "shrinkage": "1e1"}) == ItemKNN(k=7, shrinkage=10.0)


def test_unregistered_models_have_no_name() -> None:
    with pytest.raises(MatineeError, match=r"test_registry:Unregistered is not in the registry"):
        registry.name_of(Unregistered())


def test_other_packages_register_models_but_cannot_take_our_names(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(n, f"{__name__}:Unregistered", "matinee.models") for n in ("theirs", "ease")]
    monkeypatch.setattr(names, "entry_points", lambda group: points if group == "matinee.models" else [])
    assert type(registry.create("theirs")) is Unregistered
    assert registry.name_of(Unregistered()) == "theirs"
    assert registry.model_class("ease") is EASE


def test_equality_is_by_class_and_hyper_parameters() -> None:
    assert EASE(l2=5) == EASE(l2=5.0)
    assert EASE(l2=5) != EASE(l2=6)
    assert Popularity() != Unregistered()
    assert EASE() != "ease"


def test_hyper_parameters_do_not_change() -> None:
    model = EASE()
    with pytest.raises(MatineeError, match="do not change"):
        model.l2 = 3.0  # type: ignore[misc]


def test_naming_models_imports_none() -> None:
    code = (
        "import sys\n"
        "from matinee.models import names\n"
        "names.locations()\n"
        "print([m for m in ('numpy', 'scipy', 'polars', 'numba', 'torch', 'matinee.models.ease') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SASRec(loss="ce"), "model 'sasrec': loss = 'ce': input should be 'cross_entropy'"),
        (lambda: SASRec(max_len=1), "max_len = 1: input should be greater than or equal to 2"),
        (lambda: SASRec(dim=15, n_heads=2), "2 attention heads do not divide"),
        (lambda: SASRec(**{"epoch": 2}), "no hyper-parameter 'epoch' (did you mean epochs?)"),
        (lambda: SASRec.model_validate({"dropout": -1}), "dropout = -1"),
        (lambda: Ensemble(members=("ease",), weights=(1.0, 2.0)), "2 weights for 1 members"),
        (lambda: Ensemble(members=("eas",)), "unknown model 'eas'; did you mean ease"),
        (lambda: Ensemble(members=({"name": "ease", "l2": -1},)), "l2 = -1"),
    ],
)
def test_a_hyper_parameter_that_does_not_fit_is_our_error(make: Callable[[], Any], words: str) -> None:
    """Whether a model is made by its class or by its name."""
    with pytest.raises(MatineeError, match=re.escape(words)) as caught:
        make()
    assert "pydantic" not in str(caught.value)
    assert caught.value.hint is not None
