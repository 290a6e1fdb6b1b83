"""Lists chosen item by item, against their formulas in plain Python: every item that is left is tried at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.models.base import Model
from matinee.models.calibrated import Calibrated
from matinee.models.ease import EASE
from matinee.models.mmr import MMR
from matinee.models.popularity_discount import PopularityDiscount
from matinee.rank import recommend
from oracle import truths

N_USERS, N_ITEMS, N_BEST = 67, 43, 17
NAMES = ("Drama", "Comedy", "War", "Noir", "Crime", "Sci-Fi")
LOG = truths.random_log(6, N_USERS, N_ITEMS, twins=False)
HISTORIES = [[3], [0, 5, 9], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], [40, 39, 1, 1], [42], [12, 30, 2, 21, 9, 42]]
EXCLUDED = [[3], [], [7, 2, 11, 33], [1, 2, 3, 4, 5, 6, 7, 8], [40, 39], list(range(35)), [12, 30, 2, 21, 9, 42]]


def genres() -> list[list[str] | None]:
    """Of each item: none to three, in no order; one cell is missing, and item 42 has an empty list."""
    rng = np.random.default_rng(11)
    chance = np.array([0.35, 0.25, 0.15, 0.1, 0.1, 0.05])
    found: list[list[str] | None] = []
    for _ in range(N_ITEMS):
        some = rng.choice(len(NAMES), size=int(rng.integers(1, 4)), replace=False, p=chance)
        found.append([NAMES[g] for g in some])
    found[20], found[42] = None, []
    return found


GENRES = genres()


def described() -> Dataset:
    table = pl.DataFrame({"genres": pl.Series(GENRES, dtype=pl.List(pl.String))})
    return replace(truths.as_dataset(LOG, N_ITEMS), item_features=table)


DATA = described()
SETTINGS = [
    (0.0, N_BEST, "choice"),
    (0.15, N_BEST, "choice"),
    (0.5, 6, "choice"),
    (0.5, 6, "relevance"),
    (0.9, 11, "choice"),
]
"""lam, places, arrange."""


def asked() -> Queries:
    return replace(truths.histories(HISTORIES), exclude=Ragged.from_lists(EXCLUDED))


Value = Callable[[int, int, list[int]], float]
"""(row, item, the items chosen before) -> what is sought beside relevance."""


def slow_lists(base: Model, lam: float, value: Value, places: int, arrange: str) -> list[list[int]]:
    """(1 - lam) * relevance + lam * value, the best of those left, again and again; ties to the better score.
    Behind the chosen follow the others of the n best."""
    found = []
    for b, scores in enumerate(base.score(asked()).tolist()):
        left = [i for i in range(N_ITEMS) if i not in EXCLUDED[b] and scores[i] > -math.inf]
        left = sorted(left, key=lambda i: (-scores[i], i))[:N_BEST]
        low, high = np.float32(scores[left[-1]]), np.float32(scores[left[0]])
        relevance = {i: float((np.float32(scores[i]) - low) / (high - low)) for i in left}
        chosen: list[int] = []
        ranked = list(left)
        while left and len(chosen) < places:
            tried = [(1 - lam) * relevance[i] + lam * value(b, i, chosen) for i in left]
            chosen.append(left.pop(tried.index(max(tried))))
        first = chosen if arrange == "choice" else sorted(chosen, key=ranked.index)
        found.append(first + left)
    return found


def lists_of(model: Model) -> list[list[int]]:
    found = recommend(model.fit(DATA), asked(), N_BEST)
    assert (found.score[:, 1:] < found.score[:, :-1])[found.item[:, 1:] >= 0].all()
    return [[i for i in row if i >= 0] for row in found.item.tolist()]


def cosine(one: Sequence[object], other: Sequence[object]) -> float:
    if not one or not other:
        return 0.0
    return len(set(one) & set(other)) / math.sqrt(len(set(one)) * len(set(other)))


def check_mmr() -> None:
    base = EASE(l2=20.0).fit(DATA)
    watchers = [[u for u in range(N_USERS) if i in LOG[u]] for i in range(N_ITEMS)]
    alike = {
        "cooccurrence": lambda i, j: cosine(watchers[i], watchers[j]),
        "attributes": lambda i, j: cosine(GENRES[i] or [], GENRES[j] or []),
    }
    for kind, similar in alike.items():
        changed = []
        for lam, places, arrange in SETTINGS:

            def unlike(_: int, i: int, chosen: list[int], similar: Callable[[int, int], float] = similar) -> float:
                return -max((similar(i, j) for j in chosen), default=0.0)

            hyper = {"lam": lam, "places": places, "arrange": arrange}
            found = lists_of(MMR(base=base, n=N_BEST, similarity=kind, **hyper))
            assert found == slow_lists(base, lam, unlike, places, arrange)
            changed.append(found)
        assert changed[0] == lists_of(EASE(l2=20.0))
        assert len({str(found) for found in changed}) == len(SETTINGS)


def slow_shares(items: Sequence[int]) -> dict[str, float]:
    """p of a history, q of a list: the mean over items with genres of 1/m for each of their m genres."""
    known = [GENRES[i] for i in items if GENRES[i]]
    total: dict[str, float] = {}
    for some in known:
        for name in some or []:
            total[name] = total.get(name, 0.0) + 1 / len(some or []) / len(known)
    return total


def slow_divergence(p: dict[str, float], q: dict[str, float], alpha: float) -> float:
    """KL(p || (1 - alpha) q + alpha p)."""
    return math.fsum(v * math.log(v / ((1 - alpha) * q.get(g, 0.0) + alpha * v)) for g, v in p.items())


def check_calibrated() -> None:
    base = EASE(l2=20.0).fit(DATA)
    assert slow_shares(HISTORIES[5]) == {}, "one history says nothing of genres"
    for alpha in (0.01, 0.2):
        for lam, places, arrange in SETTINGS:

            def fit(b: int, i: int, chosen: list[int], alpha: float = alpha) -> float:
                return -slow_divergence(slow_shares(HISTORIES[b]), slow_shares([*chosen, i]), alpha)

            hyper = {"lam": lam, "places": places, "arrange": arrange}
            found = lists_of(Calibrated(base=base, n=N_BEST, alpha=alpha, **hyper))
            assert found == slow_lists(base, lam, fit, places, arrange)
            assert found[5] == slow_lists(base, 0.0, fit, places, arrange)[5], "where nothing is known the list stays"


def check_popularity_discount() -> None:
    base = EASE(l2=20.0).fit(DATA)
    events = [sum(1 for i in DATA.item.tolist() if i == item) for item in range(N_ITEMS)]
    for lam, places, arrange in SETTINGS:

        def unknown(_: int, i: int, __: list[int]) -> float:
            return 1.0 - float(np.float32(math.log(1 + events[i]) / math.log(1 + max(events))))

        hyper = {"lam": lam, "places": places, "arrange": arrange}
        found = lists_of(PopularityDiscount(base=base, n=N_BEST, **hyper))
        assert found == slow_lists(base, lam, unknown, places, arrange)


CHECKS: dict[str, list[Callable[[], None]]] = {
    "mmr": [check_mmr],
    "calibrated": [check_calibrated],
    "popularity_discount": [check_popularity_discount],
}
