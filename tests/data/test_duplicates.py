"""Repeated events of a user and an item, where events have weights or kinds, against a plain loop over rows."""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeWarning

KINDS = {"column": "event", "weights": {"view": 1, "cart": 2, "purchase": 4}}
Row = tuple[str, str, str, int]  # user, item, kind, time


def rows(n: int = 200) -> list[Row]:
    rng = np.random.default_rng(5)
    names = list(KINDS["weights"])
    return [
        (f"u{rng.integers(3)}", f"i{rng.integers(4)}", names[rng.integers(3)], int(rng.integers(6)) + 1_500_000_000)
        for _ in range(n)
    ]


def read(events: list[Row], how: str) -> tuple[mt.Dataset, list[str]]:
    columns = dict(zip(("user", "item", "event", "time"), map(list, zip(*events, strict=True)), strict=True))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = mt.read(columns, kinds=KINDS, duplicates=how)  # type: ignore[arg-type]
    return data, [str(each.message) for each in caught if issubclass(each.category, MatineeWarning)]


def plainly(events: list[Row], how: str) -> list[tuple[str, str, int, float]]:
    """(user, item, time, weight) of the events that stay, by the rule as it is written down."""
    weight: dict[str, float] = KINDS["weights"]  # type: ignore[assignment]
    groups: dict[Any, list[tuple[int, Row]]] = defaultdict(list)
    for number, row in enumerate(events):
        groups[row[:2] if how != "distinct" else (*row[:2], row[3])].append((number, row))
    kept = []
    for members in groups.values():
        second = {"first": min, "last": max, "distinct": min}[how](row[3] for _, row in members)
        there = [each for each in members if each[1][3] == second]
        most = max(weight[row[2]] for _, row in there)
        best = [each for each in there if weight[each[1][2]] == most]
        kept.append(best[-1] if how == "last" else best[0])
    return sorted((user, item, time, weight[kind]) for _, (user, item, kind, time) in kept)


def events_of(data: mt.Dataset) -> list[tuple[Any, ...]]:
    assert data.timestamp is not None
    assert data.weight is not None
    users, items = data.users.decode(data.user), data.items.decode(data.item)
    return sorted(zip(users, items, data.timestamp.tolist(), data.weight.tolist(), strict=True))


@pytest.mark.parametrize("how", ["distinct", "last", "first"])
def test_of_one_second_the_largest_weight_stays(how: str) -> None:
    data, _ = read(rows(), how)
    assert events_of(data) == plainly(rows(), how)


def test_a_purchase_in_the_second_of_a_view_is_kept_and_the_view_counted() -> None:
    events = [("u", "a", "view", 100), ("u", "a", "purchase", 100), ("u", "b", "view", 100), ("u", "b", "view", 100)]
    data, told = read(events, "distinct")
    assert events_of(data) == [("u", "a", 100, 4.0), ("u", "b", 100, 1.0)]
    (lost,) = (text for text in told if "left out" in text)
    assert "1 event left out as a repeat with another weight" in lost
    assert 'duplicates="sum" adds weights up' in lost


def test_sum_loses_no_weight_and_says_nothing_of_it() -> None:
    data, told = read(rows(), "sum")
    whole, _ = read(rows(), "keep")
    assert data.weight is not None
    assert whole.weight is not None
    assert data.weight.sum() == whole.weight.sum()
    assert not [text for text in told if "left out" in text]


@pytest.mark.parametrize(
    ("ratings", "said"),
    [([1, 10, 7, 9], True), ([0.5, 4.5, 3, 5], True), ([1, 1, 1, 1], False), ([1, 250, 3, 9], False)],
)
def test_ratings_of_a_scale_that_are_summed_are_a_warning(ratings: list[float], said: bool) -> None:
    log = {"user": [1, 1, 1, 2], "item": [1, 1, 1, 1], "rating": ratings}
    if not said:
        with warnings.catch_warnings():
            warnings.simplefilter("error", MatineeWarning)
            mt.read(log, duplicates="sum")
        return
    total = sum(ratings[:3])
    low, high = min(ratings[3], total), max(ratings[3], total)
    with pytest.warns(MatineeWarning, match=f'they now go from {low:g} to {high:g}; on a scale, duplicates="last"'):
        data = mt.read(log, duplicates="sum")
    assert data.value is not None
    assert data.value.tolist() == [total, ratings[3]]
