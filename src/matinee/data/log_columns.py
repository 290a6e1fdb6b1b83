"""What a Dataset made by hand must hold. Files are checked by their readers, who can name the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.errors import MatineeError, counted

if TYPE_CHECKING:
    import polars as pl


class LogColumns:
    """The columns of the log `name`, checked and in their own types. Rows are counted from 1. Each method raises
    MatineeError for a column of another shape or kind, for values out of range, and for numbers or times that are NaN,
    infinite or negative. Each costs a pass over its column."""

    def __init__(self, name: str) -> None:
        self.name = name

    def codes(self, values: ArrayLike, what: str, n: int) -> NDArray[np.int32]:
        """int32 (n rows,) codes below n."""
        codes: NDArray[np.int32] = self._whole(values, np.int32, what, "code the ids with IdMap.encode")
        if len(codes) and not 0 <= codes.min() <= codes.max() < n:
            self._refuse((codes < 0) | (codes >= n), codes, f"{what} is not a code of the {n} {what}s")
        return codes

    def times(self, values: ArrayLike) -> NDArray[np.int64]:
        """int64 (n,) Unix seconds."""
        times: NDArray[np.int64] = self._whole(values, np.int64, "timestamp", "convert times to Unix seconds")
        self._refuse(times < 0, times, "timestamp is negative")
        return times

    def numbers(self, values: ArrayLike, what: str) -> NDArray[np.float32]:
        """float32 (n,), all finite."""
        array = self._column(values, what)
        if array.dtype.kind not in "fiub" and len(array):
            hint = "convert it to float32"
            raise MatineeError(f"{what} holds {array.dtype}, not numbers", where=self.name, hint=hint)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
            narrow = np.ascontiguousarray(array, np.float32)
        self._refuse(~np.isfinite(narrow), array, f"{what} is not a finite number")
        return narrow

    def weights(self, values: ArrayLike) -> NDArray[np.float32]:
        """float32 (n,), all finite and above 0."""
        weights = self.numbers(values, "weight")
        self._refuse(weights <= 0, weights, "weight is not positive")
        return weights

    def height(self, column: NDArray[Any] | pl.DataFrame | None, what: str, rows: int) -> None:
        """Raise MatineeError where a column or table has not this number of rows."""
        if column is not None and len(column) != rows:
            what = f"{what} has {counted(len(column), 'row')}, not {rows}"
            raise MatineeError(what, where=self.name, hint="align it with the rest")

    def _column(self, values: ArrayLike, what: str) -> NDArray[Any]:
        """Values of any dtype, (n,)."""
        array = np.asarray(values)
        if array.ndim != 1:
            hint = "pass one value a row"
            raise MatineeError(f"{what} has shape {array.shape}, not (n,)", where=self.name, hint=hint)
        return array

    def _whole(self, values: ArrayLike, dtype: Any, what: str, hint: str) -> NDArray[Any]:
        """Integers of this dtype, int32 or int64, (n,)."""
        array = self._column(values, what)
        if array.dtype.kind not in "iu" and len(array):
            raise MatineeError(f"{what} holds {array.dtype}, not integers", where=self.name, hint=hint)
        if array.dtype.itemsize > np.dtype(dtype).itemsize or array.dtype.kind == "u":
            limits = np.iinfo(dtype)
            self._refuse((array < limits.min) | (array > limits.max), array, f"{what} is out of range")
        return np.ascontiguousarray(array, dtype)

    def _refuse(self, wrong: NDArray[np.bool_], values: NDArray[Any], what: str) -> None:
        """Raise MatineeError at the first wrong row, if there is one."""
        if wrong.any():
            row = int(wrong.argmax())
            hint = "correct or remove the row"
            raise MatineeError(f"{what}: {values[row]}", where=f"{self.name}, row {row + 1}", hint=hint)
