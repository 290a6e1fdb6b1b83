"""Kinds of events, weights and dislikes: what stays a row, with which weight, and what is said of the rest."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol
from matinee.data.dislikes import Dislikes
from matinee.data.filters import filter_events
from matinee.data.ids import IdMap
from matinee.data.read.assemble import deduplicated
from matinee.errors import MatineeError, MatineeWarning
from matinee.study.events_table import EventsTable

WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 4.0, "dislike": -1.0}
ROWS = [
    ("u1", "a", "view", 0.5),
    ("u1", "b", "purchase", 3.0),
    ("u1", "c", "dislike", 1.0),
    ("u2", "a", "cart", 2.5),
    ("u2", "d", "view", 1.0),
]


def log(rows: list[tuple[Any, ...]] = ROWS, times: list[int] | None = None, **more: Any) -> Dataset:
    users, items = (IdMap.from_series(pl.Series([row[c] for row in rows])) for c in (0, 1))
    user, item = users.encode(pl.Series([r[0] for r in rows])), items.encode(pl.Series([r[1] for r in rows]))
    context = pl.DataFrame({"kind": [r[2] for r in rows], "count": [r[3] for r in rows], "page": range(len(rows))})
    stamp = None if times is None else np.array(times, np.int64)
    return Dataset(users, items, user, item, timestamp=stamp, context=context, name="shop", **more)


def likes(data: Dataset) -> list[tuple[Any, Any, float]]:
    """(user, item, weight) of each row."""
    weight = np.ones(len(data)) if data.weight is None else data.weight
    return list(zip(data.users.decode(data.user), data.items.decode(data.item), weight.tolist(), strict=True))


def disliked(data: Dataset) -> list[tuple[Any, Any]]:
    assert data.dislikes is not None
    d = data.dislikes
    return list(zip(data.users.decode(d.user), data.items.decode(d.item), strict=True))


def said(record: pytest.WarningsRecorder) -> str:
    return "\n".join(str(warning.message) for warning in record)


class TestKinds:
    def test_each_kind_counts_its_weight_and_dislikes_are_no_rows(self) -> None:
        data = mt.with_kinds(log(times=[1, 2, 3, 4, 5]), mt.EventKinds("kind", WEIGHTS))
        assert likes(data) == [("u1", "a", 1.0), ("u1", "b", 4.0), ("u2", "a", 2.0), ("u2", "d", 1.0)]
        assert disliked(data) == [("u1", "c")]
        assert data.dislikes is not None
        assert data.dislikes.timestamp is not None
        assert data.dislikes.timestamp.tolist() == [3]
        assert data.timestamp is not None
        assert data.timestamp.tolist() == [1, 2, 4, 5]
        assert data.items.ids.tolist() == ["a", "b", "c", "d"], "an item that only a dislike names keeps its code"
        assert data.context is not None
        assert data.context.columns == ["count", "page"], "the column of kinds has done its work"
        assert data.context["page"].to_list() == [0, 1, 3, 4]

    def test_a_kind_without_a_weight_is_an_error_with_counts(self) -> None:
        with pytest.raises(MatineeError) as error:
            mt.with_kinds(log(), mt.EventKinds("kind", {"viewed": 1.0, "purchase": 4.0}))
        text = str(error.value)
        assert "'view' (2)" in text
        assert "'cart' (1)" in text
        assert "'dislike' (1)" in text
        assert "'view' is spelled 'viewed' there" in text
        assert "shop" in text

    def test_an_empty_kind_is_named_too(self) -> None:
        with pytest.raises(MatineeError, match=r"\(empty\) \(1\)"):
            mt.with_kinds(log([*ROWS, ("u3", "a", None, 1.0)]), mt.EventKinds("kind", WEIGHTS))

    def test_a_kind_that_the_log_lacks_is_a_warning_with_near_misses(self) -> None:
        with pytest.warns(MatineeWarning, match=r"no event is of the kind 'views' \(did you mean view\?\)"):
            mt.with_kinds(log(), mt.EventKinds("kind", {**WEIGHTS, "views": 1.0}))

    def test_keep_leaves_out_all_other_kinds(self) -> None:
        data = mt.with_kinds(log(), mt.EventKinds("kind", keep=["purchase", "cart"]))
        assert likes(data) == [("u1", "b", 1.0), ("u2", "a", 1.0)]
        assert data.weight is None, "kinds alone are no weights"
        assert data.dislikes is None
        data = mt.with_kinds(log(), mt.EventKinds("kind", WEIGHTS, keep=["purchase", "dislike"]))
        assert likes(data) == [("u1", "b", 4.0)]
        assert disliked(data) == [("u1", "c")]

    def test_weight_0_leaves_events_out_and_counts_them(self) -> None:
        with pytest.warns(MatineeWarning, match="2 of 5 events have weight 0"):
            data = mt.with_kinds(log(), mt.EventKinds("kind", {**WEIGHTS, "view": 0.0}))
        assert likes(data) == [("u1", "b", 4.0), ("u2", "a", 2.0)]

    def test_kinds_may_be_numbers(self) -> None:
        rows = [("u1", "a", 1, 1.0), ("u1", "b", 3, 1.0)]
        assert likes(mt.with_kinds(log(rows), mt.EventKinds("kind", {"1": 1.0, "3": 5.0})))[1] == ("u1", "b", 5.0)

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            ({"column": "", "weights": {"a": 1.0}}, "no column"),
            ({"column": "kind"}, "no kind of event"),
            ({"column": "kind", "weights": {"a": float("nan")}}, "no finite number"),
            ({"column": "kind", "weights": {"a": float("inf")}}, "no finite number"),
            ({"column": "kind", "weights": {"a": "2"}}, "no finite number"),
            ({"column": "kind", "weights": {"a": True}}, "no finite number"),
            ({"column": "kind", "weights": {"a": 1e300}}, "no finite number"),
            ({"column": "kind", "weights": {1: 1.0}}, "no text"),
            ({"column": "kind", "keep": "view"}, "no list"),
        ],
    )
    def test_what_is_no_table_of_kinds_is_refused(self, arguments: dict[str, Any], what: str) -> None:
        with pytest.raises(MatineeError, match=what):
            mt.EventKinds(**arguments)

    def test_a_missing_column_is_refused_with_near_misses(self) -> None:
        with pytest.raises(MatineeError, match="did you mean kind"):
            mt.with_kinds(log(), mt.EventKinds("kinds", WEIGHTS))
        bare = replace(log(), context=None)
        with pytest.raises(MatineeError, match="no further columns"):
            mt.with_kinds(bare, mt.EventKinds("kind", WEIGHTS))

    def test_nothing_but_dislikes_is_refused(self) -> None:
        with pytest.raises(MatineeError, match="none of the 5 events is left as a like"):
            mt.with_kinds(log(), mt.EventKinds("kind", dict.fromkeys(WEIGHTS, -1.0)))

    def test_a_recipe_has_the_same_table(self) -> None:
        table = EventsTable.model_validate({"column": "kind", "weights": WEIGHTS, "keep": ["view"]})
        assert table.kinds() == mt.EventKinds("kind", WEIGHTS, ["view"])


class TestWeights:
    def test_a_column_of_weights(self) -> None:
        data = mt.with_weights(log(), "count")
        assert [w for _, _, w in likes(data)] == [0.5, 3.0, 1.0, 2.5, 1.0]
        assert data.weight is not None
        assert data.weight.dtype == np.float32
        assert data.context is not None
        assert "count" not in data.context.columns

    def test_negative_weights_are_dislikes_and_0_is_left_out(self) -> None:
        rows = [("u1", "a", "x", 2.0), ("u1", "b", "x", -3.0), ("u2", "a", "x", 0.0)]
        with pytest.warns(MatineeWarning, match="1 of 3 events have weight 0"):
            data = mt.with_weights(log(rows), "count")
        assert likes(data) == [("u1", "a", 2.0)]
        assert disliked(data) == [("u1", "b")]

    def test_text_that_is_numbers_is_read(self) -> None:
        rows = [("u1", "a", "x", " 2.5"), ("u1", "b", "x", "1")]
        assert [w for _, _, w in likes(mt.with_weights(log(rows), "count"))] == [2.5, 1.0]

    @pytest.mark.parametrize("bad", ["", "much", None, "nan", "inf", "1e300"])
    def test_what_is_no_number_is_refused_with_its_place(self, bad: str | None) -> None:
        rows = [("u1", "a", "x", "1"), ("u1", "b", "x", bad)]
        with pytest.raises(MatineeError, match="event 2, column 'count'"):
            mt.with_weights(log(rows), "count")

    def test_columns_of_other_types_are_refused(self) -> None:
        data = log()
        assert data.context is not None
        data = replace(data, context=data.context.with_columns(when=pl.date(2020, 1, 1)))
        with pytest.raises(MatineeError, match="Date, not numbers"):
            mt.with_weights(data, "when")

    def test_kinds_and_weights_multiply(self) -> None:
        data = mt.apply_events(log(), kinds=mt.EventKinds("kind", WEIGHTS), weight="count")
        assert likes(data) == [("u1", "a", 0.5), ("u1", "b", 12.0), ("u2", "a", 5.0), ("u2", "d", 1.0)]
        assert disliked(data) == [("u1", "c")]
        step = mt.with_weights(mt.with_kinds(log(), mt.EventKinds("kind", WEIGHTS)), "count")
        assert step.fingerprint == data.fingerprint

    def test_a_weight_is_a_positive_finite_number(self) -> None:
        data = log()
        for bad, what in ((0.0, "not positive: 0.0"), (-1.0, "not positive"), (np.nan, "finite"), (np.inf, "finite")):
            with pytest.raises(MatineeError, match=f"row 2.*{what}|{what}"):
                replace(data, weight=np.array([1, bad, 1, 1, 1], np.float32))
        with pytest.raises(MatineeError, match="weight has 2 rows"):
            replace(data, weight=np.ones(2, np.float32))

    def test_summed_duplicates_sum_their_weights(self) -> None:
        rows = [("u1", "a", "x", 2.0), ("u1", "b", "x", 1.0), ("u1", "a", "x", 3.0)]
        summed = deduplicated(mt.with_weights(log(rows), "count"), "sum")
        assert sorted(likes(summed)) == [("u1", "a", 5.0), ("u1", "b", 1.0)]


class TestDislikes:
    def test_low_ratings_are_dislikes_and_no_weights(self) -> None:
        data = mt.with_dislikes(log(value=np.array([5, 2, 2.9, 3, 4], np.float32)))
        assert [(u, i) for u, i, _ in likes(data)] == [("u1", "a"), ("u2", "a"), ("u2", "d")]
        assert disliked(data) == [("u1", "b"), ("u1", "c")]
        assert data.weight is None
        assert data.value is not None
        assert data.value.tolist() == [5, 3, 4]
        with pytest.raises(MatineeError, match="has no ratings"):
            mt.with_dislikes(log())

    def test_the_later_event_decides(self) -> None:
        rows = [
            ("u", "a", "view", 1.0),
            ("u", "a", "dislike", 1.0),
            ("u", "b", "dislike", 1.0),
            ("u", "b", "view", 1.0),
        ]
        rows += [("u", "c", "view", 1.0), ("u", "c", "dislike", 1.0), ("v", "a", "view", 1.0)]
        kinds = mt.EventKinds("kind", {"view": 1.0, "dislike": -1.0})
        with pytest.warns(MatineeWarning) as record:
            data = mt.with_kinds(log(rows, times=[1, 2, 1, 2, 5, 5, 1]), kinds)
        assert [(u, i) for u, i, _ in likes(data)] == [("u", "b"), ("v", "a")]
        assert disliked(data) == [("u", "a"), ("u", "c")], "in one second the dislike decides"
        assert "2 events are left out, because their user disliked the item later" in said(record)
        assert "1 dislikes are left out, because their user liked the item later" in said(record)
        with pytest.warns(MatineeWarning):
            later = mt.with_kinds(log(rows, times=[3, 2, 9, 2, 5, 6, 1]), kinds)
        assert [(u, i) for u, i, _ in likes(later)] == [("u", "a"), ("v", "a")]

    def test_without_times_the_order_of_rows_decides(self) -> None:
        rows = [
            ("u", "a", "view", 1.0),
            ("u", "a", "dislike", 1.0),
            ("u", "b", "dislike", 1.0),
            ("u", "b", "view", 1.0),
        ]
        with pytest.warns(MatineeWarning):
            data = mt.with_kinds(log(rows), mt.EventKinds("kind", {"view": 1.0, "dislike": -1.0}))
        assert [(u, i) for u, i, _ in likes(data)] == [("u", "b")]
        assert disliked(data) == [("u", "a")]

    def test_queries_exclude_them_unless_told_otherwise(self) -> None:
        data = mt.with_kinds(log(), mt.EventKinds("kind", WEIGHTS))
        code = data.items.code

        def excluded(**options: bool) -> list[list[int]]:
            queries = data.queries(None, **options)
            return [sorted(queries.exclude[b].tolist()) for b in range(2)]

        assert excluded() == [[code("a"), code("b"), code("c")], [code("a"), code("d")]]
        assert excluded(exclude_dislikes=False) == [[code("a"), code("b")], [code("a"), code("d")]]
        assert excluded(exclude_seen=False) == [[code("c")], []]
        assert mt.query(data, user="u1", exclude_seen=False).exclude.values.tolist() == [code("c")]
        assert mt.query(data, user="u1", exclude_dislikes=False).exclude.values.tolist() == [code("a"), code("b")]

    def test_history_weights_lie_beside_the_history(self) -> None:
        queries = mt.with_weights(log(times=[9, 1, 5, 4, 3]), "count").queries()
        assert queries.history_weights is not None
        assert queries.history_weights.tolist() == [3.0, 1.0, 0.5, 1.0, 2.5]
        assert queries.slice(1, 2).history_weights.tolist() == [1.0, 2.5]  # type: ignore[union-attr]
        assert queries.take(np.array([1, 0])).history_weights.tolist() == [1.0, 2.5, 3.0, 1.0, 0.5]  # type: ignore[union-attr]
        mask = np.array([True, False, True, False, True])
        assert queries.keep_events(mask).history_weights.tolist() == [3.0, 0.5, 2.5]  # type: ignore[union-attr]
        wrong = replace(queries, history_weights=np.zeros(5, np.float32))
        with pytest.raises(MatineeError, match="finite and above 0"):
            mt.recommend(mt.models.Popularity().fit(log()), wrong)

    def test_filters_keep_them_in_step(self) -> None:
        data = mt.with_kinds(log(times=[1, 2, 3, 4, 5]), mt.EventKinds("kind", WEIGHTS))
        assert filter_events(data, since=4).dislikes is None
        assert disliked(filter_events(data, until=5)) == [("u1", "c")]
        few = filter_events(data, min_item_events=2)
        assert few.items.ids.tolist() == ["a"]
        assert few.dislikes is None, "of an item that is gone"
        more = replace(data, dislikes=Dislikes(np.array([1], np.int32), np.array([0], np.int32)))
        assert disliked(filter_events(more, min_item_events=2)) == [("u2", "a")]

    def test_codes_and_times_are_checked(self) -> None:
        data = log()
        for user, item, times, what in ((9, 0, 1, "user"), (0, 9, 1, "item"), (0, 0, -1, "timestamp")):
            wrong = Dislikes(np.array([user]), np.array([item]), np.array([times]))
            with pytest.raises(MatineeError, match=f"shop, dislikes, row 1: {what}"):
                replace(data, dislikes=wrong)

    def test_of_users_and_times(self) -> None:
        user, item = np.array([2, 0, 2, 2], np.int32), np.array([5, 6, 7, 8], np.int32)
        dislikes = Dislikes(user, item, np.array([10, 20, 30, 40]))
        asked = np.array([2, -1, 0, 2, 7], np.int32)
        assert [dislikes.of(asked)[b].tolist() for b in range(5)] == [[5, 7, 8], [], [6], [5, 7, 8], []]
        before = dislikes.of(asked, np.array([30, 99, 20, 31, 0]))
        assert [before[b].tolist() for b in range(5)] == [[5], [], [], [5, 7], []]
        assert dislikes.of(np.empty(0, np.int32)).offsets.tolist() == [0]
        untimed = Dislikes(user, item).of(asked, np.zeros(5, np.int64))
        assert untimed[0].tolist() == [5, 7, 8], "without times they are known from the start"


def test_the_fingerprint_knows_weights_and_dislikes() -> None:
    plain = log()
    weighed = replace(plain, weight=np.ones(5, np.float32))
    other = replace(plain, weight=np.full(5, 2.0, np.float32))
    against = replace(plain, dislikes=Dislikes(np.array([0], np.int32), np.array([0], np.int32)))
    assert len({data.fingerprint for data in (plain, weighed, other, against)}) == 4
    assert pickle.loads(pickle.dumps(against)).fingerprint == against.fingerprint


def test_disliked_items_are_counted_in_recommendations() -> None:
    data = mt.with_kinds(log([*ROWS, ("u2", "c", "view", 1.0)]), mt.EventKinds("kind", WEIGHTS))
    model = mt.models.Popularity().fit(data)
    queries = data.queries(exclude_seen=False, exclude_dislikes=False)
    assert data.dislikes is not None
    truth = Ragged.from_lists([[1], [0]])
    held = Holdout(queries, truth, Protocol("d", "s", "test", "h", "nothing"), dislikes=data.dislikes.of(queries.user))
    recs = mt.recommend(model, queries, 4)
    found = mt.evaluate(recs, held, k=4, metrics=["disliked"])
    assert found.values["model", "disliked", 4].tolist() == [1 / 4, 0.0]
    with pytest.raises(MatineeError, match="no dislikes are known"):
        mt.evaluate(recs, replace(held, dislikes=None), k=4, metrics=["disliked"])
