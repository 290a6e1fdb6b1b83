"""What lists are like, against plain loops."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.data.features.attributes import attribute_in, history_shares
from matinee.evaluate.lists import calibration_error, coverage, intra_list_diversity
from oracle.listwise_checks import GENRES, N_ITEMS, cosine, slow_divergence, slow_shares

ATTRIBUTE = attribute_in(pl.Series("genres", GENRES, dtype=pl.List(pl.String)))


def drawn() -> list[list[int]]:
    """Lists of unequal length: with items 20 and 42, of which nothing is known, one of these alone, one empty."""
    rng = np.random.default_rng(2)
    rows = [rng.permutation(N_ITEMS)[: int(n)].tolist() for n in rng.integers(1, 9, 30)]
    return [*rows, [20, 5, 6], [20, 42], [42, 3], [7, 7 + 1], []]


ROWS = drawn()
ITEM = np.array([row + [-1] * (9 - len(row)) for row in ROWS], np.int32)


@pytest.mark.parametrize("k", [2, 4, 9])
def test_diversity_is_the_mean_over_pairs(k: int) -> None:
    found = intra_list_diversity(ITEM, ATTRIBUTE.unit_rows(), k)
    for row, value in zip(ROWS, found.tolist(), strict=True):
        known = [i for i in row[:k] if GENRES[i]]
        pairs = [1 - cosine(GENRES[i] or [], GENRES[j] or []) for i, j in combinations(known, 2)]
        wanted = math.fsum(pairs) / len(pairs) if pairs else math.nan
        assert value == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert 0 < np.isnan(found).sum() < len(ROWS) / 2


@pytest.mark.parametrize("k", [1, 4, 9])
def test_calibration_error_is_stecks(k: int) -> None:
    histories = [row[::-1] + row[:1] for row in ROWS[1:]] + [[20, 42, 42]]
    queries = Queries(np.full(len(ROWS), -1, np.int32), Ragged.from_lists(histories), Ragged.empty(len(ROWS)))
    shares = ATTRIBUTE.shares()
    target = history_shares(queries, shares)
    found = calibration_error(ITEM, target, shares, k)
    for b, (row, history) in enumerate(zip(ROWS, histories, strict=True)):
        p, q = slow_shares(history), slow_shares(row[:k])
        assert target[b].tolist() == pytest.approx([p.get(name, 0.0) for name in ATTRIBUTE.values])
        wanted = slow_divergence(p, q, 0.01) if p and q else math.nan
        assert found[b] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert 0 < np.isnan(found).sum() < len(ROWS) / 2


def test_coverage_counts_items_once() -> None:
    counts = np.array([3, 0, 1, 2, 5])
    item = np.array([[0, 2, 3], [2, 0, -1]], np.int32)
    assert coverage(item, counts, 1) == 2 / 4
    assert coverage(item, counts, 3) == 3 / 4
    assert coverage(np.zeros((0, 3), np.int32), counts, 3) == 0


def test_single_values_and_missing_cells() -> None:
    found = attribute_in(pl.Series("country", ["FR", None, "KR", "FR", ""]))
    assert found.values == ("FR", "KR")
    assert [row.tolist() for row in map(found.codes.__getitem__, range(5))] == [[0], [], [1], [0], []]
    numbers = attribute_in(pl.Series("year", [1995, 1990, None, 1995]))
    assert numbers.values == ("1990", "1995")
    assert numbers.shares().toarray().tolist() == [[0, 1], [1, 0], [0, 0], [0, 1]]
    lists = attribute_in(pl.Series("genres", [["b", "a", "b"], []], dtype=pl.List(pl.String)))
    assert lists.unit_rows().toarray()[0].tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    assert lists.shares().toarray().tolist() == [[0.5, 0.5], [0, 0]]
