"""Fields of context models: the user, the moment and the item of a request, as codes of one embedding table.

The name of a field says where it is read:

    user, item                  the id: a code for each that has a training event
    user.gender, item.genres    a column of a side table
    context.device              a further column of the log
    time.hour                   year, month, decade, weekday (1 = Monday) or hour of the event, in UTC
    time.age                    years from the item's `year` (a column, or the end of its title) to the event

and, to read a column in another way than its type's, how:

    item.genres[0]              one element of a list
    item.year:decade            a part of a date, or of a year
    user.age:categorical        categorical, multi, numeric (standardised), bucket or vector

Otherwise numbers are put in buckets, lists of floats are dense vectors, other lists multi-valued, and the rest, with
numbers named `..._id`, is categorical. A dense vector, over its length, is one field, through a learned linear map.
Each field has a range of codes: first that of missing values, then that of values unknown to training, then one a
value, or a number of a dense vector.
One table of `n_codes` rows serves all fields, also for new users and items. `requests` makes the codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, Self, cast, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator

from matinee.data import side
from matinee.data.arrays import Floats, Ints, Ragged
from matinee.data.dataset import Dataset
from matinee.data.features import vocabulary as vocab
from matinee.data.features.side_columns import kinds
from matinee.data.features.vectors import holds_vectors
from matinee.data.features.vocabulary import (
    AnyField,
    Bucketed,
    Categorical,
    DatePart,
    Kind,
    MultiValued,
    Numbers,
    Vectors,
)
from matinee.errors import MatineeError, suggestion

MISSING, UNKNOWN, RESERVED = 0, 1, 2
"""The first codes of every field, and their number."""

Source = Literal["user", "item", "context", "time"]
Group = Literal["user", "moment", "item", "pair"]
Tables = Mapping[str, pl.DataFrame]
FieldKind = Kind | Literal["vector"]

_MOMENT, _AGE = "moment", "age"
_PARTS = (*get_args(DatePart), _AGE)
_WORDS = {"user": "table of users", "item": "table of items", "context": "further columns", "time": "times"}
_NAME = re.compile(r"(?P<column>.*?)(\[(?P<place>\d{1,3})\])?(:(?P<how>\w*))?", re.DOTALL)


class ContextField(vocab.Strict):
    """Where a field is read, and its vocabulary. An id has neither column nor vocabulary.

    place: the element of a list. part: of a date, or of a year.
    """

    name: str = Field(min_length=1)
    source: Source
    column: str | None = None
    place: int | None = Field(default=None, ge=0)
    part: DatePart | None = None
    vocabulary: AnyField | Vectors | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.column is None and self.source not in ("user", "item"):
            raise ValueError(f"the field {self.name!r} names no column")
        return self

    @property
    def group(self) -> Group:
        """The field depends on the user, the moment of the request, the item, or the moment and the item."""
        if self.source in ("user", "item"):
            return "user" if self.source == "user" else "item"
        return "pair" if (self.source, self.column) == ("time", _AGE) else "moment"

    @property
    def multi(self) -> bool:
        """True where a row has several codes."""
        return isinstance(self.vocabulary, MultiValued)

    @property
    def dense(self) -> bool:
        """True where a row has a dense vector."""
        return isinstance(self.vocabulary, Vectors)

    @property
    def single(self) -> bool:
        """True where a row has one code."""
        return not (self.multi or self.dense)

    def read(self, tables: Tables, n: int) -> pl.Series:
        """The raw column; n rows of null where it or its table is absent. Raises MatineeError for wrong types."""
        table = tables.get(self.source)
        if table is None or self.column not in table.columns:
            return pl.Series(self.column, [None] * n, dtype=pl.Null)
        column = table[self.column]
        if self.place is not None:
            column = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
            if not isinstance(column.dtype, pl.List):
                what = f"column '{self.column}' has the type {column.dtype}, not lists, so '{self.name}' has no meaning"
                raise MatineeError(what, hint=f"name the field '{self.source}.{self.column}'")
            column = column.list.get(self.place, null_on_oob=True)
        return column if self.part is None else vocab.date_part(column, self.part)

    def encode(self, column: pl.Series) -> tuple[Ints | Ragged, Floats | None]:
        """Codes of this field, from 0: int32 (n,), or n rows of one or more; for numbers also the weights float32 (n,)
        of their vectors."""
        vocabulary = self.vocabulary
        assert vocabulary is not None
        assert not isinstance(vocabulary, Vectors)
        codes = vocabulary.encode(column)
        if isinstance(codes, Numbers):
            weight = np.where(codes.missing, np.float32(1.0), codes.value)
            return np.where(codes.missing, MISSING, RESERVED).astype(np.int32), weight
        if isinstance(codes, Ragged):
            nothing = np.flatnonzero(codes.lengths == 0)
            missing = Ragged.from_rows(nothing, np.full(len(nothing), MISSING, np.int32), len(codes))
            return Ragged(codes.offsets, codes.values + np.int32(1)).join(missing), None
        return spread(codes, vocabulary.missing(column) if isinstance(vocabulary, Categorical) else codes == 0), None

    def mapped(self, column: pl.Series) -> Floats:
        """float32 (n, RESERVED + size), what each code of this field weighs: the numbers of a dense vector, and 1 at
        MISSING where there is none."""
        assert isinstance(self.vocabulary, Vectors)
        vectors, missing = self.vocabulary.encode(column)
        found = np.zeros((len(vectors), RESERVED + self.vocabulary.size), np.float32)
        found[:, MISSING], found[:, RESERVED:] = missing, vectors
        return found


def spread(codes: Ints, missing: NDArray[np.bool_]) -> Ints:
    """int32 (n, ...): codes where 0 is missing or unknown -> codes of a context field, where these are two."""
    return np.where(missing, np.int32(MISSING), codes + np.int32(1))


class ContextFields(vocab.Vocabularies):
    """The fields of a context model and their vocabularies, learned from a training log, kept as JSON with the model.

    unseen_users, unseen_items: codes without a training event. Their ids get the code of unknown values.
    """

    n_users: int = Field(ge=0)
    n_items: int = Field(ge=0)
    unseen_users: tuple[int, ...]
    unseen_items: tuple[int, ...]
    fields: tuple[ContextField, ...]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for codes, n in ((self.unseen_users, self.n_users), (self.unseen_items, self.n_items)):
            if codes and not 0 <= min(codes) <= max(codes) < n:
                raise ValueError("an unseen code is out of range")
        if len({field.name for field in self.fields}) < len(self.fields):
            raise ValueError("two fields have one name")
        for field in self.fields:
            if (field.column is None) != (field.vocabulary is None):
                raise ValueError(f"the field {field.name!r} lacks its column or its vocabulary")
            if field.group == "pair" and not isinstance(field.vocabulary, Bucketed):
                raise ValueError("ages must be in buckets")
        return self

    @classmethod
    def fit(
        cls,
        data: Dataset,
        names: Sequence[str] | None = None,
        *,
        min_count: int = 1,
        max_values: int | None = None,
        buckets: int = vocab.BUCKETS,
    ) -> ContextFields:
        """Learn the vocabularies from a training log: the values of users and items that have an event.

        names: the fields, see the module; None: see `default_names`. min_count, max_values: as in `Fields.fit`, counted
        in rows of the tables. buckets: the most buckets for a number. Raises MatineeError for names that do not fit the
        log, and for columns that cannot be of their kind.
        """
        tables = tables_of(data)
        seen = {"user": data.user_counts() > 0, "item": data.item_counts() > 0}
        rows = {name: table.filter(seen[name]) if name in seen else table for name, table in tables.items()}
        fields = []
        for field, kind in parsed(names, tables):
            if kind is not None:
                column = field.read(rows, 0)
                if field.group == "pair":  # from the item's year to the event's
                    column = pl.Series(_AGE, years_of(tables) - release_years(tables)[data.item])
                limit = buckets if kind == "bucket" else max_values
                learned = Vectors.fit(column) if kind == "vector" else vocab.fitted(column, kind, min_count, limit)
                field = field.model_copy(update={"vocabulary": learned})
            fields.append(field)
        unseen = {f"unseen_{name}s": tuple(np.flatnonzero(~there).tolist()) for name, there in seen.items()}
        return cls(n_users=data.n_users, n_items=data.n_items, fields=tuple(fields), **unseen)

    def with_items(self, n_items: int) -> tuple[ContextFields, Ints]:
        """The same vocabularies for n_items items, of which those behind the old ones have no event; and the new place
        of each code, int32 (n_codes,)."""
        wider = ContextFields(
            n_users=self.n_users,
            n_items=n_items,
            unseen_users=self.unseen_users,
            unseen_items=(*self.unseen_items, *range(self.n_items, n_items)),
            fields=self.fields,
        )
        codes = np.empty(self.n_codes, np.int32)
        for field, old in zip(self.fields, self.ranges, strict=True):
            codes[old] = np.arange(old.stop - old.start) + wider.starts[field.name]
        return wider, codes

    def of(self, *groups: Group) -> list[ContextField]:
        """The fields of these groups, in the order of their names."""
        return [field for group in groups for field in self.fields if field.group == group]

    @cached_property
    def starts(self) -> dict[str, int]:
        """The first code of each field, which means missing."""
        return dict(zip((field.name for field in self.fields), np.cumsum([0, *self._sizes]).tolist(), strict=False))

    @property
    def ranges(self) -> list[slice]:
        """The codes of each field."""
        return [slice(start, start + size) for start, size in zip(self.starts.values(), self._sizes, strict=True)]

    @property
    def n_codes(self) -> int:
        """Rows of the embedding table that serves all fields."""
        return sum(self._sizes)

    @cached_property
    def _sizes(self) -> list[int]:
        ids = {"user": self.n_users, "item": self.n_items}
        sizes = (ids[field.source] if field.vocabulary is None else field.vocabulary.n_codes for field in self.fields)
        return [RESERVED + size for size in sizes]


def default_names(tables: Tables, *, ids: bool = True) -> list[str]:
    """Both ids if `ids`, the columns whose kind is clear (`side_columns.kinds`), dense vectors, and of the event year,
    month, weekday, hour and the item's age, where the log has times and years."""
    columns = {source: [f"{source}.{c}" for c in _clear(table)] for source, table in tables.items() if source != "time"}
    parts = ["year", "month", "weekday", "hour", *([_AGE] if has_years(tables) else [])] if "time" in tables else []
    times = [f"time.{part}" for part in parts]
    of_user, of_item = ([*([source] if ids else []), *columns.get(source, [])] for source in ("user", "item"))
    return [*of_user, *columns.get("context", []), *times, *of_item]


def _clear(table: pl.DataFrame) -> list[str]:
    vectors = (c.name for c in table.iter_columns() if holds_vectors(c) and c.null_count() < len(c))
    return [*kinds(table), *vectors]


def parsed(names: Sequence[str] | None, tables: Tables) -> list[tuple[ContextField, FieldKind | None]]:
    """The fields without their vocabularies, and their kinds. Raises MatineeError for names that do not fit."""
    names = default_names(tables) if names is None else names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MatineeError(f"the field '{twice[0]}' is named twice", hint="name each field once")
    return [_parsed(name, tables) for name in names]


def _parsed(name: str, tables: Tables) -> tuple[ContextField, FieldKind | None]:
    """A field without its vocabulary, and its kind; None for an id."""
    source, _, rest = name.partition(".")
    if source not in _WORDS:
        raise MatineeError(f"there is no field '{name}'", hint=f"its first word must be one of {', '.join(_WORDS)}")
    if name in ("user", "item"):
        return ContextField(name=name, source="user" if source == "user" else "item"), None
    if source not in tables:
        raise MatineeError(f"the log has no {_WORDS[source]}, so no field '{name}'", hint="leave it out")
    if source == "time":
        return _of_time(name, rest, tables), "bucket"
    column, place, how = _read_as(rest, tables[source].columns)
    kind, part = _kind(name, vocab.column_of(tables[source], column), place, how)
    values = {"name": name, "source": source, "column": column, "place": place, "part": part}
    return ContextField.model_validate(values), kind


def _read_as(rest: str, columns: Sequence[str]) -> tuple[str, int | None, str | None]:
    """Column, place, how. A column's whole name is tried first, because it may contain any character."""
    column, _, how = rest.rpartition(":")
    if rest in columns or column in columns:
        return (rest, None, None) if rest in columns else (column, None, how)
    match = _NAME.fullmatch(rest)
    assert match is not None
    return match["column"], None if match["place"] is None else int(match["place"]), match["how"]


def _of_time(name: str, part: str, tables: Tables) -> ContextField:
    if part == _AGE:
        if not has_years(tables):
            raise MatineeError(f"'{name}' needs the items' years", hint="name a column of numbers or dates 'year'")
        return ContextField(name=name, source="time", column=_AGE)
    if part not in _PARTS:
        raise MatineeError(f"there is no field '{name}'", hint=f"use time.{', time.'.join(_PARTS)}")
    return ContextField.model_validate({"name": name, "source": "time", "column": _MOMENT, "part": part})


def _kind(name: str, column: pl.Series, place: int | None, how: str | None) -> tuple[FieldKind, DatePart | None]:
    """How a column is read: as its name says, otherwise by its type."""
    parts, kinds_ = get_args(DatePart), (*get_args(Kind), "vector")
    if how is not None and how not in (*parts, *kinds_):
        raise MatineeError(f"'{name}': unknown field type '{how}'", hint=suggestion(how, (*kinds_, *parts)))
    if how is not None:
        return ("bucket", cast(DatePart, how)) if how in parts else (cast(FieldKind, how), None)
    of = column.dtype
    if of.is_numeric() and place is None and not name.endswith("_id"):
        return "bucket", None
    if isinstance(of, (pl.List, pl.Array)) and place is None:
        return ("vector" if holds_vectors(column) else "multi"), None
    if of.is_temporal():
        hint = f"name a part of it, e.g. '{name}:year'; or leave it out"
        raise MatineeError(f"'{name}' has the type {of}", hint=hint)
    return "categorical", None


def tables_of(data: Dataset) -> dict[str, pl.DataFrame]:
    """The tables of a log from which fields are read, by source."""
    found = {"user": data.user_features, "item": data.item_features, "context": data.context}
    tables = {source: table for source, table in found.items() if table is not None}
    items = tables.get("item")
    if items is not None and "year" not in items.columns and items.schema.get("title") == pl.String:
        tables["item"] = side.with_year(items)
    if data.timestamp is not None:
        tables["time"] = moment_table(data.timestamp)
    return tables


def moment_table(seconds: NDArray[np.int64]) -> pl.DataFrame:
    """Unix seconds as the table of `time` fields; negative ones are missing."""
    return pl.DataFrame({_MOMENT: vocab.moments(seconds)})


def years_of(tables: Tables) -> Floats:
    """float32 (n,): the year of each moment, NaN where it is missing."""
    return _floats(vocab.date_part(tables["time"][_MOMENT], "year"))


def release_years(tables: Tables) -> Floats:
    """float32 (n_items,): the items' years, NaN where they are missing."""
    return _floats(vocab.date_part(tables["item"]["year"], "year"))


def has_years(tables: Tables) -> bool:
    """True where the items have a column `year` of numbers or dates with a value in it."""
    if "item" not in tables or "year" not in tables["item"].columns:
        return False
    years = tables["item"]["year"]
    return (years.dtype.is_numeric() or years.dtype in (pl.Date, pl.Datetime)) and years.null_count() < len(years)


def _floats(numbers: pl.Series) -> Floats:
    """float32 (n,), NaN where it is missing."""
    return numbers.cast(pl.Float32).fill_null(np.nan).to_numpy()
