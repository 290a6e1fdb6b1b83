"""The figures of a log and of recommendations, against loops a person can check."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee import split
from matinee.data.arrays import Ints
from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.explore import activity_groups, key_figures, list_figures, overlap, user_samples
from matinee.rank import Recommendations


def ids(n: int) -> IdMap:
    return IdMap.from_series(pl.Series(np.arange(n)))


def log(seed: int, *, n: int = 400, n_users: int = 25, n_items: int = 60) -> Dataset:
    rng = np.random.default_rng(seed)
    return Dataset(
        users=ids(n_users),
        items=ids(n_items),
        user=rng.integers(0, n_users - 2, n).astype(np.int32),
        item=rng.zipf(1.4, n).clip(1, n_items - 3).astype(np.int32),
        value=rng.integers(1, 6, n).astype(np.float32),
        timestamp=rng.integers(0, 60, n).astype(np.int64),
    )


def recs_of(rows: list[list[int]], n_items: int = 60, user: Ints | None = None) -> Recommendations:
    item = np.array(rows, np.int32)
    n = len(item)
    user = np.arange(n, dtype=np.int32) if user is None else user
    flags = np.arange(n) % 2 == 0
    return Recommendations(ids(n), ids(n_items), user, item, item.astype(np.float32), flags, ~flags)


@pytest.mark.parametrize("seed", range(5))
def test_key_figures(seed: int) -> None:
    data = log(seed)
    found = key_figures(data)
    user, item = data.user.tolist(), data.item.tolist()
    assert data.timestamp is not None
    assert data.value is not None
    times = data.timestamp.tolist()
    pairs = set(zip(user, item, strict=True))
    users, items = Counter(user), Counter(item)
    assert (found.n_events, found.n_users, found.n_items, found.n_catalogue) == (400, len(users), len(items), 60)
    assert found.density == pytest.approx(len(pairs) / (len(users) * len(items)))
    assert found.repeated == 400 - len(pairs) > 0
    watched = defaultdict(list)
    for row in sorted(range(400), key=lambda r: (times[r], r)):
        watched[user[row]].append(item[row])
    assert found.at_once == sum(a == b for of in watched.values() for a, b in pairwise(of)) > 0
    assert (found.first, found.last) == (min(times), max(times))
    top = sorted(items.values(), reverse=True)[: -(-len(items) // 10)]
    assert found.top_items == len(top)
    assert found.top_share == pytest.approx(sum(top) / 400)
    counts = sorted(users.values())
    assert (found.user_events.smallest, found.user_events.largest) == (counts[0], counts[-1])
    assert found.user_events.median == np.median(counts)
    assert found.item_events.mean == pytest.approx(400 / len(items))

    by_user = defaultdict(list)
    for u, t in sorted(zip(user, times, strict=True)):
        by_user[u].append(t)
    neighbours = [a == b for of in by_user.values() for a, b in pairwise(of)]
    assert found.tied == pytest.approx(np.mean(neighbours))

    assert found.ratings is not None
    stars = Counter(data.value.tolist())
    assert dict(zip(found.ratings.value.tolist(), found.ratings.counts.tolist(), strict=True)) == stars
    assert found.ratings.mean == pytest.approx(np.mean(data.value))
    assert found.activity.counts.sum() == len(users)
    assert found.over_time is not None
    assert found.over_time.counts.sum() == 400
    assert found.tail[0].tolist() == [0, 0]
    assert found.tail[-1].tolist() == [1, 1]
    ranked = np.sort(list(items.values()))[::-1]
    for x, y in found.tail.tolist():
        assert y == pytest.approx(ranked[: round(x * len(items))].sum() / 400)


def test_key_figures_of_little() -> None:
    empty = np.empty(0, np.int32)
    none = key_figures(Dataset(ids(0), ids(0), empty, empty, timestamp=np.empty(0, np.int64)))
    assert (none.n_events, none.density, none.first, none.ratings, none.over_time) == (0, 0.0, None, None, None)
    one = np.zeros(1, np.int32)
    single = key_figures(Dataset(ids(1), ids(1), one, one, np.ones(1, np.float32), np.ones(1, np.int64)))
    assert (single.density, single.top_share, single.tied, single.ratings) == (1.0, 1.0, None, None)


def test_many_levels_are_binned() -> None:
    data = log(0)
    value = np.linspace(0, 5, len(data)).astype(np.float32)
    found = key_figures(Dataset(data.users, data.items, data.user, data.item, value)).ratings
    assert found is not None
    assert found.binned
    assert found.counts.sum() == len(data)


@pytest.mark.parametrize("seed", range(3))
def test_list_figures_and_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train = log(seed)
    lists = {name: [[*rng.choice(50, 6, replace=False).tolist(), -1] for _ in range(30)] for name in ("a", "b", "c")}
    recs = {name: recs_of(rows) for name, rows in lists.items()}
    events = Counter(train.item.tolist())
    head = set(sorted(range(60), key=lambda i: (-events[i], i))[:8])
    given = [i for row in lists["a"] for i in row if i >= 0]
    found = list_figures(recs["a"], train, head=8)
    assert (found.n_queries, found.n_recommended, found.n_distinct) == (30, len(given), len(set(given)))
    assert found.coverage == pytest.approx(len(set(given)) / len(events))
    assert found.head_share == pytest.approx(np.mean([i in head for i in given]))
    assert found.median_events == np.median([events[i] for i in given])
    assert (found.tied, found.fallback) == (0.5, 0.5)
    assert list_figures(recs["a"], train, head=10**6).head == len(events)

    common = overlap(recs)
    for x, one in enumerate(lists.values()):
        for y, other in enumerate(lists.values()):
            both = [len((set(p) & set(q)) - {-1}) for p, q in zip(one, other, strict=True)]
            assert common[x, y] == pytest.approx(np.mean(both))


def test_overlap_of_other_queries_is_refused() -> None:
    with pytest.raises(MatineeError, match="same queries"):
        overlap({"a": recs_of([[1], [2]]), "b": recs_of([[1], [2]], user=np.array([1, 0], np.int32))})


def test_activity_groups_follow_the_history() -> None:
    made = split.random(log(1, n=900), seed=0)
    lengths = made.test.queries.history.lengths
    rows = [("m", "recall", 5, q, q, float(length)) for q, length in enumerate(lengths.tolist())]
    frame = pl.DataFrame(rows, schema=["label", "metric", "k", "query", "user_id", "value"], orient="row")
    found = activity_groups(frame, made.test, "recall", 5)
    assert len(found) == 4
    assert found["n_queries"].sum() == len(lengths)
    for row in found.iter_rows(named=True):
        inside = lengths[(lengths >= row["shortest"]) & (lengths <= row["longest"])]
        assert row["value"] == pytest.approx(inside.mean())


def test_people_are_of_varied_activity_and_told_by_title() -> None:
    data = log(2, n=900)
    made = split.random(data, seed=0)
    recs = {"m": recs_of([[7, 8, -1]] * len(made.test), user=made.test.queries.user)}
    chosen = user_samples(data, made.test, recs, n=5, seed=3)
    assert chosen == user_samples(data, made.test, recs, n=5, seed=3)
    assert [p.group for p in chosen] == [1, 2, 3, 4, 5]
    assert [p.n_history for p in chosen] == sorted(p.n_history for p in chosen)
    for person in chosen:
        history, truth = made.test.queries.history[person.query], made.test.truth[person.query].tolist()
        assert [film.hit for film in person.picks["m"]] == [7 in truth, 8 in truth]
        assert (person.n_history, person.n_hidden) == (len(history), len(truth))


@pytest.mark.parametrize("values", ["rated", "equal", "none"])
def test_favourites_are_the_best_rated_or_else_the_newest(values: str) -> None:
    """Films watched twice count once, by their last rating; ratings that are all equal say nothing."""
    data = log(2, n=900)
    if values != "rated":
        data = replace(data, value=np.ones(len(data), np.float32) if values == "equal" else None)
    made = split.random(data, seed=0)
    queries = made.test.queries
    repeats = 0
    for person in user_samples(data, made.test, {}, n=5):
        start, stop = queries.history.offsets[person.query : person.query + 2].tolist()
        given = (
            [1.0] * (stop - start) if queries.history_ratings is None else queries.history_ratings[start:stop].tolist()
        )
        last = {
            item: (place, rating)
            for place, (item, rating) in enumerate(zip(queries.history[person.query].tolist(), given, strict=True))
        }
        repeats += stop - start - len(last)
        wanted = sorted(last, key=lambda item: (-last[item][1], -last[item][0]))[:5]
        assert [film.card.name for film in person.favourites] == [str(item) for item in wanted]
        ratings = [last[item][1] if values == "rated" else None for item in wanted]
        assert [film.rating for film in person.favourites] == ratings
    assert repeats > 0


def test_anonymous_sessions_without_times() -> None:
    """A log of lines: no times, no ratings, repeats are events."""
    item = [3, 3, 1, 4, 1, 4, 4, 4]
    lengths = [2, 1, 5]
    data = Dataset(ids(3), ids(6), np.repeat(np.arange(3), lengths).astype(np.int32), np.array(item, np.int32))
    found = key_figures(data)
    assert (found.n_events, found.n_users, found.n_items, found.n_catalogue) == (8, 3, 3, 6)
    assert (found.user_events.smallest, found.user_events.median, found.user_events.largest) == (1, 2, 5)
    assert (found.repeated, found.at_once) == (4, 3), "3 3 | 1 | 4 1 4 4 4"
    assert [found.first, found.last, found.tied, found.ratings, found.over_time] == [None] * 5
    assert int(found.activity.counts.sum()) == 3


def test_key_figures_of_kinds_weights_and_dislikes() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2], "item": list("abab"), "event": ["view", "buy", "view", "dislike"]})
    found = key_figures(mt.read(frame, kinds=None))
    assert (found.kinds, found.weights, found.dislikes) == ({"view": 2, "buy": 1, "dislike": 1}, None, 0)
    kinds = {"column": "event", "weights": {"view": 1, "buy": 4, "dislike": -1}}
    found = key_figures(mt.read(frame, kinds=kinds))
    assert (found.kinds, found.dislikes, found.n_events) == (None, 1, 3)
    assert found.weights is not None
    assert (found.weights.value.tolist(), found.weights.counts.tolist()) == ([1, 4], [2, 1])
    assert found.weights.mean == 2
