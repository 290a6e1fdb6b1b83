"""Every model against its slow truth, as plain functions: the mutation test runs them on broken models too."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats
from matinee.models import ease
from matinee.models.ease import EASE
from matinee.models.item_knn import ItemKNN
from matinee.models.popularity import Popularity
from matinee.models.user_knn import UserKNN
from oracle import (
    boosted_checks,
    content_checks,
    cvae_checks,
    ensemble_checks,
    factor_checks,
    interaction_checks,
    linear_checks,
    listwise_checks,
    markov_checks,
    mmcf_checks,
    net_checks,
    pctm_checks,
    sequence_checks,
    truths,
)

N_USERS, N_ITEMS = 83, 41  # more items than one chunk of the Gram kernels
LOG = truths.random_log(4, N_USERS, N_ITEMS)
DATA = truths.as_dataset(LOG, N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [5, 9, 0], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], sorted(LOG[2]), [40, 39, 1]]
WEIGHTINGS = ("none", "tfidf", "bm25")


def close(found: NDArray[np.float32], truth: object, *, cancelled: float = 1e-5) -> None:
    """float32: 1e-4 relative, and where terms cancel `cancelled` of the largest number."""
    wanted = np.asarray(truth)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=cancelled * np.abs(wanted).max())


def weights_of(model: EASE | ItemKNN) -> Floats:
    W = model.fitted.learned.W
    return cast(Floats, W if isinstance(W, np.ndarray) else W.toarray())


def check_ease() -> None:
    X = truths.dense(LOG, N_ITEMS)
    bound = (X.T @ X).sum(axis=1).max()
    limit = 1.01 * bound / ease.FLOAT32_CONDITION  # the worst case that is still solved in float32
    for l2, precise in ((20.0, False), (300.0, False), (limit, False), (1e-3, True)):
        assert ((bound + l2) / l2 > ease.FLOAT32_CONDITION) == precise
        cancelled = 1e-4 if l2 == limit else 1e-5  # float32 of the solve: relative to the norm, not to each number
        model = EASE(l2=l2).fit(DATA)
        truth = truths.ease_weights(X, l2)
        assert np.abs(truth - truth.T).max() > 0.01 * np.abs(truth).max(), "its transpose must not pass"
        close(weights_of(model), truth, cancelled=cancelled)
        wanted = [truths.item_scores(truth, h) for h in HISTORIES]
        close(model.score(truths.histories(HISTORIES)), wanted, cancelled=cancelled)


def check_history_half_life() -> None:
    truth = truths.ease_weights(truths.dense(LOG, N_ITEMS), 20.0)
    for half_life in (0.5, 3.0, 50.0):
        model = EASE(l2=20.0, half_life=half_life).fit(DATA)
        wanted = [truths.item_scores(truth, h, half_life) for h in HISTORIES]
        close(model.score(truths.histories(HISTORIES)), wanted)


def check_item_knn() -> None:
    for weighting in WEIGHTINGS:
        for k, shrinkage in ((1, 0.0), (3, 0.0), (5, 2.5), (100, 10.0)):
            model = ItemKNN(k=k, weighting=weighting, shrinkage=shrinkage).fit(DATA)
            truth = truths.item_knn_weights(LOG, N_ITEMS, k, weighting, shrinkage)
            assert k >= N_ITEMS or (truth != truth.T).any()
            close(weights_of(model), truth)
            assert ((weights_of(model) != 0) == (truth != 0)).all()
            close(model.score(truths.histories(HISTORIES)), [truths.item_scores(truth, h) for h in HISTORIES])


def check_user_knn() -> None:
    for weighting in WEIGHTINGS:
        for k, shrinkage in ((1, 0.0), (4, 0.0), (7, 2.5), (100, 10.0)):
            model = UserKNN(k=k, weighting=weighting, shrinkage=shrinkage).fit(DATA)
            rows = [*HISTORIES, *(sorted(LOG[u]) for u in (0, 11, 30))]
            users = [*[-1] * len(HISTORIES), 0, 11, 30]
            wanted = [
                truths.user_knn_scores(LOG, N_ITEMS, k, weighting, shrinkage, history, user)
                for history, user in zip(rows, users, strict=True)
            ]
            close(model.score(truths.histories(rows, users)), wanted)


def check_popularity() -> None:
    for half_life_days in (None, 30.0, 3000.0):
        found = Popularity(half_life_days=half_life_days).fit(DATA).score(truths.histories([[1], []]))
        truth = truths.popularity(DATA, half_life_days)
        # sums of a few hundred float64 terms, rounded once to float32
        np.testing.assert_allclose(found, [truth, truth], rtol=1e-6)


CHECKS: dict[str, list[Callable[[], None]]] = {
    "popularity": [check_popularity],
    "item_knn": [check_item_knn],
    "user_knn": [check_user_knn],
    "ease": [check_ease, check_history_half_life, *linear_checks.EASE_CHECKS],
    **linear_checks.CHECKS,
    **markov_checks.CHECKS,
    **pctm_checks.CHECKS,
    **factor_checks.CHECKS,
    **net_checks.CHECKS,
    **cvae_checks.CHECKS,
    **mmcf_checks.CHECKS,
    **content_checks.CHECKS,
    **sequence_checks.CHECKS,
    **ensemble_checks.CHECKS,
    **boosted_checks.CHECKS,
    **interaction_checks.CHECKS,
    **listwise_checks.CHECKS,
}
"""Registry name -> its oracles; every model has at least one."""
