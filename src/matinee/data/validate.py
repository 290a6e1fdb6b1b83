"""What Queries and Pairs must hold before a model reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ragged
from matinee.data.dataset import BESIDE_HISTORY, Pairs, Queries
from matinee.errors import MatineeError


def check_queries(queries: Queries, n_users: int, n_items: int) -> None:
    """Raise MatineeError where codes are not those of a model of n_users and n_items, or parts are not in parallel."""
    if not hasattr(queries, "history"):
        hint = "pass split.test.queries, data.queries([user ids]), or history([titles or ids], data)"
        raise MatineeError(f"a model is asked with Queries, not a {type(queries).__name__}", hint=hint)
    n = len(queries)
    _check_ragged(queries.history, n, n_items, "history")
    _check_ragged(queries.exclude, n, n_items, "exclude")
    _check_codes(queries.user, -1, n_users, "user")
    if queries.candidates is not None:
        if queries.candidates.ndim != 2 or len(queries.candidates) != n:
            hint = "pass one row each"
            raise MatineeError(f"candidates have shape {queries.candidates.shape}, not ({n}, C)", hint=hint)
        _check_codes(queries.candidates, -1, n_items, "candidate")
    for name in BESIDE_HISTORY:
        beside = getattr(queries, name)
        if beside is not None and len(beside) != len(queries.history.values):
            hint = "pass one for each"
            raise MatineeError(f"{name} of the queries are not in parallel with their history", hint=hint)
    weights = queries.history_weights
    if weights is not None and not (np.isfinite(weights) & (weights > 0)).all():
        hint = "leave out events of weight 0, and exclude what is disliked"
        raise MatineeError("history_weights of the queries are not all finite and above 0", hint=hint)


def check_pairs(pairs: Pairs, n_users: int, n_items: int, n_queries: int | None) -> None:
    """Raise MatineeError where codes are not those of a model, or pairs see queries that are not there (None: none)."""
    if not len(pairs.user) == len(pairs.item) == len(pairs.query):
        what = f"{len(pairs.user)} users, {len(pairs.item)} items and {len(pairs.query)} query rows are not pairs"
        raise MatineeError(what, hint="pass one of each a pair")
    _check_codes(pairs.user, -1, n_users, "user")
    _check_codes(pairs.item, 0, n_items, "item")
    if n_queries is not None:
        _check_codes(pairs.query, 0, n_queries, "query row")


def _check_ragged(rows: Ragged, n: int, n_items: int, what: str) -> None:
    offsets = rows.offsets
    if len(rows) != n or offsets[0] != 0 or offsets[-1] != len(rows.values) or (offsets[1:] < offsets[:-1]).any():
        raise MatineeError(f"{what} is not {n} rows of item codes", hint="build it with Ragged.from_lists")
    _check_codes(rows.values, 0, n_items, f"{what} item")


def _check_codes(codes: NDArray[Any], low: int, n: int, what: str) -> None:
    if codes.dtype.kind not in "iu" and codes.size:
        raise MatineeError(f"{what} codes are {codes.dtype}, not integers", hint="code the ids with IdMap.encode")
    if codes.size and not low <= codes.min() <= codes.max() < n:
        wrong = codes.min() if codes.min() < low else codes.max()
        hint = "make the queries from the data the model was fitted on: a split's parts share their codes"
        raise MatineeError(f"the queries hold the {what} code {wrong}, which is not in {low}..{n - 1}", hint=hint)
