"""Side vectors of autoencoders: what is known of who asks, and of the items in a history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.arrays import Floats
from matinee.data.features.side_columns import Fields
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array

    from matinee.nn.blocks import SparseBatch


@dataclass(frozen=True)
class Table:
    """A side table's fields, and its rows as `Encoded.matrix` gives them: csr float32 (n, width)."""

    fields: Fields
    rows: csr_array


def known_of(users: Table, user: np.ndarray[Any, Any], request_user_features: pl.DataFrame | None) -> Floats:
    """float32 (B, width): what the request brings of each user, if anything, else the table's row, else zeros."""
    known: Floats = users.rows[np.maximum(user, 0)].toarray()
    known[user < 0] = 0.0
    if request_user_features is None:
        return known
    if len(request_user_features) != len(user):
        raise MatineeError(
            f"user_features has {len(request_user_features)} rows, not {len(user)}", hint="pass one row a query"
        )
    said: Floats = users.fields.encode(request_user_features).matrix().toarray()
    return np.where(said.any(axis=1, keepdims=True), said, known)


def mean_of(items: Table, rows: SparseBatch) -> Floats:
    """float32 (B, width): the mean over each row's items, but those dropped out; zeros for an empty row."""
    from scipy.sparse import csr_array

    offsets = np.append(rows.offsets.cpu().numpy(), len(rows.item))
    there = (rows.value != 0).float().cpu().numpy()
    watched = csr_array((there, rows.item.cpu().numpy(), offsets), shape=(len(rows), items.rows.shape[0]))
    mean: Floats = (watched @ items.rows).toarray() / np.maximum(watched.sum(axis=1), np.float32(1.0))[:, None]
    return mean
