"""The kernels a closed-form fit cannot do without, called bare: the floor that a library's time is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.linalg import lapack

from peers import Library
from workload import L2, Log


@njit(parallel=True, cache=True)
def gram_rows(indptr: Any, indices: Any, column_ptr: Any, column_row: Any, place: Any, out: Any) -> None:
    """Row i of the upper triangle of X'X: what each user of item i has from item i on."""
    for i in prange(len(out)):
        for p in range(column_ptr[i], column_ptr[i + 1]):
            for q in range(place[p], indptr[column_row[p] + 1]):
                out[i, indices[q]] += np.float32(1)


def gram(log: Log) -> NDArray[np.float32]:
    X = log.train
    places = X.copy()
    places.data = np.arange(X.nnz, dtype=np.int64)
    T = places.tocsc()
    out = np.zeros((log.n_items, log.n_items), np.float32)
    gram_rows(X.indptr, X.indices, T.indptr, T.indices, T.data, out)
    return out


def cholesky_inverse(G: NDArray[np.float32]) -> NDArray[np.float32]:
    """In place; our upper triangle is the lower one of column-major LAPACK."""
    _, failed = lapack.spotrf(G.T, lower=1, overwrite_a=1, clean=0)
    _, failed_inverse = lapack.spotri(G.T, lower=1, overwrite_c=1)
    if failed or failed_inverse:
        raise ArithmeticError("Cholesky failed")
    return G


class Floor(Library):
    name = "floor: Gram + potrf + potri"

    def fit_ease(self) -> Any:
        G = gram(self.log)
        G.flat[:: len(G) + 1] += np.float32(L2)
        return cholesky_inverse(G)
