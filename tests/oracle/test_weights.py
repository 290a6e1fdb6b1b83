"""Closed-form models of a log with weights, against slow loops: a pair weighs the sum of its events' weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.ids import IdMap
from matinee.models.ease import EASE
from matinee.models.ials import IALS
from matinee.models.item_knn import ItemKNN
from matinee.models.markov import Markov
from matinee.models.popularity import Popularity
from matinee.models.slim import SLIM
from matinee.models.svd_ae import SVDAE
from matinee.models.user_knn import UserKNN
from oracle import truths

Matrix = NDArray[np.float64]
N_USERS, N_ITEMS = 47, 19
HISTORY, OWN = [3, 5, 9, 5], [2.0, 0.5, 4.0, 1.0]


def weighed_log() -> tuple[Dataset, list[tuple[int, int, float]]]:
    """Events (user, item, weight) in the order of time, some pairs twice."""
    rng = np.random.default_rng(6)
    pairs = [(u, i) for u, items in enumerate(truths.random_log(3, N_USERS, N_ITEMS, twins=False)) for i in items]
    pairs = [pairs[n] for n in rng.permutation(len(pairs))] + pairs[::5]
    weights = rng.choice([0.5, 1.0, 2.0, 5.0], len(pairs)).tolist()
    events = [(u, i, w) for (u, i), w in zip(pairs, weights, strict=True)]
    user, item = (np.array([event[c] for event in events], np.int32) for c in (0, 1))
    maps = IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS))
    times = 1_000_000_000 + np.arange(len(events))
    return Dataset(*maps, user, item, timestamp=times, weight=np.array(weights, np.float32)), events


DATA, EVENTS = weighed_log()
X = np.zeros((N_USERS, N_ITEMS))
for _u, _i, _w in EVENTS:
    X[_u, _i] += _w


def asked() -> Queries:
    weights = np.array(OWN, np.float32)
    return Queries(np.array([-1], np.int32), Ragged.from_lists([HISTORY]), Ragged.empty(1), history_weights=weights)


def row() -> Matrix:
    """The history as a row of X."""
    x = np.zeros(N_ITEMS)
    for item, weight in zip(HISTORY, OWN, strict=True):
        x[item] += weight
    return x


def test_strengths_sum_the_weights_of_a_pair() -> None:
    np.testing.assert_allclose(DATA.strengths().toarray(), X, rtol=1e-6)
    np.testing.assert_allclose(DATA.item_strengths(), X.sum(axis=0), rtol=1e-6)
    assert DATA.matrix().toarray().max() == 1.0, "who asks for 1s gets 1s"
    relative = DATA.relative_weights()
    assert relative is not None
    np.testing.assert_allclose(relative, [w / np.mean([e[2] for e in EVENTS]) for _, _, w in EVENTS], rtol=1e-6)


def test_popularity() -> None:
    found = Popularity().fit(DATA).score(asked())[0]
    np.testing.assert_allclose(found, X.sum(axis=0), rtol=1e-6)
    decayed = Popularity(half_life_days=0.001).fit(DATA).score(asked())[0]
    wanted = np.zeros(N_ITEMS)
    for n, (_, item, weight) in enumerate(EVENTS):
        wanted[item] += weight * 0.5 ** ((len(EVENTS) - 1 - n) / 86.4)
    np.testing.assert_allclose(decayed, wanted, rtol=1e-5)


def test_an_empty_history_is_answered_by_weighed_popularity() -> None:
    empty = Queries(np.array([-1], np.int32), Ragged.empty(1), Ragged.empty(1))
    np.testing.assert_allclose(EASE().fit(DATA).score(empty)[0], X.sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("half_life", [None, 2.0])
def test_ease(half_life: float | None) -> None:
    model = EASE(l2=30.0, half_life=half_life).fit(DATA)
    W = truths.ease_weights(X, 30.0)
    np.testing.assert_allclose(model.fitted.learned.W, W, rtol=1e-3, atol=1e-5)
    x = row()
    if half_life is not None:  # the vote of an item stands at its last event
        x *= [0.5 ** ({3: 3, 5: 0, 9: 1}.get(i, 0) / half_life) for i in range(N_ITEMS)]
    np.testing.assert_allclose(model.score(asked())[0], x @ W, rtol=1e-3, atol=1e-4)


def test_ease_damps_users_by_their_number_of_items() -> None:
    model = EASE(l2=30.0, user_damping=0.5).fit(DATA)
    weight = (X > 0).sum(axis=1) ** -0.5
    weight *= (X**2).sum() / (weight[:, None] * X**2).sum()
    W = truths.ease_weights(np.sqrt(weight)[:, None] * X, 30.0)
    np.testing.assert_allclose(model.fitted.learned.W, W, rtol=1e-3, atol=1e-5)


def test_slim_without_l1_is_a_ridge_regression() -> None:
    model = SLIM(l1=0.0, l2=30.0, nonnegative=False).fit(DATA)
    W = truths.ease_weights(X, 30.0)
    np.testing.assert_allclose(model.fitted.learned.W.toarray(), W, rtol=1e-3, atol=1e-5)


def vector(x: Matrix, idf: Matrix, weighting: str, mean: float) -> list[float]:
    """Strengths x of an entity, weighed term by term."""
    found = []
    for t, strength in enumerate(x):
        value = strength * (1.0 if weighting == "none" else idf[t])
        if weighting == "bm25":
            damp = 1.2 * (1 - 0.75 + 0.75 * sum(x) / mean)
            value = idf[t] * 2.2 * strength / (damp + strength)
        found.append(float(value))
    return found


def similarity(x: list[float], y: list[float], weighting: str) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    lengths = math.sqrt(sum(a * a for a in x)) * math.sqrt(sum(b * b for b in y))
    return dot if weighting == "bm25" else dot / lengths


@pytest.mark.parametrize("weighting", ["none", "tfidf", "bm25"])
def test_item_knn(weighting: str) -> None:
    model = ItemKNN(k=4, weighting=weighting).fit(DATA)
    idf = np.log1p(N_ITEMS / (X > 0).sum(axis=1))  # of users, the terms
    mean = float(X.sum(axis=0).mean())
    vectors = [vector(X[:, i], idf, weighting, mean) for i in range(N_ITEMS)]
    W = np.zeros((N_ITEMS, N_ITEMS))
    for j in range(N_ITEMS):
        similar = [0.0 if i == j else similarity(vectors[i], vectors[j], weighting) for i in range(N_ITEMS)]
        for i in truths.nearest(similar, 4):
            W[i, j] = similar[i]
    np.testing.assert_allclose(model.fitted.learned.W.toarray(), W, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.score(asked())[0], row() @ W, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weighting", ["none", "tfidf"])
def test_user_knn(weighting: str) -> None:
    model = UserKNN(k=6, weighting=weighting).fit(DATA)
    idf = np.log1p(N_USERS / (X > 0).sum(axis=0))
    vectors = [vector(X[u], idf, weighting, 1.0) for u in range(N_USERS)]
    similar = [similarity(vector(row(), idf, weighting, 1.0), v, weighting) for v in vectors]
    near = truths.nearest(similar, 6)
    wanted = [sum(similar[v] * X[v, i] for v in near) for i in range(N_ITEMS)]
    np.testing.assert_allclose(model.score(asked())[0], wanted, rtol=1e-4, atol=1e-5)


def test_ials_confidence() -> None:
    """Half-steps end where the gradient of sum w (u.v - 1)^2 + ... is 0; newcomers are solved with their weights."""
    alpha0, l2, nu, f = 0.2, 0.05, 0.7, 5
    model = IALS(n_factors=f, alpha0=alpha0, l2=l2, nu=nu, epochs=3, steps=60).fit(DATA)
    U, V = (array.astype(np.float64) for array in (model.fitted.learned.U, model.fitted.learned.V))
    reg = l2 * (X.sum(axis=1) + alpha0 * N_ITEMS) ** nu
    S = U @ V.T
    gradient = (X * (S - 1) + alpha0 * S) @ V + reg[:, None] * U
    assert np.abs(gradient).max() < 1e-4
    moved = model.fitted.learned.V.copy()
    model.half_step(DATA.strengths().T.tocsr(), model.fitted.learned.U, moved)
    v = moved.astype(np.float64)
    S = U @ v.T
    reg_i = l2 * (X.sum(axis=0) + alpha0 * N_USERS) ** nu
    assert np.abs((X * (S - 1) + alpha0 * S).T @ U + reg_i[:, None] * v).max() < 1e-3
    x = row()
    A = V.T @ (V * (x + alpha0)[:, None]) + l2 * (x.sum() + alpha0 * N_ITEMS) ** nu * np.eye(f)
    np.testing.assert_allclose(model.score(asked())[0], V @ np.linalg.solve(A, V.T @ x), rtol=1e-3, atol=1e-5)


def test_a_learned_vector_belongs_to_its_weights() -> None:
    """The same items with other weights are another history."""
    model = IALS(n_factors=4, epochs=2).fit(DATA)
    queries = DATA.queries()
    own = model.vectors(queries)
    np.testing.assert_array_equal(own, model.fitted.learned.U)
    queries.history_weights[:] = 1.0  # type: ignore[index]
    assert np.abs(model.vectors(queries) - own).max() > 1e-3


def test_svd_ae_sums_weights_in_its_norms() -> None:
    model = SVDAE(share=0.2).fit(DATA)
    d_u, d_i = X.sum(axis=1) ** -0.5, X.sum(axis=0) ** -0.5
    U, s, Vt = np.linalg.svd(d_u[:, None] * X * d_i)
    k = round(0.2 * N_ITEMS)
    B = Vt[:k].T @ np.diag(1 / s[:k]) @ U[:, :k].T @ X
    np.testing.assert_allclose(model.score(asked())[0], (row() * d_i) @ B, rtol=1e-3, atol=1e-4)


def test_markov_counts_the_weight_of_the_later_event() -> None:
    model = Markov(window=2, shrinkage=1.0, max_len=3, half_life=1.0).fit(DATA)
    n = np.zeros((N_ITEMS, N_ITEMS))
    for user in range(N_USERS):
        own = [(i, w) for u, i, w in EVENTS if u == user]
        for place, (item, weight) in enumerate(own):
            for d in (1, 2):
                if place >= d:
                    n[own[place - d][0], item] += weight / d
    prior = X.sum(axis=0) / X.sum()
    P = (n + prior) / (n.sum(axis=1) + 1.0)[:, None]
    vote = [w * 0.5**age for w, age in zip(OWN[-3:], (2, 1, 0), strict=True)]
    wanted = sum(v * P[i] for v, i in zip(vote, HISTORY[-3:], strict=True)) / sum(vote)
    np.testing.assert_allclose(model.score(asked())[0], wanted, rtol=1e-4)
