"""Rating and click metrics against scikit-learn, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error, roc_auc_score

from matinee.errors import MatineeError
from matinee.evaluate import predictions as m

# few distinct scores, so that ties are common
rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.3, 0.30001, 0.9, 1.0]), st.integers(3, 6)))


@settings(deadline=None)
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


@settings(deadline=None)
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
