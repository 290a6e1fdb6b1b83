"""What Python holds in memory -> a polars frame: dataframes, columns, rows, arrays and sparse matrices."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.errors import MatineeError, MatineeWarning

COLUMNS = ("user_id", "item_id", "rating", "timestamp")  # of rows without names, in this order
KNOWN = (
    "a path; a dataframe of pandas, polars, DuckDB or PyArrow; a dict of columns; a list of (user, item[, rating"
    "[, time]]) rows, or a NumPy array of them; or a SciPy sparse matrix, users x items"
)


def frame_of(source: Any) -> pl.DataFrame:
    """One row for each row of a table, or for each stored entry of a sparse matrix.

    polars, anything that speaks the Arrow C stream: as it is. pandas: its columns, and an index that has a name.
    A dict: column name -> values. A list (or an iterator) of dicts: a row each. A list of tuples, or a NumPy array of
    two dimensions: user, item and, where there are more, rating and time. A NumPy array with named fields: these.
    A SciPy sparse matrix: users are its row numbers, items its column numbers, and its values are ratings unless all
    are 1. Entries of one place are added up, as SciPy adds them.
    Raises MatineeError for anything else, for what mixes types, and for rows of unequal length.
    """
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, pl.DataFrame):
        return source
    if hasattr(source, "tocsr"):  # every sparse matrix and array of SciPy
        return _of_sparse(source)
    if isinstance(source, Mapping):
        return _of_columns(source)
    if isinstance(source, np.ndarray):
        return _of_array(source)
    if isinstance(source, (list, tuple, Iterator)) and not hasattr(source, "__arrow_c_stream__"):
        return _of_rows(list(source))
    return _of_arrow(source)


def _of_arrow(source: Any) -> pl.DataFrame:
    if not hasattr(source, "__arrow_c_stream__"):
        raise MatineeError(f"cannot read a log from {type(source).__name__}", hint=f"pass {KNOWN}")
    pandas = sys.modules.get("pandas")  # whoever has one of its frames has imported it
    if pandas is not None and isinstance(source, pandas.DataFrame):
        source = _plain_pandas(source)
    try:
        return pl.DataFrame(source)
    except ImportError as error:
        raise MatineeError(f"this dataframe needs a package: {error}", hint="pip install pyarrow") from error
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        what = f"the dataframe cannot be read: {_first_line(error)}"
        where = _first_odd(source) if pandas is not None and isinstance(source, pandas.DataFrame) else None
        raise MatineeError(what, where=where, hint="give each column values of one plain type") from error


def _first_odd(frame: Any) -> str | None:
    """The first column of a pandas frame that cannot be read by itself."""
    for name in frame.columns:
        try:
            pl.DataFrame(frame[[name]])
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            return f"column '{name}'"
    return None


def _plain_pandas(frame: Any) -> Any:
    """A pandas frame whose columns hold everything: polars would leave out an index."""
    strange = [name for name in frame.columns if not isinstance(name, str)]
    if strange:
        what = f"the dataframe's columns are not all named by a text: {strange[0]!r}"
        raise MatineeError(what, hint='name them: df.columns = ["user_id", "item_id"]')
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise MatineeError(f"the dataframe has two columns {twice[0]!r}", hint="rename or drop one of them")
    if frame.index.nlevels > 1:
        names = ", ".join(map(repr, frame.index.names))
        raise MatineeError(f"the dataframe has an index of several levels ({names})", hint="pass df.reset_index()")
    name = frame.index.name
    return frame.reset_index() if isinstance(name, str) and name not in frame.columns else frame


def _of_columns(columns: Mapping[Any, Any]) -> pl.DataFrame:
    made = [_series(name, values) for name, values in columns.items()]
    lengths = {len(column) for column in made}
    if len(lengths) > 1:
        words = ", ".join(f"{column.name!r} has {len(column):,}" for column in made[:12])
        raise MatineeError(f"the columns are not equally long: {words}", hint="give each event a value in each")
    return pl.DataFrame(made)


def _of_rows(rows: list[Any]) -> pl.DataFrame:
    """Rows: dicts, or sequences of two to four values."""
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        return _of_columns({name: [row.get(name) for row in rows] for name in names})
    width = len(rows[0]) if rows and _is_row(rows[0]) else len(COLUMNS[:2])
    for number, row in enumerate(rows, start=1):
        if not _is_row(row) or len(row) != width:
            hint = "pass (user, item), (user, item, rating) or (user, item, rating, time), all of one length"
            raise MatineeError(f"{row!r} is not a row of {width} values", where=f"row {number}", hint=hint)
    _check_width(width)
    return pl.DataFrame([_series(name, [row[c] for row in rows]) for c, name in enumerate(COLUMNS[:width])])


def _is_row(row: Any) -> bool:
    return isinstance(row, (Sequence, np.ndarray)) and not isinstance(row, (str, bytes)) and np.ndim(row) == 1


def _of_array(array: NDArray[Any]) -> pl.DataFrame:
    if array.dtype.names is not None:
        return _of_columns({name: array[name] for name in array.dtype.names})
    if array.ndim != 2:
        what = f"the array has {array.ndim} dimensions"
        raise MatineeError(what, hint="pass one of two: a row for each event, (user, item[, rating[, time]])")
    _check_width(array.shape[1])
    columns = zip(COLUMNS, array.T, strict=False)
    return pl.DataFrame(
        [_series(name, column.tolist() if array.dtype == object else column) for name, column in columns]
    )


def _check_width(width: int) -> None:
    if not 2 <= width <= len(COLUMNS):
        hint = "pass scipy.sparse.csr_array(matrix) for a matrix of users x items, or a dataframe for further columns"
        raise MatineeError(f"rows of {width} values are not (user, item[, rating[, time]])", hint=hint)


def _of_sparse(matrix: Any) -> pl.DataFrame:
    """One row an entry, row by row."""
    if matrix.ndim != 2:
        raise MatineeError(f"the sparse array has {matrix.ndim} dimensions", hint="pass one of users x items")
    entries = matrix.tocsr().copy()
    entries.sum_duplicates()  # sorts the columns of each row as well
    zeros = int((entries.data == 0).sum())
    if zeros:
        text = f"the sparse matrix stores {zeros:,} zeros, which are no events: keep unrated events in a dataframe"
        warnings.warn(text, MatineeWarning, stacklevel=4)
        entries.eliminate_zeros()
    user = np.repeat(np.arange(entries.shape[0], dtype=np.int64), np.diff(entries.indptr))
    columns = {"user_id": user, "item_id": entries.indices.astype(np.int64)}
    if not (entries.data == 1).all():
        columns["rating"] = entries.data
    return pl.DataFrame({name: _series(name, column) for name, column in columns.items()})


def _series(name: Any, values: Any) -> pl.Series:
    """A column. Raises MatineeError where its name is no text, or its values are no column of one type."""
    if not isinstance(name, str):
        raise MatineeError(f"{name!r} is not the name of a column", hint='name columns by texts, such as "user_id"')
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise MatineeError(f"column {name!r} is {values!r}, not a list of values", hint="give each event a value")
    try:
        if isinstance(values, np.ndarray):
            return _of_vector(name, values)
        if hasattr(values, "to_numpy"):  # a column of polars or pandas
            return pl.Series(name, values)
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
        numbers = {type(value) for value in values} - {type(None)}
        return pl.Series(name, values, pl.Float64 if numbers == {int, float} else None)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        what = f"column {name!r} cannot be read: {_first_line(error)}"
        raise MatineeError(what, hint="give it values of one type") from None


def _of_vector(name: str, values: NDArray[Any]) -> pl.Series:
    """A column from an array of one dimension."""
    if values.ndim != 1:
        raise ValueError(f"it is an array of {values.ndim} dimensions")
    if values.dtype.kind in "OSU":
        return pl.Series(name, values.tolist())
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("ms", "us", "ns"):
        values = values.astype("datetime64[us]")  # polars reads no seconds
    return pl.Series(name, np.ascontiguousarray(values))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
