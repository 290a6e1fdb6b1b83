"""What a Dataset or Queries made by hand must hold. Files are checked by their readers, who can name the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.data.arrays import Ragged
    from matinee.data.dataset import Dataset, Pairs, Queries


def dataset_columns(data: Dataset) -> dict[str, NDArray[Any]]:
    """The log's columns in their own types: int32 codes, float32 values, int64 seconds. Rows are counted from 1.

    Raises MatineeError for columns of other lengths or kinds, codes out of range, and values or times that are NaN,
    infinite or negative; and for tables whose rows are not in parallel. Costs a pass over each column.
    """
    columns: dict[str, NDArray[Any]] = {
        "user": _whole(data.user, np.int32, data, "user", "code the ids with IdMap.encode"),
        "item": _whole(data.item, np.int32, data, "item", "code the ids with IdMap.encode"),
    }
    _within(columns["user"], data.n_users, data, "user")
    _within(columns["item"], data.n_items, data, "item")
    if data.value is not None:
        columns["value"] = _finite(data.value, data, "value")
    if data.raw_rating is not None:
        columns["raw_rating"] = _finite(data.raw_rating, data, "raw_rating")
    if data.timestamp is not None:
        columns["timestamp"] = _whole(data.timestamp, np.int64, data, "timestamp", "convert times to Unix seconds")
        _first(columns["timestamp"] < 0, columns["timestamp"], data, "timestamp", "is negative")
    heights = {name: len(column) for name, column in columns.items()}
    tables = {"context": data.context, "user_features": data.user_features, "item_features": data.item_features}
    heights |= {name: table.height for name, table in tables.items() if table is not None}
    wanted = {"user_features": data.n_users, "item_features": data.n_items}
    for name, height in heights.items():
        rows = wanted.get(name, len(columns["user"]))
        if height != rows:
            raise MatineeError(f"{name} has {height} rows, not {rows}", where=data.name, hint="align it with the rest")
    return columns


def check_queries(queries: Queries, n_users: int, n_items: int) -> None:
    """Raise MatineeError where codes are not those of a model of n_users and n_items, or parts are not in parallel."""
    if not hasattr(queries, "history"):
        raise MatineeError(
            f"a model is asked with Queries, not a {type(queries).__name__}",
            hint="pass split.test.queries, data.queries([user ids]), or history([titles or ids], data)",
        )
    n = len(queries)
    _check_ragged(queries.history, n, n_items, "history")
    _check_ragged(queries.exclude, n, n_items, "exclude")
    _check_codes(queries.user, -1, n_users, "user")
    if queries.candidates is not None:
        if queries.candidates.ndim != 2 or len(queries.candidates) != n:
            raise MatineeError(
                f"candidates have shape {queries.candidates.shape}, not ({n}, C)", hint="pass one row each"
            )
        _check_codes(queries.candidates, -1, n_items, "candidate")
    for name in ("history_ratings", "history_times"):
        beside = getattr(queries, name)
        if beside is not None and len(beside) != len(queries.history.values):
            raise MatineeError(
                f"{name} of the queries are not in parallel with their history", hint="pass one for each"
            )


def check_pairs(pairs: Pairs, n_users: int, n_items: int, n_queries: int | None) -> None:
    """Raise MatineeError where codes are not those of a model, or pairs see queries that are not there (None: none)."""
    if not len(pairs.user) == len(pairs.item) == len(pairs.query):
        raise MatineeError(
            f"{len(pairs.user)} users, {len(pairs.item)} items and {len(pairs.query)} query rows are not pairs",
            hint="pass one of each a pair",
        )
    _check_codes(pairs.user, -1, n_users, "user")
    _check_codes(pairs.item, 0, n_items, "item")
    if n_queries is not None:
        _check_codes(pairs.query, 0, n_queries, "query row")


def _check_ragged(rows: Ragged, n: int, n_items: int, what: str) -> None:
    offsets = rows.offsets
    if len(rows) != n or offsets[0] != 0 or offsets[-1] != len(rows.values) or (np.diff(offsets) < 0).any():
        raise MatineeError(f"{what} is not {n} rows of item codes", hint="build it with Ragged.from_lists")
    _check_codes(rows.values, 0, n_items, f"{what} item")


def _check_codes(codes: NDArray[Any], low: int, n: int, what: str) -> None:
    if codes.dtype.kind not in "iu" and codes.size:
        raise MatineeError(f"{what} codes are {codes.dtype}, not integers", hint="code the ids with IdMap.encode")
    if codes.size and not low <= codes.min() <= codes.max() < n:
        wrong = codes.min() if codes.min() < low else codes.max()
        raise MatineeError(
            f"the queries hold the {what} code {wrong}, which is not in {low}..{n - 1}",
            hint="make the queries from the data the model was fitted on: a split's parts share their codes",
        )


def _column(values: ArrayLike, data: Dataset, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise MatineeError(f"{name} has shape {array.shape}, not (n,)", where=data.name, hint="pass one value a row")
    return array


def _whole(values: ArrayLike, dtype: Any, data: Dataset, name: str, hint: str) -> NDArray[Any]:
    array = _column(values, data, name)
    if array.dtype.kind not in "iu" and len(array):
        raise MatineeError(f"{name} holds {array.dtype}, not integers", where=data.name, hint=hint)
    if array.dtype.itemsize > np.dtype(dtype).itemsize or array.dtype.kind == "u":
        limits = np.iinfo(dtype)
        _first((array < limits.min) | (array > limits.max), array, data, name, "is out of range")
    return np.ascontiguousarray(array, dtype)


def _finite(values: ArrayLike, data: Dataset, name: str) -> NDArray[np.float32]:
    array = _column(values, data, name)
    if array.dtype.kind not in "fiub" and len(array):
        raise MatineeError(f"{name} holds {array.dtype}, not numbers", where=data.name, hint="convert it to float32")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is named below
        narrow = np.ascontiguousarray(array, np.float32)
    _first(~np.isfinite(narrow), array, data, name, "is not a finite number")
    return narrow


def _within(codes: NDArray[np.int32], n: int, data: Dataset, name: str) -> None:
    if len(codes) and not 0 <= codes.min() <= codes.max() < n:
        _first((codes < 0) | (codes >= n), codes, data, name, f"is not a code of the {n} {name}s")


def _first(wrong: NDArray[np.bool_], values: NDArray[Any], data: Dataset, name: str, what: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise MatineeError(
            f"{name} {what}: {values[row]}", where=f"{data.name}, row {row + 1}", hint="mend or remove the row"
        )
