"""Fields of context models against plain Python, on a log with gaps and on MovieLens."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.samples import real
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.context import MISSING, RESERVED, UNKNOWN, ContextFields, default_names, tables_of
from matinee.data.features.requests import ContextTables, EncodedFields, RequestFeatures
from matinee.data.ids import IdMap
from matinee.data.read.catalog import load
from matinee.errors import MatineeError

STUDY = [
    *("user", "user.gender", "user.age:categorical", "user.occupation", "user.zip"),
    *("time.year", "time.month", "time.decade"),
    *("item", "item.year:categorical", "item.year:decade", "item.genres[0]", "item.genres[1]", "item.genres[2]"),
]
"""The 14 fields of the AutoInt+ study."""

NOON = [946_728_000 + 86_400 * 40 * day for day in range(7)]  # from 2000-01-01 12:00 UTC, 40 days apart


def small() -> Dataset:
    """User 3 and items 2 and 4 have no event; tables and context have gaps."""
    return Dataset(
        IdMap([10, 20, 30, 40], what="user"),
        IdMap(list("abcde"), what="item"),
        user=np.array([0, 1, 2, 0, 1, 0, 0], np.int32),
        item=np.array([0, 1, 0, 3, 3, 1, 0], np.int32),
        timestamp=np.array([NOON[d] for d in (3, 0, 6, 1, 2, 5, 4)]),
        context=pl.DataFrame(
            {"device": ["tv", None, "web", "tv", "tv", "", "web"], "rows": [[1], [2, 1], None, [], [2], [1], [1]]}
        ),
        user_features=pl.DataFrame({"job": ["smith", None, "cook", "pilot"], "age": [30, 50, None, 99]}),
        item_features=pl.DataFrame(
            {
                "title": ["A (1990)", "B", "C (2011)", "D (1987)", "E (1955)"],
                "genres": [["War", "Drama"], [], ["Opera"], ["Drama"], None],
                "released": [date(1990, 5, 6), None, None, date(1987, 1, 2), None],
                "length": [100.0, 130.0, 7.0, None, 9.0],
            }
        ),
    )


NAMES = [
    *("user", "user.job", "user.age:numeric", "context.device", "context.rows", "time.month"),
    *("item", "item.genres", "item.genres[1]", "item.year", "item.released:month", "item.length:numeric", "time.age"),
]


def made(data: Dataset | None = None, names: list[str] | None = None, **more: Any) -> ContextTables:
    data = small() if data is None else data
    return ContextTables(ContextFields.fit(data, names, **more), data)


def log_of(tables: ContextTables, data: Dataset) -> RequestFeatures:
    return tables.encode_requests(data.user, data.timestamp, data.context)


def said(tables: ContextTables, part: EncodedFields, name: str, names: tuple[str, ...] | None = None) -> list[Any]:
    """A field's codes within its own range, of a row of `names` (None: a whole row)."""
    names = tables.names if names is None else names
    start, at = tables.fields.starts[name], names.index(name)
    if at < part.single.shape[1]:
        return (part.single[:, at] - start).tolist()  # type: ignore[no-any-return]
    bag = part.bags[at - part.single.shape[1]]
    return [(bag[r] - start).tolist() for r in range(len(bag))]


def whole(tables: ContextTables, data: Dataset) -> EncodedFields:
    return tables.rows(log_of(tables, data), data.item)


class TestAgainstHand:
    """The seven events of `small`, field by field. Codes: 0 missing, 1 unknown, values from 2."""

    def field(self, name: str) -> list[Any]:
        data = small()
        tables = made(data, NAMES)
        return said(tables, whole(tables, data), name)

    def test_ids(self) -> None:
        assert self.field("user") == [2, 3, 4, 2, 3, 2, 2]
        assert self.field("item") == [2, 3, 2, 5, 5, 3, 2]

    def test_columns_of_users_and_of_the_log(self) -> None:
        assert self.field("user.job") == [3, 0, 2, 3, 0, 3, 3]  # cook, smith; pilot has no event
        assert self.field("context.device") == [2, 0, 3, 2, 2, 0, 3]
        assert self.field("context.rows") == [[2], [3, 2], [0], [0], [3], [2], [2]]

    def test_columns_of_items(self) -> None:
        assert self.field("item.genres") == [[3, 2], [0], [3, 2], [2], [2], [0], [3, 2]]  # Drama, War
        assert self.field("item.genres[1]") == [2, 0, 2, 0, 0, 0, 2]
        assert self.field("item.year") == [3, 0, 3, 2, 2, 0, 3]  # out of the titles
        assert self.field("item.released:month") == [3, 0, 3, 2, 2, 0, 3]

    def test_times(self) -> None:
        months = [datetime.fromtimestamp(NOON[d], UTC).month for d in (3, 0, 6, 1, 2, 5, 4)]
        order = sorted(set(months))
        assert self.field("time.month") == [2 + order.index(month) for month in months]
        assert self.field("time.age") == [2, 0, 2, 3, 3, 0, 2]  # 10 years of item 0, 13 of item 3

    def test_every_part_of_a_moment(self) -> None:
        """In UTC, on the edges of years, months and days; missing is a code of its own, and so are times beyond."""
        moments = [
            datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),  # a Friday
            datetime(2000, 1, 1, 0, 0, 0, tzinfo=UTC),
            datetime(2010, 3, 7, 12, 30, 0, tzinfo=UTC),  # a Sunday
        ]
        rows = [0, 1, 2, 1, 0, 2, 1]
        data = replace(small(), timestamp=np.array([int(moments[row].timestamp()) for row in rows]))
        parts = {
            "year": [moment.year for moment in moments],
            "month": [moment.month for moment in moments],
            "decade": [moment.year // 10 * 10 for moment in moments],
            "weekday": [moment.isoweekday() for moment in moments],
            "hour": [moment.hour for moment in moments],
        }
        assert parts["decade"] == [1990, 2000, 2010]
        assert parts["weekday"] == [5, 6, 7]
        for part, values in parts.items():
            name, known = f"time.{part}", sorted(set(values))
            tables = made(data, ["user", "item", name])
            wanted = [RESERVED + known.index(values[row]) for row in rows]
            assert said(tables, whole(tables, data), name) == wanted, part
            nothing = tables.encode_requests(np.zeros(1, np.int32), np.array([-1]))
            assert said(tables, nothing.part, name, ("user", name)) == [MISSING]

    def test_years_of_titles_dates_and_places_of_lists(self) -> None:
        data = small()
        genres = [["War", "Drama", "Epic"], [], ["Opera"], ["Drama", "War"], None]
        data = replace(data, item_features=data.item_features.with_columns(genres=pl.Series(genres)))  # type: ignore[union-attr]
        wanted = {
            "item.year:categorical": [3, 0, 1, 2, 1],  # 1987, 1990; what has no event is unknown, not missing
            "item.year:decade": [3, 0, 3, 2, 2],  # 1980s, 1990s; buckets have no end
            "item.released:year": [3, 0, 0, 2, 0],
            "item.released:decade": [3, 0, 0, 2, 0],
            "item.released:weekday": [3, 0, 0, 2, 0],  # 1990-05-06 a Sunday, 1987-01-02 a Friday
            "item.genres[0]": [3, 0, 1, 2, 0],  # Drama, War
            "item.genres[1]": [2, 0, 0, 3, 0],
            "item.genres[2]": [2, 0, 0, 0, 0],
        }
        tables = made(data, [*wanted])
        for name, codes in wanted.items():
            start, column = tables.fields.starts[name], list(wanted).index(name)
            assert (tables.items.single[:-1, column] - start).tolist() == codes, name
            assert tables.items.single[-1, column] == start + MISSING, "of an unknown item nothing is known"

    def test_numbers_weigh_their_vector(self) -> None:
        data = small()
        tables = made(data, NAMES)
        part = whole(tables, data)
        assert [tables.names[at] for at in part.numeric] == ["user.age:numeric", "item.length:numeric"]
        assert said(tables, part, "user.age:numeric") == [2, 2, 0, 2, 2, 2, 2]
        np.testing.assert_allclose(part.number[:, 0], [-1, 1, 1, -1, 1, -1, -1])  # 30 and 50; 99 has no event
        np.testing.assert_allclose(part.number[:, 1], [-1, 1, -1, 1, 1, 1, -1])  # a missing number's code counts once
        assert part.number.dtype == np.float32

    def test_who_and_what_have_no_event(self) -> None:
        tables = made(names=NAMES)
        asked = tables.encode_requests(np.array([3, -1, 0]), np.array([NOON[0], -1, NOON[0]]))
        part = tables.rows(asked, np.array([2, -1, 4]))
        assert said(tables, part, "user") == [UNKNOWN, UNKNOWN, 2]
        assert said(tables, part, "user.job") == [UNKNOWN, MISSING, 3]
        assert said(tables, part, "item") == [UNKNOWN, UNKNOWN, UNKNOWN]
        assert said(tables, part, "item.genres") == [[UNKNOWN], [MISSING], [MISSING]]
        assert said(tables, part, "item.year") == [3, MISSING, 2]  # numbers beyond go to the last buckets
        assert said(tables, part, "time.month") == [2, MISSING, 2]
        assert said(tables, part, "context.device") == [MISSING] * 3
        assert part.number[:, 0].tolist() == [pytest.approx(5.9), 1.0, -1.0]


class TestOneCodeSpace:
    def test_ranges_lie_one_after_the_other(self) -> None:
        tables = made(names=NAMES)
        fields = tables.fields
        ends = [*list(fields.starts.values())[1:], fields.n_codes]
        sizes = dict(zip(fields.starts, np.subtract(ends, list(fields.starts.values())).tolist(), strict=True))
        assert sizes["user"] == RESERVED + 4
        assert sizes["item"] == RESERVED + 5
        assert sizes["user.job"] == RESERVED + 2
        assert sizes["user.age:numeric"] == RESERVED + 1
        assert sizes["time.age"] == RESERVED + 2
        assert min(fields.starts.values()) == 0

    @settings(max_examples=25)
    @given(seed=st.integers(0, 10_000))
    def test_every_code_lies_in_its_fields_range(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        data = small()
        train = data.rows(np.flatnonzero(rng.random(len(data)) < 0.6))
        tables = made(train, [NAMES[at] for at in rng.permutation(len(NAMES))])
        user, item = rng.integers(-1, 4, 30), rng.integers(-1, 5, 30)
        context = data.context
        assert context is not None
        said_of_users = pl.DataFrame({"job": rng.choice(["smith", "cook", "new", ""], 30)})
        asked = tables.encode_requests(
            user, rng.choice([-1, *NOON], 30), context[rng.integers(0, 7, 30)], said_of_users
        )
        part = tables.rows(asked, item)
        starts = tables.fields.starts
        size = dict(zip(starts, np.diff([*starts.values(), tables.fields.n_codes]).tolist(), strict=True))
        for name in tables.names:
            codes = said(tables, part, name)
            flat = [code for row in codes for code in (row if isinstance(row, list) else [row])]
            assert 0 <= min(flat) <= max(flat) < size[name]
        assert part.single.dtype == np.int32
        assert all(bag.values.dtype == np.int32 and bag.lengths.min() > 0 for bag in part.bags)


class TestOccurring:
    def test_codes_that_an_event_has(self) -> None:
        """Of every field, those of moments and of pairs too: what no row had, no training has moved."""
        data = small()
        tables = made(data, NAMES)
        wanted = np.zeros(tables.fields.n_codes, np.bool_)
        wanted[whole(tables, data).codes] = True
        assert tables.occurring.tolist() == wanted.tolist()
        starts = tables.fields.starts
        assert wanted[starts["context.device"] + MISSING], "two rows have no device"
        assert not wanted[starts["context.device"] + UNKNOWN]
        assert not wanted[starts["time.month"] + MISSING], "every row has a time"


class TestTwoSides:
    def test_each_side_made_once_gives_the_scores_of_whole_rows(self) -> None:
        """A factorisation machine's user part, item part and age, against the double sum over whole rows."""
        data = small()
        tables = made(data, NAMES)
        table = np.random.default_rng(0).normal(size=(tables.fields.n_codes, 3))

        def vectors(part: EncodedFields) -> Any:
            each = table[part.single]
            each[:, list(part.numeric)] *= part.number[:, :, None]
            bags = [np.array([table[bag[r]].mean(axis=0) for r in range(len(part))]) for bag in part.bags]
            return np.concatenate([each, *(bag[:, None] for bag in bags)], axis=1)

        def pairs(rows: Any) -> Any:
            return sum((rows[:, a] * rows[:, b]).sum(axis=1) for a in range(rows.shape[1]) for b in range(a))

        asked = log_of(tables, data)
        user, item = vectors(asked.part), vectors(tables.items.take(np.arange(data.n_items)))
        u, i = user.sum(axis=1), item.sum(axis=1)
        age = table[tables.ages(asked)]
        catalogue = pairs(user)[:, None] + pairs(item) + u @ i.T + (age * (u[:, None] + i)).sum(axis=2)
        for code in range(data.n_items):
            rows = vectors(tables.rows(asked, np.full(len(data), code)))
            assert rows.shape[1] == len(tables.names)
            np.testing.assert_allclose(catalogue[:, code], pairs(rows), rtol=1e-9)

    def test_a_batch_is_rows_of_the_log(self) -> None:
        data = small()
        tables = made(data, NAMES)
        every, rows = whole(tables, data), np.array([6, 0, 6, 2])
        batch = tables.rows(log_of(tables, data).take(rows), data.item[rows])
        assert batch.single.tolist() == every.single[rows].tolist()
        assert batch.number.tolist() == every.number[rows].tolist()
        assert batch.numeric == every.numeric
        for one, other in zip(batch.bags, every.bags, strict=True):
            assert [one[r].tolist() for r in range(4)] == [other[r].tolist() for r in rows]

    def test_another_item_changes_its_fields_alone(self) -> None:
        data = small()
        tables = made(data, NAMES)
        asked = log_of(tables, data)
        one, other = (tables.rows(asked, np.full(len(data), code)) for code in (0, 3))
        for name in tables.names:
            same = said(tables, one, name) == said(tables, other, name)
            assert same == name.startswith(("user", "context", "time.month")), name

    def test_ages_of_candidates_and_of_the_catalogue(self) -> None:
        data = small()
        tables = made(data, NAMES)
        asked = tables.encode_requests(data.user, np.array([*NOON[:6], -1]))
        catalogue = tables.ages(asked)
        chosen = np.array([[4, 0, -1, 4]] * len(data))
        assert tables.ages(asked, chosen)[:, [0, 1, 3]].tolist() == catalogue[:, [4, 0, 4]].tolist()
        assert (tables.ages(asked, chosen)[:, 2] == tables.fields.starts["time.age"]).all()
        assert (catalogue[6] == tables.fields.starts["time.age"]).all()
        without = made(data, ["user", "item"])
        assert without.ages(log_of(without, data)).shape == (7, 0)


class TestQueries:
    def queries(self, **more: Any) -> Queries:
        history = Ragged.from_lists([[0, 3], [], [1]])
        times = np.array([NOON[0], NOON[4], NOON[2]])
        user = np.array([0, -1, 1], np.int32)
        return replace(Queries(user, history, history, history_times=times), **more)

    def test_who_names_no_moment_asks_at_the_end_of_the_history(self) -> None:
        tables = made(names=["user", "item", "time.month", "time.age"])
        found = said(tables, tables.queries(self.queries()).part, "time.month", ("user", "time.month"))
        named = tables.queries(self.queries(request_time=np.array([NOON[4], -1, NOON[2]])))
        assert found == said(tables, named.part, "time.month", ("user", "time.month"))
        assert found[1] == MISSING
        assert len({*found}) == 3
        no_times = tables.queries(self.queries(history_times=None))
        assert said(tables, no_times.part, "time.month", ("user", "time.month")) == [MISSING] * 3

    def test_what_the_request_brings_goes_before_the_table(self) -> None:
        data = small()
        likes = pl.Series([["x", "y"], ["y"], None, None])
        data = replace(data, user_features=data.user_features.with_columns(likes=likes))  # type: ignore[union-attr]
        names = ["user", "user.job", "user.age:numeric", "user.likes", "item"]
        tables = made(data, names)
        order = ("user", "user.job", "user.age:numeric", "user.likes")
        request_user_features = pl.DataFrame(
            {"job": ["cook", "smith", None], "age": [None, 40, 30], "likes": [None, ["z", "x"], []]}
        )
        part = tables.queries(self.queries(user_features=request_user_features)).part
        assert said(tables, part, "user", order) == [2, UNKNOWN, 3]
        assert said(tables, part, "user.job", order) == [2, 3, MISSING]
        assert part.number[:, 0].tolist() == [-1.0, 0.0, -1.0]
        assert said(tables, part, "user.likes", order) == [[2, 3], [UNKNOWN, 2], [3]]
        less = tables.queries(self.queries(user_features=request_user_features.select("job"))).part
        assert less.number[:, 0].tolist() == [-1.0, 1.0, 1.0]
        first = tables.queries(self.queries(user_features=request_user_features)).take(np.array([2, 0]))
        assert said(tables, first.part, "user.likes", order) == [[3], [2, 3]]

    @pytest.mark.parametrize("name", ["user_features", "context", "request_time"])
    def test_rows_that_are_not_in_parallel(self, name: str) -> None:
        wrong = np.zeros(2, np.int64) if name == "request_time" else pl.DataFrame({"job": ["a", "b"]})
        with pytest.raises(MatineeError, match=f"{name} has 2 rows, not 3"):
            made().queries(self.queries(**{name: wrong}))

    def test_a_request_that_names_its_columns_wrongly(self) -> None:
        wrong = self.queries(user_features=pl.DataFrame({"jobs": ["cook"] * 3}))
        with pytest.raises(MatineeError, match=r"none of the columns job(.|\n)*it has jobs"):
            made(names=["user", "user.job", "item"]).queries(wrong)
        by_id = made(names=["user", "item"])
        assert by_id.queries(wrong).part.single.tolist() == by_id.queries(self.queries()).part.single.tolist()

    def test_no_queries(self) -> None:
        tables = made(names=NAMES)
        nobody = tables.queries(self.queries().take(np.empty(0, np.int64)))
        assert nobody.part.single.shape[0] == 0
        assert tables.ages(nobody).shape == (0, 5)


class TestNames:
    def test_by_default_all_that_is_plain(self) -> None:
        assert default_names(tables_of(small())) == [
            *("user", "user.age", "context.device", "context.rows"),
            *("time.year", "time.month", "time.weekday", "time.hour", "time.age"),
            *("item", "item.year", "item.genres", "item.length"),
        ]
        bare = Dataset(IdMap([1, 2]), IdMap([1, 2]), np.zeros(1, np.int32), np.ones(1, np.int32))
        tables = made(bare)
        assert tables.names == ("user", "item")
        assert tables.rows(tables.encode_requests(np.array([0, 1])), np.array([1, 0])).single.tolist() == [
            [2, 7],
            [1, 5],
        ]

    def test_a_column_whose_name_looks_like_a_way_to_read_it(self) -> None:
        table = pl.DataFrame({"a:year": ["x", "x", "y", "y"], "b[0]": ["z"] * 4})
        data = replace(small(), user_features=table)
        assert said(made(data, ["user.a:year"]), made(data, ["user.a:year"]).users, "user.a:year")[:3] == [2, 2, 3]
        assert made(data, ["user.b[0]:categorical"]).fields.fields[0].column == "b[0]"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("users", "its first word must be one of user, item, context, time"),
            ("", "there is no field ''"),
            ("time", "use time.year, time.month"),
            ("time.second", "use time.year, time.month"),
            ("user.jobb", "no column 'jobb'\n.*did you mean job"),
            ("user.jobb:categorical", "did you mean job"),
            ("item.released", "'item.released' has the type Date\n.*'item.released:year'"),
            ("user.job:categoric", "did you mean categorical"),
            ("user.job:", "use one of categorical, multi"),
            ("item.:", "no column ''"),
            ("user.job[0]", "has the type String, not lists, so 'user.job.0.' has no meaning"),
            ("user.job:month", "has the type String, which has no month"),
            ("user.job:multi", "has the type String, not lists"),
            ("user.job:bucket", "'smith' is not a finite number"),
            ("context", "no column ''"),
        ],
    )
    def test_names_that_say_nothing(self, name: str, message: str) -> None:
        with pytest.raises(MatineeError, match=f"(?s){message}"):
            ContextFields.fit(small(), ["user", name])

    def test_what_the_log_has_not(self) -> None:
        bare = Dataset(IdMap([1]), IdMap([1]), np.zeros(1, np.int32), np.zeros(1, np.int32))
        for name, words in {
            "user.age": "no table of users",
            "item.year": "no table of items",
            "context.device": "no further columns",
            "time.hour": "no times",
        }.items():
            with pytest.raises(MatineeError, match=words):
                ContextFields.fit(bare, [name])
        no_years = replace(small(), item_features=pl.DataFrame({"year": list("abcde")}))
        with pytest.raises(MatineeError, match="needs the items' years"):
            ContextFields.fit(no_years, ["time.age"])
        assert "time.age" not in made(no_years).names

    def test_twice(self) -> None:
        with pytest.raises(MatineeError, match="'item' is named twice"):
            ContextFields.fit(small(), ["item", "user", "item"])


class TestKept:
    def test_as_json_and_back(self) -> None:
        data = small()
        fields = ContextFields.fit(data, NAMES)
        again = ContextFields.from_dict(json.loads(json.dumps(fields.to_dict())))
        assert again == fields
        one, other = (whole(ContextTables(each, data), data) for each in (fields, again))
        assert one.single.tobytes() == other.single.tobytes()
        assert one.number.tobytes() == other.number.tobytes()

    def test_serving_needs_no_log(self) -> None:
        """What a model folder keeps without histories: ids and tables. Unseen ones stay unknown."""
        data = small()
        fields = ContextFields.fit(data, NAMES)
        kept = replace(data.rows(np.empty(0, np.int64)), context=None, timestamp=None)
        served = ContextTables(fields, kept)
        assert served.items.single.tobytes() == ContextTables(fields, data).items.single.tobytes()
        asked = served.encode_requests(data.user, data.timestamp, data.context)
        assert (
            served.rows(asked, data.item).single.tobytes() == whole(ContextTables(fields, data), data).single.tobytes()
        )

    def test_rows_shuffled_give_the_same_vocabulary(self) -> None:
        data = small()
        assert ContextFields.fit(data.rows(np.array([3, 0, 6, 2, 5, 1, 4])), NAMES) == ContextFields.fit(data, NAMES)

    def test_another_log_is_refused(self) -> None:
        data = replace(small(), items=IdMap(list("abcdef"), what="item"), item_features=None)
        with pytest.raises(MatineeError, match="other users or items than the 4 and 5"):
            ContextTables(ContextFields.fit(small(), ["item"]), data)

    def test_a_table_of_other_types_is_refused(self) -> None:
        fields = ContextFields.fit(small(), NAMES)
        with pytest.raises(MatineeError, match="'genres' has the type String, not lists"):
            ContextTables(fields, replace(small(), item_features=pl.DataFrame({"genres": list("vwxyz")})))

    @pytest.mark.parametrize(
        "change",
        [
            {"unseen_users": [9]},
            {"unseen_items": [-1]},
            {"n_users": -1},
            {"fields": [{"name": "user", "source": "user"}] * 2},
            {"fields": [{"name": "x", "source": "user", "column": "x"}]},
            {"fields": [{"name": "x", "source": "time"}]},
            {"fields": [{"name": "x", "source": "disk"}]},
            {
                "fields": [
                    {
                        "name": "a",
                        "source": "time",
                        "column": "age",
                        "vocabulary": {"kind": "multi", "name": "a", "values": []},
                    }
                ]
            },
            {"more": 1},
        ],
    )
    def test_anything_else_is_refused(self, change: dict[str, Any]) -> None:
        good = json.loads(json.dumps(ContextFields.fit(small(), ["user"]).to_dict()))
        assert ContextFields.from_dict(good)
        with pytest.raises(MatineeError, match="not a vocabulary"):
            ContextFields.from_dict({**good, **change})


class TestMovieLens:
    @pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
    def test_against_the_tables_row_by_row(self, name: str) -> None:
        data = load(name, data_dir=real(f"{name}").parent)
        names = ["user", "user.gender", "user.age", "time.hour", "item", "item.year:decade", "item.genres", "time.age"]
        tables = made(data, names, buckets=100)
        rows = np.random.default_rng(0).permutation(len(data))[:500]
        part = tables.rows(log_of(tables, data).take(rows), data.item[rows])
        users, items = data.user_features, data.item_features
        assert users is not None
        assert items is not None
        assert data.timestamp is not None
        values = {field.name: field.vocabulary for field in tables.fields.fields}
        moments = [datetime.fromtimestamp(t, UTC) for t in data.timestamp[rows].tolist()]
        years = items["year"].gather(data.item[rows]).to_list()
        genders, genres = values["user.gender"].values, values["item.genres"].values  # type: ignore[union-attr]
        wanted: dict[str, list[Any]] = {
            "user": (data.user[rows] + RESERVED).tolist(),
            "user.gender": [RESERVED + genders.index(g) for g in users["gender"].gather(data.user[rows]).to_list()],
            "item.genres": [
                [RESERVED + genres.index(g) for g in row] or [0]
                for row in items["genres"].gather(data.item[rows]).to_list()
            ],
            "time.hour": [RESERVED + moment.hour for moment in moments],
        }
        for field, found in wanted.items():
            assert said(tables, part, field) == found, field
        ages = sorted({y - x for y, x in self.year_pairs(data, items)})
        assert said(tables, part, "time.age") == [
            0 if year is None else RESERVED + ages.index(moment.year - year)
            for moment, year in zip(moments, years, strict=True)
        ]

    def year_pairs(self, data: Dataset, items: pl.DataFrame) -> set[tuple[int, int]]:
        times = pl.from_epoch(pl.Series(data.timestamp), time_unit="s").dt.year()
        pairs = pl.DataFrame({"y": times, "x": items["year"].gather(data.item)}).drop_nulls().unique()
        return set(pairs.rows())

    def test_a_million_events_hold_only_their_moments(self) -> None:
        data = load("ml-1m", data_dir=real("ml-1m/ratings.dat").parents[1])
        tables = made(data, STUDY)
        asked = log_of(tables, data)
        assert len(tables.names) == 14
        held = asked.moment.single.nbytes + asked.moment.number.nbytes + asked.year.nbytes
        assert held <= 16 * len(data)
        assert asked.user is data.user
        part = tables.rows(asked.take(np.arange(2048)), data.item[:2048])
        assert part.single.shape == (2048, 14)
        assert part.bags == ()
