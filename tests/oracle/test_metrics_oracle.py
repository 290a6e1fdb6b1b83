"""Ranking metrics against a slow truth written from the definitions, and against trec_eval and scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable

import ir_measures
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from matinee.data.arrays import Ragged
from matinee.evaluate.metrics import CONVENTIONS, OF_HITS, find_hits, ranking

Lists = list[tuple[list[int], set[int]]]


def _gains(items: list[int], relevant: set[int], k: int) -> list[int]:
    """1 at each rank up to k that shows a relevant item for the first time."""
    return [int(i in relevant and i not in items[:r]) for r, i in enumerate(items[:k])]


def _dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _challenge_dcg(gains: list[int]) -> float:
    """The first rank counts whole, rank i from 2 on 1 / log2(i)."""
    return sum(gain if rank == 1 else gain / math.log2(rank) for rank, gain in enumerate(gains, start=1))


def _average_precision(gains: list[int]) -> float:
    return sum(sum(gains[:rank]) / rank for rank, gain in enumerate(gains, start=1) if gain)


SLOW: dict[str, Callable[[list[int], int, int], float]] = {
    "recall": lambda gains, n, k: sum(gains) / n,
    "recall_capped": lambda gains, n, k: sum(gains) / min(k, n),
    "hit_rate": lambda gains, n, k: float(sum(gains) > 0),
    "precision": lambda gains, n, k: sum(gains) / k,
    "ndcg": lambda gains, n, k: _dcg(gains) / _dcg([1] * min(k, n)),
    "recall_ndcg": lambda gains, n, k: (3 * sum(gains) / n + _dcg(gains) / _dcg([1] * min(k, n))) / 4,
    "mrr": lambda gains, n, k: max((1 / r for r, gain in enumerate(gains, start=1) if gain), default=0.0),
    "map": lambda gains, n, k: _average_precision(gains) / min(k, n),
    "disliked": lambda gains, n, k: sum(gains) / k,
    "r_precision": lambda gains, n, k: sum(gains[:n]) / n,
    "ndcg_challenge": lambda gains, n, k: _challenge_dcg(gains) / _challenge_dcg([1] * min(k, n)),
    "clicks": lambda gains, n, k: float(gains.index(1) // 10 if 1 in gains else k // 10 + 1),
}
OF_DISLIKES = ("disliked",)
"""Metrics whose gains are disliked items."""


@st.composite
def lists(draw: st.DrawFn, *, repeats: bool = True) -> Lists:
    """A few queries: recommended items (short ones, empty ones, perhaps with a repeat) and relevant items (0 to 12)."""
    codes = st.integers(0, 25)
    query = st.tuples(
        st.lists(codes, max_size=8, unique=not repeats),
        st.one_of(st.sets(codes, max_size=2), st.sets(codes, max_size=12)),
    )
    return draw(st.lists(query, min_size=1, max_size=6))


def arrays(queries: Lists, width: int = 8) -> tuple[np.ndarray, Ragged]:
    item = np.full((len(queries), width), -1, np.int32)
    for row, (items, _) in zip(item, queries, strict=True):
        row[: len(items)] = items
    return item, Ragged.from_lists([sorted(relevant, reverse=True) for _, relevant in queries])


@given(lists(), st.integers(1, 8), st.integers(1, 8))
@example([([3, 3, 1], {3, 1}), ([], {5}), ([1, 2], set())], 2, 8)
def test_every_metric_follows_its_definition(queries: Lists, k: int, other: int) -> None:
    item, truth = arrays(queries)
    bad = [{code for code in range(26) if code % 3 == row % 3} - rel for row, (_, rel) in enumerate(queries)]
    dislikes = Ragged.from_lists([sorted(codes) for codes in bad])
    values = ranking(item, truth, k=(k, other), metrics=list(OF_HITS), dislikes=dislikes)
    assert set(SLOW) == set(OF_HITS)
    for name, slow in SLOW.items():
        for cut in (k, other):
            expected = []
            for (items, rel), codes in zip(queries, bad, strict=True):
                gains = _gains(items, codes if name in OF_DISLIKES else rel, cut)
                expected.append(slow(gains, len(rel), cut) if rel else math.nan)
            np.testing.assert_allclose(values[name, cut], expected, rtol=1e-12, err_msg=f"{name}@{cut}")


@given(lists(repeats=False), st.integers(1, 8))
def test_trec_eval_agrees(queries: Lists, k: int) -> None:
    """ir-measures (trec_eval underneath). Scores fall strictly: trec_eval breaks ties by document name."""
    queries = [query for query in queries if all(query)]
    if not queries:
        return
    qrels = {str(q): {f"d{i}": 1 for i in relevant} for q, (_, relevant) in enumerate(queries)}
    run = {str(q): {f"d{i}": 100.0 - r for r, i in enumerate(items)} for q, (items, _) in enumerate(queries)}
    theirs = {
        "recall": ir_measures.R @ k,
        "precision": ir_measures.P @ k,
        "ndcg": ir_measures.nDCG @ k,
        "mrr": ir_measures.RR @ k,
        "map": ir_measures.AP(rel=1) @ k,
        "hit_rate": ir_measures.Success @ k,
    }
    item, truth = arrays(queries)
    ours = ranking(item, truth, k=k, metrics=list(CONVENTIONS["trec"].metrics), convention="trec")
    assert {metric for metric, _ in ours} == set(theirs)
    expected = {(str(m.measure), m.query_id): m.value for m in ir_measures.iter_calc(list(theirs.values()), qrels, run)}
    for name, measure in theirs.items():
        values = [expected[str(measure), str(q)] for q in range(len(queries))]
        np.testing.assert_allclose(ours[name, k], values, rtol=1e-9, err_msg=name)


@given(st.sets(st.integers(0, 11), min_size=1, max_size=12), st.permutations(range(12)), st.integers(1, 8))
def test_scikit_learn_agrees_on_ndcg(relevant: set[int], order: list[int], k: int) -> None:
    item, truth = arrays([(order[:8], relevant)])
    gains = np.zeros((1, 12))
    gains[0, list(relevant)] = 1
    score = np.zeros((1, 12))
    score[0, order] = np.arange(12, 0, -1)
    ours = ranking(item, truth, k=k, metrics=["ndcg"])["ndcg", k]
    np.testing.assert_allclose(ours, ndcg_score(gains, score, k=k), rtol=1e-12)


def test_many_queries_over_threads_equal_one_at_a_time() -> None:
    """Chunks of the compiled pass must not see each other's marks: 150,000 rows span three of them."""
    rng = np.random.default_rng(7)
    item = rng.integers(-1, 40, (150_000, 4), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 5, 150_000))])
    truth = Ragged(offsets, rng.integers(0, 40, offsets[-1], dtype=np.int32))
    whole = find_hits(item, truth)
    for b in rng.integers(0, 150_000, 300).tolist():
        row = item[b].tolist()
        relevant = set(truth[b].tolist())
        assert whole.hit[b].tolist() == [bool(g) for g in _gains(row, relevant, 4)]
        assert whole.relevant[b] == len(relevant)


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name != "matinee"])
def test_no_convention_depends_on_an_unlisted_rank(name: str) -> None:
    """How far a list is padded changes no number: lists of 4 at k = 6, in arrays 6 and 8 wide."""
    item, truth = arrays([([3, 9, 4, 1], {9, 1, 7}), ([2, 0, 8, 5], {8})])
    metrics = list(CONVENTIONS[name].metrics)
    short = ranking(item[:, :6], truth, k=6, metrics=metrics, convention=name)
    for key, value in ranking(item, truth, k=6, metrics=metrics, convention=name).items():
        np.testing.assert_array_equal(value, short[key])
