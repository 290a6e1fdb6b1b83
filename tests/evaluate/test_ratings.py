"""Predicted ratings: an error a pair, means clustered by user, roots where roots belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

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


def clicks() -> tuple[Dataset, Holdout, np.ndarray]:
    """A holdout labelled 1 for ratings from 4, and noisy probabilities for its rows, some of them equal."""
    data, test = holdout()
    assert test.pairs is not None
    assert test.pairs.label is not None
    label = (test.pairs.label >= 4).astype(np.float32)
    p = np.clip(np.round(0.2 * label + np.random.default_rng(3).uniform(0.1, 0.7, len(label)), 2), 0, 1)
    return data, replace(test, pairs=replace(test.pairs, label=label)), p.astype(np.float32)


def test_clicks_are_measured_beside_ratings() -> None:
    data, test, p = clicks()
    assert test.pairs is not None
    assert test.pairs.label is not None
    y, user = test.pairs.label, test.pairs.user
    names = ["auc", "gauc", "logloss", "rmse"]
    found = evaluate_ratings(p, test, data.users, scale=(0, 1), metrics=names, label="m")
    assert found.columns == [(name, 0) for name in names]
    assert found.mean("auc").value == pytest.approx(roc_auc_score(y, p), rel=1e-12)
    assert found.mean("logloss").value == pytest.approx(log_loss(y, p, labels=[0, 1]), rel=1e-6)
    assert found.mean("rmse").value == pytest.approx(np.sqrt(np.mean((y.astype(np.float64) - p) ** 2)))
    both = [u for u in np.unique(user) if len(set(y[user == u].tolist())) == 2]
    sizes = np.array([np.count_nonzero(user == u) for u in both])
    by_user = np.array([roc_auc_score(y[user == u], p[user == u]) for u in both])
    gauc = found.mean("gauc")
    assert gauc.value == pytest.approx((sizes * by_user).sum() / sizes.sum(), rel=1e-12)
    assert gauc.n_queries == sizes.sum()
    gone = len(np.unique(user)) - len(both)
    assert 0 < gone < 40
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"{gone} of {len(np.unique(user))} users have hidden rows of one class only")
    assert found.notes[0] in str(found)
    assert all(found.mean(name).low < found.mean(name).value < found.mean(name).high for name in names)


def test_a_better_auc_is_told_from_luck() -> None:
    data, test, p = clicks()
    noise = np.random.default_rng(4).random(len(p)).astype(np.float32)
    found = evaluate_ratings({"noise": noise, "near": p}, test, data.users, scale=(0, 1), metrics=["auc"])
    again = Evaluation.from_frame(found.per_query(), found.protocol, found.queries)
    pair = compare(again, metric="auc").tests[0]
    wanted = found.mean("auc", label="noise").value - found.mean("auc", label="near").value
    assert pair.difference == pytest.approx(wanted, rel=1e-9)
    assert wanted < -0.1
    assert pair.p_t < 0.01
    assert pair.p < 0.01


def test_refusals_of_clicks() -> None:
    data, test, p = clicks()
    rated = holdout()[1]

    def measured(predicted: np.ndarray, metric: str, on: Holdout = test) -> Evaluation:
        return evaluate_ratings(predicted, on, data.users, scale=(0, 1), metrics=[metric])

    with pytest.raises(MatineeError, match="neither 0 nor 1"):
        measured(p, "auc", rated)
    with pytest.raises(MatineeError, match="not a probability"):
        measured(p + 3, "logloss")
    with pytest.raises(MatineeError, match="unknown metric 'ndcg'"):
        measured(p, "ndcg")
    with pytest.raises(MatineeError, match="nothing to evaluate"):
        evaluate_ratings({}, test, data.users, scale=(0, 1), metrics=["gauc"])
    assert test.pairs is not None
    ones = replace(test, pairs=replace(test.pairs, label=np.ones(len(p), np.float32)))
    with pytest.raises(MatineeError, match="positive and negative"):
        measured(p, "auc", ones)


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
