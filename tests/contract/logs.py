"""Small logs with structure: four groups of people, each with favourites of its own; asymmetric in every way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Queries
from matinee.data.ids import Id, IdMap

N_USERS, N_ITEMS, N_GROUPS = 90, 70, 4
IDLE_USER, UNWATCHED = "zz-idle", (5_001, 5_002)


def log(
    users: Sequence[Id],
    items: Sequence[Id],
    times: Sequence[int] | NDArray[Any] | None = None,
    values: Sequence[float] | NDArray[Any] | None = None,
    *,
    more_users: Sequence[Id] = (),
    more_items: Sequence[Id] = (),
) -> Dataset:
    """A Dataset from external ids, one event each; `more_*` are ids that no event has."""
    user, item = pl.Series(users), pl.Series(items)
    user_map = IdMap.from_series(pl.Series([*users, *more_users]), what="user")
    item_map = IdMap.from_series(pl.Series([*items, *more_items]), what="item")
    return Dataset(
        user_map,
        item_map,
        user_map.encode(user),
        item_map.encode(item),
        value=None if values is None else np.asarray(values, np.float32),
        timestamp=None if times is None else np.asarray(times, np.int64),
    )


def groups() -> Dataset:
    """90 users in 4 groups and 69 watched items in 4 groups of unequal size; 9 of 10 events stay within the own group.

    Fewer users and items than the neighbours a model keeps by default, so that no tie lies at a cut. No timestamp
    occurs twice, rows are in no order, one user has no event and two items have none.
    """
    rng = np.random.default_rng(7)
    item_group = np.sort(rng.integers(0, N_GROUPS, N_ITEMS))
    appeal = rng.gamma(0.8, size=N_ITEMS) + 0.15
    users: list[Id] = []
    items: list[Id] = []
    for u in range(N_USERS):
        chance = appeal * np.where(item_group == u % N_GROUPS, 1.0, 0.03)
        chosen = rng.choice(N_ITEMS, size=int(rng.integers(6, 12)), replace=False, p=chance / chance.sum())
        users += [f"u{u:03d}"] * len(chosen)
        items += [int(3 * i + 11) for i in chosen]
    n = len(users)
    order = rng.permutation(n)
    times = 1_000_000_000 + 3_600 * rng.permutation(n)
    return log(
        [users[i] for i in order],
        [items[i] for i in order],
        times,
        rng.integers(1, 6, n).astype(np.float32),
        more_users=[IDLE_USER],
        more_items=UNWATCHED,
    )


def described() -> Dataset:
    """`groups` with a table of items: tags, mostly of their own group, a year and vectors around that of the group. The
    items without an event have no row."""
    data = groups()
    rng = np.random.default_rng(2)
    group = np.sort(np.random.default_rng(7).integers(0, N_GROUPS, N_ITEMS))
    centres = rng.normal(size=(N_GROUPS, 5))
    table: dict[str, list[Any]] = {"tags": [], "year": [], "vector": []}
    for item in data.items.ids.tolist():
        g = -1 if item in UNWATCHED else int(group[(item - 11) // 3])
        tags = ["film", *rng.choice([f"{g}a", f"{g}b", f"{g}c", "x"], 2).tolist()]
        vector = np.round(centres[g] + 0.4 * rng.normal(size=5), 3).tolist()
        for name, value in (("tags", tags), ("year", 1990 + 2 * g + int(rng.integers(3))), ("vector", vector)):
            table[name].append(None if g < 0 else value)
    return replace(data, item_features=pl.DataFrame(table))


def titled() -> Dataset:
    """`groups` whose users are lists with titles; one has none."""
    titles = [f"group {u % N_GROUPS} list {u % 7}" for u in range(N_USERS)]
    return replace(groups(), user_features=pl.DataFrame({"title": [*titles, None]}))


def last_hidden(data: Dataset, n: int = 2) -> tuple[Dataset, Holdout]:
    """Each user's last n events hidden: what remains to fit on, and the holdout."""
    rank_from_end = np.empty(len(data), np.int64)
    rank_from_end[data.order] = np.cumsum(data.user_counts())[data.user[data.order]] - np.arange(len(data))
    hidden = rank_from_end <= n
    train = data.rows(~hidden)
    users = np.flatnonzero(data.user_counts()).astype(np.int32)
    truth = data.rows(hidden).histories().take(users)
    protocol = Protocol("synthetic", f"last {n}", "test", "train", "train")
    return train, Holdout(train.queries_of(users), truth, protocol)


def renamed(data: Dataset, seed: int | None) -> tuple[Dataset, NDArray[np.int32], NDArray[np.int32]]:
    """The same log under other ids, and the new code of each old user and item. seed None keeps the ids' order."""
    maps, codes = [], []
    for ids, kind in ((data.users, "person"), (data.items, "film")):
        n = len(ids)
        place = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
        maps.append(IdMap([f"{kind}-{i:05d}" for i in range(n)], what=ids.what))
        codes.append(place.astype(np.int32))
    tables = [
        None if table is None else table[np.argsort(code)]
        for table, code in zip((data.user_features, data.item_features), codes, strict=True)
    ]
    same = replace(
        data, users=maps[0], items=maps[1], user=codes[0][data.user], item=codes[1][data.item],
        user_features=tables[0], item_features=tables[1],
    )  # fmt: skip
    return same, codes[0], codes[1]


def one_query(history: Sequence[int], *, exclude: Sequence[int] | None = None, user: int = -1) -> Queries:
    """One query of item codes; what is in the history is excluded unless said otherwise."""
    seen = Ragged.from_lists([history])
    return Queries(np.array([user], np.int32), seen, seen if exclude is None else Ragged.from_lists([exclude]))
