"""Oracles of the linear models: scikit-learn's coordinate descent, the papers' formulas in dense float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import ElasticNet, Lasso

from matinee.data.dataset import Dataset
from matinee.data.ids import IdMap
from matinee.models.admm_slim import AdmmSLIM
from matinee.models.ease import EASE
from matinee.models.families.item_item import ItemItem
from matinee.models.slim import SLIM
from matinee.models.svd import SVD
from matinee.models.svd_ae import SVDAE
from oracle import truths
from oracle.truths import Matrix

N_USERS, N_ITEMS = 83, 41
LOG = truths.random_log(4, N_USERS, N_ITEMS)
DATA = truths.as_dataset(LOG, N_ITEMS)
X = truths.dense(LOG, N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [5, 9, 0], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], sorted(LOG[2]), [40, 39, 1]]


def close(found: Any, truth: Any, relative: float = 1e-4, cancelled: float = 1e-5) -> None:
    """float32: relative, and where terms cancel `cancelled` of the largest number."""
    np.testing.assert_allclose(found, truth, rtol=relative, atol=cancelled * np.abs(truth).max())


def check_weights(model: ItemItem, truth: Matrix, cancelled: float = 1e-5) -> None:
    assert np.abs(truth - truth.T).max() > 0.01 * np.abs(truth).max(), "its transpose must not pass"
    W = model.fit(DATA).fitted.learned.W
    close(W if isinstance(W, np.ndarray) else W.toarray(), truth, cancelled=cancelled)
    wanted = [truths.item_scores(truth, h) for h in HISTORIES]
    close(model.score(truths.histories(HISTORIES)), wanted, cancelled=cancelled)


def user_weighted(power: float) -> Matrix:
    """X with row u times sqrt(w_u), w_u ~ n_u^-power, such that the squares still sum to the number of pairs."""
    w = [len(items) ** -power for items in LOG]
    scale = sum(len(items) for items in LOG) / sum(v * len(items) for v, items in zip(w, LOG, strict=True))
    rows: Matrix = np.sqrt(scale * np.array(w))[:, None] * X
    return rows


def column_by_column(solve: Callable[[Matrix, Matrix, list[int]], Matrix], Z: Matrix) -> Matrix:
    W = np.zeros((N_ITEMS, N_ITEMS))
    for j in range(N_ITEMS):
        others = [i for i in range(N_ITEMS) if i != j]
        W[others, j] = solve(Z[:, others], Z[:, j], others)
    return W


def lasso_with_ridge(Z: Matrix, ridge: Matrix, l1: float, *, positive: bool) -> Matrix:
    """Column j: min |z_j - Z w|^2 / 2 + sum_i ridge_i w_i^2 / 2 + l1 |w|_1: rows sqrt(ridge_i) e_i make it a lasso."""

    def solve(inputs: Matrix, target: Matrix, others: list[int]) -> Matrix:
        below = np.diag(np.sqrt(ridge[others]))
        A, y = np.vstack([inputs, below]), np.concatenate([target, np.zeros(len(others))])
        net = Lasso(alpha=l1 / len(A), fit_intercept=False, positive=positive, tol=1e-12, max_iter=100_000)
        coefficients: Matrix = net.fit(A, y).coef_
        return coefficients

    return column_by_column(solve, Z)


def check_ease_with_dropout_and_user_damping() -> None:
    """EDLAE by its definition: the ridge regression averaged over many dropouts is the one with this diagonal."""
    for dropout, power in ((0.4, 0.0), (0.0, 0.5), (0.6, 1.0)):
        Z = user_weighted(power)
        ridge = 20.0 + dropout / (1 - dropout) * (Z**2).sum(axis=0)

        def solve(inputs: Matrix, target: Matrix, others: list[int], ridge: Matrix = ridge) -> Matrix:
            return np.linalg.solve(inputs.T @ inputs + np.diag(ridge[others]), inputs.T @ target).astype(np.float64)

        model = EASE(l2=20.0, dropout=dropout, user_damping=power)
        check_weights(model, column_by_column(solve, Z))


def check_dropout_is_the_average_over_dropped_inputs() -> None:
    """E|y - X' w|^2, X' = X dropped with probability p and divided by 1 - p, against its closed form, by sampling."""
    rng = np.random.default_rng(0)
    p, w = 0.4, rng.normal(size=N_ITEMS)
    draws = [X * (rng.random(X.shape) >= p) / (1 - p) @ w for _ in range(4000)]
    sampled = np.mean([((X[:, 0] - d) ** 2).sum() for d in draws])
    closed = ((X[:, 0] - X @ w) ** 2).sum() + p / (1 - p) * ((X**2).sum(axis=0) * w**2).sum()
    assert abs(sampled / closed - 1) < 0.01  # 4000 draws: the standard error is about .2 %


def check_slim_is_the_elastic_net() -> None:
    for positive in (True, False):
        for l1, l2 in ((0.5, 2.0), (3.0, 10.0), (0.05, 5.0)):
            total = l1 + l2
            net = ElasticNet(
                alpha=total / N_USERS,
                l1_ratio=l1 / total,
                fit_intercept=False,
                positive=positive,
                tol=1e-12,
                max_iter=100_000,
            )

            def solve(inputs: Matrix, target: Matrix, others: list[int], net: ElasticNet = net) -> Matrix:
                coefficients: Matrix = net.fit(inputs, target).coef_
                return coefficients

            truth = column_by_column(solve, X)
            check_weights(SLIM(l1=l1, l2=l2, nonnegative=positive), truth)
            W = SLIM(l1=l1, l2=l2, nonnegative=positive).fit(DATA).fitted.learned.W.toarray()
            assert l1 < 0.1 or 0.05 < (truth == 0).mean() < 0.95
            # what is zero in one is zero in the other, but for weights at the very edge
            assert (np.abs(truth[(W == 0) != (truth == 0)]) < 1e-6).all()
            assert not positive or (W >= 0).all()


def check_slim_with_user_damping() -> None:
    Z = user_weighted(0.5)
    check_weights(
        SLIM(l1=1.0, l2=4.0, user_damping=0.5), lasso_with_ridge(Z, np.full(N_ITEMS, 4.0), 1.0, positive=True)
    )


def check_admm_slim_converges_to_its_objective() -> None:
    share = X.mean(axis=0)
    for positive, alpha, dropout, power in ((False, 0.5, 0.0, 0.0), (True, 0.0, 0.3, 0.5), (True, 1.0, 0.0, 0.0)):
        Z = user_weighted(power)
        ridge = 30.0 * share**alpha + dropout / (1 - dropout) * (Z**2).sum(axis=0)
        truth = lasso_with_ridge(Z, ridge, 2.0, positive=positive)
        model = AdmmSLIM(
            l1=2.0, l2=30.0, alpha=alpha, rho=20.0, iterations=400, nonnegative=positive, dropout=dropout,
            user_damping=power,
        )  # fmt: skip
        check_weights(model, truth, cancelled=1e-4)  # float32 of 400 steps: relative to the norm


def check_admm_slim_takes_the_papers_steps() -> None:
    """Algorithm 1 as printed, in float64, stopped long before it converges."""
    l1, l2, alpha, rho = 2.0, 30.0, 0.5, 50.0
    G = X.T @ X
    P = np.linalg.inv(G + np.diag(l2 * X.mean(axis=0) ** alpha) + rho * np.eye(N_ITEMS))
    for positive in (True, False):
        C, dual = np.zeros_like(G), np.zeros_like(G)
        for steps in range(1, 8):
            B = P @ G + P @ (rho * C - dual)
            B = B - P @ np.diag(np.diag(B) / np.diag(P))
            C = np.sign(B + dual / rho) * np.maximum(np.abs(B + dual / rho) - l1 / rho, 0)
            C = np.maximum(C, 0) if positive else C
            dual = dual + rho * (B - C)
            if steps in (1, 2, 7):
                model = AdmmSLIM(
                    l1=l1, l2=l2, alpha=alpha, rho=rho, iterations=steps, nonnegative=positive, dropout=0.0,
                    user_damping=0.0,
                )  # fmt: skip
                check_weights(model, C)


def check_svd_ae() -> None:
    """Section 4 with a full SVD: the regression of R on its normalised self, through the pseudo-inverse at rank k."""
    R, (n_u, n_i) = X, (X.sum(axis=1), X.sum(axis=0))
    normalised = R / np.sqrt(n_u)[:, None] / np.sqrt(n_i)
    U, s, Vt = np.linalg.svd(normalised, full_matrices=False)
    for k in (1, 4, 17):
        B = Vt[:k].T @ np.diag(1 / s[:k]) @ U[:, :k].T @ R
        assert np.abs(B - B.T).max() > 0.01 * np.abs(B).max()
        model = SVDAE(share=k / N_ITEMS).fit(DATA)
        assert model.fitted.learned.left.shape == (N_ITEMS, k)
        wanted = np.array([truths.item_scores(B / np.sqrt(n_i)[:, None], h) for h in HISTORIES])
        close(model.score(truths.histories(HISTORIES)), wanted)
        close(model.weights(DATA.matrix()), B / np.sqrt(n_i)[:, None])


def check_pure_svd() -> None:
    _, _, Vt = np.linalg.svd(X, full_matrices=False)
    for k in (1, 4, 17):
        V = Vt[:k].T
        wanted = np.array([truths.item_scores(V @ V.T, h) for h in HISTORIES])
        close(SVD(n_factors=k).fit(DATA).score(truths.histories(HISTORIES)), wanted)


def rated(seed: int) -> tuple[Dataset, Matrix]:
    """The log with ratings that depend on user, item and a taste: (n_users, n_items), 0 where nothing was rated."""
    rng = np.random.default_rng(seed)
    taste = np.outer(rng.normal(size=N_USERS), rng.normal(size=N_ITEMS))
    exact = 3.0 + 0.8 * rng.normal(size=(N_USERS, 1)) + 0.5 * rng.normal(size=N_ITEMS) + taste
    R = np.where(X > 0, np.clip(np.round(exact), 1, 5), 0.0)
    user, item = np.nonzero(R)
    order = rng.permutation(len(user))
    user, item = user[order], item[order]
    ids = IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS))
    return Dataset(*ids, user.astype(np.int32), item.astype(np.int32), value=R[user, item].astype(np.float32)), R


def check_centred_svd() -> None:
    data, R = rated(6)
    damping, there = 5.0, R > 0
    mu = R[there].mean()
    b_i = np.array([(R[there[:, i], i] - mu).sum() / (there[:, i].sum() + damping) for i in range(N_ITEMS)])
    b_u = np.array([(R[u] - mu - b_i)[there[u]].sum() / (there[u].sum() + damping) for u in range(N_USERS)])
    base = mu + b_i + b_u[:, None]
    Z = np.where(there, R - base, 0.0)
    Vt = np.linalg.svd(Z)[2]
    for k in (1, 6):
        truth = base + Z @ Vt[:k].T @ Vt[:k]
        model = SVD(n_factors=k, centred=True, damping=damping).fit(data)
        close(model.score(data.queries()), truth)


EASE_CHECKS = [check_ease_with_dropout_and_user_damping, check_dropout_is_the_average_over_dropped_inputs]
CHECKS: dict[str, list[Callable[[], None]]] = {
    "slim": [check_slim_is_the_elastic_net, check_slim_with_user_damping],
    "admm_slim": [check_admm_slim_converges_to_its_objective, check_admm_slim_takes_the_papers_steps],
    "svd": [check_pure_svd, check_centred_svd],
    "svd_ae": [check_svd_ae],
}
