"""Side tables to arrays and back, against plain Python."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.samples import ml_100k, real
from matinee.data import side
from matinee.data.arrays import Ragged
from matinee.data.features.side_columns import Fields, kinds
from matinee.data.features.vocabulary import Categorical, Kind, MultiValued, Numbers, Numeric
from matinee.data.read.catalog import load
from matinee.data.read.log import read
from matinee.errors import MatineeError

PEOPLE = pl.DataFrame({"gender": ["F", "M", None, "M"], "age": [30, None, 50, 40]})
FILMS = pl.DataFrame(
    {
        "genres": [["Drama", "War"], ["Drama"], None, [], ["War", "Comedy", "War"]],
        "directors": [["Ann"], ["Bo", "Ann"], ["Cy"], None, ["Ann"]],
        "year": [1990.0, math.nan, 2000.0, None, 2010.0],
    }
)


def codes(encoded: Any, name: str) -> list[Any]:
    column = encoded.columns[name]
    if isinstance(column, Ragged):
        return [row.tolist() for row in (column[r] for r in range(len(column)))]
    assert not isinstance(column, Numbers)
    return list(column.tolist())


def numbers(encoded: Any, name: str) -> Numbers:
    column = encoded.columns[name]
    assert isinstance(column, Numbers)
    return column


class TestCategories:
    def test_codes_follow_code_points_and_nothing_is_0(self) -> None:
        fields = Fields.fit(PEOPLE, {"gender": "categorical"})
        assert fields.fields[0].labels == ("gender=F", "gender=M")
        encoded = fields.encode(PEOPLE)
        assert codes(encoded, "gender") == [1, 2, 0, 2]
        assert encoded.columns["gender"].dtype == np.int32  # type: ignore[union-attr]

    def test_a_value_never_seen_is_unknown(self) -> None:
        fields = Fields.fit(PEOPLE, {"gender": "categorical"})
        assert codes(fields.encode(pl.DataFrame({"gender": ["X", "F", "", None]})), "gender") == [0, 1, 0, 0]

    def test_rare_values_are_unknown(self) -> None:
        table = pl.DataFrame({"zip": ["10", "10", "20", "20", "20", "30"]})
        assert codes(Fields.fit(table, {"zip": "categorical"}, min_count=2).encode(table), "zip") == [1, 1, 2, 2, 2, 0]
        assert codes(Fields.fit(table, {"zip": "categorical"}, min_count=3).encode(table), "zip") == [0, 0, 1, 1, 1, 0]

    def test_of_too_many_values_the_frequent_ones_stay_and_equal_ones_go_by_code_point(self) -> None:
        table = pl.DataFrame({"zip": ["b", "c", "a", "d", "d"]})
        fields = Fields.fit(table, {"zip": "categorical"}, max_values=3)
        assert fields.fields[0].labels == ("zip=a", "zip=b", "zip=d")
        assert Fields.fit(table, {"zip": "categorical"}, max_values=0).labels == ()

    @pytest.mark.parametrize(
        "column",
        [
            pl.Series([7, 12, 7]),
            pl.Series([7.0, 12.0, 7.0]),
            pl.Series(["7", "12", "7"]),
            pl.Series(["7", "12", "7"], dtype=pl.Categorical),
            pl.Series([7, 12, 7], dtype=pl.UInt8),
        ],
        ids=lambda column: str(column.dtype),
    )
    def test_whole_numbers_are_the_same_in_every_type(self, column: pl.Series) -> None:
        fields = Fields.fit(pl.DataFrame({"job": [7, 12, 40]}), {"job": "categorical"})
        assert codes(fields.encode(pl.DataFrame({"job": column})), "job") == [3, 1, 3]  # "12" < "40" < "7"

    def test_a_missing_value_makes_integers_floats_elsewhere(self) -> None:
        fields = Fields.fit(pl.DataFrame({"job": [7, 12]}), {"job": "categorical"})
        floats = pl.DataFrame({"job": [7.0, math.nan, None, 7.5]})
        assert codes(fields.encode(floats), "job") == [2, 0, 0, 0]

    def test_booleans(self) -> None:
        table = pl.DataFrame({"adult": [True, False, None]})
        assert codes(Fields.fit(table).encode(table), "adult") == [2, 1, 0]


class TestLists:
    def test_a_row_of_distinct_codes_in_the_lists_order(self) -> None:
        fields = Fields.fit(FILMS, {"genres": "multi"})
        assert fields.labels == ("genres=Comedy", "genres=Drama", "genres=War")
        assert codes(fields.encode(FILMS), "genres") == [[2, 3], [2], [], [], [3, 1]]

    def test_unknown_values_share_one_0(self) -> None:
        fields = Fields.fit(FILMS, {"directors": "multi"}, min_count=2)
        assert codes(fields.encode(FILMS), "directors") == [[1], [0, 1], [0], [], [1]]
        new = pl.DataFrame({"directors": [["Di", "Ed", "Ann"], ["", None], None]})
        assert codes(fields.encode(new), "directors") == [[0, 1], [], []]

    def test_a_value_repeated_in_a_row_counts_once(self) -> None:
        table = pl.DataFrame({"tags": [["x", "x", "x"], ["y"], ["y"]]})
        assert Fields.fit(table, {"tags": "multi"}, min_count=2).labels == ("tags=y",)

    def test_lists_of_integers_and_fixed_width_arrays(self) -> None:
        fields = Fields.fit(pl.DataFrame({"cast": [[3, 9], [3]]}))
        assert fields.labels == ("cast=3", "cast=9")
        arrays = pl.DataFrame({"cast": pl.Series([[9, 3], [9, 4]], dtype=pl.Array(pl.Int64, 2))})
        assert codes(fields.encode(arrays), "cast") == [[2, 1], [2, 0]]

    def test_no_rows_and_no_values(self) -> None:
        fields = Fields.fit(FILMS, {"genres": "multi"})
        assert codes(fields.encode(FILMS.head(0)), "genres") == []
        nothing = pl.DataFrame({"genres": [None, None]})
        assert codes(fields.encode(nothing), "genres") == [[], []]
        assert Fields.fit(nothing, {"genres": "multi"}).labels == ()


class TestNumbers:
    def test_standardised_with_what_is_missing(self) -> None:
        fields = Fields.fit(FILMS, {"year": "numeric"})
        year = numbers(fields.encode(FILMS), "year")
        assert year.missing.tolist() == [False, True, False, True, False]
        root = math.sqrt(1.5)
        np.testing.assert_allclose(year.value, [-root, 0.0, 0.0, 0.0, root], rtol=1e-6)
        assert year.value.dtype == np.float32

    def test_a_constant_and_an_empty_column(self) -> None:
        table = pl.DataFrame({"a": [0.1] * 7, "b": [None] * 7})
        encoded = Fields.fit(table, {"a": "numeric", "b": "numeric"}).encode(table)
        assert numbers(encoded, "a").value.tolist() == [0.0] * 7
        assert numbers(encoded, "b").missing.all()

    def test_text_is_read_as_a_number(self) -> None:
        fields = Fields.fit(PEOPLE, {"age": "numeric"})
        asked = fields.encode(pl.DataFrame({"age": ["40", "", None]}))
        assert numbers(asked, "age").value.tolist() == [0.0, 0.0, 0.0]
        assert numbers(asked, "age").missing.tolist() == [False, True, True]

    @pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e300])
    def test_infinite_numbers_are_refused_by_row(self, bad: float) -> None:
        table = pl.DataFrame({"age": [1.0, None, bad]})
        with pytest.raises(MatineeError, match=r"row 3, column 'age': .* is not a finite number"):
            Fields.fit(table, {"age": "numeric"})
        with pytest.raises(MatineeError, match=r"row 3, column 'age'"):
            Fields.fit(PEOPLE).encode(table)

    def test_words_are_refused_by_row(self) -> None:
        with pytest.raises(MatineeError, match=r"row 2, column 'age': 'old' is not a finite number"):
            Fields.fit(PEOPLE).encode(pl.DataFrame({"age": ["1", "old"]}))


class TestKinds:
    def test_plain_kinds_are_found_and_the_rest_is_left_out(self) -> None:
        table = pl.DataFrame(
            {
                "title": ["A", "B", "C", "D"],
                "gender": ["F", "M", "M", "X"],
                "genres": [["x"], None, ["y"], []],
                "year": [1990, None, 2000, 2001],
                "tmdb_id": [1, 2, 3, 4],
                "adult": [True, False, None, True],
                "born": [None, None, None, None],
            }
        ).with_columns(seen=pl.date(2000, 1, 1), scores=pl.Series([[0.5]] * 4))
        assert kinds(table) == {"gender": "categorical", "genres": "multi", "year": "numeric", "adult": "categorical"}
        assert [field.name for field in Fields.fit(table).fields] == ["gender", "genres", "year", "adult"]

    def test_nothing_plain_is_ordinary(self) -> None:
        table = pl.DataFrame({"title": ["A", "B"]})
        fields = Fields.fit(table)
        assert fields.labels == ()
        assert fields.encode(table).matrix().shape == (2, 0)
        assert len(fields.encode(table)) == 2


class TestMatrix:
    def test_one_column_a_value_and_two_a_number(self) -> None:
        fields = Fields.fit(FILMS, min_count=2)
        assert fields.labels == ("genres=Drama", "genres=War", "directors=Ann", "year", "year is known")
        root = math.sqrt(1.5)
        wanted: list[list[float]] = [
            [1, 1, 1, -root, 1],
            [1, 0, 1, 0, 0],
            [0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0],
            [0, 1, 1, root, 1],
        ]
        matrix = fields.encode(FILMS).matrix()
        assert matrix.dtype == np.float32
        assert matrix.has_sorted_indices
        np.testing.assert_allclose(matrix.toarray(), wanted, rtol=1e-6)

    def test_categories(self) -> None:
        matrix = Fields.fit(PEOPLE, {"gender": "categorical"}).encode(PEOPLE).matrix()
        assert matrix.toarray().tolist() == [[1, 0], [0, 1], [0, 0], [0, 1]]

    def test_absent_columns_are_missing(self) -> None:
        fields = Fields.fit(FILMS)
        encoded = fields.encode(pl.DataFrame({"directors": [["Ann"]]}))
        assert codes(encoded, "genres") == [[]]
        assert numbers(encoded, "year").missing.tolist() == [True]
        assert encoded.matrix().toarray().sum() == 1.0


class TestRefusals:
    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"genre": "multi"}, "no column 'genre'\n.*did you mean genres"),
            ({"qqq": "multi"}, "use one of genres, directors, year"),
            ({"genres": "bag"}, "unknown kind 'bag' of column 'genres'"),
            ({"genres": "categorical"}, "has the type List.*read it as multi"),
            ({"genres": "numeric"}, "has the type List.*not numbers"),
            ({"year": "multi"}, "has the type Float64, not lists\n.*split"),
        ],
    )
    def test_columns_that_do_not_fit(self, columns: dict[str, Kind], said: str) -> None:
        with pytest.raises(MatineeError, match=f"(?s){said}"):
            Fields.fit(FILMS, columns)

    def test_limits(self) -> None:
        for wrong in ({"min_count": 0}, {"max_values": -1}):
            with pytest.raises(MatineeError, match="min_count = "):
                Fields.fit(FILMS, **wrong)  # type: ignore[arg-type]

    def test_a_table_of_something_else(self) -> None:
        with pytest.raises(MatineeError, match=r"none of the columns gender, age\n.*it has colour"):
            Fields.fit(PEOPLE).encode(pl.DataFrame({"colour": ["red"]}))

    def test_text_where_lists_were(self) -> None:
        with pytest.raises(MatineeError, match="column 'genres' has the type String, not lists"):
            Fields.fit(FILMS).encode(pl.DataFrame({"genres": ["Drama|War"]}))


class TestVocabulary:
    def test_as_json_and_back(self) -> None:
        fields = Fields.fit(FILMS.with_columns(good=pl.lit(True)), min_count=2)
        again = Fields.from_dict(json.loads(json.dumps(fields.to_dict())))
        assert again == fields
        assert [type(field) for field in again.fields] == [MultiValued, MultiValued, Numeric, Categorical]

    @pytest.mark.parametrize(
        "values",
        [
            None,
            [],
            {"fields": [{"kind": "numeric", "name": "a", "mean": 0.0, "scale": 0.0}]},
            {"fields": [{"kind": "numeric", "name": "a", "mean": math.nan, "scale": 1.0}]},
            {"fields": [{"kind": "numeric", "name": "a", "mean": "0", "scale": 1.0}]},
            {"fields": [{"kind": "pickle", "name": "a"}]},
            {"fields": [{"kind": "multi", "name": "a", "values": ["x", "x"]}]},
            {"fields": [{"kind": "multi", "name": "a", "values": ["x", ""]}]},
            {"fields": [{"kind": "multi", "name": "a", "values": [1]}]},
            {"fields": [{"kind": "multi", "name": "", "values": []}]},
            {"fields": [{"kind": "multi", "name": "a", "values": [], "more": 1}]},
            {"fields": [{"kind": "multi", "name": "a", "values": []}] * 2},
            {"fields": object()},
        ],
    )
    def test_anything_else_is_refused(self, values: Any) -> None:
        with pytest.raises(MatineeError, match="not a vocabulary"):
            Fields.from_dict(values)


TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "b", "é", "영화", "a b", "0"]), st.text(max_size=3))


@settings(max_examples=80)
@given(
    texts=st.lists(TEXTS, max_size=12),
    lists=st.lists(st.one_of(st.none(), st.lists(TEXTS, max_size=4)), max_size=12),
    floats=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), max_size=12),
    min_count=st.integers(1, 3),
    max_values=st.one_of(st.none(), st.integers(0, 3)),
)
def test_against_plain_python(
    texts: list[Any], lists: list[Any], floats: list[Any], min_count: int, max_values: int | None
) -> None:
    def known(rows: list[list[str]]) -> dict[str, int]:
        counts = Counter(value for row in rows for value in dict.fromkeys(row))
        order = sorted((-n, value) for value, n in counts.items() if n >= min_count)
        return {value: code + 1 for code, value in enumerate(sorted(value for _, value in order[:max_values]))}

    n = max(len(texts), len(lists), len(floats))
    texts, lists, floats = (column + [None] * (n - len(column)) for column in (texts, lists, floats))
    kind = {"t": pl.String(), "l": pl.List(pl.String), "f": pl.Float64()}
    table = pl.DataFrame({"t": texts, "l": lists, "f": floats}, schema=kind)
    columns: dict[str, Kind] = {"t": "categorical", "l": "multi", "f": "numeric"}
    fields = Fields.fit(table, columns, min_count=min_count, max_values=max_values)
    fields = Fields.from_dict(json.loads(json.dumps(fields.to_dict())))
    encoded = fields.encode(table)

    one = known([[text] for text in texts if text])
    assert codes(encoded, "t") == [one.get(text or "", 0) for text in texts]
    rows = [[value for value in row or [] if value] for row in lists]
    many = known(rows)
    assert codes(encoded, "l") == [list(dict.fromkeys(many.get(value, 0) for value in row)) for row in rows]
    number = numbers(encoded, "f")
    assert number.missing.tolist() == [value is None for value in floats]
    there = [value for value in floats if value is not None]
    if len(set(there)) > 1:
        z = number.value[~number.missing].astype(np.float64)
        assert abs(z.mean()) < 1e-5
        assert abs(z.std() - 1) < 1e-5
    backwards = fields.encode(table.reverse())
    assert codes(backwards, "t") == codes(encoded, "t")[::-1]
    assert codes(backwards, "l") == codes(encoded, "l")[::-1]
    shuffled = Fields.fit(table.reverse(), columns, min_count=min_count, max_values=max_values)
    assert shuffled.labels == fields.labels


class TestRealTables:
    def test_ml_1m(self) -> None:
        real("ml-1m/movies_extrainfos.dat")
        data = load("ml-1m", data_dir=real("ml-1m").parent)
        table = data.item_features
        assert table is not None
        fields = Fields.fit(table, min_count=5)
        by_name = {field.name: field for field in fields.fields}
        assert list(by_name) == ["year", "genres", "directors", "writers", "actors"]
        assert len(by_name["genres"].labels) == 18
        encoded = fields.encode(table)
        hitchcock = by_name["directors"].labels.index("directors=Alfred Hitchcock") + 1
        directors = encoded.columns["directors"]
        assert isinstance(directors, Ragged)
        said = [row is not None and "Alfred Hitchcock" in row for row in table["directors"].to_list()]
        assert [hitchcock in directors[r] for r in range(len(directors))] == said
        assert encoded.matrix().nnz < 40_000
        people = Fields.fit(data.user_features, min_count=20)  # type: ignore[arg-type]
        assert [field.name for field in people.fields] == ["gender", "age", "age_group", "occupation", "zip"]

    def test_kmrd_small_has_korean_names(self) -> None:
        folder = real("kmrd-small")
        films = side.gathered(pl.read_csv(folder / "genres.csv"), "movie", "genre", "genres")
        people = pl.read_csv(folder / "peoples.txt", separator="\t", quote_char=None)
        cast = pl.read_csv(folder / "castings.csv").join(people, on="people", how="left")
        films = side.joined(films, [side.gathered(cast, "movie", "korean", "actors")], "movie")
        data = read(folder / "rates.csv", items=films)
        fields = Fields.fit(data.item_features, min_count=3)  # type: ignore[arg-type]
        assert "genres=드라마" in fields.labels
        assert Fields.from_dict(json.loads(json.dumps(fields.to_dict()))) == fields

    def test_hetrec_has_thousands_of_directors(self) -> None:
        path = real("hetrec2011-movielens-2k") / "movie_directors.dat"
        names = ["film", "director", "name"]  # the file's own header lacks a tab
        table = pl.read_csv(path, separator="\t", quote_char=None, has_header=False, skip_rows=1, new_columns=names)
        films = side.gathered(table, "film", "name", "directors").drop("film")
        fields = Fields.fit(films)
        assert len(fields.labels) > 4_000
        directors = fields.encode(films).columns["directors"]
        assert isinstance(directors, Ragged)
        assert (directors.lengths == films["directors"].list.len().to_numpy()).all()
        assert directors.values.min() == 1
        assert fields.encode(films).matrix().nnz == len(directors.values)


def test_a_model_folder_holds_the_tables_in_code_order(tmp_path: Path) -> None:
    """What models fit their vocabulary from after loading is what they fitted it from before."""
    from matinee import store
    from matinee.models.ease import EASE

    data = read(ml_100k(tmp_path / "ml"))
    films = data.item_features
    assert films is not None
    data = replace(data, item_features=films.with_columns(kind=pl.Series(list("abcab"), dtype=pl.Categorical)))
    loaded = store.load_model(store.save_model(EASE().fit(data), tmp_path / "model", histories=False)).data
    for one, other in ((loaded.item_features, data.item_features), (loaded.user_features, data.user_features)):
        assert one is not None
        assert other is not None
        assert Fields.fit(one) == Fields.fit(other)
        matrices = [Fields.fit(table).encode(table).matrix().toarray() for table in (one, other)]
        assert matrices[0].tobytes() == matrices[1].tobytes()
