"""Ratings against plain loops."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from explore_logs import make_log, rows_of

from matinee.explore.ratings import rating_figures


@pytest.mark.parametrize("seed", range(4))
def test_rating_figures(seed: int) -> None:
    data = make_log(seed)
    found = rating_figures(data)
    assert found is not None
    of_user = defaultdict(list)
    for user, _, rating, _ in rows_of(data):
        of_user[user].append(rating)
    every = [rating for ratings in of_user.values() for rating in ratings]
    (commonest, times), *_ = Counter(every).most_common()
    assert (found.distinct, found.commonest) == (5, commonest)
    assert found.share == pytest.approx(times / len(every))
    means = [statistics.fmean(ratings) for ratings in of_user.values()]
    assert found.users.median == pytest.approx(statistics.median(means))
    assert found.users.n == len(means)
    middle = statistics.fmean(every)
    between = sum(len(of) * (statistics.fmean(of) - middle) ** 2 for of in of_user.values())
    assert found.between == pytest.approx(between / sum((x - middle) ** 2 for x in every))
    several = [ratings for ratings in of_user.values() if len(ratings) > 1]
    assert found.alike == pytest.approx(sum(len(set(ratings)) == 1 for ratings in several) / len(several))
    assert not found.binary
    assert not found.constant


def test_few_levels() -> None:
    data = make_log()
    constant = rating_figures(replace(data, value=np.full(len(data), 3, np.float32)))
    assert constant is not None
    assert (constant.constant, constant.between, constant.alike) == (True, None, 1.0)
    binary = rating_figures(replace(data, value=(np.arange(len(data)) % 3 == 0).astype(np.float32)))
    assert binary is not None
    assert binary.binary
    assert binary.share == pytest.approx(2 / 3)


def test_without_ratings() -> None:
    data = make_log()
    assert rating_figures(replace(data, value=None)) is None
    assert rating_figures(data.rows(np.zeros(0, np.int64))) is None


def test_the_lowest_of_equally_common_ratings() -> None:
    found = rating_figures(replace(make_log(n=4), value=np.array([5, 2, 2, 5], np.float32)))
    assert found is not None
    assert (found.commonest, found.share) == (2.0, 0.5)
