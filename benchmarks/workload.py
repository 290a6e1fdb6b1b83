"""What every library is given: one log, one matrix, one split; and the one judge of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]

K = 10  # how many items are recommended
L2 = 500.0  # EASE's ridge
NEIGHBOURS = 50  # ItemKNN's k
FACTORS, ITERATIONS = 64, 15  # iALS's
ALPHA0, IALS_L2 = 0.3, 0.01  # its weight of a pair nobody watched, and penalty, where a library has both


@dataclass(frozen=True)
class Log:
    """train, test: csr float32 (n_users, n_items), row = user, column = item, 1 per event, indices sorted."""

    name: str
    train: csr_matrix
    test: csr_matrix

    @property
    def n_users(self) -> int:
        return int(self.train.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.train.shape[1])


def ones(user: Ints, item: Ints, shape: tuple[int, int]) -> csr_matrix:
    matrix = csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape)
    matrix.sort_indices()
    return matrix


def split(name: str, user: Ints, item: Ints, shape: tuple[int, int], *, seed: int = 0) -> Log:
    """A random 20 % (rounded down) of each user's events are the test."""
    order = np.lexsort((np.random.default_rng(seed).random(len(user)), user))
    user, item = user[order], item[order]
    count = np.bincount(user, minlength=shape[0])
    place = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    test = place < count[user] // 5
    return Log(name, ones(user[~test], item[~test], shape), ones(user[test], item[test], shape))


def ml_1m(data_dir: Path) -> Log:
    import polars as pl

    path = data_dir / "ml-1m" / "ratings.dat"
    user_id, item_id = pl.read_csv(path, separator=":", has_header=False, columns=[0, 2]).get_columns()
    users, user = np.unique(user_id.to_numpy(), return_inverse=True)
    items, item = np.unique(item_id.to_numpy(), return_inverse=True)
    return split("ml-1m", user, item, (len(users), len(items)))


def toy() -> Log:
    user, item = draw_log(200, 100, 4_000, seed=0)
    return split("toy", user, item, (200, 100))


def large(*, n_users: int = 136_677, n_items: int = 20_108, n_events: int = 10_000_000) -> Log:
    """The size of MovieLens 20M with ratings of 4 and more; power-law items, log-normal users."""
    user, item = draw_log(n_users, n_items, n_events, seed=0)
    shape = (n_users, n_items)
    return Log("large", ones(user, item, shape), ones(user[:0], item[:0], shape))


def draw_log(n_users: int, n_items: int, n_events: int, *, seed: int) -> tuple[Ints, Ints]:
    """Exactly n_events distinct pairs, sorted by (user, item)."""
    rng = np.random.default_rng(seed)
    active = np.cumsum(rng.lognormal(0.0, 1.1, n_users))
    popular = np.cumsum((np.arange(n_items) + n_items / 100) ** -1.86)  # MovieLens 20M's head and median
    codes = rng.permutation(n_items)  # popularity says nothing about the code
    key = np.empty(0, np.int64)
    while len(key) < n_events:
        user = np.searchsorted(active, rng.random(n_events // 2) * active[-1])
        item = codes[np.searchsorted(popular, rng.random(n_events // 2) * popular[-1])]
        key = np.sort(np.concatenate([key, user * n_items + item]))
        key = key[np.concatenate([[True], key[1:] != key[:-1]])]
    key = np.delete(key, rng.choice(len(key), len(key) - n_events, replace=False))
    return key // n_items, key % n_items


def recall_and_ndcg(item: Ints, test: csr_matrix) -> tuple[float, float]:
    """recall@k and ndcg@k of item (n_users, k; -1 = none), over the users who have a test event.

    The judge of every library, so it is written for itself: gain 1, discount 1 / log2(rank + 1), ideal over
    min(k, |relevant|) items.
    """
    k = item.shape[1]
    relevant = np.diff(test.indptr)
    key = np.repeat(np.arange(len(relevant), dtype=np.int64), relevant) * test.shape[1] + test.indices
    asked = np.arange(len(item), dtype=np.int64)[:, None] * test.shape[1] + item
    hit = np.isin(asked, key) & (item >= 0)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant, k)]
    judged = relevant > 0
    recall = hit.sum(1)[judged] / relevant[judged]
    ndcg = (hit * discount).sum(1)[judged] / ideal[judged]
    return float(recall.mean()), float(ndcg.mean())
