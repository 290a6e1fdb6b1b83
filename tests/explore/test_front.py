"""Fronts: a row a lam equals measuring that model by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from contract.logs import groups
from matinee import split as splits
from matinee.data.dataset import Split
from matinee.data.features.attributes import attribute_of, history_shares
from matinee.errors import MatineeError
from matinee.evaluate import evaluate
from matinee.evaluate.lists import calibration_error, intra_list_diversity
from matinee.explore.front import front
from matinee.models.calibrated import Calibrated
from matinee.models.ease import EASE
from matinee.models.popularity_discount import PopularityDiscount
from matinee.rank import recommend
from matinee.rules import Rules


@pytest.fixture(scope="module")
def split() -> Split:
    data = groups()
    genres = [["a", "b"][: 1 + code % 2] if code % 3 else ["c"] for code in range(data.n_items)]
    table = pl.DataFrame({"genres": pl.Series(genres, dtype=pl.List(pl.String))})
    return splits.random(replace(data, item_features=table), valid=0.2, test=0.2, seed=2)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_each_row_is_that_model_measured(part: str, split: Split) -> None:
    model = Calibrated(base="ease", n=30, places=5)
    points = front(model, split, [0.0, 0.5, 0.9], part=part, metric="recall", k=5)  # type: ignore[arg-type]
    holdout, attribute = getattr(split, part), attribute_of(split.train, "genres")
    assert points["lam"].to_list() == [0.0, 0.5, 0.9]
    for row in points.to_dicts():
        one = Calibrated(base=EASE(), n=30, places=5, lam=row["lam"]).fit(split.train)
        recs = recommend(one, holdout.queries, 5)
        mean = evaluate(recs, holdout, k=5, metrics=["recall"]).mean("recall", 5)
        assert (row["model"], row["recall@5"], row["ci_low"]) == ("calibrated", mean.value, mean.low)
        given = recs.item[recs.item >= 0]
        counts = split.train.item_counts()
        assert row["coverage"] == len(set(given.tolist())) / np.count_nonzero(counts)
        diversity = intra_list_diversity(recs.item, attribute.unit_rows(), 5)
        assert row["diversity"] == pytest.approx(np.nanmean(diversity))
        target = history_shares(holdout.queries, attribute.shares())
        error = calibration_error(recs.item, target, attribute.shares(), 5)
        assert row["calibration_error"] == pytest.approx(np.nanmean(error))
        order = sorted(range(len(counts)), key=lambda i: (counts[i], i))
        rank = [order.index(i) / (len(counts) - 1) for i in given]
        assert row["mean_popularity"] == pytest.approx(sum(rank) / len(rank))
    assert points["calibration_error"].is_sorted(descending=True)
    assert points["calibration_error"].n_unique() == 3


def test_a_fitted_base_is_taken_over_and_rules_hold(split: Split) -> None:
    base = EASE(l2=9.0).fit(split.train)
    model = PopularityDiscount(base=base, n=30)
    plain = front(model, split, [0.0, 0.8], k=5, column=None)
    assert "diversity" not in plain.columns
    ruled = front(model, split, [0.0, 0.8], k=5, column=None, rules=Rules(where='"c" not in genres'))
    assert (ruled["coverage"] < plain["coverage"]).all()
    assert plain["mean_popularity"][1] < plain["mean_popularity"][0]
    (first,) = front(model, split, [0.0], k=5)["ndcg@5"]
    assert first == evaluate(recommend(base, split.valid.queries, 5), split.valid, k=5).mean("ndcg", 5).value


def test_what_has_no_lam_or_no_column_is_refused(split: Split) -> None:
    with pytest.raises(MatineeError, match="EASE does not order lists by a lam"):
        front(EASE(), split)
    with pytest.raises(MatineeError, match="no column 'genre'") as error:
        front(PopularityDiscount(base="ease"), split, [0.0], column="genre")
    assert str(error.value).endswith('name another by column="NAME", or leave diversity out by column=None')
