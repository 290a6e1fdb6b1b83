"""A log, queries and lists of which no two are alike, for slow truths about lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout, Protocol, Queries
from matinee.data.ids import IdMap
from matinee.rank import Recommendations

N_USERS, N_ITEMS, B, K = 30, 40, 26, 9
NAMES = "abcdefg"


def made() -> Dataset:
    """Repeated events, items without an event (37 to 39), of one user, without genres and of unknown genres."""
    rng = np.random.default_rng(5)
    user, item = rng.integers(0, N_USERS - 1, 420), rng.zipf(1.3, 420).clip(1, 37) - 1
    genres: list[list[str] | None] = [
        sorted(rng.choice(list(NAMES), rng.integers(1, 4), replace=False).tolist()) for _ in range(N_ITEMS)
    ]
    genres[3], genres[11] = [], None
    people = [[f"p{code % 11}", f"p{code % 4}"] if code % 5 else None for code in range(N_ITEMS)]
    table = pl.DataFrame(
        {
            "genres": pl.Series(genres, dtype=pl.List(pl.String)),
            "directors": pl.Series(people, dtype=pl.List(pl.String)),
        }
    )
    users, items = (IdMap.from_series(pl.Series(np.arange(n))) for n in (N_USERS, N_ITEMS))
    return Dataset(users, items, user.astype(np.int32), item.astype(np.int32), item_features=table)


TRAIN = made()
EVENTS: list[list[int]] = [TRAIN.item[TRAIN.user == user].tolist() for user in range(N_USERS)]
COUNTS = [sum(events.count(item) for events in EVENTS) for item in range(N_ITEMS)]
HOLDERS = [{user for user, events in enumerate(EVENTS) if item in events} for item in range(N_ITEMS)]
ACTIVE = sum(map(bool, EVENTS))
POPULAR = sorted((item for item in range(N_ITEMS) if COUNTS[item]), key=lambda item: (-COUNTS[item], item))


def asked(candidates: bool = False) -> tuple[Holdout, Recommendations, list[list[int]]]:
    """Queries without history, without answers, with an answer that the log does not know; short and empty lists."""
    rng = np.random.default_rng(11)
    user = np.arange(B, dtype=np.int32)
    history = [EVENTS[u] if u % 9 else [] for u in range(B)]
    truth = [rng.permutation(N_ITEMS)[: rng.integers(0, 7)].tolist() for _ in range(B)]
    truth[4].append(N_ITEMS + 2)
    lists = [rng.permutation(N_ITEMS)[: rng.integers(1, K + 1)].tolist() for _ in range(B)]
    lists[7], lists[8], lists[10] = [], [11, 3], [POPULAR[0], 5, 38]
    for b in range(0, B, 2):  # something to hit, beyond and among what is popular
        lists[b] = list(dict.fromkeys([*truth[b][:2], *POPULAR[b : b + 2], *lists[b]]))[:K]
        lists[b] = [item for item in lists[b] if item < N_ITEMS]
    listed = None
    if candidates:
        listed = np.array([rng.permutation(N_ITEMS)[:12] for _ in range(B)], np.int32)
        listed[3, 5:] = -1
    queries = Queries(user, Ragged.from_lists(history), Ragged.from_lists(history), candidates=listed)
    holdout = Holdout(queries, Ragged.from_lists(truth), Protocol("d", "s", "test", "h", "e"))
    item = np.array([row + [-1] * (K - len(row)) for row in lists], np.int32)
    none = np.zeros(B, np.bool_)
    recs = Recommendations(TRAIN.users, TRAIN.items, user, item, -np.arange(K) + 0.0 * item, none, none)
    return holdout, replace(recs, score=recs.score.astype(np.float32)), lists


def values_of(item: int, column: str) -> list[str]:
    assert TRAIN.item_features is not None
    return list(dict.fromkeys(TRAIN.item_features[column].to_list()[item] or []))
