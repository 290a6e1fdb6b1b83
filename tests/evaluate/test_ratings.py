"""Predicted ratings: an error a pair, means clustered by user, roots where roots belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from matinee.data.dataset import Dataset, Holdout
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import Evaluation, compare, evaluate_ratings
from matinee.evaluate.predictions import bce
from matinee.split import random


def holdout() -> tuple[Dataset, Holdout]:
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.permutation(40 * 30)[:700], 30)
    value = rng.integers(1, 6, 700).astype(np.float32)
    data = Dataset(IdMap(np.arange(40)), IdMap(np.arange(30)), user.astype(np.int32), item.astype(np.int32), value)
    return data, random(data, valid=0.0, test=0.3, by="row").test


def test_means_are_the_metrics_and_intervals_count_a_user_once() -> None:
    data, test = holdout()
    assert test.pairs is not None
    assert test.pairs.label is not None
    y = test.pairs.label.astype(np.float64)
    p = np.random.default_rng(1).uniform(1, 5, len(y)).astype(np.float32)
    found = evaluate_ratings(p, test, data.users, scale=(1, 5), metrics=["rmse", "mae", "bce"], label="m")
    error = p.astype(np.float64) - y
    assert found.mean("rmse").value == pytest.approx(np.sqrt((error**2).mean()))
    assert found.mean("mae").value == pytest.approx(np.abs(error).mean())
    assert found.mean("bce").value == pytest.approx(bce(y, p, low=1, high=5))
    # the clustered interval of the mean squared error, its ends rooted
    residual = np.bincount(test.pairs.user, weights=error**2 - (error**2).mean())
    n = len(np.unique(test.pairs.user))
    half = 1.959964 * np.sqrt(n / (n - 1) * (residual**2).sum()) / len(y)
    low, high = np.sqrt((error**2).mean() - half), np.sqrt((error**2).mean() + half)
    assert (found.mean("rmse").low, found.mean("rmse").high) == pytest.approx((low, high))
    frame = found.to_frame()
    assert frame["k"].to_list() == [None] * 3
    assert frame["n_queries"].to_list() == [len(y)] * 3
    assert "rmse" in str(found)
    assert "@" not in str(found)


def test_ratings_survive_the_run_folder_and_compare() -> None:
    data, test = holdout()
    assert test.pairs is not None
    assert test.pairs.label is not None
    y = test.pairs.label
    guesses = {"far": np.full(len(y), 3, np.float32), "near": (y + 0.5).astype(np.float32)}
    found = evaluate_ratings(guesses, test, data.users, scale=(1, 5))
    again = Evaluation.from_frame(found.per_query(), found.protocol, found.queries)
    assert again.mean("rmse", label="near") == found.mean("rmse", label="near")
    pair = compare(again, metric="rmse").tests[0]
    wanted = found.mean("rmse", label="far").value - found.mean("rmse", label="near").value
    assert pair.difference == pytest.approx(wanted)
    assert pair.n_users == len(np.unique(test.pairs.user))
    assert found.per_query()["k"].dtype == pl.Int32


def test_refusals_say_what_is_wrong() -> None:
    data, test = holdout()
    assert test.pairs is not None
    bare = replace(test, pairs=replace(test.pairs, label=None))
    with pytest.raises(MatineeError, match="no ratings"):
        evaluate_ratings(np.zeros(len(test.pairs), np.float32), bare, data.users, scale=(1, 5))
    with pytest.raises(MatineeError, match="predictions"):
        evaluate_ratings(np.zeros(3, np.float32), test, data.users, scale=(1, 5))
    with pytest.raises(MatineeError, match="not a finite number"):
        evaluate_ratings(np.full(len(test.pairs), np.nan, np.float32), test, data.users, scale=(1, 5))
