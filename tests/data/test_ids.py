"""External ids <-> codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.data.ids import Id, IdMap
from matinee.errors import MatineeError

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
columns = st.lists(integers | st.integers(-5, 20), max_size=30) | st.lists(texts, max_size=30)


def series(ids: list[int] | list[str]) -> pl.Series:
    return pl.Series(ids, dtype=pl.String if ids and isinstance(ids[0], str) else pl.Int64)


class TestFromSeries:
    @given(columns, st.randoms())
    def test_codes_do_not_depend_on_the_order_of_rows(self, ids: list[Any], random: Any) -> None:
        shuffled = list(ids)
        random.shuffle(shuffled)
        one, other = IdMap.from_series(series(ids)), IdMap.from_series(series(shuffled))
        assert one == other
        assert one.ids.tolist() == sorted(set(ids))

    @given(columns)
    def test_round_trip(self, ids: list[int] | list[str]) -> None:
        known = IdMap.from_series(series(ids))
        codes = known.encode(series(ids))
        assert codes.dtype == np.int32
        assert known.decode(codes) == ids
        assert [known.code(i) for i in ids] == codes.tolist()
        assert known.series.to_list() == known.ids.tolist()

    def test_several_columns_make_one_map(self) -> None:
        known = IdMap.from_series(pl.Series([30, 2]), pl.Series([7, 2], dtype=pl.UInt8))
        assert known.ids.tolist() == [2, 7, 30]
        assert known.ids.dtype == np.int64

    def test_integers_sort_by_value_and_text_by_code_point(self) -> None:
        assert IdMap.from_series(pl.Series([10, 9, -1])).ids.tolist() == [-1, 9, 10]
        assert IdMap.from_series(pl.Series(["10", "9", "é", "Z", "a"])).ids.tolist() == ["10", "9", "Z", "a", "é"]

    @pytest.mark.parametrize(
        ("given_series", "words"),
        [
            ([pl.Series([1]), pl.Series(["1"])], "integer in one table and text in another"),
            ([pl.Series([1, None])], "empty"),
            ([pl.Series(["a", None])], "empty"),
            ([pl.Series(["a", ""])], "empty"),
            ([pl.Series([2**63], dtype=pl.UInt64)], "64-bit"),
            ([pl.Series([[1]])], "neither text"),
        ],
    )
    def test_what_is_no_id_is_refused(self, given_series: list[pl.Series], words: str) -> None:
        with pytest.raises(MatineeError, match=words) as refusal:
            IdMap.from_series(*given_series, what="film")
        assert "film" in str(refusal.value)


class TestConstructor:
    def test_keeps_its_own_frozen_copy(self) -> None:
        ids = np.array([1, 5])
        known = IdMap(ids)
        ids[0] = 99
        assert known.ids.tolist() == [1, 5]
        with pytest.raises(ValueError, match="read-only"):
            known.ids[0] = 3

    def test_text_of_any_kind_becomes_objects(self) -> None:
        assert not IdMap(np.array(["a", "b"])).is_integer
        assert IdMap(["a", "b"]) == IdMap.from_series(pl.Series(["b", "a"]))

    @pytest.mark.parametrize("ids", [[2, 1], [1, 1], ["b", "a"], ["a", "a"]])
    def test_unsorted_or_repeated_is_refused(self, ids: list[Id]) -> None:
        with pytest.raises(MatineeError, match="not sorted and distinct"):
            IdMap(ids)

    @pytest.mark.parametrize("ids", [[1.5], ["a", None], ["", "a"], np.array([1, "b"], object)])
    def test_other_types_are_refused(self, ids: list[Id]) -> None:
        with pytest.raises(MatineeError, match="neither all integers nor all text"):
            IdMap(ids)

    def test_equality_tells_integers_from_text(self) -> None:
        assert IdMap([1, 2]) != IdMap(["1", "2"])
        assert IdMap([1, 2]) == IdMap([1, 2], what="user")
        assert IdMap([1, 2]) != IdMap([1, 3])
        assert IdMap([1, 2]) != [1, 2]


class TestEncodeAndFind:
    NUMBERS = IdMap([-5, 1, 7, 12])
    TEXT = IdMap(["007", "12", "7", "x"])

    @pytest.mark.parametrize(
        ("external", "code"),
        [
            *[("12", 3), (" 12 ", 3), (12, 3), ("-5", 0)],
            *[("007", -1), ("+7", -1), ("7.0", -1), ("--5", -1), ("-", -1), ("", -1), ("x", -1), ("٧", -1)],
            *[("1" * 400, -1), (2**70, -1), (8, -1)],
        ],
    )
    def test_text_finds_an_integer_in_its_usual_spelling(self, external: Id, code: int) -> None:
        assert self.NUMBERS.find(external) == code
        if isinstance(external, str):
            assert self.NUMBERS.encode(pl.Series([external])).tolist() == [code]

    def test_integers_find_their_text(self) -> None:
        assert [self.TEXT.find(i) for i in (7, 12, 13, "007", "x", "y")] == [2, 1, -1, 0, 3, -1]
        assert self.TEXT.encode(pl.Series([7, 12, 13])).tolist() == [2, 1, -1]

    def test_columns_of_other_types(self) -> None:
        assert self.NUMBERS.encode(pl.Series([1.0, 1.5, None, 7.0])).tolist() == [1, -1, -1, 2]
        assert self.NUMBERS.encode(pl.Series([2**63, 7], dtype=pl.UInt64)).tolist() == [-1, 2]
        assert self.NUMBERS.encode(pl.Series([7, None], dtype=pl.Int8)).tolist() == [2, -1]
        assert self.TEXT.encode(pl.Series(["x", None])).tolist() == [3, -1]
        assert self.TEXT.encode(pl.Series([], dtype=pl.String)).tolist() == []

    def test_an_unknown_id_lists_near_misses(self) -> None:
        titles = IdMap(["Heat", "Heaven", "Up"], what="item")
        with pytest.raises(MatineeError, match=r"unknown item 'Haet'(.|\n)*Heat"):
            titles.code("Haet")
        with pytest.raises(MatineeError, match=r"unknown item 999(.|\n)*one of the 3 items"):
            titles.code(999)

    def test_decoding_nothing(self) -> None:
        assert self.NUMBERS.decode([]) == []
        assert self.NUMBERS.decode([3, 0]) == [12, -5]
