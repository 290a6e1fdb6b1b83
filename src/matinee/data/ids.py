"""External ids <-> codes 0..n-1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matinee.data.titles import nearest_names
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import polars as pl

Id = int | str


class IdMap:
    """External ids (all integers, or all strings), sorted: the code of an id is its place in that order.

    Integers are sorted numerically, strings by code point, so codes do not depend on the order of rows. Ids that came
    later (`with_new`) stand behind the others, sorted among themselves, and codes stay.
    `ids` has shape (n,): int64, or object holding `str`.
    """

    def __init__(self, ids: ArrayLike, *, what: str = "id", grown: bool = False) -> None:
        """From ids that are sorted and distinct already (from_series sorts); distinct alone where some came later.
        Raises MatineeError where they are not."""
        array = np.asarray(ids)
        integer = array.dtype.kind in "iu"
        self.what = what
        self.ids: NDArray[Any] = array.astype(np.int64) if integer else np.array(array.tolist(), object)  # frozen copy
        if not integer and not all(type(external) is str and external for external in self.ids):
            raise MatineeError(f"{what}s are neither all integers nor all text", hint="use one type, without gaps")
        self.grown = grown
        ordered = np.sort(self.ids) if grown else self.ids
        if self.ids.ndim != 1 or not (ordered[1:] > ordered[:-1]).all():
            raise MatineeError(f"{what}s are not sorted and distinct", hint="build the map with IdMap.from_series")
        self.ids.flags.writeable = False

    @classmethod
    def from_series(cls, *series: pl.Series, what: str = "id") -> IdMap:
        """The distinct values of one or more columns of the same kind (integer or string). Raises MatineeError when
        integers and strings are mixed, or a value is missing or empty."""
        import polars as pl

        integer = [s.dtype.is_integer() for s in series]
        if any(integer) and not all(integer):
            what = f"{what} is an integer in one table and text in another"
            raise MatineeError(what, hint="store it with the same type in every table")
        kind = pl.Int64 if all(integer) else pl.String
        if kind == pl.Int64 and not any(s.null_count() for s in series):
            arrays = [s.to_numpy() for s in series if len(s)]
            if arrays and (there := _present(arrays)) is not None:
                return cls(there, what=what)
        try:
            values = pl.concat([s.cast(kind).alias("id") for s in series]).unique()
        except pl.exceptions.PolarsError as error:
            what = f"{what} is neither text nor a 64-bit integer ({str(error).splitlines()[0]})"
            raise MatineeError(what, hint="convert the ids to text") from None
        if values.null_count() or (kind == pl.String and (values == "").any()):
            raise MatineeError(f"{what} is empty in at least one row", hint="remove those rows or fill them in")
        values = values.sort()
        array = values.to_numpy() if kind == pl.Int64 else np.array(values.to_list(), dtype=object)
        return cls(np.array(array), what=what)

    def with_new(self, ids: pl.Series) -> IdMap:
        """The same codes, and further ids of the same type behind them. Raises MatineeError for ids that are there."""
        new = IdMap.from_series(ids, what=self.what).ids
        return IdMap(np.concatenate([self.ids, new]), what=self.what, grown=self.grown or bool(len(new)))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.is_integer == other.is_integer and np.array_equal(self.ids, other.ids)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"IdMap({len(self)} {self.what}s)"

    @property
    def is_integer(self) -> bool:
        return self.ids.dtype != object

    @cached_property
    def series(self) -> pl.Series:
        """The ids as a polars column, in code order."""
        import polars as pl

        if self.is_integer:
            return pl.Series(self.what, self.ids, pl.Int64)
        return pl.Series(self.what, self.ids.tolist(), pl.String)

    @cached_property
    def _code(self) -> dict[Id, int]:
        return {external: code for code, external in enumerate(self.ids.tolist())}

    @cached_property
    def _code_of_number(self) -> NDArray[np.int32] | None:
        """int32 (last - first id + 1,): the code of each number from the first id on, -1 where it is no id. None where
        ids lie far apart: a table of numbers would be much longer than that of ids."""
        if not len(self) or not _dense(self.first, int(self.ids.max()), len(self)):
            return None
        code = np.full(int(self.ids.max()) - self.first + 1, -1, np.int32)
        code[self.ids - self.first] = np.arange(len(self), dtype=np.int32)
        return code

    @cached_property
    def first(self) -> int:
        """The least of integers."""
        return int(self.ids.min())

    def encode(self, values: pl.Series) -> NDArray[np.int32]:
        """int32 codes, (len(values),): -1 where the id is not in the map. Text finds integers as in `find`."""
        import polars as pl

        if self.is_integer:
            values = values.str.strip_chars() if values.dtype == pl.String else values
            number = values.cast(pl.Int64, strict=False)
            if not values.dtype.is_integer():
                number = number.set(~(number.cast(values.dtype) == values).fill_null(False), None)
            values = number
            if (code := self._code_of_number) is not None and not values.null_count():
                place = values.to_numpy() - self.first
                inside = (place >= 0) & (place < len(code))
                return code[place] if inside.all() else np.where(inside, code[np.where(inside, place, 0)], np.int32(-1))
        table = pl.DataFrame({"id": self.series, "code": np.arange(len(self), dtype=np.int32)})
        asked = pl.DataFrame({"id": values.cast(self.series.dtype)})
        found = asked.join(table, on="id", how="left", maintain_order="left")
        return found["code"].fill_null(-1).to_numpy().astype(np.int32, copy=False)

    def find(self, external: Id) -> int:
        """The code of one id, -1 when unknown. "12" finds 12 and 12 finds "12": people type ids on command lines. Only
        an integer's usual spelling finds it: "012" may be another id."""
        if self.is_integer and isinstance(external, str):
            text = external.strip()
            external = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) and str(int(text)) == text else text
        elif not self.is_integer:
            external = str(external)
        return self._code.get(external, -1)

    def code(self, external: Id) -> int:
        """The code of one id. Raises MatineeError naming near misses when it is unknown."""
        found = self.find(external)
        if found >= 0:
            return found
        hint = f"use one of the {len(self):,} {self.what}s"
        if self.is_integer and len(self):  # numbers that look alike are not alike
            hint += f", from {self.first} to {self.ids.max()}"
        elif near := nearest_names(str(external), list(map(str, self.ids[:100_000])), n=5, cutoff=0.6):
            hint = f"did you mean one of {', '.join(near)}?"
        raise MatineeError(f"unknown {self.what} {external!r}", hint=hint)

    def codes(self, externals: Iterable[Id]) -> NDArray[np.int32]:
        """int32 codes of ids, (n,). Raises MatineeError as `code` does, and for one id alone."""
        if isinstance(externals, str) or not isinstance(externals, Iterable):
            raise MatineeError(f"{externals!r} is not a list of {self.what} ids", hint=f"pass [{externals!r}]")
        return np.array([self.code(external) for external in externals], np.int32)

    def decode(self, codes: NDArray[np.integer[Any]] | Sequence[int]) -> list[Id]:
        """External ids of codes >= 0, as Python values."""
        ids: list[Id] = self.ids[np.asarray(codes, np.int64)].tolist()
        return ids


def _dense(first: int, last: int, n: int) -> bool:
    """Whether a table of all numbers from first to last is worth its memory for n of them."""
    return last - first < max(1 << 20, 8 * n)


def _present(arrays: list[NDArray[Any]]) -> NDArray[np.int64] | None:
    """int64: the distinct numbers of arrays that are not empty, ascending; None where they lie far apart."""
    first, last = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
    if not -(2**62) < first <= last < 2**62 or not _dense(first, last, sum(map(len, arrays))):
        return None
    there = np.zeros(last - first + 1, np.bool_)
    for array in arrays:
        there[array.astype(np.int64, copy=False) - first] = True
    found: NDArray[np.int64] = np.flatnonzero(there) + first
    return found
