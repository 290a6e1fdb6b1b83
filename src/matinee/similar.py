"""Users who watched the same as a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.data.query import Fitted, refuse_no_histories
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl


def similar_users(source: Dataset | Fitted, user: Id, k: int = 10) -> pl.DataFrame:
    """The k users whose histories are most like a user's, best first: user_id, similarity, shared (items of both).

    source: a log, or a fitted model (its log is used: the answer is the same for every model). similarity: the cosine
    of the histories, an item counted once and weighted by ln(1 + n_users / n_i) where n_i users watched it, so that
    sharing a rare item says more. This is what `user_knn` calls similar by default. Users who share nothing are left
    out, so there may be fewer than k. Equal similarities are in the order of ids.
    Raises MatineeError for an unknown user, a k below 1, and a model that was saved without histories.

    Example: `mt.similar_users(model, 196, k=5)`
    """
    import polars as pl

    if not isinstance(k, int | np.integer) or k < 1:
        raise MatineeError(f"k = {k!r} is not a number of users", hint="pass a whole number from 1")
    data = source if isinstance(source, Dataset) else source.data
    refuse_no_histories(data)
    code = data.users.code(user)
    X = data.matrix()
    holders = np.bincount(X.indices, minlength=data.n_items)
    squared = np.log1p(data.n_users / np.maximum(holders, 1)) ** 2
    mine = np.zeros(data.n_items)
    mine[X.indices[X.indptr[code] : X.indptr[code + 1]]] = 1.0
    # of each user: the product with this one, the squared length, and how many items are shared
    product, length, shared = (X @ np.stack([squared * mine, squared, mine], axis=1)).T
    similarity = product / np.sqrt(np.maximum(length * length[code], np.finfo(np.float64).tiny))
    similarity[code] = 0.0
    near = np.flatnonzero(similarity > 0)
    near = near[np.argsort(-similarity[near], kind="stable")[:k]]
    ids = data.users.series.gather(near).alias("user_id")
    return pl.DataFrame([ids, pl.Series("similarity", similarity[near]), pl.Series("shared", shared[near], pl.Int64)])
