"""PCTM against counting in plain Python: from the events of the log, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any

import numpy as np

from matinee.data.dataset import Dataset
from matinee.models.pctm import PCTM
from oracle import truths
from oracle.markov_checks import transitions

N_USERS, N_ITEMS = 83, 41
DATA = truths.as_dataset(truths.random_log(5, N_USERS, N_ITEMS), N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [9, 5, 0], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [40, 39, 1, 1]]


def event_weights(n: int, recent: int, recent_share: float, decay: float) -> list[float]:
    """Of n events, oldest first: by age, then all divided by their sum."""
    if recent == 0:
        found = [decay**age for age in range(n)]
    else:
        falling = [decay**age for age in range(min(n, recent))]
        found = [recent_share * x / sum(falling) for x in falling]
        found += [(1 - recent_share) / max(n - recent, 1)] * (n - recent)
    return [x / sum(found) for x in found][::-1]


def slow_scores(
    data: Dataset, history: Sequence[int], *, window: int, power: float, tau: float, popularity: float, **ages: Any
) -> list[float]:
    n, count = data.n_items, transitions(data, window, power)
    share = [data.item.tolist().count(j) / len(data) for j in range(n)]
    known = [i for i in history if share[i] > 0]
    weights = event_weights(len(known), **ages)
    return [
        sum(w * log((count[b][a] + tau / n) / (sum(count[b]) + tau)) for b, w in zip(known, weights, strict=True))
        + popularity * log(share[a])
        if share[a] > 0
        else -np.inf
        for a in range(n)
    ]


def check_pctm() -> None:
    for hyper in (
        {"window": 1, "power": 1.0, "tau": 1.0, "recent": 0, "recent_share": 0.8, "decay": 0.6, "popularity": 0.0},
        {"window": 3, "power": 0.5, "tau": 40.0, "recent": 2, "recent_share": 0.7, "decay": 0.5, "popularity": -0.4},
        {"window": 500, "power": 2.0, "tau": 9.0, "recent": 4, "recent_share": 1.0, "decay": 1.0, "popularity": 0.3},
    ):
        wanted = [slow_scores(DATA, history, **hyper) for history in HISTORIES]  # type: ignore[arg-type]
        found = PCTM(**hyper).fit(DATA).score(truths.histories(HISTORIES))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)  # float32 sums of ten logarithms


def check_votes_are_those_of_probabilities() -> None:
    """exp(L[b] + rest[b]) is P(. | b): it sums to 1 over the items."""
    learned = PCTM(tau=7.0).fit(DATA).fitted.learned
    L = learned.L if isinstance(learned.L, np.ndarray) else learned.L.toarray()
    np.testing.assert_allclose(np.exp(L + learned.rest[:, None]).sum(axis=1), 1.0, rtol=1e-5)


CHECKS: dict[str, list[Callable[[], None]]] = {"pctm": [check_pctm, check_votes_are_those_of_probabilities]}
