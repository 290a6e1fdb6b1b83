"""Matrices from what items are like; F is csr (n_items, features), with rows of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools
from matinee.data.dataset import Dataset
from matinee.data.features.attributes import attribute_of
from matinee.models.families.neighbours import nearest

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def cosines(F: csr_array, k: int) -> csr_array:
    """csr float32 (n_items, n_items): column j holds the cosines of its k most similar items."""
    T = F.T.tocsr()

    def similarities(start: int, stop: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = (F[start:stop] @ T).toarray()
        found[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        return found

    return nearest(F.shape[0], F.shape[0], k, similarities).T.tocsr()  # row = history item, column = scored item


def regressed(W: NDArray[np.float32], F: csr_array, known: Bools, asked: Bools, l2: float) -> NDArray[np.float32]:
    """float32 (n_items, asked): columns of W by ridge regression of those of the known items on features."""
    found: NDArray[np.float32] = W[:, known] @ shares_of_known(F, known, asked, l2)
    found[np.flatnonzero(asked), np.arange(found.shape[1])] = 0.0  # an item says nothing of itself
    return found


def shares_of_known(F: csr_array, known: Bools, asked: Bools, l2: float) -> NDArray[np.float32]:
    """float32 (known, asked): how much of each known item is in what ridge regression on features makes of another:
    F (F'F + l2 I)^-1 f', F being the known items' rows.

    It is solved in features or in known items, whichever are fewer: (F'F + l2 I)^-1 F' = F'(FF' + l2 I)^-1.
    """
    from scipy.linalg import solve

    seen, new = F[known].astype(np.float64), F[asked].astype(np.float64)
    few = seen.shape[1] <= seen.shape[0]
    G = ((seen.T @ seen) if few else (seen @ seen.T)).toarray()
    G[np.diag_indices_from(G)] += l2
    side = (new.T if few else seen @ new.T).toarray()
    by_item = solve(G, side, assume_a="pos") if len(G) else side
    if few:
        by_item = seen @ by_item
    return by_item.astype(np.float32)


def weighted_values(data: Dataset, names: tuple[str, ...]) -> csr_array:
    """csr float32 (n_items, values): the idf of each value of an item in these columns, 1 + ln((1 + U) / (1 + U_v)), of
    U lists (users) U_v having the value; 0 columns without names. Raises MatineeError for a column that is absent."""
    from scipy.sparse import csr_array, diags_array, hstack

    parts: list[Any] = [csr_array((data.n_items, 0), dtype=np.float32)]
    n_lists = int(np.count_nonzero(data.user_counts()))
    for name in names:
        attribute = attribute_of(data, name)
        ones = np.ones(len(attribute.codes.values), np.float32)
        shape = data.n_items, len(attribute.values)
        part = csr_array((ones, attribute.codes.values, attribute.codes.offsets), shape=shape)
        on = np.bincount((data.matrix() @ part).indices, minlength=shape[1])
        parts.append(part @ diags_array(1.0 + np.log((1.0 + n_lists) / (1.0 + on))))
    found: csr_array = hstack(parts, format="csr").astype(np.float32)
    return found
