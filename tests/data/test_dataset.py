"""Ragged, Dataset and Queries against lists and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Queries
from matinee.data.ids import IdMap
from matinee.errors import MatineeError

rows_of_codes = st.lists(st.lists(st.integers(0, 8), max_size=6), max_size=7)


def lists(ragged: Ragged) -> list[list[int]]:
    assert ragged.offsets.dtype == np.int64
    assert ragged.values.dtype == np.int32
    assert ragged.offsets[0] == 0
    return [ragged[b].tolist() for b in range(len(ragged))]


@pytest.mark.parametrize(("n", "most"), [(1, 5), (7, 7), (7, 3), (10, 4), (1000, 1), (0, 3)])
def test_spread_queries_are_evenly_far_apart(n: int, most: int) -> None:
    queries = Queries(np.full(n, -1, np.int32), Ragged.empty(n), Ragged.empty(n))
    found = Holdout(queries, Ragged.empty(n), Protocol("d", "s", "test", "", "")).spread(most).tolist()
    step = (n - 1) / max(min(n, most) - 1, 1)
    assert found == [int(step * at) for at in range(min(n, most))]


class TestRagged:
    @given(rows_of_codes)
    def test_from_lists(self, rows: list[list[int]]) -> None:
        ragged = Ragged.from_lists(rows)
        assert lists(ragged) == rows
        assert ragged.lengths.tolist() == [len(r) for r in rows]
        assert ragged.rows.tolist() == [b for b, r in enumerate(rows) for _ in r]
        assert lists(Ragged.empty(len(rows))) == [[] for _ in rows]

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9))))
    def test_from_rows_groups_and_keeps_order(self, pairs: list[tuple[int, int]]) -> None:
        row, value = np.array([p[0] for p in pairs], np.int64), np.array([p[1] for p in pairs], np.int32)
        assert lists(Ragged.from_rows(row, value, 6)) == [[v for r, v in pairs if r == b] for b in range(6)]

    @given(rows_of_codes, st.data())
    def test_take_and_positions(self, rows: list[list[int]], data: st.DataObject) -> None:
        ragged = Ragged.from_lists(rows)
        chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9)) if rows else []
        at = np.array(chosen, np.int64)
        assert lists(ragged.take(at)) == [rows[b] for b in chosen]
        assert ragged.values[ragged.positions(at)].tolist() == [v for b in chosen for v in rows[b]]

    @given(rows_of_codes, st.integers(0, 8), st.integers(0, 8))
    def test_slice(self, rows: list[list[int]], one: int, other: int) -> None:
        start, stop = sorted((min(one, len(rows)), min(other, len(rows))))
        assert lists(Ragged.from_lists(rows).slice(start, stop)) == rows[start:stop]

    @given(st.lists(st.tuples(st.lists(st.integers(0, 8), max_size=5), st.lists(st.integers(0, 8), max_size=5))))
    def test_join(self, both: list[tuple[list[int], list[int]]]) -> None:
        one, other = Ragged.from_lists([a for a, _ in both]), Ragged.from_lists([b for _, b in both])
        assert lists(one.join(other)) == [a + b for a, b in both]

    @given(rows_of_codes, st.randoms(use_true_random=False))
    def test_keep(self, rows: list[list[int]], random: Any) -> None:
        mask = [[random.random() < 0.5 for _ in r] for r in rows]
        flat = np.array([m for r in mask for m in r], np.bool_)
        wanted = [[v for v, m in zip(r, ms, strict=True) if m] for r, ms in zip(rows, mask, strict=True)]
        assert lists(Ragged.from_lists(rows).keep(flat)) == wanted

    @given(rows_of_codes)
    def test_matrix(self, rows: list[list[int]]) -> None:
        X = Ragged.from_lists(rows).matrix(9)
        assert X.toarray().tolist() == [[float(i in r) for i in range(9)] for r in rows]
        assert X.dtype == np.float32
        assert X.has_sorted_indices


@st.composite
def logs(draw: st.DrawFn, *, times: bool = True) -> Dataset:
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    event = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1), st.integers(1, 5), st.integers(0, 4))
    rows = np.array(draw(st.lists(event, max_size=25)), np.int64).reshape(-1, 4)
    return Dataset(
        IdMap(np.arange(n_users) * 10, what="user"),
        IdMap([f"i{i}" for i in range(n_items)], what="item"),
        rows[:, 0].astype(np.int32),
        rows[:, 1].astype(np.int32),
        value=rows[:, 2].astype(np.float32),
        timestamp=rows[:, 3] if times else None,
        context=pl.DataFrame({"row": np.arange(len(rows))}),
    )


def events(data: Dataset, user: int) -> list[int]:
    """Row numbers of a user, oldest first, equal times in the log's order."""
    time = [0] * len(data) if data.timestamp is None else data.timestamp.tolist()
    return sorted((r for r in range(len(data)) if data.user[r] == user), key=lambda r: time[r])


class TestDataset:
    @given(logs() | logs(times=False))
    def test_histories_are_sorted_by_time_then_row(self, data: Dataset) -> None:
        wanted = [[int(data.item[r]) for r in events(data, u)] for u in range(data.n_users)]
        assert lists(data.histories()) == wanted
        assert data.order.tolist() == [r for u in range(data.n_users) for r in events(data, u)]

    @given(logs() | logs(times=False))
    def test_matrices_are_binary_or_hold_the_last_rating(self, data: Dataset) -> None:
        assert data.value is not None
        binary = np.zeros((data.n_users, data.n_items), np.float32)
        rating = binary.copy()
        for u in range(data.n_users):
            for r in events(data, u):
                binary[u, data.item[r]] = 1.0
                rating[u, data.item[r]] = data.value[r]
        for X, wanted in ((data.matrix(), binary), (data.matrix(values=True), rating)):
            assert (X.toarray() == wanted).all()
            assert X.dtype == np.float32
            assert X.nnz == (wanted > 0).sum()
            assert X.has_sorted_indices

    @given(logs())
    def test_counts(self, data: Dataset) -> None:
        assert data.item_counts().tolist() == [data.item.tolist().count(i) for i in range(data.n_items)]
        assert data.user_counts().tolist() == [data.user.tolist().count(u) for u in range(data.n_users)]

    @given(logs(), st.data())
    def test_rows_by_mask_and_by_number(self, data: Dataset, draw: st.DataObject) -> None:
        mask = np.array(draw.draw(st.lists(st.booleans(), min_size=len(data), max_size=len(data))), np.bool_)
        for index in (mask, np.flatnonzero(mask)):
            part = data.rows(index)
            assert part.user.tolist() == data.user[mask].tolist()
            assert part.context is not None
            assert part.context["row"].to_list() == np.flatnonzero(mask).tolist()
            assert part.users is data.users
            assert part.items is data.items

    @given(logs(), st.data())
    def test_queries_hold_whole_histories(self, data: Dataset, draw: st.DataObject) -> None:
        codes = draw.draw(st.lists(st.integers(0, data.n_users - 1), max_size=5))
        ids = data.users.decode(codes)
        queries = data.queries(ids)
        assert data.value is not None
        assert data.timestamp is not None
        assert queries.history_ratings is not None
        assert queries.history_times is not None
        at = [r for u in codes for r in events(data, u)]
        assert queries.user.tolist() == codes
        assert (
            lists(queries.history)
            == lists(queries.exclude)
            == [[int(data.item[r]) for r in events(data, u)] for u in codes]
        )
        assert queries.history_ratings.tolist() == data.value[at].tolist()
        assert queries.history_times.tolist() == data.timestamp[at].tolist()
        assert not len(data.queries(ids, exclude_seen=False).exclude.values)
        assert len(data.queries()) == data.n_users

    def test_unknown_users_are_refused(self) -> None:
        with pytest.raises(MatineeError, match="unknown user 7"):
            log().queries([7])
        for lone in (1, "u"):
            with pytest.raises(MatineeError, match=r"(?s)is not a list of user ids.*pass \["):
                log().queries(lone)  # type: ignore[arg-type]

    def test_ratings_that_are_not_there(self) -> None:
        with pytest.raises(MatineeError, match="no ratings"):
            log(value=None).matrix(values=True)

    def test_the_fingerprint_is_of_the_content(self) -> None:
        base = log().fingerprint
        assert base == log(name="other").fingerprint == log(user=np.array([0, 1, 1])).fingerprint
        changed: list[dict[str, Any]] = [
            {"user": np.array([0, 0, 1], np.int32)},
            {"value": None},
            {"value": np.array([1, 2, 3.5], np.float32)},
            {"timestamp": np.array([0, 5, 10])},
            {"items": IdMap(["a", "b", "x"])},
        ]
        assert len({base, *(log(**change).fingerprint for change in changed)}) == 6


def log(**change: Any) -> Dataset:
    columns: dict[str, Any] = {
        "users": IdMap([1, 2], what="user"),
        "items": IdMap(["a", "b", "c"], what="item"),
        "user": np.array([0, 1, 1], np.int32),
        "item": np.array([2, 0, 1], np.int32),
        "value": np.array([1.0, 2.0, 3.0], np.float32),
        "timestamp": np.array([0, 10, 5], np.int64),
    }
    return Dataset(**{**columns, **change})


class TestRefusals:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
    def test_ratings_that_are_no_numbers_are_refused_by_row(self, bad: float) -> None:
        with pytest.raises(MatineeError, match=r"ratings, row 3: value is not a finite number"):
            log(value=np.array([1.0, 2.0, bad]), name="ratings")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"user": np.array([0, 2, 1])}, r"log, row 2: user is not a code of the 2 users: 2"),
            ({"item": np.array([0, 1, -1])}, r"log, row 3: item is not a code of the 3 items: -1"),
            ({"item": np.array([0, 2**40, 1])}, r"row 2: item is out of range"),
            ({"user": np.array([0, 1, 2**32])}, r"row 3: user is out of range"),
            ({"user": np.array([0.0, 1.0, 1.0])}, "user holds float64, not integers"),
            ({"item": np.array(["a", "b", "c"])}, "item holds <U1, not integers"),
            ({"item": np.array([[0, 1, 2]])}, r"item has shape \(1, 3\)"),
            ({"item": np.array([0, 1])}, "item has 2 rows, not 3"),
            ({"value": np.ones(4, np.float32)}, "value has 4 rows, not 3"),
            ({"value": np.array(["1", "2", "x"])}, "value holds <U1, not numbers"),
            ({"timestamp": np.array([0, -1, 5])}, r"row 2: timestamp is negative: -1"),
            ({"timestamp": np.array([0.0, 1.5, 2.0])}, "timestamp holds float64"),
            ({"timestamp": np.array([0, 1, 2], "datetime64[s]")}, "Unix seconds"),
            ({"timestamp": np.array([0, 1, 2**63], np.uint64)}, "row 3: timestamp is out of range"),
            ({"timestamp": np.array([0, 1])}, "timestamp has 2 rows, not 3"),
            ({"context": pl.DataFrame({"hour": [1]})}, "context has 1 row, not 3"),
            ({"user_features": pl.DataFrame({"age": [1, 2, 3]})}, "user_features has 3 rows, not 2"),
            ({"item_features": pl.DataFrame({"title": ["x"]})}, "item_features has 1 row, not 3"),
        ],
    )
    def test_what_is_no_log_is_refused(self, change: dict[str, Any], words: str) -> None:
        with pytest.raises(MatineeError, match=words):
            log(**change)

    def test_other_number_types_become_ours(self) -> None:
        data = log(
            user=[0, 1, 1],
            item=np.array([2, 0, 1], np.uint8),
            value=np.array([1, 2, 3], np.int16),
            timestamp=np.array([0, 10, 5], np.uint32),
        )
        assert data.user.dtype == data.item.dtype == np.int32
        assert data.value is not None
        assert data.value.dtype == np.float32
        assert data.timestamp is not None
        assert data.timestamp.dtype == np.int64
        assert data.fingerprint == log().fingerprint

    def test_right_columns_are_not_copied(self) -> None:
        user = np.array([0, 1, 1], np.int32)
        assert log(user=user).user is user

    def test_an_empty_log_is_a_log(self) -> None:
        empty = log(user=np.array([]), item=[], value=np.empty(0), timestamp=[])
        assert len(empty) == 0
        assert empty.user.dtype == np.int32
        assert empty.matrix().nnz == 0
        assert lists(empty.histories()) == [[], []]


class TestQueries:
    def full(self) -> Queries:
        n = 4
        return Queries(
            user=np.arange(n, dtype=np.int32),
            history=Ragged.from_lists([[1, 2], [], [3], [4, 4]]),
            exclude=Ragged.from_lists([[1], [0, 2], [], [4]]),
            history_ratings=np.arange(5, dtype=np.float32),
            history_times=np.arange(5),
            request_time=np.arange(n) * 100,
            context=pl.DataFrame({"c": range(n)}),
            user_features=pl.DataFrame({"f": range(n)}),
            title=("a", None, "c", "d"),
            candidates=np.arange(2 * n, dtype=np.int32).reshape(n, 2),
        )

    def test_slices_join_up_to_the_whole(self) -> None:
        whole = self.full()
        for cut in range(5):
            parts = [whole.slice(0, cut), whole.slice(cut, 99)]
            assert [len(p) for p in parts] == [cut, 4 - cut]
            for name in ("history", "exclude"):
                assert [row for p in parts for row in lists(getattr(p, name))] == lists(getattr(whole, name))
            for name in ("user", "history_ratings", "history_times", "request_time", "title", "candidates"):
                assert [x for p in parts for x in np.asarray(getattr(p, name)).tolist()] == np.asarray(
                    getattr(whole, name)
                ).tolist()
            for part, rows in zip(parts, (range(cut), range(cut, 4)), strict=True):
                assert part.context is not None
                assert part.user_features is not None
                assert part.context["c"].to_list() == part.user_features["f"].to_list() == list(rows)

    def test_the_whole_is_not_copied(self) -> None:
        whole = self.full()
        assert whole.slice(0, 4) is whole

    def test_rows_in_any_order(self) -> None:
        whole = self.full()
        part = whole.take(np.array([2, 0, 2]))
        assert lists(part.history) == [lists(whole.history)[row] for row in (2, 0, 2)]
        assert lists(part.exclude) == [lists(whole.exclude)[row] for row in (2, 0, 2)]
        assert part.context is not None
        assert part.context["c"].to_list() == [2, 0, 2]


def test_some_queries_of_a_holdout_keep_what_is_hidden_of_them() -> None:
    queries = Queries(np.arange(3, dtype=np.int32), Ragged.from_lists([[1], [2], []]), Ragged.empty(3))
    truth, late = Ragged.from_lists([[4, 5], [6], [7]]), Ragged.from_lists([[5], [], [7]])
    protocol = Protocol("log", "random", "valid", "train", "train")
    whole = Holdout(queries, truth, protocol, dislikes=truth, kinds={"late": late}, tasks=("a", "b", "c"))
    part = whole.take(np.array([2, 0]))
    assert part.queries.user.tolist() == [2, 0]
    for rows, wanted in ((part.truth, [[7], [4, 5]]), (part.dislikes, [[7], [4, 5]]), (part.kinds["late"], [[7], [5]])):
        assert rows is not None
        assert lists(rows) == wanted
    assert part.tasks == ("c", "a")
    assert part.protocol == protocol
    bare = Holdout(queries, truth, protocol).take(np.array([1]))
    assert (bare.dislikes, bare.kinds, bare.tasks) == (None, {}, ())
