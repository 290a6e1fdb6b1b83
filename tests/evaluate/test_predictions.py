"""Rating and click metrics against scikit-learn, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error, roc_auc_score

from matinee.errors import MatineeError
from matinee.evaluate import predictions as m
from matinee.evaluate.intervals import standard_error

# few distinct scores, so that ties are common
rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.30001, 0.9, 1.0]), st.integers(3, 6)))


@given(rows)
def test_clicks_agree_with_scikit_learn(clicks: list[tuple[int, float, int]]) -> None:
    assume({label for label, _, _ in clicks} == {0, 1})
    y, p, user = (np.array(column) for column in zip(*clicks, strict=True))
    assert m.auc(y, p) == pytest.approx(roc_auc_score(y, p), rel=1e-12)
    assert m.logloss(y, p) == pytest.approx(log_loss(y, p, labels=[0, 1]), rel=1e-9)
    narrow = p.astype(np.float32)
    assert m.logloss(y, narrow) == pytest.approx(log_loss(y, narrow, labels=[0, 1]), rel=1e-5)
    total, weight = 0.0, 0
    for u in set(user.tolist()):
        of = user == u
        if len(set(y[of].tolist())) == 2:
            total, weight = total + of.sum() * roc_auc_score(y[of], p[of]), weight + of.sum()
    assume(weight)
    assert m.gauc(y, p, user) == pytest.approx(total / weight, rel=1e-12)


@given(rows)
def test_the_parts_of_rows_average_to_the_metrics(clicks: list[tuple[int, float, int]]) -> None:
    assume({label for label, _, _ in clicks} == {0, 1})
    y, p, user = (np.array(column) for column in zip(*clicks, strict=True))

    def parts(metric: str) -> np.ndarray:
        return m.row_values(metric, y, p, scale=(0, 1), user=user)

    assert parts("auc").mean() == pytest.approx(roc_auc_score(y, p), rel=1e-12, abs=1e-12)
    assert parts("logloss").mean() == pytest.approx(log_loss(y, p, labels=[0, 1]), rel=1e-9)
    mixed = [u for u in set(user.tolist()) if len(set(y[user == u].tolist())) == 2]
    assume(mixed)
    assert np.nanmean(parts("gauc")) == pytest.approx(m.gauc(y, p, user), rel=1e-12)
    assert (~np.isnan(parts("gauc"))).tolist() == [u in mixed for u in user.tolist()]


def test_the_interval_of_auc_is_delongs_by_user() -> None:
    """Obuchowski (Biometrics 1997) with placements counted pair by pair; every user has rows of both classes."""
    rng = np.random.default_rng(11)
    user = np.repeat(np.arange(25), rng.integers(4, 12, 25))
    y = (rng.random(len(user)) < 0.3 + 0.4 * (user % 2)).astype(float)
    for u in range(25):
        y[np.flatnonzero(user == u)[:2]] = 0, 1
    p = np.round(0.3 * y + rng.normal(0.3 + 0.01 * user, 0.3), 1)
    positives, negatives = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    beats = {(i, j): 1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0 for i in positives for j in negatives}
    area = sum(beats.values()) / len(beats)
    of_positive = {i: sum(beats[i, j] for j in negatives) / len(negatives) - area for i in positives}
    of_negative = {j: sum(beats[i, j] for i in positives) / len(positives) - area for j in negatives}
    a = np.array([sum(v for i, v in of_positive.items() if user[i] == u) for u in range(25)])
    b = np.array([sum(v for j, v in of_negative.items() if user[j] == u) for u in range(25)])
    n_positive, n_negative = len(positives), len(negatives)
    variance = (a**2).sum() / n_positive**2 + (b**2).sum() / n_negative**2 + 2 * (a * b).sum() / len(beats)
    parts = m.row_values("auc", y, p, scale=(0, 1), user=user)
    mean, error, groups, n = standard_error(parts, None, user)
    assert (groups, n) == (25, len(y))
    assert mean == pytest.approx(area, rel=1e-12)
    assert error == pytest.approx(np.sqrt(25 / 24 * variance), rel=1e-9)


@given(rows, st.integers(1, 12))
def test_calibration_agrees_with_scikit_learn(clicks: list[tuple[int, float, int]], bins: int) -> None:
    assume(clicks)
    y, p, _ = (np.array(column) for column in zip(*clicks, strict=True))
    found = m.calibration(y, p, bins=bins)
    positive, predicted = calibration_curve(y, p, n_bins=bins, strategy="uniform")
    assert [one.positive for one in found] == pytest.approx(positive.tolist())
    assert [one.predicted for one in found] == pytest.approx(predicted.tolist())
    assert sum(one.n for one in found) == len(clicks)
    assert sum(one.n * one.positive for one in found) == pytest.approx(y.sum())


def test_calibration_counts_rows_by_stretch() -> None:
    found = m.calibration([0, 1, 1, 0, 1], [0.05, 0.1, 0.95, 1.0, 0.35], bins=10)
    assert [(one.positive, one.n) for one in found] == [(0.5, 2), (1.0, 1), (0.5, 2)]
    assert [one.predicted for one in found] == pytest.approx([0.075, 0.35, 0.975])


@given(st.lists(st.tuples(st.floats(0.5, 5), st.floats(-2, 8)), min_size=1))
def test_ratings_agree_with_scikit_learn(ratings: list[tuple[float, float]]) -> None:
    y, p = (np.array(column) for column in zip(*ratings, strict=True))
    assert m.rmse(y, p) == pytest.approx(math.sqrt(mean_squared_error(y, p)), rel=1e-12)
    assert m.mae(y, p) == pytest.approx(mean_absolute_error(y, p), rel=1e-12)


def test_bce_by_hand() -> None:
    """Ratings 5 and 2.75 on 0.5..5 are y = 1 and .5; predictions 2.75 and 1.625 are p = .5 and .25."""
    expected = (-math.log(0.5) + -0.5 * math.log(0.25) - 0.5 * math.log(0.75)) / 2
    assert m.bce([5, 2.75], [2.75, 1.625], low=0.5, high=5) == pytest.approx(expected)
    certain = m.bce([5.0], [0.5], low=0.5, high=5)
    assert certain == pytest.approx(-math.log(np.finfo(np.float64).eps))


def test_a_constant_prediction_has_an_auc_of_one_half() -> None:
    assert m.auc([0, 1, 1, 0, 1], [0.7] * 5) == 0.5
    assert m.gauc([0, 1, 1, 0, 1], [0.7] * 5, [1, 1, 1, 2, 2]) == 0.5


def test_gauc_weighs_by_rows_and_leaves_out_users_of_one_class() -> None:
    label = [0, 1, 0, 1, 1, 1, 1]
    score = [0.1, 0.9, 0.8, 0.1, 0.5, 0.2, 0.3]
    user = [1, 1, 2, 2, 2, 3, 3]  # user 1: auc 1 on 2 rows; user 2: 0 on 3 rows; user 3: positives only
    assert m.gauc(label, score, user) == pytest.approx(2 / 5)


def test_what_cannot_be_measured_is_an_error() -> None:
    with pytest.raises(MatineeError, match="positive and negative"):
        m.auc([1, 1], [0.1, 0.2])
    with pytest.raises(MatineeError, match="a user with positive and negative"):
        m.gauc([1, 0], [0.1, 0.2], [1, 2])
    with pytest.raises(MatineeError, match="neither 0 nor 1"):
        m.logloss([0.5], [0.5])
    with pytest.raises(MatineeError, match="not a probability"):
        m.logloss([1], [1.5])
    with pytest.raises(MatineeError, match="row 1: prediction is not a finite number: nan"):
        m.rmse([1, 2], [1, math.nan])
    with pytest.raises(MatineeError, match="one prediction a label"):
        m.mae([1, 2], [1])
    with pytest.raises(MatineeError, match="one prediction a label"):
        m.rmse([], [])
    with pytest.raises(MatineeError, match="outside the scale"):
        m.bce([6], [3], low=0.5, high=5)
    with pytest.raises(MatineeError, match="not a rating scale"):
        m.bce([3], [3], low=5, high=5)
    with pytest.raises(MatineeError, match="1 users for 2 labels"):
        m.gauc([1, 0], [0.1, 0.2], [1])
    with pytest.raises(MatineeError, match="bins must be 1 or more, got 0"):
        m.calibration([1, 0], [0.1, 0.2], bins=0)
    with pytest.raises(MatineeError, match="not a probability"):
        m.calibration([1, 0], [3.0, 4.0])
