"""Whether the vector that was learned for a user still answers a query, or the user is folded in from the history.

A learned vector belongs to the history it was learned on. A hash of that history is kept for each user; a query whose
history has another hash, or whose user was never seen, is folded in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Dataset, Queries

Hashes = NDArray[np.uint64]


def hashes_of(data: Dataset, *, rated: bool = False, weighed: bool = False) -> Hashes:
    """uint64 (n_users,): a hash of each user's history in a log. rated, weighed: ratings (or labels), and weights, are
    part of it, where the log has them."""
    ratings = data.value[data.order] if rated and data.value is not None else None
    weights = data.weight[data.order] if weighed and data.weight is not None else None
    return hash_rows(data.histories(), ratings, weights)


def still_learned(
    queries: Queries, hashes: Hashes, ratings: Floats | None = None, weights: Floats | None = None
) -> Bools:
    """bool (B,): true where the query's history is the one its user's vector was learned on.

    hashes: uint64 (n_users,), of the histories that were learned. ratings, weights: in parallel with the queries'
    histories, where they are part of the hashes.
    """
    asked = hash_rows(queries.history, ratings, weights)
    same: Bools = (queries.user >= 0) & (asked == hashes[np.maximum(queries.user, 0)])
    return same


def hash_rows(history: Ragged, ratings: Floats | None = None, weights: Floats | None = None) -> Hashes:
    """uint64 (B,): equal for equal histories, whatever their order; ratings and weights, where given, are part of
    it."""
    bits = history.values.astype(np.uint64)
    if ratings is not None:
        bits |= ratings.view(np.uint32).astype(np.uint64) << np.uint64(32)
    # Each event becomes 64 random-looking bits; a row's hash is their sum.
    mix(bits)
    if weights is not None:
        bits ^= np.ascontiguousarray(weights).view(np.uint32).astype(np.uint64) << np.uint64(32)
        mix(bits)
    total = np.zeros(len(bits) + 1, np.uint64)
    np.cumsum(bits, out=total[1:])
    return total[history.offsets[1:]] - total[history.offsets[:-1]]


def mix(bits: Hashes) -> None:
    """The finaliser of splitmix64 on each number, in place."""
    bits += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
