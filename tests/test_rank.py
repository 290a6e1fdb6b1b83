"""Ranking: masks, filters, ties and top-k against plain Python, and bounded memory."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.logs import groups
from matinee import rank
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import Id, IdMap
from matinee.errors import MatineeError
from matinee.models.ease import EASE
from matinee.models.popularity import Popularity
from matinee.rank import recommend, similar_items, top_k
from oracle.truths import padded, ranking

INF = math.inf


@dataclass
class Table:
    """A scorer that looks its answers up: row = user code, column = item code."""

    scores: Floats
    users: IdMap
    items: IdMap

    def score(self, queries: Queries) -> Floats:
        whole = self.scores[queries.user]
        if queries.candidates is None:
            return whole
        return np.take_along_axis(whole, np.maximum(queries.candidates, 0), axis=1)

    def fallback(self, queries: Queries) -> Bools:
        odd: Bools = queries.user % 2 == 1
        return odd


def table(scores: Sequence[Sequence[float]] | NDArray[Any]) -> Table:
    rows = np.array(scores, np.float32)
    users = IdMap([f"u{u:03d}" for u in range(len(rows))], what="user")
    return Table(rows, users, IdMap([f"i{i:03d}" for i in range(rows.shape[1])], what="item"))


def asked(scorer: Table, exclude: Sequence[Sequence[int]] | None = None, candidates: Any = None) -> Queries:
    n = len(scorer.users)
    banned = Ragged.empty(n) if exclude is None else Ragged.from_lists(exclude)
    cut = None if candidates is None else np.array(candidates, np.int32)
    return Queries(np.arange(n, dtype=np.int32), Ragged.empty(n), banned, candidates=cut)


# few different values, so that ties are everywhere
score = st.sampled_from([-INF, -2.0, 0.0, -0.0, 0.5, 1.0, 1.0, 3.0]) | st.floats(-1e6, 1e6, width=32)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n, width = draw(st.integers(0, 4)), draw(st.integers(1, 80))
    return table(
        np.array(
            draw(st.lists(st.lists(score, min_size=width, max_size=width), min_size=n, max_size=n)), np.float32
        ).reshape(n, width)
    )


@pytest.fixture(params=[0, rank.FEW], ids=["collected and selected", "inserted"], scope="class")
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both kernels that find the k best, for any k."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank, "FEW", request.param)
        yield


@pytest.mark.usefixtures("either_way")
class TestTopK:
    @given(tables(), st.integers(1, 100))
    def test_equals_sorting(self, scorer: Table, k: int) -> None:
        item, value, tied = top_k(scorer.scores, k)
        assert item.shape == value.shape == (len(scorer.scores), k)
        for b, row in enumerate(scorer.scores.tolist()):
            items, values, tie = ranking(row, set(), k)
            assert item[b].tolist() == padded(items, k, -1)
            assert value[b].tolist() == padded(values, k, -INF)
            assert tied[b] == tie

    def test_many_rows_equal_sorting_on_any_number_of_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scores = np.random.default_rng(0).integers(0, 30, (700, 333)).astype(np.float32)
        for threads in (1, 4):
            monkeypatch.setattr("matinee.kernels.threads.n_threads", lambda threads=threads: threads)
            item, _, _ = top_k(scores, 20)
            assert (item == np.argsort(-scores, axis=1, kind="stable")[:, :20]).all()

    def test_nan_is_an_error_that_names_the_query(self) -> None:
        scores = np.zeros((5, 70), np.float32)
        scores[3, 66] = np.nan
        with pytest.raises(MatineeError, match="query 13"):
            top_k(scores, 2, first_row=10)

    def test_nan_is_found_behind_a_full_list_of_better_scores(self) -> None:
        scores = np.zeros((1, 200), np.float32)
        scores[0, :40] = 9.0
        scores[0, 170] = np.nan
        with pytest.raises(MatineeError, match="NaN"):
            top_k(scores, 10)

    def test_tied_means_that_one_left_out_has_the_last_score(self) -> None:
        scores = np.array([[1, 2, 2, 0], [1, 2, 3, 0], [2, 2, 2, 2], [5, -INF, -INF, -INF], [2, 2, 9, 9]], np.float32)
        assert top_k(scores, 1)[2].tolist() == [True, False, True, False, True]
        assert top_k(scores, 2)[2].tolist() == [False, False, True, False, False]
        assert top_k(scores, 3)[2].tolist() == [False, False, True, False, True]
        assert not top_k(scores, 4)[2].any()

    def test_a_long_list_of_many_columns_equals_sorting(self) -> None:
        scores = np.random.default_rng(1).normal(size=(20, 4000)).astype(np.float32).round(2)
        scores[::2].sort(axis=1)  # the best come last, so that each enters
        scores[:, 5] = -INF
        for k in (150, 1500):
            item, value, tied = top_k(scores, k)
            order = np.argsort(-scores, axis=1, kind="stable")
            assert (item == order[:, :k]).all()
            assert (value == np.take_along_axis(scores, order[:, :k], axis=1)).all()
            assert (tied == (value[:, -1] == np.take_along_axis(scores, order[:, k : k + 1], axis=1)[:, 0])).all()

    def test_no_columns_is_no_tie(self) -> None:
        assert not top_k(np.zeros((3, 0), np.float32), 0)[2].any()


class TestRecommend:
    @given(st.data())
    def test_equals_plain_python_under_every_rule(self, data: st.DataObject) -> None:
        scorer = data.draw(tables())
        n, width = scorer.scores.shape
        users, items = scorer.users.decode(range(n)), scorer.items.decode(range(width))
        codes = st.lists(st.integers(0, width - 1), max_size=width)
        ids = st.lists(st.sampled_from(items), max_size=width)
        by_user = st.dictionaries(st.sampled_from(users), ids) if users else st.just({})
        exclude = [data.draw(codes) for _ in range(n)]
        allow: Sequence[Id] | Mapping[Id, Sequence[Id]] | None = data.draw(st.none() | ids | by_user)
        deny: Sequence[Id] | Mapping[Id, Sequence[Id]] | None = data.draw(st.none() | ids | by_user)
        k = data.draw(st.integers(1, width + 3))
        width_c = data.draw(st.none() | st.integers(1, 9))
        candidates = None
        if width_c is not None:
            row = st.lists(st.integers(-1, width - 1), min_size=width_c, max_size=width_c)
            candidates = np.array([data.draw(row) for _ in range(n)], np.int32).reshape(n, width_c)
        recs = recommend(scorer, asked(scorer, exclude, candidates), k, allow=allow, deny=deny)
        assert recs.item.shape == recs.score.shape == (n, k)
        for b, user in enumerate(users):
            banned = set(exclude[b])
            allowed = allow.get(user) if isinstance(allow, Mapping) else allow
            denied = deny.get(user, []) if isinstance(deny, Mapping) else deny or []
            banned |= {c for c, i in enumerate(items) if (allowed is not None and i not in allowed) or i in denied}
            if candidates is not None:
                banned |= set(range(width)) - set(candidates[b].tolist())
            wanted, values, tie = ranking(scorer.scores[b].tolist(), banned, k)
            assert recs.item[b].tolist() == padded(wanted, k, -1)
            assert recs.score[b].tolist() == padded(values, k, -INF)
            assert recs.tied[b] == tie
            assert recs.fallback[b] == (b % 2 == 1)

    def test_blocks_do_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer = table(np.random.default_rng(1).integers(0, 9, (50, 40)))
        exclude = [[b % 40, 3, 3] for b in range(50)]
        rules: dict[str, Any] = {"allow": {"u007": ["i001", "i002"]}, "deny": ["i030"]}
        whole = recommend(scorer, asked(scorer, exclude), 5, **rules)
        for size in (1, 160, 161, 7 * 160):
            monkeypatch.setattr(rank, "BLOCK_BYTES", size)
            parts = recommend(scorer, asked(scorer, exclude), 5, **rules)
            assert parts.item.tobytes() == whole.item.tobytes()
            assert parts.tied.tobytes() == whole.tied.tobytes()
            assert parts.fallback.tobytes() == whole.fallback.tobytes()

    def test_allow_and_deny_by_call_and_by_user(self) -> None:
        scorer = table([[1, 2, 3, 4]] * 3)
        queries = asked(scorer)
        assert recommend(scorer, queries, 2, allow=["i000", "i002"]).item.tolist() == [[2, 0]] * 3
        assert recommend(scorer, queries, 2, deny=["i003"]).item.tolist() == [[2, 1]] * 3
        assert recommend(scorer, queries, 2, allow={"u001": ["i001"]}).item.tolist() == [[3, 2], [1, -1], [3, 2]]
        assert recommend(scorer, queries, 2, deny={"u002": ["i003"]}).item.tolist() == [[3, 2], [3, 2], [2, 1]]
        both = recommend(scorer, queries, 2, allow=["i000", "i003"], deny={"u000": ["i003"]})
        assert both.item.tolist() == [[0, -1], [3, 0], [3, 0]]
        assert (recommend(scorer, queries, 2, allow=[]).item == -1).all()

    def test_a_user_with_a_list_may_ask_twice(self) -> None:
        scorer = table([[1, 2, 3, 4]] * 2)
        twice = Queries(np.array([1, 0, 1], np.int32), Ragged.empty(3), Ragged.empty(3))
        assert recommend(scorer, twice, 1, allow={"u001": ["i000"]}).item.tolist() == [[0], [3], [0]]

    @pytest.mark.parametrize(
        ("rules", "words"),
        [
            ({"allow": ["i000", "nope"]}, "unknown item 'nope'"),
            ({"deny": ["nope"]}, "unknown item 'nope'"),
            ({"allow": {"nobody": ["i000"]}}, "unknown user 'nobody'"),
            ({"deny": {"u000": ["nope"]}}, "unknown item 'nope'"),
            ({"k": 0}, "k = 0"),
            ({"k": -3}, "k = -3"),
            ({"k": 1.5}, "k = 1.5 is not a number of items"),
            ({"k": "10"}, "k = '10' is not a number of items"),
            ({"allow": 7}, "7 is not a list of item ids"),
        ],
    )
    def test_bad_requests_are_refused(self, rules: dict[str, Any], words: str) -> None:
        scorer = table([[1, 2]])
        with pytest.raises(MatineeError, match=words):
            recommend(scorer, asked(scorer), **rules)

    def test_queries_of_other_data_are_refused(self) -> None:
        scorer = table([[1, 2, 3]])
        with pytest.raises(MatineeError, match="exclude item code 3"):
            recommend(scorer, asked(scorer, [[0, 3]]))
        with pytest.raises(MatineeError, match="candidate code 9"):
            recommend(scorer, asked(scorer, candidates=[[0, 9]]))
        with pytest.raises(MatineeError, match="candidate code -2"):
            recommend(scorer, asked(scorer, candidates=[[0, -2]]))
        with pytest.raises(MatineeError, match="user code 1"):
            recommend(scorer, Queries(np.array([1], np.int32), Ragged.empty(1), Ragged.empty(1)))
        with pytest.raises(MatineeError, match="not 1 rows"):
            recommend(scorer, Queries(np.array([0], np.int32), Ragged.empty(2), Ragged.empty(1)))

    def test_no_queries(self) -> None:
        scorer = table([[1, 2, 3]])
        none = Queries(np.empty(0, np.int32), Ragged.empty(0), Ragged.empty(0))
        assert recommend(scorer, none, 4).item.shape == (0, 4)
        assert recommend(scorer, none, 4).to_frame().height == 0


class TestFrame:
    def test_ids_scores_and_ranks(self) -> None:
        scorer = table([[1, -INF, 3], [-INF, 5, -INF]])
        frame = recommend(scorer, asked(scorer), 2).to_frame()
        assert frame.columns == ["user_id", "item_id", "score", "rank"]
        assert frame.rows() == [("u000", "i002", 3.0, 1), ("u000", "i000", 1.0, 2), ("u001", "i001", 5.0, 1)]

    def test_sessions_are_told_apart_by_their_row(self) -> None:
        model = Popularity().fit(groups())
        queries = Queries(np.array([4, 4, -1], np.int32), Ragged.empty(3), Ragged.empty(3))
        frame = recommend(model, queries, 2).to_frame()
        assert frame["query"].to_list() == [0, 0, 1, 1, 2, 2]
        assert frame["user_id"].to_list() == ["u004"] * 4 + [None] * 2
        assert frame["rank"].to_list() == [1, 2] * 3


def titled(form: str) -> Dataset:
    data = groups()
    return replace(data, item_features=pl.DataFrame({"title": [form.format(code) for code in range(data.n_items)]}))


class TestLists:
    """Recommendations as a collection of lists."""

    def test_of_a_user_and_all_in_turn(self) -> None:
        scorer = table([[1, -INF, 3], [-INF, 5, -INF], [-INF, -INF, -INF]])
        recs = recommend(scorer, asked(scorer), 2)
        assert recs["u000"] == [("i002", 3.0), ("i000", 1.0)]
        assert list(recs) == [("u000", recs["u000"]), ("u001", [("i001", 5.0)]), ("u002", [])]
        assert len(recs) == 3
        assert ["u001" in recs, "nobody" in recs, None in recs, 1.5 in recs] == [True, False, False, False]

    def test_who_was_not_asked_or_asks_twice(self) -> None:
        model = Popularity().fit(groups())
        recs = recommend(model, Queries(np.array([4, 4, -1], np.int32), Ragged.empty(3), Ragged.empty(3)), 2)
        with pytest.raises(MatineeError, match="there are 2 lists for user 'u004'"):
            recs["u004"]
        with pytest.raises(MatineeError, match="no list is for user 'u005'"):
            recs["u005"]
        with pytest.raises(MatineeError, match="unknown user 'u00x'"):
            recs["u00x"]
        assert [user for user, _ in recs] == ["u004", "u004", None]
        assert "u005" not in recs

    def test_pandas_has_the_same_rows(self) -> None:
        scorer = table([[1, -INF, 3], [-INF, 5, -INF]])
        recs = recommend(scorer, asked(scorer), 2)
        frame = recs.to_pandas()
        assert frame.columns.tolist() == ["user_id", "item_id", "score", "rank"]
        assert list(frame.itertuples(index=False, name=None)) == recs.to_frame().rows()

    def test_a_notebook_shows_titles_and_the_first_lists(self) -> None:
        data = titled("<Film {}>")
        model = Popularity().fit(data)
        recs = recommend(model, data.queries(), 2)
        page = recs._repr_html_()
        titles = re.findall(r"&lt;Film (\d+)&gt;", page)
        assert titles == [str(code) for code in recs.item[:3].ravel()]
        assert "<Film" not in page
        assert "script" not in page
        assert f"… {len(recs) - 3} more lists" in page

    def test_a_notebook_shows_ids_where_there_are_no_titles_and_says_what_popularity_answers(self) -> None:
        scorer = table([[1, -INF, 3], [-INF, 5000, -INF]])
        page = recommend(scorer, asked(scorer), 2)._repr_html_()
        assert "<th>title</th>" not in page
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
        assert cells == [
            "user u000",
            "1",
            "i002",
            "3.0000",
            "",
            "2",
            "i000",
            "1.0000",
            "user u001",
            "1",
            "i001",
            "5,000",
        ]
        assert "1 list answered by popularity" in page
        assert "2 items for each of 2 queries" in page
        empty = table([[-INF, -INF]])
        page = recommend(empty, asked(empty), 2)._repr_html_()
        assert "2 items for 1 query" in page
        assert "nothing is left to recommend" in page


class TestSimilarItems:
    def test_titles_and_ids_alone_and_in_lists(self) -> None:
        data = titled("Film {}")
        model, ids = EASE().fit(data), data.items.decode([4, 9])
        wanted = similar_items(model, ids, 6).item.tolist()
        assert similar_items(model, ["Film 4", "film 9"], 6).item.tolist() == wanted
        assert similar_items(model, "Film 4", 6).item.tolist() == wanted[:1]
        assert similar_items(model, ids[0], 6).item.tolist() == wanted[:1]
        assert similar_items(model, np.array(ids), 6).item.tolist() == wanted
        with pytest.raises(MatineeError, match="did you mean: Film 4"):
            similar_items(model, "Fim 4")

    def test_a_scorer_without_a_log_is_asked_by_id(self) -> None:
        scorer = table([[1, 2, 3]] * 2)
        scorer.score = lambda queries: np.tile(np.array([1, 2, 3], np.float32), (len(queries), 1))  # type: ignore[method-assign]
        assert similar_items(scorer, "i002", 3).item.tolist() == [[1, 0, -1]]
        assert similar_items(scorer, ["i000", "i001"], 1).item.tolist() == [[2], [2]]

    def test_equals_recommending_to_who_watched_only_that(self) -> None:
        data = groups()
        model = EASE().fit(data)
        ids = data.items.decode([4, 9])
        history = Ragged.from_lists([[4], [9]])
        wanted = recommend(model, Queries(np.array([-1, -1], np.int32), history, history), 6)
        assert similar_items(model, ids, 6).item.tolist() == wanted.item.tolist()

    def test_unknown_items_are_refused(self) -> None:
        with pytest.raises(MatineeError, match="no item has the title or id '7'"):
            similar_items(Popularity().fit(groups()), [7])


GROWTH = """
import sys
import numpy as np
from matinee.data.arrays import Ragged
from matinee.data.dataset import Queries
from matinee.data.ids import IdMap
from matinee.rank import recommend

n_users, n_items, rules = int(sys.argv[1]), 20_000, sys.argv[2]

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

class Scorer:
    users, items = IdMap(np.arange(n_users)), IdMap(np.arange(n_items))
    row = np.random.default_rng(0).random(n_items, np.float32)
    def score(self, queries):
        scores = np.tile(self.row, (len(queries), 1))
        return scores if queries.candidates is None else np.take_along_axis(scores, queries.candidates, axis=1)
    def fallback(self, queries):
        return np.zeros(len(queries), np.bool_)

def queries(n):
    seen = Ragged(np.arange(0, 20 * n + 1, 20, dtype=np.int64), np.tile(np.arange(20, dtype=np.int32), n))
    candidates = np.tile(np.arange(5, 25, dtype=np.int32), (n, 1)) if rules == "candidates" else None
    return Queries(np.arange(n, dtype=np.int32), seen, seen, candidates=candidates)

scorer = Scorer()
few, many = queries(10), queries(n_users)
by_user = {u: [u % 99, 5_000] for u in range(0, n_users, 2)} if rules == "by_user" else None
recommend(scorer, few, 10, allow=by_user, deny=by_user)
before = peak()
recs = recommend(scorer, many, 10, allow=by_user)
assert recs.item.shape == (n_users, 10)
print(peak() - before)
"""


class TestMemory:
    """The scores of every user at once would take 1.6 GB, or 16 GB in the slow one; 300 MB are promised."""

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
    @pytest.mark.parametrize(
        ("n_users", "rules"),
        [
            (20_000, "none"),
            (20_000, "by_user"),
            (20_000, "candidates"),
            pytest.param(200_000, "none", marks=pytest.mark.slow),
        ],
    )
    def test_growth_is_bounded(self, n_users: int, rules: str) -> None:
        run = subprocess.run(
            [sys.executable, "-c", GROWTH, str(n_users), rules], capture_output=True, text=True, check=True
        )
        assert 0 < float(run.stdout) < 300
