"""Which items an expression holds for."""

from __future__ import annotations

import datetime
import functools
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.arrays import Bools
from matinee.data.features.attributes import item_column
from matinee.errors import MatineeError, MatineeWarning, did_you_mean
from matinee.rules.parsing import All, Column, Comparison, Constant, Not, Scalar, Tree, parse, shown

if TYPE_CHECKING:
    import polars as pl

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NEAR = 20_000  # distinct values among which near misses are looked for


@dataclass(frozen=True)
class Expression:
    """A condition on a row of a table, such as `year >= 1990 and "Drama" in genres`.

    A comparison with a missing cell is neither true nor false but unknown, as in SQL: so is its `not`, and the row is
    not among those found. `== None` and `!= None` ask whether the cell is missing. A list that is empty is not missing.
    """

    text: str

    def __post_init__(self) -> None:
        parse(self.text)

    def rows(self, table: pl.DataFrame | None, n: int) -> Bools:
        """bool (n,): the rows of the table, of n, for which the expression is true.

        Warns of texts that no cell has. Raises MatineeError for columns that do not exist and comparisons that their
        types do not have.
        """
        found = _Rows(self.text, table).of(parse(self.text)).fill_null(value=False).to_numpy()
        assert found.shape == (n,)
        return np.asarray(found, np.bool_)


class _Rows:
    """Evaluates a tree, column by column. A Boolean series is null where the answer is unknown; polars' and, or and not
    are Kleene's, as SQL's."""

    def __init__(self, text: str, table: pl.DataFrame | None) -> None:
        self.text, self.table = text, table

    def of(self, tree: Tree) -> pl.Series:
        if isinstance(tree, Column):
            return self.truth(tree)
        if isinstance(tree, Comparison):
            return self.comparison(tree)
        if isinstance(tree, Not):
            return ~self.of(tree.part)
        join = operator.and_ if isinstance(tree, All) else operator.or_
        return functools.reduce(join, map(self.of, tree.parts))

    def series(self, column: Column) -> pl.Series:
        try:
            found = item_column(self.table, column.name)
        except MatineeError as error:
            where = f"character {column.at} of {shown(self.text)}"
            raise MatineeError(f"{error.what} ({where})", hint=error.hint) from None
        return found.fill_nan(None) if found.dtype.is_float() else found

    def truth(self, column: Column) -> pl.Series:
        found = self.series(column)
        if (kind := kind_of(found.dtype)) != "true or false":
            raise self.wrong(column, f"column {column.name!r} holds {kind}: compare it with something")
        return found

    def comparison(self, tree: Comparison) -> pl.Series:
        left, name, right = tree.left, tree.operator, tree.right
        if name in ("in", "not in"):
            found = self.contains(left, right) if isinstance(right, Column) else self.one_of(left, right)
            return ~found if name == "not in" else found
        if isinstance(left, Constant):
            assert isinstance(right, Column)  # the parser refuses two constants
            left, right, name = right, left, MIRRORED.get(name, name)
        column = self.series(left)
        if isinstance(right, Column):
            return self.columns(left, name, right)
        if right.value is None:
            return self.missing(left, name)
        if isinstance(right.value, tuple):
            raise self.wrong(right, "a list is compared", hint=f"write {left.name} in [...]")
        value = self.fitting(left, column.dtype, right.value, right.at)
        found = COMPARE[name](column, value)
        self.tell_unknown(column, found, name, right.value)
        return found  # type: ignore[no-any-return]

    def missing(self, column: Column, name: str) -> pl.Series:
        if name not in ("==", "!="):
            raise self.wrong(column, f"None has no order: {column.name} {name} None")
        found = self.series(column)
        return found.is_null() if name == "==" else found.is_not_null()

    def columns(self, left: Column, name: str, right: Column) -> pl.Series:
        one, other = self.series(left), self.series(right)
        kinds = kind_of(one.dtype), kind_of(other.dtype)
        if kinds[0] != kinds[1] or kinds[0].startswith("lists"):
            raise self.wrong(left, f"{left.name!r} holds {kinds[0]} and {right.name!r} {kinds[1]}: they do not compare")
        return COMPARE[name](one, other)  # type: ignore[no-any-return]

    def contains(self, left: Column | Constant, right: Column) -> pl.Series:
        """A value in a list, or a part of a text."""
        import polars as pl

        column = self.series(right)
        kind = kind_of(column.dtype)
        if isinstance(left, Column) or left.value is None or isinstance(left.value, tuple):
            raise self.wrong(left, f"one text or number is looked for in column {right.name!r}")
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        if isinstance(column.dtype, pl.List):
            value = self.fitting(right, column.dtype.inner, left.value, left.at)
            found = column.list.contains(value)
        elif kind == "text" and isinstance(left.value, str):
            found = column.cast(pl.String).str.contains(left.value, literal=True)
        else:
            raise self.wrong(
                right, f"column {right.name!r} holds {kind}, in which nothing can be", hint="compare it by =="
            )
        self.tell_unknown(column, found, "in", left.value)
        return found

    def one_of(self, left: Column | Constant, right: Constant) -> pl.Series:
        """A cell among the constants of a list."""
        import polars as pl

        assert isinstance(left, Column)  # the parser refuses two constants
        if not isinstance(right.value, tuple):
            raise self.wrong(right, f"`in` needs a list or a column behind it, not {right.value!r}")
        column = self.series(left)
        values = [self.fitting(left, column.dtype, value, right.at) for value in right.value]
        if not values:
            return pl.Series([False]).new_from_index(0, len(column))
        found: pl.Series = functools.reduce(operator.or_, [column == value for value in values])
        return found

    def fitting(self, column: Column, dtype: Any, value: Scalar, at: int) -> Any:
        """The constant as the column's type has it. Raises MatineeError where it has no such values."""
        kind = kind_of(dtype)
        if kind.startswith("lists"):
            hint = f"write {value!r} in {column.name}"
            raise self.wrong(
                column, f"column {column.name!r} holds {kind}, which do not compare with {value!r}", hint=hint
            )
        if kind == "dates" and isinstance(value, str):
            try:
                moment = datetime.datetime.fromisoformat(value)
                return moment if dtype.is_temporal() and "Datetime" in str(dtype) else moment.date()
            except ValueError:
                raise self.wrong(
                    Column(column.name, at), f"{value!r} is no date", hint='write for example "1999-12-31"'
                ) from None
        own = "true or false" if isinstance(value, bool) else "text" if isinstance(value, str) else "numbers"
        if own != kind:
            raise self.wrong(Column(column.name, at), f"column {column.name!r} holds {kind}, not {value!r}")
        return value

    def tell_unknown(self, column: pl.Series, found: pl.Series, name: str, value: Scalar) -> None:
        """Warn where no cell has a text: it may be misspelled."""
        import polars as pl

        if name not in ("==", "in") or not isinstance(value, str) or found.any():
            return
        cells = column.explode() if isinstance(column.dtype, pl.List) else column
        known = cells.drop_nulls().cast(pl.String).unique().sort()
        near = did_you_mean(value, known.to_list()) if len(known) <= NEAR else ""
        text = f"no item has {value!r} in column {column.name!r}" + (f": {near}" if near else "")
        warnings.warn(f"{text} (in {shown(self.text)})", MatineeWarning, stacklevel=2)

    def wrong(self, operand: Column | Constant, what: str, *, hint: str | None = None) -> MatineeError:
        where = f"character {operand.at} of {shown(self.text)}"
        return MatineeError(f"{what} ({where})", hint=hint or "compare a column with what it holds, or with None")


def kind_of(dtype: Any) -> str:
    """What a column holds, for people: numbers, text, true or false, dates, lists of these."""
    import polars as pl

    if isinstance(dtype, pl.List | pl.Array):
        return f"lists of {kind_of(dtype.inner)}"
    if dtype.is_numeric():
        return "numbers"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if dtype == pl.Boolean:
        return "true or false"
    return "dates" if dtype in (pl.Date, pl.Datetime) else "nothing" if dtype == pl.Null else str(dtype)
