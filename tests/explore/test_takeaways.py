"""Take-aways are made of the log's numbers, and say what follows from these and not from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from explore_logs import DAY, START, ids, make_log, with_tables

import matinee as mt
from matinee.data.dataset import Dataset
from matinee.errors import worded_for
from matinee.explore.wording import percent, typed


def told(data: Dataset) -> dict[str, str]:
    return {each.topic: f"{each.found} {each.so}" for each in mt.explore(data).takeaways}


def share(value: float) -> str:
    return typed(percent(value))


def test_the_numbers_are_the_logs() -> None:
    data = with_tables(make_log())
    found, words = mt.explore(data), told(data)
    assert f"has {share(found.popularity.top_10)} of the events" in words["popularity"]
    assert f"Gini of popularity is {found.popularity.gini:.2f}" in words["popularity"]
    assert found.ratings is not None
    assert f"{found.ratings.spread.mean:.2f} on average; {share(found.ratings.share)} are" in words["ratings"]
    assert f"{found.repeats.extra} events ({share(found.repeats.extra / 600)}) repeat" in words["repeats"]
    assert f"{found.repeats.conflicts} pairs have different ratings" in words["repeats"]
    by_name = {each.strategy: each for each in found.splits}
    assert f"{share(by_name['random'].own_future or 0)} under random" in words["look-ahead"]
    assert f"{share(by_name['temporal'].cold_queries)} of the users who come later" in words["cold start"]
    assert found.years is not None
    assert f"{share(found.years.fresh or 0)} of the events come in the year of release" in words["release"]
    assert f"last five {share(found.years.fresh_last or 0)}. The last events are of older items" in words["release"]
    assert f"of {by_name['leave_one_out'].queries} users" in words["choice"]
    assert not any("\u202f" in text for text in words.values())


def even(per_user: int, *, users: int = 40, step: int = DAY, value: list[float] | None = None) -> Dataset:
    """Each user has other items, one a day."""
    n, rng = users * per_user, np.random.default_rng(0)
    item = np.concatenate([rng.permutation(50)[:per_user] for _ in range(users)])
    return Dataset(
        users=ids(users), items=ids(50), user=np.repeat(np.arange(users), per_user).astype(np.int32),
        item=item.astype(np.int32), timestamp=START + np.tile(np.arange(per_user), users) * step,
        value=None if value is None else np.resize(np.array(value, np.float32), n), name="even",
    )  # fmt: skip


def test_popularity_that_is_no_baseline() -> None:
    assert "models must know who likes what" in told(even(9))["popularity"]
    assert "strong baseline" in told(make_log())["popularity"]


def test_short_and_filtered_histories() -> None:
    assert "ials" in told(even(9))["choice"]
    assert "No usual split is possible" in told(even(2))["choice"]
    few = even(9).rows(np.flatnonzero(np.arange(360) % 9 < np.where(np.arange(360) < 90, 9, 1)))
    words = told(few)
    assert "too few for a test of their own" in words["short histories"]
    assert "ials" not in words["choice"]
    assert "seems to be filtered" in told(even(9))["activity"]
    assert "seems to be filtered" not in told(make_log())["activity"]


def test_kinds_of_ratings() -> None:
    assert "There are no ratings." in told(even(9))["ratings"]
    assert "All ratings are 4." in told(even(9, value=[4]))["ratings"]
    binary = told(even(9, value=[0, 1, 1]))["ratings"]
    assert "two values, 0 and 1; 67 % are 1" in binary
    assert "min_rating=1." in binary
    assert "a rating says little" in told(even(9, value=[10, 10, 10, 7, 3]))["ratings"]
    levels = told(even(9, value=[1, 2, 3, 4.5, 5]))["ratings"]
    assert "biases of users" in levels
    assert "(min_rating=3) or become dislikes (dislike_below=2)" in levels


def test_times_that_tell_no_order() -> None:
    assert {"order", "one sitting"} & set(told(even(9))) == set()
    words = told(even(9, step=0))
    assert "100 % of a user’s neighbouring events" in words["order"]
    assert "100 % of the users were active within 24 hours" in words["one sitting"]
    assert "sasrec" not in words["choice"]
    assert "sasrec" in told(even(9))["choice"]
    untimed = told(replace(even(9), timestamp=None))
    assert "There are no times." in untimed["time"]
    assert "cold start" not in untimed


def test_repeats_that_are_answers() -> None:
    data = even(9)
    again = data.rows(np.concatenate([np.arange(len(data)), np.arange(len(data))]))
    assert "exclude_seen=False" in told(again)["repeats"]
    with worded_for("command"):  # has no option for it
        assert "split with exclude_seen = false" in told(again)["repeats"]
    assert "repeats" not in told(data)
    one = data.rows(np.append(np.arange(len(data)), 5))
    assert "1 event (0.28 %) repeats a pair" in told(one)["repeats"]
    assert 'duplicates="distinct"' in told(one)["repeats"]


def test_mostly_empty_columns() -> None:
    table = pl.DataFrame({"tags": [["x"] if i % 4 == 0 else [] for i in range(50)], "full": list(range(50))})
    words = told(replace(even(9), item_features=table))["missing"]
    assert "tags (74 %)" in words
    assert "full" not in words


def test_drift() -> None:
    """Each tenth of the log has items of its own: what was popular is worth nothing."""
    n = 4000
    at = np.arange(n)
    moving = Dataset(
        users=ids(20), items=ids(100), user=(at % 20).astype(np.int32),
        item=(at // 400 * 10 + at % 10).astype(np.int32), timestamp=START + at * DAY,
    )  # fmt: skip
    assert "it is no guide" in told(moving)["drift"]
    slowly = replace(moving, item=np.where(at % 2 == 0, at // 450, 50 + at % 50).astype(np.int32))
    assert "Tastes move" in told(slowly)["drift"]
    steady = replace(moving, item=np.where(at % 2 == 0, at % 7, at % 97).astype(np.int32))
    assert "Popularity is steady" in told(steady)["drift"]
    assert "drift" not in told(even(9))  # too few events to tell


def test_items_that_no_model_can_find() -> None:
    data = even(9)
    own = replace(
        data, items=ids(400), item=np.where(np.arange(360) % 3, data.item, 40 + np.arange(360)).astype(np.int32)
    )
    words = told(own)["unknown items"]
    assert "of items without another event" in words
    assert "unknown items" not in told(data)


def test_years_after_the_events() -> None:
    table = pl.DataFrame({"year": [2010 if i % 2 else 1990 for i in range(50)]})
    assert "come before the year of release" in told(replace(even(9), item_features=table))["release"]
