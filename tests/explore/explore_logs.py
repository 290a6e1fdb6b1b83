"""Small, uneven logs for the tests of explore: repeats, ties, users and items without events, gaps in tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap

DAY = 86_400
START = 883_612_800 + 5 * 3600  # 1 January 1998, 5:00
DIRECTORS = ("Agnès Varda", "박찬욱", "Chantal Akerman", "Ozu")


def ids(n: int) -> IdMap:
    return IdMap.from_series(pl.Series(np.arange(n) * 3))


def make_log(seed: int = 0, *, n: int = 600, n_users: int = 30, n_items: int = 70, name: str = "uneven") -> Dataset:
    """Popular items, active users, sittings with equal times, three years."""
    rng = np.random.default_rng(seed)
    user = rng.zipf(1.3, n).clip(1, n_users - 4).astype(np.int32)
    item = (rng.zipf(1.25, n).clip(1, n_items - 5) + (user % 3)).astype(np.int32)
    sitting = rng.integers(0, 1000, n) * DAY + rng.choice([0, 3600, 40_000], n)
    return Dataset(
        users=ids(n_users),
        items=ids(n_items),
        user=user,
        item=item,
        value=rng.choice([1, 2, 3, 4, 5], n, p=[0.05, 0.1, 0.2, 0.4, 0.25]).astype(np.float32),
        timestamp=START + sitting + rng.choice([0, 1, 30, 700], n),
        name=name,
    )


def with_tables(data: Dataset, seed: int = 1) -> Dataset:
    """Titles (two of them equal), years with gaps, lists with gaps, a text of users."""
    rng = np.random.default_rng(seed)
    n = data.n_items
    years = [None if i % 11 == 4 else int(x) for i, x in enumerate(rng.integers(1950, 2001, n))]
    genres = [
        rng.choice(["Drama", "Comedy", "War", "Sci-Fi"], k, replace=False).tolist() for k in rng.integers(0, 4, n)
    ]
    directors = [None if i % 7 == 2 else [DIRECTORS[i % 5 % 4]] for i in range(n)]
    titles = [f"Film {i}" for i in range(n)]
    titles[9] = titles[8].upper()
    items = pl.DataFrame(
        {"title": titles, "year": years, "genres": genres, "directors": directors, "length": rng.random(n) * 90},
        schema_overrides={"year": pl.Int64, "directors": pl.List(pl.String), "genres": pl.List(pl.String)},
    )
    items = items.with_columns(pl.when(pl.col("length") < 9).then(float("nan")).otherwise("length").alias("length"))
    work = ["", "nurse", "clerk", "nurse", None]
    users = pl.DataFrame(
        {"work": [work[i % 5] for i in range(data.n_users)], "code": [f"u{i}" for i in range(data.n_users)]}
    )
    return replace(data, item_features=items, user_features=users)


def rows_of(data: Dataset) -> list[tuple[int, int, float, int]]:
    """(user, item, rating, time) of each row."""
    assert data.value is not None
    assert data.timestamp is not None
    columns = (data.user, data.item, data.value, data.timestamp)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def by_user(data: Dataset) -> dict[int, list[tuple[int, int, float, int]]]:
    """Each user's rows, oldest first; equal times in the order of the log."""
    out: dict[int, list[tuple[int, int, float, int]]] = {}
    for row in sorted(rows_of(data), key=lambda row: row[3]):
        out.setdefault(row[0], []).append(row)
    return out
