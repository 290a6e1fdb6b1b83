"""The factor models against their formulas, in plain float64 numpy on asymmetric data. Shares no code with matinee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Holdout, Pairs, Protocol, Queries
from matinee.data.features.content import Contents
from matinee.data.ids import IdMap
from matinee.models.bayesian_mf import BayesianMF
from matinee.models.biased_mf import BiasedMF
from matinee.models.bpr import BPR
from matinee.models.ials import IALS
from oracle import truths

Matrix = NDArray[np.float64]
N_USERS, N_ITEMS = 61, 37
LOG = truths.random_log(8, N_USERS, N_ITEMS)
X = truths.dense(LOG, N_ITEMS)
DATA = truths.as_dataset(LOG, N_ITEMS)


def rated(
    n_users: int = 150, n_items: int = 60, f: int = 3, spread: float = 0.5, seed: int = 1
) -> tuple[Dataset, Floats, Matrix]:
    """About a third of all pairs rated from known factors and biases; the ratings; what all would be without noise."""
    rng = np.random.default_rng(seed)
    P, Q = rng.normal(0, 0.8, (n_users, f)), rng.normal(0, 0.8, (n_items, f))
    clean = 3.0 + rng.normal(0, 0.5, (n_users, 1)) + rng.normal(0, 0.5, (1, n_items)) + P @ Q.T
    user, item = np.nonzero(rng.random(clean.shape) < 0.35)
    value = (clean[user, item] + rng.normal(0, spread, len(user))).astype(np.float32)
    maps = IdMap(np.arange(n_users)), IdMap(np.arange(n_items))
    return Dataset(*maps, user.astype(np.int32), item.astype(np.int32), value=value), value, clean


def check_ials() -> None:
    """A half-step of many steps ends where the objective's gradient is 0; every round lowers the objective."""
    alpha0, l2, nu = 0.2, 0.05, 0.7
    model = IALS(n_factors=5, alpha0=alpha0, l2=l2, nu=nu, epochs=3, steps=60)
    rng = np.random.default_rng(0)
    U, V = (rng.normal(0, 0.3, (n, 5)).astype(np.float32) for n in X.shape)
    csr, csr_t = DATA.matrix(), DATA.matrix().T.tocsr()
    reg_u = l2 * (X.sum(axis=1) + alpha0 * N_ITEMS) ** nu
    reg_i = l2 * (X.sum(axis=0) + alpha0 * N_USERS) ** nu

    def gradients() -> tuple[Matrix, Matrix]:
        u, v = U.astype(np.float64), V.astype(np.float64)
        S = u @ v.T
        E = X * (S - 1) + alpha0 * S
        return E @ v + reg_u[:, None] * u, E.T @ u + reg_i[:, None] * v

    def objective() -> float:
        u, v = U.astype(np.float64), V.astype(np.float64)
        S = u @ v.T
        penalty = (reg_u * (u**2).sum(axis=1)).sum() + (reg_i * (v**2).sum(axis=1)).sum()
        return float((X * (S - 1) ** 2).sum() + alpha0 * (S**2).sum() + penalty)

    losses = [objective()]
    for _ in range(5):
        model.half_step(csr, V, U)
        assert np.abs(gradients()[0]).max() < 1e-4  # float32 sums of terms of order one
        losses.append(objective())
        model.half_step(csr_t, U, V)
        assert np.abs(gradients()[1]).max() < 1e-4
        losses.append(objective())
    assert (np.diff(losses) <= 1e-5).all()
    model.fit(DATA)
    learned = model.fitted.learned
    U, V = learned.U, learned.V
    assert np.abs(gradients()[0]).max() < 1e-5, "the users of a fit are solved exactly"
    truth = []
    for history in ([3], [0, 5, 9, 5]):
        x = np.zeros(N_ITEMS)
        x[history] = 1.0
        v = V.astype(np.float64)
        reg = l2 * (x.sum() + alpha0 * N_ITEMS) ** nu
        truth.append(v @ np.linalg.solve(v.T @ (v * (x + alpha0)[:, None]) + reg * np.eye(5), v.T @ x))
    found = model.score(truths.histories([[3], [0, 5, 9, 5]]))
    np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5)


def check_ials_with_features() -> None:
    """The vectors of items are where the objective over users and values has no slope. That of an item without an
    event, which is in none of the sums, is regressed on what it is like; the log's last item, of which nothing is
    known, has no score."""
    alpha0, l2, weight, new, nothing = 0.2, 0.05, 3.0, N_ITEMS, N_ITEMS + 1
    tags = [[f"t{i % 5}", f"u{i % 3}", "of one item" if i == 4 else f"t{i % 5}"] for i in range(N_ITEMS)]
    table = pl.DataFrame({"tags": [*tags, ["t1", "u2", "unknown"], ["unknown as well"]]})
    data = replace(DATA, items=IdMap(np.arange(N_ITEMS + 2)), item_features=table)
    hyper = {"n_factors": 3, "alpha0": alpha0, "l2": l2, "nu": 0.7, "epochs": 400, "steps": 20}
    model = IALS(**hyper, item_features=("tags",), feature_weight=weight, feature_l2=2.0).fit(data)
    shared = [{tag for tag in row if tag[0] in "tu" and tag[1:].isdigit()} for row in table["tags"].to_list()]
    values = sorted(set().union(*shared))
    Z = np.zeros((N_USERS + len(values), N_ITEMS + 2))
    Z[:N_USERS, :N_ITEMS] = X
    for i, row in enumerate(shared[:N_ITEMS]):
        for tag in row:
            Z[N_USERS + values.index(tag), i] = weight / len(row)
    V = model.fitted.learned.V.astype(np.float64)
    reg_row = l2 * (Z.sum(axis=1) + alpha0 * len(V)) ** 0.7
    reg_item = l2 * (Z.sum(axis=0) + alpha0 * len(Z)) ** 0.7
    counted = np.arange(len(V)) < N_ITEMS
    normal = [V.T @ (V * (z + alpha0 * counted)[:, None]) + reg * np.eye(3) for z, reg in zip(Z, reg_row, strict=True)]
    U = np.array([np.linalg.solve(A, V.T @ z) for A, z in zip(normal, Z, strict=True)])
    np.testing.assert_allclose(model.fitted.learned.U, U[:N_USERS], rtol=1e-3, atol=1e-4)
    slope = (Z * (U @ V.T - 1) + alpha0 * (U @ V.T)).T @ U + reg_item[:, None] * V
    assert np.abs(slope[counted]).max() < 5e-4
    features = Contents.fit(table[:N_ITEMS], ("tags",)).rows(table).toarray()
    mean = V[counted].mean(axis=0)
    ridge = Ridge(alpha=2.0, fit_intercept=False, solver="svd").fit(features[counted], V[counted] - mean)
    np.testing.assert_allclose(V[new], mean + ridge.predict(features[[new]])[0], rtol=1e-3, atol=1e-4)
    assert np.abs(V[new] - mean).max() > 0.01
    score = model.score(truths.histories([[1, 6]]))[0]
    assert np.isfinite(score[:nothing]).all()
    assert score[nothing] == -np.inf


def check_bpr_gradient() -> None:
    """One epoch over one pair moves the three vectors by the gradient of the plain formula, found by differences."""
    from matinee.kernels.factors import bpr_epoch

    rng = np.random.default_rng(2)
    rate, l2 = 1e-2, 0.3
    U, V = rng.normal(0, 1, (2, 4)).astype(np.float32), rng.normal(0, 1, (3, 4)).astype(np.float32)
    U[:, -1] = 1.0
    before = U.copy(), V.copy()
    # user 1 watched items 0 and 2: the only negative is 1
    indptr, indices, users = np.array([0, 0, 2]), np.array([0, 2], np.int32), np.array([1, 1], np.int32)
    pool = np.arange(3, dtype=np.int32)
    none = np.zeros(3, np.int64), np.empty(0, np.int32), 0.0
    told = bpr_epoch(
        np.array([1]), users, indptr, indices, pool, np.uint64(7), rate, l2, U, V, np.arange(len(users)), *none
    )

    def loss(theta: Matrix) -> float:
        u, i, j = np.append(theta[:3], 1.0), theta[3:7], theta[7:]
        return float(np.log1p(np.exp(-(u @ i - u @ j))) + l2 / 2 * (theta**2).sum())

    theta = np.concatenate([before[0][1, :3], before[1][2], before[1][1]]).astype(np.float64)
    step = 1e-6
    gradient = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(11)]
    moved = np.concatenate([U[1, :3], V[2], V[1]]) - theta
    np.testing.assert_allclose(moved, -rate * np.array(gradient), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(told, loss(theta) - l2 / 2 * (theta**2).sum(), rtol=1e-5)
    assert (U[0] == before[0][0]).all()
    assert (V[0] == before[1][0]).all()
    assert U[1, -1] == 1.0


def check_bpr_draws_dislikes() -> None:
    """Item 2 faces only what its user disliked where share is 1, about half the time where it is .5, never at 0."""
    from matinee.kernels.factors import bpr_epoch

    indptr, indices, users = np.array([0, 0, 1]), np.array([2], np.int32), np.array([1], np.int32)
    offsets, disliked = np.array([0, 1, 3]), np.array([0, 5, 7], np.int32)  # user 0 dislikes 0, user 1 dislikes 5 and 7
    pool = np.arange(5, dtype=np.int32)
    for share in (0.0, 0.5, 1.0):
        faced = np.zeros(8)
        for key in range(400):
            U, V = np.ones((2, 2), np.float32), np.zeros((8, 2), np.float32)
            order, pairs = np.array([0]), np.arange(1)
            bpr_epoch(
                order, users, indptr, indices, pool, np.uint64(key), 0.1, 0.0, U, V, pairs, offsets, disliked, share
            )
            faced[np.flatnonzero(V[:, 0] < 0)] += 1
        assert faced.sum() == 400
        assert faced[2] == faced[6] == 0
        np.testing.assert_allclose(faced[5] + faced[7], 400 * share, atol=60 * (share == 0.5))
        if share == 1.0:
            assert min(faced[5], faced[7]) > 140


def check_bpr_ranks_the_watched_first() -> None:
    """After many epochs nearly every watched item outranks nearly every other (AUC on the training log)."""
    model = BPR(n_factors=16, l2=0.001, epochs=200, fold_epochs=100).fit(DATA)
    S = model.score(DATA.queries())
    auc = np.mean([(S[u][X[u] > 0][:, None] > S[u][X[u] == 0]).mean() for u in range(N_USERS)])
    assert auc > 0.97


def check_biased_mf() -> None:
    """The users of a fit are ridge regressions on the items; so is someone new; the last fit of items leaves little."""
    data, ratings, clean = rated()
    model = BiasedMF(n_factors=3, l2=0.1, nu=0.5, bias_l2=1.0, epochs=40).fit(data)
    learned = model.fitted.learned
    V = learned.V.astype(np.float64)
    mean = float(np.mean(ratings))
    for user in (0, 7, 149):
        mine = np.flatnonzero(data.user == user)
        F, y = V[data.item[mine]][:, :4], ratings[mine] - V[data.item[mine]][:, 4]
        assert (F[:, 3] == 1).all()
        ridge = np.diag([0.1 * len(mine) ** 0.5] * 3 + [1.0])
        truth = np.linalg.solve(F.T @ F + ridge, F.T @ y)
        np.testing.assert_allclose(learned.U[user], [*truth, 1.0], rtol=1e-4, atol=1e-5)
    everyone = np.indices(clean.shape).reshape(2, -1).astype(np.int32)
    found = model.predict(Pairs(everyone[0], everyone[1], everyone[0])).reshape(clean.shape)
    error = np.sqrt(((found - clean) ** 2).mean())
    # noise of .5 in 4 numbers from about 21 and 4 from about 52 ratings: .5 sqrt(4/21 + 4/52) = .26
    assert error < 0.35 < np.sqrt(((mean - clean) ** 2).mean()) / 2, error


def check_biased_mf_logistic() -> None:
    """With bce a user's vector is where the gradient of the penalised cross-entropy vanishes."""
    data, ratings, _ = rated()
    model = BiasedMF(n_factors=3, loss="bce", l2=0.5, nu=0.3, bias_l2=0.4, epochs=20).fit(data)
    learned = model.fitted.learned
    V, low, high = learned.V.astype(np.float64), learned.low, learned.high
    assert (low, high) == (ratings.min(), ratings.max())
    for user in (0, 7, 149):
        mine = np.flatnonzero(data.user == user)
        F = V[data.item[mine]]
        x = learned.U[user].astype(np.float64)
        p = 1 / (1 + np.exp(-F @ x))
        y = (ratings[mine] - low) / (high - low)
        penalty = np.array([0.5 * len(mine) ** 0.3] * 3 + [0.4])
        gradient = F[:, :4].T @ (p - y) + penalty * x[:4]
        assert np.abs(gradient).max() < 1e-5
        pairs = Pairs(data.user[mine], data.item[mine], np.zeros(len(mine), np.int32))
        np.testing.assert_allclose(model.predict(pairs), low + (high - low) * p, rtol=1e-5)


def hidden_fifth(data: Dataset, ratings: Floats) -> tuple[Dataset, Holdout]:
    """The log without a fifth of its ratings, the lowest among them, and a holdout of those."""
    hidden = np.random.default_rng(5).random(len(ratings)) < 0.2
    hidden[ratings.argmin()] = True
    seen = data.rows(~hidden)
    pairs = Pairs(data.user[hidden], data.item[hidden], data.user[hidden], label=ratings[hidden])
    protocol = Protocol("data", "split", "valid", "train", "nothing")
    return seen, Holdout(seen.queries(), Ragged.empty(seen.n_users), protocol, pairs)


def error_of(model: BiasedMF, user: Ints, item: Ints, rating: Floats, low: float, high: float) -> float:
    """The root of the mean squared error, or the cross-entropy of ratings scaled from low..high to 0..1."""
    learned = model.fitted.learned
    score = (learned.U[user].astype(np.float64) * learned.V[item].astype(np.float64)).sum(axis=1)
    if model.loss == "squared":
        return float(np.sqrt(((np.clip(score, learned.low, learned.high) - rating) ** 2).mean()))
    y = (rating.astype(np.float64) - low) / (high - low)
    p = (learned.low + (learned.high - learned.low) / (1 + np.exp(-score)) - low) / (high - low)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


def check_biased_mf_curve() -> None:
    """The row of the iteration that was kept holds the errors of the model, on its own ratings and on hidden ones.

    With bce a round's users are a step of Newton's method from where the model's are: the errors agree to 1e-4.
    """
    data, ratings, _ = rated(spread=1.0)
    seen, valid = hidden_fifth(data, ratings)
    assert seen.value is not None
    assert valid.pairs is not None
    assert ratings.min() < seen.value.min(), "a hidden rating lies outside the range of the log"
    ends = float(ratings.min()), float(ratings.max())
    for model, tolerance in ((BiasedMF(n_factors=3, epochs=4), 1e-5), (BiasedMF(n_factors=3, loss="bce"), 1e-4)):
        model.fit(seen, valid=valid)
        assert [row["epoch"] for row in model.curve] == list(range(model.epochs))
        row = model.curve[model.for_refit().epochs - 1]
        found = row["train_loss"] or np.nan, -(row["valid_metric"] or np.nan)
        hidden = valid.pairs
        wanted = (
            error_of(model, seen.user, seen.item, seen.value, *ends),
            error_of(model, hidden.user, hidden.item, ratings_of(hidden), *ends),
        )
        np.testing.assert_allclose(found, wanted, rtol=tolerance)
        model.fit(seen)
        assert [row["valid_metric"] for row in model.curve] == [None] * model.epochs


def ratings_of(pairs: Pairs) -> Floats:
    assert pairs.label is not None
    return pairs.label


def check_biased_mf_stops_where_valid_is_best() -> None:
    """With next to no penalty more iterations fit the noise: the best ones on valid are kept, and so many refitted."""
    data, ratings, _ = rated(n_users=60, n_items=40, spread=1.5)
    seen, valid = hidden_fifth(data, ratings)
    model = BiasedMF(n_factors=4, l2=0.3, nu=0.0, bias_l2=0.1, epochs=40).fit(seen, valid=valid)
    metrics = [row["valid_metric"] or np.nan for row in model.curve]
    again = model.for_refit()
    assert again.epochs == 1 + int(np.argmax(metrics)) < 40
    np.testing.assert_array_equal(again.fit(seen).fitted.learned.V, model.fitted.learned.V)
    losses = [row["train_loss"] or np.nan for row in model.curve]
    assert losses[-1] < losses[again.epochs - 1], "the rest of the iterations went on fitting"


def check_biased_mf_falls_back_to_biases() -> None:
    data, ratings, _ = rated()
    model = BiasedMF(n_factors=3).fit(data)
    nobody = Queries(np.array([-1], np.int32), Ragged.empty(1), Ragged.empty(1))
    items = np.arange(60, dtype=np.int32)
    found = model.predict(Pairs(np.full(60, -1, np.int32), items, np.zeros(60, np.int32)), nobody)
    np.testing.assert_allclose(found, np.clip(model.fitted.learned.V[:, -1], ratings.min(), ratings.max()))


def check_bayesian_mf_posterior() -> None:
    """Draws of one row have the posterior's mean and covariance (Salakhutdinov and Mnih, eq. 12-13)."""
    from matinee.models.bayesian_mf import draw_rows, normal_wishart

    rng = np.random.default_rng(3)
    F, offset = rng.normal(0, 1, (9, 3)), rng.normal(3, 1, 9)
    y, n, noise = rng.normal(3, 1, 9), 40_000, 1.7
    A = rng.normal(0, 1, (3, 3))
    precision, mean = A @ A.T + np.eye(3), rng.normal(0, 1, 3)
    from scipy.sparse import csr_array

    rows = csr_array(np.tile(y, (n, 1)))
    draws = np.zeros((n, 3))
    draw_rows(rows, F, offset, (mean, precision), noise, rng.standard_normal((n, 3)), draws)
    covariance = np.linalg.inv(precision + noise * F.T @ F)
    center = covariance @ (precision @ mean + noise * F.T @ (y - offset))
    error = np.sqrt(np.diag(covariance) / n)
    assert (np.abs(draws.mean(axis=0) - center) < 5 * error).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=6 * np.abs(covariance).max() / np.sqrt(n))
    # of many rows with a known spread the hyper-parameters' draws centre on it
    spread = np.linalg.inv(precision)
    P = rng.multivariate_normal(mean, spread, 5000)
    drawn = [normal_wishart(P, rng) for _ in range(400)]
    np.testing.assert_allclose(np.mean([m for m, _ in drawn], axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.mean([p for _, p in drawn], axis=0), precision, rtol=0.12, atol=0.12)


def check_bayesian_mf_beats_its_point_estimate() -> None:
    data, ratings, clean = rated(spread=1.0)
    everyone = np.indices(clean.shape).reshape(2, -1).astype(np.int32)
    pairs = Pairs(everyone[0], everyone[1], everyone[0])
    clean = np.clip(clean, ratings.min(), ratings.max()).ravel()
    error = {}
    for model in (BayesianMF(n_factors=8), BiasedMF(n_factors=8, l2=4.0, nu=0.0)):
        error[type(model).__name__] = float(np.sqrt(((model.fit(data).predict(pairs) - clean) ** 2).mean()))
    assert error["BayesianMF"] < error["BiasedMF"] < 1.0, error


CHECKS: dict[str, list[Callable[[], None]]] = {
    "ials": [check_ials, check_ials_with_features],
    "bpr": [check_bpr_gradient, check_bpr_draws_dislikes, check_bpr_ranks_the_watched_first],
    "biased_mf": [
        check_biased_mf,
        check_biased_mf_logistic,
        check_biased_mf_curve,
        check_biased_mf_stops_where_valid_is_best,
        check_biased_mf_falls_back_to_biases,
    ],
    "bayesian_mf": [check_bayesian_mf_posterior, check_bayesian_mf_beats_its_point_estimate],
}
