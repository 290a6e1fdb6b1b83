"""Each model once more, slowly, from its formula: plain Python, or scikit-learn's ridge. Shares no code with matinee.

A log is a list of sets of item codes, one set a user. All logs are asymmetric: users and items differ in number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap

Log = list[set[int]]
Matrix = NDArray[np.float64]


def random_log(seed: int, n_users: int, n_items: int, density: float = 0.3, *, twins: bool = True) -> Log:
    """Popularity differs by item; with `twins` the last two items copy the first two, so that ties exist."""
    rng = np.random.default_rng(seed)
    appeal = np.clip(density * rng.gamma(2.0, 0.5, n_items), 0.08, 0.9)
    X = rng.random((n_users, n_items)) < appeal
    if twins:
        X[:, -2:] = X[:, :2]
    X[np.arange(n_users), rng.integers(0, n_items, n_users)] = True
    return [set(np.flatnonzero(row).tolist()) for row in X]


def as_dataset(log: Log, n_items: int, seed: int = 0) -> Dataset:
    """The log's pairs as rows in random order, some of them twice."""
    pairs = [(u, i) for u, items in enumerate(log) for i in sorted(items)]
    rng = np.random.default_rng(seed)
    rows = np.array(pairs + pairs[::7], np.int32)[rng.permutation(len(pairs) + len(pairs[::7]))]
    times = rng.integers(0, 10**9, len(rows))
    return Dataset(IdMap(np.arange(len(log))), IdMap(np.arange(n_items)), rows[:, 0], rows[:, 1], timestamp=times)


def histories(rows: Sequence[Sequence[int]], users: Sequence[int] | None = None) -> Queries:
    user = np.full(len(rows), -1, np.int32) if users is None else np.array(users, np.int32)
    return Queries(user, Ragged.from_lists(rows), Ragged.empty(len(rows)))


def dense(log: Log, n_items: int) -> Matrix:
    X = np.zeros((len(log), n_items))
    for u, items in enumerate(log):
        X[u, sorted(items)] = 1.0
    return X


# --- EASE -----------------------------------------------------------------------------------------------------------


def ease_weights(X: Matrix, l2: float) -> Matrix:
    """Column j: the ridge regression of item j on all others. Row = item of the history, column = scored item."""
    n = X.shape[1]
    W = np.zeros((n, n))
    for j in range(n):
        others = [i for i in range(n) if i != j]
        W[others, j] = Ridge(alpha=l2, fit_intercept=False, solver="cholesky").fit(X[:, others], X[:, j]).coef_
    return W


def item_scores(W: Matrix, history: Sequence[int], half_life: float | None = None) -> list[float]:
    """Each item of the history votes once, from its last place; an older vote is halved per half_life later events."""
    total = [0.0] * W.shape[1]
    for position, item in enumerate(history):
        if item in history[position + 1 :]:
            continue
        later = len(history) - 1 - position
        vote = 1.0 if half_life is None else 0.5 ** (later / half_life)
        for j in range(W.shape[1]):
            total[j] += vote * W[item, j]
    return total


# --- neighbours -----------------------------------------------------------------------------------------------------


def vectors(entities: Log, n_terms: int, weighting: str) -> list[dict[int, float]]:
    """Each entity as {term: weight}. tfidf: ln(1 + N / n_t); bm25: times (k1 + 1) / (k1 (1 - b + b l / mean l) + 1)."""
    n = len(entities)
    holders = [sum(t in e for e in entities) for t in range(n_terms)]
    mean = sum(map(len, entities)) / n
    found = []
    for e in entities:
        damp = (1.2 + 1) / (1.2 * (1 - 0.75 + 0.75 * len(e) / mean) + 1) if weighting == "bm25" else 1.0
        found.append({t: damp * (1.0 if weighting == "none" else math.log(1 + n / holders[t])) for t in sorted(e)})
    return found


def similarity(x: dict[int, float], y: dict[int, float], weighting: str, shrinkage: float) -> float:
    dot = sum(w * y[t] for t, w in x.items() if t in y)
    if weighting == "bm25":
        return dot / (1.0 + shrinkage)
    length = math.sqrt(sum(w * w for w in x.values())) * math.sqrt(sum(w * w for w in y.values()))
    return dot / (length + shrinkage) if dot else 0.0


def nearest(similar: list[float], k: int) -> list[int]:
    """The k largest positive ones, ties to the lower code. Refuses data where rounding could decide."""
    rounded = [round(s, 9) for s in similar]
    order = sorted((c for c in range(len(similar)) if rounded[c] > 0), key=lambda c: (-rounded[c], c))
    if len(order) > k:
        gap = rounded[order[k - 1]] - rounded[order[k]]
        assert gap == 0 or gap > 1e-6, "choose another seed: float32 cannot tell these neighbours apart"
    return order[:k]


def item_knn_weights(log: Log, n_items: int, k: int, weighting: str, shrinkage: float) -> Matrix:
    """Column j holds the similarities of item j's k nearest items, at their rows."""
    watchers: Log = [{u for u, items in enumerate(log) if i in items} for i in range(n_items)]
    x = vectors(watchers, len(log), weighting)
    W = np.zeros((n_items, n_items))
    for j in range(n_items):
        similar = [0.0 if i == j else similarity(x[i], x[j], weighting, shrinkage) for i in range(n_items)]
        for i in nearest(similar, k):
            W[i, j] = similar[i]
    return W


def user_knn_scores(
    log: Log, n_items: int, k: int, weighting: str, shrinkage: float, history: Sequence[int], user: int
) -> list[float]:
    """Sum of the similarities of the k nearest users who watched the item; `user` (-1: nobody) is not asked."""
    x = vectors(log, n_items, weighting)
    term = {t: 1.0 if weighting == "none" else math.log(1 + len(log) / sum(t in e for e in log)) for t in set(history)}
    similar = [0.0 if v == user else similarity(term, x[v], weighting, shrinkage) for v in range(len(log))]
    near = nearest(similar, k)
    return [sum(similar[v] for v in near if i in log[v]) for i in range(n_items)]


# --- popularity -----------------------------------------------------------------------------------------------------


def popularity(data: Dataset, half_life_days: float | None) -> list[float]:
    assert data.timestamp is not None
    newest = max(data.timestamp.tolist())
    counts = [0.0] * data.n_items
    for item, time in zip(data.item.tolist(), data.timestamp.tolist(), strict=True):
        days = (newest - time) / 86_400
        counts[item] += 1.0 if half_life_days is None else 0.5 ** (days / half_life_days)
    return counts


# --- ranking --------------------------------------------------------------------------------------------------------


def ranking(scores: Sequence[float], banned: set[int], k: int) -> tuple[list[int], list[float], bool]:
    """The k best by (score descending, code ascending), without -inf; and whether one left out equals the k-th."""
    able = sorted((-s, c) for c, s in enumerate(scores) if s > -math.inf and c not in banned)
    items, values = [c for _, c in able[:k]], [-s for s, _ in able[:k]]
    tied = len(able) > k and able[k][0] == able[k - 1][0]
    return items, values, tied


def padded(values: list[Any], k: int, filler: Any) -> list[Any]:
    return values + [filler] * (k - len(values))
