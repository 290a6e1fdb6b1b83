"""What every model promises about its hyper-parameters, its files and its documentation."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from contract.shared import Case, keeps, refuses, refuses_values, same_answers
from matinee import store
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.rank import recommend


def check_save_and_load_keep_every_byte(case: Case) -> None:
    model, queries = case.model, case.queries
    with tempfile.TemporaryDirectory() as folder:
        loaded = store.load_model(store.save_model(model, Path(folder) / "model"))
    assert loaded == model
    assert type(loaded) is type(model)
    assert loaded.score(queries).tobytes() == model.score(queries).tobytes()
    same_answers(recommend(loaded, queries, 10), recommend(model, queries, 10))
    empty = Queries(np.array([-1], np.int32), Ragged.empty(1), Ragged.empty(1))
    same_answers(recommend(loaded, empty, 10), recommend(model, empty, 10))
    assert loaded.users == model.users
    assert loaded.items == model.items
    assert loaded.data.fingerprint == model.data.fingerprint
    asked = loaded.data.queries(["u003"])
    assert asked.history.values.tolist() == case.data.queries(["u003"]).history.values.tolist()


def check_the_estimate_of_its_size_on_disk(case: Case) -> None:
    """Headers and manifests are most of a small folder: 4 KB are granted for them."""
    data = case.data
    with tempfile.TemporaryDirectory() as folder:
        path = store.save_model(case.model, Path(folder) / "model")
        found = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    estimate = case.model.needs(data.n_users, data.n_items, len(data)).disk_bytes
    assert 0.8 * found - 4_000 <= estimate <= 1.2 * found + 4_000


def check_hyper_parameters_round_trip(case: Case) -> None:
    model = case.make()
    cls, name = type(model), registry.name_of(model)
    assert registry.model_class(name) is cls
    again = registry.create(name, model.model_dump(mode="json"))
    assert again == model
    assert cls.model_validate_json(model.model_dump_json()) == model
    assert case.model == case.short(), "equality is by hyper-parameters, fitted or not"
    assert model != registry.create("popularity" if name != "popularity" else "ease")


def check_hyper_parameters_are_frozen_and_checked(case: Case) -> None:
    model = case.make()
    name = registry.name_of(model)
    refuses(lambda: registry.create(name, {"no_such_thing": 1}), "no_such_thing")
    refuses(lambda: registry.create(name, {"seed": 1}), "seed")
    for field, info in type(model).model_fields.items():
        with contextlib.suppress(ValidationError, MatineeError):
            setattr(model, field, getattr(model, field))
            raise AssertionError(f"{field} can be set")
        refuses_values(name, field, {"wrong": "value"})
        if "float" in str(info.annotation):
            refuses_values(name, field, float("nan"), float("inf"), float("-inf"))
        for bound in info.metadata:
            if hasattr(bound, "ge"):
                refuses_values(name, field, bound.ge - 1)
            if hasattr(bound, "gt"):
                refuses_values(name, field, bound.gt)
            if hasattr(bound, "lt"):
                refuses_values(name, field, bound.lt)


def check_everything_is_documented(case: Case) -> None:
    cls = type(case.make())
    text = cls.__doc__ or ""
    if keeps(case.make(), "source"):
        assert re.search(r"\([^()]*\b(19|20)\d\d\b[^()]*\)", text), "the docstring cites no source"
    for field, info in cls.model_fields.items():
        assert info.description, f"{field} has no description"
        extra = info.json_schema_extra
        span = extra.get("tune") if isinstance(extra, dict) else None
        if isinstance(span, dict):
            listed = span.get("choices")
            for value in listed if isinstance(listed, list) else [span["low"], span["high"]]:
                hyper = {field: int(value) if info.annotation is int and isinstance(value, float) else value}
                registry.create(registry.name_of(case.make()), {**case.make().model_dump(), **hyper})
