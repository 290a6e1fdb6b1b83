"""What the neighbourhood models share: weighted, normalised vectors and the k nearest of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.models.needs import FLOAT, LogSize
from matinee.rank import BLOCK_BYTES, top_k

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Weighting = Literal["none", "tfidf", "bm25"]
BM25_K1, BM25_B = 1.2, 0.75


def term_weights(X: csr_array, weighting: Weighting) -> NDArray[np.float32]:
    """float32 (terms,): what a shared term weighs. ln(1 + N / n_t), N entities of which n_t hold term t; or 1."""
    if weighting == "none":
        return np.ones(X.shape[1], np.float32)
    holders = np.bincount(X.indices, minlength=X.shape[1])
    return np.log1p(X.shape[0] / np.maximum(holders, 1)).astype(np.float32)


def weighted(X: csr_array, weighting: Weighting) -> tuple[csr_array, NDArray[np.float32]]:
    """X, csr (entities, terms) of 1s or weights, with terms weighted; and what to divide each entity's similarities by.

    none, tfidf: the Euclidean length, so that similarities are cosines (1 for empty rows). bm25: each row is damped by
    tf (k1 + 1) / (k1 (1 - b + b |row| / mean |row|) + tf), k1 1.2, b .75 (Robertson & Zaragoza 2009, eq. 3.15 at term
    frequency tf, the entry of X), which takes the place of the cosine's lengths: divisors are 1.
    """
    from scipy.sparse import csr_array

    length = np.diff(X.indptr)
    row = np.repeat(np.arange(X.shape[0]), length)
    data = term_weights(X, weighting)[X.indices]
    if weighting == "bm25":
        # Eq. 3.15: long rows are damped, which takes the place of the cosine's length.
        frequency = X.data.astype(np.float64)
        total = np.bincount(row, frequency, minlength=X.shape[0])
        damp = BM25_K1 * (1.0 - BM25_B + BM25_B * total / max(total.mean(), 1e-12))
        data = data * ((BM25_K1 + 1.0) * frequency / (damp[row] + frequency)).astype(np.float32)
        divisor = np.ones(X.shape[0], np.float32)
    else:
        data = data * X.data
        squared = np.bincount(row, data**2, minlength=X.shape[0])
        divisor = np.sqrt(np.where(squared > 0, squared, 1.0)).astype(np.float32)
    return csr_array((data, X.indices, X.indptr), shape=X.shape), divisor


def neighbour_bytes(size: LogSize, k: int) -> float:
    """Of a csr matrix with the k nearest of each item, or all that share a user with it where these are fewer."""
    return 2 * FLOAT * min(k * size.items, size.item_pairs)


def nearest_bytes(n: int, columns: int, k: int) -> float:
    """What `nearest` holds: its blocks' results, joined, and the kept ones; and the blocks themselves."""
    return 25 * n * min(k, columns) + 2 * max(BLOCK_BYTES, 4 * columns)


def nearest(n: int, columns: int, k: int, similarities: Callable[[int, int], NDArray[np.float32]]) -> csr_array:
    """csr float32 (n, columns): of each row its k largest positive similarities; ties to the lower column.

    similarities(start, stop) gives float32 (stop - start, columns) with -inf where a neighbour is not allowed.
    """
    from scipy.sparse import csr_array

    size = max(1, BLOCK_BYTES // (4 * max(columns, 1)))
    found, values = [], []
    for start in range(0, n, size):
        block = similarities(start, min(start + size, n))
        block[block <= 0.0] = -np.inf
        item, score, _ = top_k(block, min(k, columns))
        found.append(item)
        values.append(score)
    column = np.concatenate([*found, np.empty((0, min(k, columns)), np.int32)])
    value = np.concatenate([*values, np.empty((0, min(k, columns)), np.float32)])
    kept = column >= 0
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return csr_array((value[kept], column[kept], indptr), shape=(n, columns))
