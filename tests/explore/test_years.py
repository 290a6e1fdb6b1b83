"""Release years against datetime and plain loops."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from explore_logs import by_user, make_log, rows_of, with_tables

from matinee.explore.years import release_years, year_figures


@pytest.mark.parametrize("seed", range(3))
def test_year_figures(seed: int) -> None:
    data = with_tables(make_log(seed), seed)
    found = year_figures(data)
    assert found is not None
    assert data.item_features is not None
    year = data.item_features["year"].to_list()
    dated = [(year[item], datetime.fromtimestamp(time, UTC).year) for _, item, _, time in rows_of(data)]
    known = [(release, when) for release, when in dated if release is not None]
    assert found.known == pytest.approx(len(known) / len(dated))
    there = [year[item] for item in set(data.item.tolist()) if year[item] is not None]
    assert dict(zip(found.year.tolist(), found.per_year.tolist(), strict=True)) == Counter(there)
    assert found.items.median == statistics.median(there)
    assert found.events.mean == pytest.approx(statistics.fmean(release for release, _ in known))
    ages = Counter(when - release for release, when in known)
    last = [row for rows in by_user(data).values() for row in rows[-5:]]
    last_ages = Counter(
        datetime.fromtimestamp(time, UTC).year - year[item] for _, item, _, time in last if year[item] is not None
    )
    assert found.ages is not None
    assert {a: n for a, n in zip(found.ages.age.tolist(), found.ages.counts.tolist(), strict=True) if n} == ages
    assert {a: n for a, n in zip(found.ages.age.tolist(), found.ages.last.tolist(), strict=True) if n} == last_ages
    assert found.last.n == sum(last_ages.values())
    assert found.fresh == pytest.approx((ages[0] + ages[1]) / len(known))
    assert found.fresh_last == pytest.approx((last_ages[0] + last_ages[1]) / sum(last_ages.values()))
    assert found.before == sum(n for age, n in ages.items() if age < 0) > 0
    table = Counter((str(when), release // 10 * 10) for release, when in known)
    assert found.table is not None
    for row, when in enumerate(found.when):
        for column, decade in enumerate(found.decades):
            assert found.table[row, column] == table[when, decade]
    assert found.table.sum() == len(known)


def test_months_where_there_are_few_years() -> None:
    data = with_tables(make_log())
    assert data.timestamp is not None
    early = data.rows(data.timestamp < 883_612_800 + 100 * 86_400)
    found = year_figures(early)
    assert found is not None
    assert early.timestamp is not None
    assert found.when == tuple(sorted({f"{datetime.fromtimestamp(t, UTC):%Y-%m}" for t in early.timestamp.tolist()}))


def test_without_times_or_years() -> None:
    data = with_tables(make_log())
    untimed = year_figures(replace(data, timestamp=None))
    assert untimed is not None
    assert (untimed.ages, untimed.age, untimed.fresh, untimed.when) == (None, None, None, ())
    beyond = year_figures(replace(data, timestamp=np.full(len(data), 10**17)))
    assert beyond is not None
    assert beyond.ages is None
    assert year_figures(make_log()) is None
    assert data.item_features is not None
    for column in ("unknown", None):
        table = data.item_features.with_columns(year=pl.lit(column))
        assert release_years(replace(data, item_features=table)) is None
