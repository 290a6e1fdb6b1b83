"""Conventions by hand, bad input, and the registry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matinee.data.arrays import Ragged
from matinee.errors import MatineeError
from matinee.evaluate.metrics import CONVENTIONS, METRICS, names, ranking

D = [1 / math.log2(r + 1) for r in range(1, 6)]  # discounts of ranks 1 to 5

# Query A: hits at ranks 2 and 3 of 4, three relevant. Query B: a list of two, hit at rank 1, one relevant. k = 4.
ITEM = np.array([[10, 1, 2, 11], [5, 12, -1, -1]], np.int32)
TRUTH = Ragged.from_lists([[1, 2, 3], [5]])
AP_A, AP_B = 1 / 2 + 2 / 3, 1.0
DCG_A, DCG_B = D[1] + D[2], D[0]

BY_HAND = {
    ("matinee", "recall"): (2 / 3, 1),
    ("matinee", "recall_capped"): (2 / 3, 1),
    ("matinee", "precision"): (2 / 4, 1 / 4),
    ("matinee", "ndcg"): (DCG_A / sum(D[:3]), 1),
    ("matinee", "recall_ndcg"): (0.75 * 2 / 3 + 0.25 * DCG_A / sum(D[:3]), 1),
    ("matinee", "map"): (AP_A / 3, 1),
    ("trec", "map"): (AP_A / 3, 1),
    ("trec", "ndcg"): (DCG_A / sum(D[:3]), 1),
    ("rectools", "precision"): (2 / 4, 1 / 4),
    ("rectools", "ndcg"): (DCG_A / sum(D[:4]), DCG_B / sum(D[:4])),
    ("rectools", "map"): (AP_A / 3, 1),
    ("implicit", "precision"): (2 / 3, 1),
    ("implicit", "ndcg"): (DCG_A / sum(D[:3]), 1),
    ("implicit", "map"): (AP_A / 3, 1),
    ("lenskit", "precision"): (2 / 4, 1 / 2),
    ("lenskit", "recall"): (2 / 3, 1),
    ("lenskit", "ndcg"): ((1 + 1 / math.log2(3)) / (1 + 1 + 1 / math.log2(3)), 1),
    ("lenskit", "map"): (AP_A / 3, 1),
    ("recbole", "ndcg"): (DCG_A / sum(D[:3]), 1),
    ("recbole", "precision"): (2 / 4, 1 / 4),
    ("librecommender", "ndcg"): (DCG_A / sum(D[:2]), 1),
    ("librecommender", "map"): (AP_A / 2, 1),
    ("autoint_study", "ndcg"): (DCG_A / sum(D[:3]), 1),
    ("autoint_study", "hit_rate"): (2 / 3, 1),
}


@pytest.mark.parametrize(("convention", "metric"), BY_HAND)
def test_a_convention_gives_the_number_worked_out_by_hand(convention: str, metric: str) -> None:
    value = ranking(ITEM, TRUTH, k=4, metrics=[metric], convention=convention)[metric, 4]
    np.testing.assert_allclose(value, BY_HAND[convention, metric], rtol=1e-12)


def test_conventions_part_where_more_is_relevant_than_k() -> None:
    """k = 2, four relevant, hits at both ranks."""
    item, truth = np.array([[1, 2]], np.int32), Ragged.from_lists([[1, 2, 3, 4]])
    expected = {
        ("matinee", "recall"): 0.5,
        ("lenskit", "recall"): 1.0,
        ("matinee", "recall_capped"): 1.0,
        ("matinee", "recall_ndcg"): 0.75 * 0.5 + 0.25,
        ("matinee", "map"): 1.0,
        ("implicit", "map"): 1.0,
        ("recbole", "map"): 1.0,
        ("lenskit", "map"): 1.0,
        ("trec", "map"): 0.5,
        ("rectools", "map"): 0.5,
        ("matinee", "ndcg"): 1.0,
        ("autoint_study", "ndcg"): (D[0] + D[1]) / sum(D[:4]),
        ("autoint_study", "hit_rate"): 0.5,
        ("matinee", "hit_rate"): 1.0,
    }
    for (convention, metric), value in expected.items():
        assert ranking(item, truth, k=2, metrics=[metric], convention=convention)[metric, 2] == pytest.approx([value])


def test_the_autoint_study_divides_by_the_gain_of_all_positives() -> None:
    """In plain loops: natural logarithms; the gain of the list over the gain of all positives in front."""

    def gain(listed: list[int], positives: list[int]) -> float:
        return sum(1 / math.log(place + 2) for place, item in enumerate(listed) if item in positives)

    rng = np.random.default_rng(5)
    lists = [rng.permutation(30)[:10].tolist() for _ in range(20)]
    positives = [rng.permutation(30)[: 1 + row].tolist() for row in range(20)]
    found = ranking(
        np.array(lists, np.int32),
        Ragged.from_lists(positives),
        k=10,
        metrics=["ndcg", "hit_rate"],
        convention="autoint_study",
    )
    ndcg = [gain(a, b) / gain(b, b) for a, b in zip(lists, positives, strict=True)]
    np.testing.assert_allclose(found["ndcg", 10], ndcg, rtol=1e-12)
    hit_rate = [len(set(a) & set(b)) / len(b) for a, b in zip(lists, positives, strict=True)]
    np.testing.assert_allclose(found["hit_rate", 10], hit_rate, rtol=1e-12)


def test_librecommender_scores_an_empty_hand_zero_and_lenskit_an_empty_list_not_at_all() -> None:
    item, truth = np.array([[7, 8], [-1, -1]], np.int32), Ragged.from_lists([[1], [1]])
    for metric in ("ndcg", "map"):
        value = ranking(item, truth, k=2, metrics=[metric], convention="librecommender")[metric, 2]
        assert value.tolist() == [0, 0]
    assert np.isnan(
        ranking(item, truth, k=2, metrics=["precision"], convention="lenskit")["precision", 2]
    ).tolist() == [
        False,
        True,
    ]


def test_every_convention_and_metric_says_where_it_comes_from() -> None:
    assert all(convention.source for convention in CONVENTIONS.values())
    for convention in CONVENTIONS.values():
        assert all(compute.__doc__ for compute in convention.metrics.values())
    assert names() == list(METRICS)
    assert names("implicit") == ["ndcg", "map", "precision"]


def test_a_repeated_item_hits_once_and_a_repeated_answer_counts_once() -> None:
    value = ranking(np.array([[4, 4, 4]]), Ragged.from_lists([[4, 4, 9]]), k=3, metrics=["recall", "precision"])
    assert value["recall", 3].tolist() == [0.5]
    assert value["precision", 3].tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize(
    ("metric", "convention", "message"),
    [
        ("ndgc", "matinee", "did you mean ndcg"),
        ("recal_ndcg", "matinee", "did you mean recall_ndcg"),
        ("recall_ndcg", "trec", "convention 'trec'"),
        ("recall", "implicit", "convention 'implicit'"),
        ("recall", "rectool", "did you mean rectools"),
    ],
)
def test_an_unknown_name_is_an_error_with_near_misses(metric: str, convention: str, message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        ranking(ITEM, TRUTH, k=2, metrics=[metric], convention=convention)


def test_rows_that_do_not_match_and_negative_answers_are_errors() -> None:
    with pytest.raises(MatineeError, match="do not answer 1 queries"):
        ranking(ITEM, Ragged.from_lists([[1]]), k=1)
    with pytest.raises(MatineeError, match="negative item code"):
        ranking(ITEM, Ragged.from_lists([[1], [-1]]), k=1)
