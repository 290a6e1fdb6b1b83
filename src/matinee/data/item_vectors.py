"""Dense vectors of items that somebody else made: of texts, images or sounds, as an array or a .npy file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.data.dataset import Dataset
from matinee.data.ids import Id
from matinee.errors import MatineeError, MatineeWarning, counted
from matinee.files import StrPath


def with_item_vectors(
    data: Dataset, vectors: ArrayLike | StrPath, *, ids: Sequence[Id] | None = None, name: str = "vector"
) -> Dataset:
    """The log with a column of dense vectors in its table of items, which `content` and `item_features` read.

    vectors: float (n, d), or a .npy file of such an array. ids: the items of its rows; None: row c is item code c, in
    the order of `data.items`. name: of the column, in the place of one that is there. Items without a vector have none;
    how many ids the log does not have is warned of. In Parquet a column of lists of floats needs nothing of this.
    Raises MatineeError for another shape, an id that comes twice, and a number that is not finite.

    Example: `mt.with_item_vectors(data, [[0.5, 1.0]] * data.n_items)`
    """
    import polars as pl

    rows = _read(vectors)
    code = _codes(data, ids, len(rows))
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        hint = "correct it, or leave the row out"
        raise MatineeError("a vector has a number that is not finite", where=f"row {row + 1}", hint=hint)
    found = np.zeros((data.n_items, rows.shape[1]), np.float32)
    found[code[code >= 0]] = rows[code >= 0]
    there = np.zeros(data.n_items, np.bool_)
    there[code[code >= 0]] = True
    column = pl.Series(name, found, dtype=pl.Array(pl.Float32, rows.shape[1])).arr.to_list()
    table = pl.DataFrame(height=data.n_items) if data.item_features is None else data.item_features
    frame = table.with_columns(column).with_columns(pl.when(pl.Series(there)).then(pl.col(name)).alias(name))
    return replace(data, item_features=frame)


def _read(vectors: Any) -> NDArray[np.float32]:
    """float32 (n, d). Raises MatineeError for a file that cannot be read, and another shape."""
    where = None
    if isinstance(vectors, str | Path):
        where = str(vectors)
        try:
            vectors = np.load(vectors, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise MatineeError(f"no array can be read ({error})", where=where, hint="write it with np.save") from None
    array = np.asarray(vectors)
    if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "fiu":
        what = f"vectors are {array.dtype} {array.shape}, not numbers (items, length)"
        raise MatineeError(what, where=where, hint="pass one row an item")
    return array.astype(np.float32)


def _codes(data: Dataset, ids: Sequence[Id] | None, n: int) -> NDArray[np.int32]:
    """int32 (n,): the item of each row, -1 where the log has none. Raises MatineeError where ids do not fit."""
    import polars as pl

    if ids is None:
        if n != data.n_items:
            what = f"there are {counted(n, 'vector')} for {counted(data.n_items, 'item')}"
            raise MatineeError(what, hint="say whose they are: ids=[...]")
        return np.arange(n, dtype=np.int32)
    if len(ids) != n:
        raise MatineeError(f"there are {counted(n, 'vector')} for {counted(len(ids), 'id')}", hint="pass one id a row")
    code = data.items.encode(pl.Series(list(ids)))
    known = code[code >= 0]
    if len(np.unique(known)) < len(known):
        twice = data.items.decode([int(np.flatnonzero(np.bincount(known) > 1)[0])])[0]
        raise MatineeError(f"item {twice!r} has two vectors", hint="leave one of them out")
    if len(known) < n:
        what = f"{counted(n - len(known), 'vector')} of items that {data.name} does not have: left out"
        warnings.warn(what, MatineeWarning, stacklevel=3)
    return code


def ids_of_file(path: StrPath, data: Dataset) -> list[Id]:
    """The ids of a text file, one a line, of the kind that the log's are. Raises MatineeError for a file that cannot be
    read, and for text where the log has whole numbers."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        what = f"no ids can be read ({error})"
        raise MatineeError(what, where=str(path), hint="write one id a line, in UTF-8") from None
    if not data.items.series.dtype.is_integer():
        return [*lines]
    for number, line in enumerate(lines, 1):
        if not line.strip().removeprefix("-").isdecimal():
            what, hint = f"the id {line[:40]!r} is no whole number", f"{data.name} has whole numbers: write them"
            raise MatineeError(what, where=f"{path}, line {number}", hint=hint)
    return [int(line) for line in lines]
