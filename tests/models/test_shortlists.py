"""Shortlists: the k best of a weighted sum, as ranking all items finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.models.families.fusion import MemberScores, PrecomputedScorer
from matinee.models.families.fusion_weights import AnsweredBlock
from matinee.models.families.shortlists import Shortlists
from matinee.rank import recommend


@dataclass
class Model:
    users: IdMap
    items: IdMap

    def score(self, queries: Queries) -> Floats:
        raise AssertionError("its scores are known")

    def fallback(self, queries: Queries) -> Bools:
        return np.zeros(len(queries), np.bool_)


def block_of(
    rng: np.random.Generator, n: int = 5, n_items: int = 400, members: int = 2, *, ties: bool = False, k: int = 3
) -> tuple[Model, AnsweredBlock]:
    """Members that agree in part; a few items cannot be scored, some are excluded."""
    common = rng.normal(size=(n, n_items))
    scores = [(common + rng.normal(size=(n, n_items))).astype(np.float32) for _ in range(members)]
    if ties:
        scores = [np.round(each) for each in scores]
    known = MemberScores(scores, rng.random((n, n_items)) < 0.95)
    exclude = Ragged.from_lists([np.sort(rng.choice(n_items, rng.integers(0, 40), replace=False)) for _ in range(n)])
    model = Model(IdMap(np.arange(n)), IdMap(np.arange(n_items)))
    queries = Queries(np.arange(n, dtype=np.int32), Ragged.empty(n), exclude)
    return model, AnsweredBlock(queries, Ragged.empty(n), known, Shortlists.of(known, exclude, k))


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30), st.booleans(), st.integers(1, 4))
def test_the_best_are_those_of_all_items(seed: int, k: int, ties: bool, members: int) -> None:
    rng = np.random.default_rng(seed)
    model, block = block_of(rng, ties=ties, members=members, k=k)
    for weights in (*np.eye(members), np.full(members, 1 / members), rng.dirichlet(np.ones(members))):
        whole = recommend(PrecomputedScorer(model, block.known.mixed(weights)), block.queries, k).item
        np.testing.assert_array_equal(block.best(model, weights, k), whole)


def test_they_are_few_and_say_whether_they_are_enough() -> None:
    rng = np.random.default_rng(0)
    _, block = block_of(rng, n=40, n_items=5000, members=3)
    assert block.shortlists is not None
    assert 32 < block.shortlists.item.shape[1] <= 3 * 32
    _, sure = block.shortlists.best(np.full(3, 1 / 3), 3)
    assert sure.mean() > 0.8
    # members that do not agree at all: items in the middle of each list may have the best sum
    opposite = np.linspace(0, 1, 5000, dtype=np.float32)[None]
    known = MemberScores([opposite, -(opposite**2)], np.ones((1, 5000), np.bool_))
    lists = Shortlists.of(known, Ragged.empty(1), 3)
    assert lists is not None
    assert not lists.best(np.array([0.5, 0.5]), 3)[1].any()


def test_a_query_with_few_items_left_has_them_all_listed() -> None:
    scores = np.random.default_rng(1).normal(size=(1, 900)).astype(np.float32)
    scorable = np.zeros((1, 900), np.bool_)
    scorable[0, [7, 300, 301]] = True
    lists = Shortlists.of(MemberScores([scores], scorable), Ragged.from_lists([[300]]), 4)
    assert lists is not None
    found, sure = lists.best(np.ones(1), 4)
    assert (sorted(found[0, :2].tolist()), found[0, 2:].tolist(), sure.tolist()) == ([7, 301], [-1, -1], [True])


def test_where_most_of_the_catalogue_would_be_listed_there_are_none_and_nan_is_refused() -> None:
    rng = np.random.default_rng(2)
    assert block_of(rng, n_items=400, k=200)[1].shortlists is None
    bad = rng.normal(size=(2, 900)).astype(np.float32)
    bad[1, 5] = np.nan
    with pytest.raises(MatineeError, match="NaN"):
        Shortlists.of(MemberScores([bad], np.ones((2, 900), np.bool_)), Ragged.empty(2), 3)
