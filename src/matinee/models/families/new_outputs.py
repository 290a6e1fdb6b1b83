"""What a net says of items without an event: its outputs for them are regressed on what they are like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats
from matinee.data.dataset import Dataset
from matinee.models.families.network import import_torch

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

FEW = 4096
"""Up to so many features the equations are factored, once; with more they are solved step by step."""
WIDE = 64
"""Outputs that are regressed at once: memory is a matrix of so many columns."""


@dataclass(frozen=True)
class NewOutputs:
    """Ridge regression of a net's outputs on features (attribute-to-feature mapping: Gantner et al., ICDM 2010): of an
    item with features f the mean output, and f (F'F + l2 I)^-1 F' of what each known item's is beside the mean, F being
    the known items' rows.

    features: csr float32 (n_items, features). known: bool (n_items,), items with an event. asked: bool (n_items,),
    those whose outputs are wanted. l2: the ridge.
    """

    features: csr_array
    known: Bools
    asked: Bools
    l2: float

    def rows(self, outputs: Floats) -> Floats:
        """float32 (asked, D) from all outputs (n_items, D), of which the known items' are read."""
        seen, new = self._seen, self.features[self.asked]
        found = np.empty((new.shape[0], outputs.shape[1]), np.float32)
        for start in range(0, outputs.shape[1], WIDE):
            part = outputs[self.known, start : start + WIDE].astype(np.float64)
            mean = part.mean(axis=0)
            weights = self._solved(seen.T @ (part - mean))  # (features, WIDE)
            found[:, start : start + WIDE] = mean + new @ weights
        return found

    def fill(self, outputs: Tensor) -> None:
        """Write them into a tensor (n_items or more, D) or (n_items or more,), whose first rows are the items'."""
        if not self.asked.any() or not self.known.any():
            return
        torch = import_torch()
        values = outputs.detach()[: len(self.asked)]
        found = self.rows(values.reshape(len(values), -1).cpu().numpy()).reshape(-1, *values.shape[1:])
        values[torch.from_numpy(self.asked).to(values.device)] = torch.from_numpy(found).to(values)

    @cached_property
    def _seen(self) -> csr_array:
        return self.features[self.known].astype(np.float64)

    @cached_property
    def _factor(self) -> Any:
        from scipy.linalg import cho_factor

        gram = (self._seen.T @ self._seen).toarray()
        gram[np.diag_indices_from(gram)] += self.l2
        return cho_factor(gram, lower=True)

    def _solved(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """(F'F + l2 I)^-1 right."""
        from scipy.linalg import cho_solve

        if not len(right):
            return right
        if len(right) > FEW:
            return conjugate_gradients(self._seen, right, self.l2)
        found: NDArray[np.float64] = cho_solve(self._factor, right)
        return found


def content_of(data: Dataset, columns: tuple[str, ...], known: Bools) -> csr_array:
    """csr float32 (n_items, features): what these columns of the item table say of each item, see Contents; with the
    values that the `known` items have, bool (n_items,). Raises MatineeError for an absent column."""
    from matinee.data.features.content import Contents, described  # loads polars

    table = described(data, columns)
    return Contents.fit(table.filter(known), columns).rows(table)


def added(popularity: Floats, n_items: int) -> tuple[Bools, Bools]:
    """bool (n_items,) twice, of a log with further items: those with an event, and the further ones. popularity: of the
    old items, which come first."""
    known = np.concatenate([popularity > 0, np.zeros(n_items - len(popularity), np.bool_)])
    return known, np.arange(n_items) >= len(popularity)


def completed(V: Floats, data: Dataset, known: Bools, asked: Bools, columns: tuple[str, ...], l2: float) -> Floats:
    """V, float32 (n_items, f), with the vectors that columns of the item table say of the items asked for, if there are
    columns; 0 where they say nothing. The rest: see NewOutputs and content_of."""
    if columns and asked.any():
        features = content_of(data, columns, known)
        V[asked] = NewOutputs(features, known, asked, l2).rows(V)
        V[asked & (np.diff(features.indptr) == 0)] = 0.0
    return V


def conjugate_gradients(
    F: csr_array, right: NDArray[np.float64], l2: float, *, tolerance: float = 1e-6, most: int = 500
) -> NDArray[np.float64]:
    """X of (F'F + l2 I) X = right, float64 (features, D), by conjugate gradients (Hestenes & Stiefel, 1952) with the
    diagonal as preconditioner and steps of each column's own. It ends when no column's residual is longer than
    `tolerance` times its right side, or after `most` steps. F: csr (n, features)."""
    transposed = F.T.tocsr()
    diagonal = (np.bincount(F.indices, F.data**2, minlength=F.shape[1]) + l2)[:, None]
    enough = tolerance * np.linalg.norm(right, axis=0)
    X, residual = np.zeros_like(right), right.copy()
    scaled = residual / diagonal
    direction, size = scaled, np.einsum("ij,ij->j", residual, scaled)
    for _ in range(most):
        if (np.linalg.norm(residual, axis=0) <= enough).all():
            break
        image = transposed @ (F @ direction) + l2 * direction
        slope = np.einsum("ij,ij->j", direction, image)
        step = np.divide(size, slope, out=np.zeros_like(size), where=slope > 0)  # a column of zeros is solved
        X += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, size = size, np.einsum("ij,ij->j", residual, scaled)
        direction = scaled + np.divide(size, before, out=np.zeros_like(size), where=before > 0) * direction
    return X
