"""Buckets and parts of dates, against plain Python. The other kinds: test_features.py."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, date, datetime
from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.features.side_columns import Fields
from matinee.data.features.vocabulary import Bucketed, DatePart, date_part, moments
from matinee.errors import MatineeError


class TestBuckets:
    def test_few_numbers_have_a_bucket_each(self) -> None:
        ages = pl.Series("age", [50, 18, None, 25, 18, 25])
        field = Bucketed.fit(ages, 1, None)
        assert field.lower == (25.0, 50.0)
        assert field.labels == ("age<25", "age>=25", "age>=50")
        asked = pl.Series("age", [1.0, 18.0, 24.9, 25.0, 49.0, 50.0, 1e30, None, math.nan])
        assert field.encode(asked).tolist() == [1, 1, 1, 2, 2, 3, 3, 0, 0]
        assert field.encode(asked).dtype == np.int32

    def test_many_numbers_share_buckets_of_about_equal_size(self) -> None:
        numbers = np.random.default_rng(0).lognormal(size=4_001)
        field = Bucketed.fit(pl.Series("n", numbers), 1, 8)
        sizes = np.bincount(field.encode(pl.Series("n", numbers)))
        assert sizes[0] == 0
        assert len(sizes) == 9
        assert sizes[1:].min() >= 499
        assert sizes[1:].max() <= 502

    def test_a_number_that_most_rows_have_is_not_cut(self) -> None:
        numbers = [0] * 90 + list(range(1, 11))
        field = Bucketed.fit(pl.Series("n", numbers), 1, 4)
        codes = field.encode(pl.Series("n", numbers))
        assert len(set(codes[:90].tolist())) == 1

    @pytest.mark.parametrize("numbers", [[], [None, None], [3.5], [3.5] * 9])
    def test_nothing_to_cut(self, numbers: list[float | None]) -> None:
        field = Bucketed.fit(pl.Series("n", numbers, dtype=pl.Float64), 1, None)
        assert field.lower == ()
        assert field.labels == ("n is known",)
        assert field.encode(pl.Series("n", [7.0, None])).tolist() == [1, 0]

    def test_as_a_tables_field(self) -> None:
        table = pl.DataFrame({"age": [30, None, 50, 40]})
        fields = Fields.fit(table, {"age": "bucket"}, max_values=2)
        assert fields.labels == ("age<40", "age>=40")
        assert fields.encode(table).matrix().toarray().tolist() == [[1, 0], [0, 0], [0, 1], [0, 1]]
        assert Fields.from_dict(json.loads(json.dumps(fields.to_dict()))) == fields

    def test_infinite_numbers_are_refused_by_row(self) -> None:
        field = Bucketed.fit(pl.Series("age", [1.0, 2.0]), 1, None)
        for act in (field.encode, lambda column: Bucketed.fit(column, 1, None)):
            with pytest.raises(MatineeError, match=r"row 2, column 'age': inf"):
                act(pl.Series("age", [1.0, math.inf]))

    @pytest.mark.parametrize("lower", [[2.0, 1.0], [1.0, 1.0], [math.nan], ["1"], None])
    def test_limits_that_do_not_ascend_are_refused(self, lower: object) -> None:
        with pytest.raises(MatineeError, match="not a vocabulary"):
            Fields.from_dict({"fields": [{"kind": "bucket", "name": "a", "lower": lower}]})

    @settings(max_examples=100)
    @given(
        numbers=st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(-3, 3).map(float)), max_size=60),
        n=st.integers(1, 9),
    )
    def test_against_plain_python(self, numbers: list[float | None], n: int) -> None:
        column = pl.Series("n", numbers, dtype=pl.Float64)
        field = Bucketed.fit(column, 1, n)
        codes = field.encode(column).tolist()
        there = [number for number in numbers if number is not None]
        assert [code == 0 for code in codes] == [number is None for number in numbers]
        assert len(set(codes) - {0}) == len(field.lower) + bool(there) - (not there) * len(field.lower)
        pairs = sorted((x, c) for x, c in zip(numbers, codes, strict=True) if x is not None)
        assert [c for _, c in pairs] == sorted(c for _, c in pairs)
        assert all(sum(x >= low for low in field.lower) + 1 == c for x, c in pairs)
        assert len(field.lower) < n
        if len(set(there)) <= n:
            assert len(field.lower) == max(len(set(there)) - 1, 0)
        else:  # no bucket holds more than its share and the copies of its first number
            share, copies = -(-len(there) // n), Counter(there)
            assert max(Counter(c for _, c in pairs).values()) <= share + max(copies.values())


class TestDates:
    SECONDS = (0, 951_782_399, 951_868_800, 978_307_199, 978_307_200, 4_102_444_800)

    @pytest.mark.parametrize("part", get_args(DatePart))
    def test_moments_against_datetime(self, part: DatePart) -> None:
        found = date_part(moments(np.array([*self.SECONDS, -1])), part).to_list()
        for seconds, number in zip(self.SECONDS, found, strict=False):
            moment = datetime.fromtimestamp(seconds, UTC)
            wanted = {"weekday": moment.isoweekday(), "decade": moment.year - moment.year % 10}
            assert number == (wanted[part] if part in wanted else getattr(moment, part))
        assert found[-1] is None

    def test_days_and_years(self) -> None:
        days = pl.Series("released", [date(1999, 12, 31), None, date(2001, 2, 3)])
        assert date_part(days, "decade").to_list() == [1990, None, 2000]
        assert date_part(days, "month").to_list() == [12, None, 2]
        for years in (pl.Series("year", [1999, None, 2010]), pl.Series("year", [1999.0, math.nan, 2010.9])):
            assert date_part(years, "year").to_list() == [1999, None, 2010]
            assert date_part(years, "decade").to_list() == [1990, None, 2010]

    def test_what_has_no_such_part(self) -> None:
        with pytest.raises(MatineeError, match="has dates, which have no hour"):
            date_part(pl.Series("released", [date(1999, 1, 1)]), "hour")
        with pytest.raises(MatineeError, match="'year' has the type Int64, which has no month"):
            date_part(pl.Series("year", [1999]), "month")
        with pytest.raises(MatineeError, match=r"'released' has the type String(.|\n)*to_date"):
            date_part(pl.Series("released", ["1999-01-01"]), "year")

    def test_times_in_milliseconds_are_refused_by_row(self) -> None:
        with pytest.raises(MatineeError, match=r"row 2: .* after the year 9999"):
            moments(np.array([978_307_200, 978_307_200_000]))
