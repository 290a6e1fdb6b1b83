"""The metric of early stopping: its spelling, and its value against the public functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate.stopping import StoppingMetric, measure

USERS, ITEMS = IdMap(np.arange(3)), IdMap(np.arange(4))
LOG = Dataset(USERS, ITEMS, np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([1.0, 2.0, 4.0]))


class Fixed:
    """Prefers items by code; predicts half a point too much."""

    users, items, data = USERS, ITEMS, LOG

    def score(self, queries: mt.Queries) -> np.ndarray:
        return np.tile(np.array([4, 3, 2, 1], np.float32), (len(queries), 1))

    def fallback(self, queries: mt.Queries) -> np.ndarray:
        return np.zeros(len(queries), np.bool_)

    def predict(self, pairs: Pairs, queries: mt.Queries | None = None) -> np.ndarray:
        return np.full(len(pairs), 0.5, np.float32)


def holdout(truth: list[list[int]], label: list[float] | None) -> Holdout:
    rows = Ragged.from_lists(truth)
    user = rows.rows.astype(np.int32)
    pairs = Pairs(user, rows.values, user, label=None if label is None else np.array(label, np.float32))
    return Holdout(LOG.queries(), rows, Protocol("d", "s", "valid", "h", "e"), pairs)


@pytest.mark.parametrize("text", ["ndcg@10", "recall_capped@1", "map@100", "rmse", "mae", "logloss"])
def test_a_metric_is_read_and_written_alike(text: str) -> None:
    assert str(StoppingMetric.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ndgc@10", "did you mean ndcg"),
        ("rsme", "did you mean rmse"),
        ("", "use one of recall"),
        ("ndcg", 'write "ndcg@10"'),
        ("ndcg@", "cut-off of 1 or more"),
        ("ndcg@0", "cut-off of 1 or more"),
        ("ndcg@-1", "cut-off of 1 or more"),
        ("ndcg@1.5", "cut-off of 1 or more"),
        ("ndcg@²", "cut-off of 1 or more"),
        ("rmse@10", 'write "rmse"'),
    ],
)
def test_other_names_say_what_was_meant(text: str, says: str) -> None:
    with pytest.raises(MatineeError, match=says):
        StoppingMetric.parse(text)


def test_ranking_is_the_mean_over_queries_with_an_answer() -> None:
    # user 0 watched item 0, so item 1 comes first and item 3 third; user 2 has no answer
    valid = holdout([[3], [0], []], None)
    assert measure(Fixed(), valid, StoppingMetric.parse("ndcg@3")) == (1 / math.log2(4) + 1) / 2
    assert measure(Fixed(), valid, StoppingMetric.parse("recall@1")) == 0.5
    assert math.isnan(measure(Fixed(), holdout([[], [], []], None), StoppingMetric.parse("ndcg@3")))


def test_errors_have_a_minus() -> None:
    valid = holdout([[3], [0], []], [1, 0])
    assert measure(Fixed(), valid, StoppingMetric.parse("rmse")) == -0.5
    assert measure(Fixed(), valid, StoppingMetric.parse("logloss")) == pytest.approx(-math.log(2))
    for unmeasured in (holdout([[3], [0], []], None), holdout([[], [], []], [])):
        assert math.isnan(measure(Fixed(), unmeasured, StoppingMetric.parse("rmse")))
