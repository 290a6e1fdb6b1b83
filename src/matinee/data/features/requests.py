"""Codes of context fields: of users and items once, of requests as they come, and of pairs of the two.

Fields of the user and the moment are apart from those of the item, so each side is encoded once to rank a catalogue.
Rows for training are gathered batch by batch: of a million events only the codes of their moments are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ints, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.features import context as context_fields
from matinee.data.features.context import MISSING, RESERVED, UNKNOWN, ContextFields, Group, Tables, spread
from matinee.data.features.vocabulary import Bucketed
from matinee.errors import MatineeError, listed

Index = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class DenseRows:
    """n rows of a field of dense vectors: float32 (n, codes), what each of its codes, from `start` on, weighs."""

    start: int
    weight: Floats

    @property
    def codes(self) -> Ints:
        """int32 (c,): the codes that weigh something in some row."""
        return np.flatnonzero(self.weight.any(axis=0)).astype(np.int32) + np.int32(self.start)

    @property
    def missing(self) -> Bools:
        """bool (n,): rows without a vector."""
        return self.weight[:, MISSING] > 0


@dataclass(frozen=True)
class EncodedFields:
    """n rows of some fields, as codes of the one embedding table.

    single: int32 (n, S), a code for each single-valued field. numeric: the columns of `single` that are standardised
    numbers; number: float32 (n, len(numeric)), the factors of their vectors. bags: for each multi-valued field n rows
    of one or more codes, whose vectors are summed or averaged. dense: each field of dense vectors.
    """

    single: Ints
    number: Floats
    bags: tuple[Ragged, ...] = ()
    numeric: tuple[int, ...] = ()
    dense: tuple[DenseRows, ...] = ()

    def __len__(self) -> int:
        return len(self.single)

    @property
    def codes(self) -> Ints:
        """int32 (codes,): all codes that are read, of single-valued fields row by row, of bags list by list."""
        dense = (rows.codes for rows in self.dense)
        return np.concatenate([self.single.ravel(), *(bag.values for bag in self.bags), *dense])

    def take(self, rows: Index) -> EncodedFields:
        """These rows; -1 is the last row."""
        single = np.take(self.single, rows, axis=0)  # faster than single[rows]
        dense = tuple(DenseRows(each.start, each.weight[rows]) for each in self.dense)
        return EncodedFields(single, self.number[rows], tuple(bag.take(rows) for bag in self.bags), self.numeric, dense)

    def join(self, *others: EncodedFields) -> EncodedFields:
        """The same rows, with the fields of others after these."""
        parts = self, *others
        starts = np.cumsum([0, *(part.single.shape[1] for part in parts)]).tolist()
        single = np.concatenate([part.single for part in parts], axis=1)
        number = np.concatenate([part.number for part in parts], axis=1)
        numeric = tuple(start + column for start, part in zip(starts, parts, strict=False) for column in part.numeric)
        bags, dense = (tuple(x for part in parts for x in getattr(part, kind)) for kind in ("bags", "dense"))
        return EncodedFields(single, number, bags, numeric, dense)


@dataclass(frozen=True)
class RequestFeatures:
    """B requests or events. user (B,): rows of `users`. moment: the fields of time and context. year: float32 (B,)."""

    users: EncodedFields
    user: Index
    moment: EncodedFields
    year: Floats

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Index) -> RequestFeatures:
        """These rows. Of a training log: a batch."""
        return RequestFeatures(self.users, self.user[rows], self.moment.take(rows), self.year[rows])

    @property
    def part(self) -> EncodedFields:
        """B rows of the fields of users, then those of the moment."""
        return self.users.take(self.user).join(self.moment)


class ContextTables:
    """A vocabulary, and the codes of all users and items of a log.

    users, items: n_users + 1 and n_items + 1 rows; the last row, which the code -1 finds, is an unknown user or item.
    """

    def __init__(self, fields: ContextFields, data: Dataset) -> None:
        """Raises MatineeError for a log with another number of users or items than the fields were fitted on, and for
        tables of other types."""
        if (data.n_users, data.n_items) != (fields.n_users, fields.n_items):
            what = f"{data!r} has other users or items than the {fields.n_users:,} and {fields.n_items:,} of the fields"
            hint = "use the fields with the log they were fitted on, or another part of its split"
            raise MatineeError(what, hint=hint)
        self.fields, self.data = fields, data
        tables = context_fields.tables_of(replace(data, timestamp=None))
        one_more = {name: pl.concat([table, table.clear(1)]) for name, table in tables.items() if name != "context"}
        self.users = _encoded(fields, "user", one_more, _ids(fields.n_users, fields.unseen_users))
        self.items = _encoded(fields, "item", one_more, _ids(fields.n_items, fields.unseen_items))
        self.release = np.full(fields.n_items + 1, np.nan, np.float32)
        self._age = next(iter(fields.of("pair")), None)
        if self._age is not None and context_fields.has_years(tables):
            self.release = context_fields.release_years(one_more)

    @cached_property
    def user_column(self) -> int | None:
        """The column of the users' ids in `users.single`; None where they are no field."""
        names = [field.name for field in self.fields.of("user") if field.single]
        return names.index("user") if "user" in names else None

    @cached_property
    def occurring(self) -> Bools:
        """bool (n_codes,): true for the codes of the events of the log."""
        found = np.zeros(self.fields.n_codes, np.bool_)
        for part, unseen in (self.users, self.fields.unseen_users), (self.items, self.fields.unseen_items):
            there = np.ones(len(part), np.bool_)
            there[[*unseen, -1]] = False
            found[part.take(np.flatnonzero(there)).codes] = True
        events = self.encode_requests(self.data.user, self.data.timestamp, self.data.context)
        found[events.moment.codes] = True
        found[self.ages(events, self.data.item[:, None])] = True
        return found

    def described(self, asked: RequestFeatures) -> Bools:
        """bool (B,): true where a field of the user other than the id is known."""
        part = asked.users.take(asked.user)
        starts = self.fields.starts
        known = np.zeros(len(part), np.bool_)
        singles = [field for field in self.fields.of("user") if field.single]
        for column, field in enumerate(singles):
            if field.name != "user":
                known |= part.single[:, column] >= starts[field.name] + RESERVED
        for field, bag in zip((f for f in self.fields.of("user") if f.multi), part.bags, strict=True):
            known |= np.bincount(bag.rows[bag.values >= starts[field.name] + RESERVED], minlength=len(bag)) > 0
        for rows in part.dense:
            known |= ~rows.missing
        return known

    @property
    def names(self) -> tuple[str, ...]:
        """The fields in the order of `rows`: those with one code, then the bags, then dense vectors."""
        order = self.fields.of("user", "moment", "item", "pair")
        fields = sorted(order, key=lambda field: (field.dense, field.multi))  # stable
        return tuple(field.name for field in fields)

    def encode_requests(
        self,
        user: Index,
        time: NDArray[np.int64] | None = None,
        context: pl.DataFrame | None = None,
        request_user_features: pl.DataFrame | None = None,
    ) -> RequestFeatures:
        """Users (n,), and for each the Unix seconds (negative: missing), a row of context, and features of the user
        that came with the request, which replace those of the table.

        Of a training log: encode_requests(data.user, data.timestamp, data.context). Raises MatineeError where they are
        not in parallel, or of types that the vocabulary cannot read.
        """
        n = len(user)
        heights = {"request_time": time, "context": context, "user_features": request_user_features}
        for name, rows in heights.items():
            if rows is not None and len(rows) != n:
                raise MatineeError(f"{name} has {len(rows)} rows, not {n}", hint="pass one row a query")
        tables: dict[str, pl.DataFrame] = {"context": context} if context is not None else {}
        tables |= {"time": context_fields.moment_table(time)} if time is not None else {}
        moment = _encoded(self.fields, "moment", tables, np.full(n, MISSING, np.int32))
        dated = time is not None and self._age is not None
        year = context_fields.years_of(tables) if dated else np.full(n, np.nan, np.float32)
        if request_user_features is None:
            return RequestFeatures(self.users, user, moment, year)
        return RequestFeatures(self._replaced(request_user_features, user), np.arange(n), moment, year)

    def queries(self, queries: Queries) -> RequestFeatures:
        """B requests. Without a request time it is the end of the history."""
        time, times, ends = queries.request_time, queries.history_times, queries.history.offsets[1:]
        if time is None and times is not None:
            time = np.full(len(queries), -1, np.int64)
            there = queries.history.lengths > 0
            time[there] = times[ends[there] - 1]
        return self.encode_requests(queries.user, time, queries.context, queries.user_features)

    def rows(self, asked: RequestFeatures, item: Index) -> EncodedFields:
        """Whole rows, in parallel: request b about item[b]; -1 is an unknown item."""
        pair = EncodedFields(self.ages(asked, item[:, None]), np.empty((len(item), 0), np.float32))
        return asked.users.take(asked.user).join(asked.moment, self.items.take(item), pair)

    def ages(self, asked: RequestFeatures, item: Index | None = None) -> Ints:
        """Codes of `time.age`: int32 (B, n_items), or (B, C) for items (B, C); no columns where it is no field."""
        if self._age is None:
            return np.empty((len(asked), 0), np.int32)
        if item is not None:
            return self._aged(asked.year[:, None] - self.release[item])
        years, row = np.unique(asked.year, return_inverse=True)  # few, while requests may be many
        return self._aged(years[:, None] - self.release[:-1])[row]

    def _replaced(self, table: pl.DataFrame, user: Index) -> EncodedFields:
        """The user fields (B rows) by the requests' own table; missing values by the log's table."""
        fields = self.fields.of("user")
        named = [field.column for field in fields if field.column is not None]
        if named and not set(named) & set(table.columns):
            hint = f"rename its columns; it has {listed(table.columns)}"
            raise MatineeError(f"user_features has none of the columns {listed(named)}", hint=hint)
        known = self.users.take(user)
        new = _encoded(self.fields, "user", {"user": table}, np.full(len(user), MISSING, np.int32))
        starts = self.fields.starts
        missing = new.single == np.array([starts[field.name] for field in fields if field.single], np.int32)
        bags = []
        for field, bag, old in zip((f for f in fields if f.multi), new.bags, known.bags, strict=True):
            both = old.above(bag)
            empty = bag.values[bag.offsets[:-1]] == starts[field.name]  # every row has a code
            bags.append(both.take(np.arange(len(bag)) + np.where(empty, 0, len(old))))
        single = np.where(missing, known.single, new.single)
        number = np.where(missing[:, list(new.numeric)], known.number, new.number)
        dense = tuple(
            DenseRows(own.start, np.where(own.missing[:, None], old.weight, own.weight))
            for own, old in zip(new.dense, known.dense, strict=True)
        )
        return EncodedFields(single, number, tuple(bags), known.numeric, dense)

    def _aged(self, age: Floats) -> Ints:
        """int32 codes (B, C) of ages (B, C)."""
        assert self._age is not None
        assert isinstance(self._age.vocabulary, Bucketed)
        codes = self._age.vocabulary.codes(age)
        return np.int32(self.fields.starts[self._age.name]) + spread(codes, codes == 0)


def _ids(n: int, unseen: tuple[int, ...]) -> Ints:
    """int32 (n + 1,): codes of the id field."""
    ids = np.arange(RESERVED, RESERVED + n + 1, dtype=np.int32)
    ids[[*unseen, n]] = UNKNOWN
    return ids


def _encoded(fields: ContextFields, group: Group, tables: Tables, ids: Ints) -> EncodedFields:
    """The fields of a group, from their tables; ids (n,) are the codes of the group's id field."""
    singles: list[Ints] = []
    numbers: list[Floats] = []
    numeric: list[int] = []
    bags: list[Ragged] = []
    dense: list[DenseRows] = []
    n = len(ids)
    for field in fields.of(group):
        start = np.int32(fields.starts[field.name])
        if field.dense:
            dense.append(DenseRows(int(start), field.mapped(field.read(tables, n))))
            continue
        codes, weight = (ids, None) if field.vocabulary is None else field.encode(field.read(tables, n))
        if isinstance(codes, Ragged):
            bags.append(Ragged(codes.offsets, codes.values + start))
            continue
        if weight is not None:
            numeric.append(len(singles))
            numbers.append(weight)
        singles.append(codes + start)
    columns = np.stack(singles, axis=1) if singles else np.empty((n, 0), np.int32)
    weights = np.stack(numbers, axis=1) if numbers else np.empty((n, 0), np.float32)
    return EncodedFields(columns, weights, tuple(bags), tuple(numeric), tuple(dense))
