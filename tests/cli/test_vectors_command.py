"""`matinee vectors`: what it prints, what its JSON says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from cli.world import World, answer, done, refused
from matinee.store import load_model


def test_vectors_of_items_and_users(world: World, tmp_path: Path) -> None:
    items, users = tmp_path / "items.parquet", tmp_path / "users.parquet"
    told = done("vectors", world.factors, "--out", items, "--users", users)
    assert f"{items}: vectors of 20 items, 6 numbers each" in told
    assert f"{users}: vectors of 40 users" in told
    V, U = pl.read_parquet(items), pl.read_parquet(users)
    assert V["title"][0] == "Amélie (2000)"
    model = load_model(world.factors)
    score = model.score(model.data.queries([7]))[0]
    mine = U.filter(pl.col("user_id") == 7)["vector"].to_numpy()[0]
    assert np.isneginf(score[20])  # Film 120: nobody watched it
    np.testing.assert_allclose(V["vector"].to_numpy() @ mine, score[:20], rtol=1e-5, atol=1e-6)


def test_json_says_what_was_written(world: World, tmp_path: Path) -> None:
    out = tmp_path / "items.parquet"
    found = answer("vectors", world.factors, "--out", out)
    assert found.pop("warnings") == ["left out: 1 item without a training event"]
    assert found == {"out": str(out), "users_out": None, "onnx": None, "width": 6, "items": 20, "users": None}


def test_models_without_vectors_are_refused_with_those_that_have_them(world: World, tmp_path: Path) -> None:
    told = refused("vectors", world.model, "--out", tmp_path / "items.parquet")
    assert "EASE has no vectors" in told
    assert "sasrec" in told
    assert "Parquet" in refused("vectors", world.factors, "--out", tmp_path / "items.csv")
