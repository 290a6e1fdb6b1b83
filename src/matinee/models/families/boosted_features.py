"""Rows of numbers for trees: who asks, when, about which item, and what the log says of the two.

Fields of context (data/context.py) stand as codes or numbers. What a log says stands in a `LogState`, and a row is made
of a state, a history and an item: of training and of answering by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Floats, Ints
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.context import MISSING, RESERVED
from matinee.data.features.requests import ContextTables, EncodedFields
from matinee.data.features.vocabulary import Categorical, Vectors
from matinee.models.base import Shapes
from matinee.models.families.item_item import ages, weighted_rows
from matinee.rank import blocks, top_k

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Index = NDArray[np.integer[Any]]

RECENT = 10
"""Last events of a history that are looked at apart."""
SMOOTHING = 5.0
"""A mean of ratings begins with so many that are the log's mean."""
MOST_VALUES = 64
"""A list's values have a column each up to so many."""
DAY = 86_400.0


@dataclass(frozen=True)
class LogState:
    """What rows read of a log, beside its tables.

    similar: (n_items, n_items), row = history item, column = scored item, dense or csr. count, mean: float32
    (n_items,), events and smoothed mean rating (of a log without ratings 0). times: int64, by item and ascending, those
    of all events; none where the log has no timestamps. prior: the log's mean rating.
    """

    similar: Floats | csr_array
    count: Floats
    mean: Floats
    times: NDArray[np.int64]
    prior: float

    def __post_init__(self) -> None:
        if len(self.times) not in (0, int(self.count.sum(dtype=np.float64))) or self.count.min(initial=0) < 0:
            raise ValueError("times and counts do not fit together")  # a state is also read from a file

    def shapes(self, n_users: int, n_items: int) -> Shapes:
        sides = {"count": (n_items,), "mean": (n_items,), "times": (self.times.size,)}
        return {"similar": (n_items, n_items), **sides}

    @classmethod
    def of(cls, data: Dataset, similar: Floats | csr_array) -> LogState:
        """Of a log, which may be empty, and how its items resemble each other."""
        count = data.item_counts()
        order = np.arange(len(data)) if data.timestamp is None else np.lexsort((data.timestamp, data.item))
        value = np.zeros(len(data), np.float32) if data.value is None else data.value
        prior = float(value[order].mean(dtype=np.float64)) if len(data) else 0.0
        total = np.bincount(data.item[order], value[order], minlength=data.n_items)
        mean = (total + SMOOTHING * prior) / (count + SMOOTHING)
        return cls(
            similar,
            count.astype(np.float32),
            mean.astype(np.float32),
            np.empty(0, np.int64) if data.timestamp is None else data.timestamp[order],
            prior,
        )

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 (n_items + 1,): where each item's times lie."""
        counts = self.count if len(self.times) else np.zeros_like(self.count)
        return np.concatenate([[0], np.cumsum(counts.astype(np.int64))])


class FeatureBuilder:
    """Makes rows from a state of the log and its tables. names: a word for each column. categorical: those columns
    whose numbers are names."""

    def __init__(self, state: LogState, tables: ContextTables) -> None:
        self.state, self.tables = state, tables
        fields = {field.name: field for field in tables.fields.fields}
        self.fields = [fields[name] for name in tables.names]
        self.singles = [field for field in self.fields if field.single]
        self.lists = [field for field in self.fields if field.multi]
        dense = [(f.name, f.vocabulary.size) for f in self.fields if isinstance(f.vocabulary, Vectors)]
        starts, ends = (
            tables.fields.starts,
            {f.name: s.stop for f, s in zip(fields.values(), tables.fields.ranges, strict=True)},
        )
        self.spans = [(starts[field.name] + RESERVED, ends[field.name]) for field in self.lists]
        plain = [i for i, f in enumerate(self.singles) if f.vocabulary is None or isinstance(f.vocabulary, Categorical)]
        self.categorical = plain
        self.names = (
            *(field.name for field in self.singles),
            *(
                f"{f.name} {v}"
                for f, (a, b) in zip(self.lists, self.spans, strict=True)
                for v in range(a, b)
                if b - a <= MOST_VALUES
            ),
            *(f"{name} {place}" for name, size in dense for place in range(size)),
            *("history length", "history mean", "days since the last event", "item count", "item mean"),
            *("days since the item's last event", "days since the item's first event"),
            *("similar", "similar to the latest", "similar, by rating"),
            *(f"{word} of {f.name}" for f in self.lists if f.group == "item" for word in ("share", "rating")),
        )

    def of(
        self,
        queries: Queries,
        row: Index,
        item: Index,
        time: NDArray[np.int64] | None = None,
        context: pl.DataFrame | None = None,
    ) -> Floats:
        """float32 (n, len(names)): queries row[r] asked about item[r], NaN where nothing is known.

        time, context: the moment of each row; without both, that of its query. Who names no moment asks at the end of
        the log.
        """
        tables = self.tables
        if time is None and context is None:
            asked, time = tables.queries(queries).take(row), moments_of(queries)[row]
        else:
            request_user_features = None if queries.user_features is None else queries.user_features[row]
            asked = tables.encode_requests(queries.user[row], time, context, request_user_features)
            time = np.full(len(row), -1, np.int64) if time is None else time
        if len(self.state.times):
            time = np.where(time < 0, self.state.times.max(), time)
        said = self._said(tables.rows(asked, item))
        return np.concatenate([said, self._counted(queries, row, item, time), self._paired(queries, row, item)], axis=1)

    def _said(self, part: EncodedFields) -> Floats:
        """float32 (n, columns): codes from 0, NaN where missing, numbers, 0 or 1 for each value of a list, and the
        numbers of dense vectors."""
        starts = np.array([self.tables.fields.starts[field.name] for field in self.singles], np.int32)
        codes = part.single - starts
        out = np.where(codes == MISSING, np.float32(np.nan), codes.astype(np.float32))
        for at, column in enumerate(part.numeric):
            out[:, column] = np.where(codes[:, column] == MISSING, np.float32(np.nan), part.number[:, at])
        found = [out]
        for bag, (start, stop) in zip(part.bags, self.spans, strict=True):
            if stop - start <= MOST_VALUES:
                hot = np.zeros((len(part), stop - start), np.float32)
                known = bag.values >= start
                hot[bag.rows[known], bag.values[known] - start] = 1.0
                found.append(hot)
        found += [np.where(each.missing[:, None], np.float32(np.nan), each.weight[:, RESERVED:]) for each in part.dense]
        return np.concatenate(found, axis=1)

    def _counted(self, queries: Queries, row: Index, item: Index, time: NDArray[np.int64]) -> Floats:
        """What the history says of its user, and the log of the item, at the moment: float32 (n, 7)."""
        state, history = self.state, queries.history
        length = history.lengths.astype(np.float32)
        value = (
            np.zeros(len(history.values), np.float32)
            if queries.history_ratings is None
            else queries.history_ratings - state.prior
        )
        # means are drawn towards the log's: a history of one event says little
        mean = state.prior + np.bincount(history.rows, value, minlength=len(queries)) / (length + SMOOTHING)
        last = np.full(len(row), np.nan)
        if queries.history_times is not None:
            last, _ = since(history.offsets, queries.history_times, row, time)
        item_last, item_first = since(state.offsets, state.times, item, time)
        columns: list[NDArray[Any]] = [
            length[row],
            mean[row],
            last,
            state.count[item],
            state.mean[item],
            item_last,
            item_first,
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _paired(self, queries: Queries, row: Index, item: Index) -> Floats:
        """float32 (n, columns): how the item resembles the history; done by blocks of queries, for all items."""
        order = np.argsort(row, kind="stable")
        found = []
        for start, block in blocks(queries, len(self.state.count)):
            first, last = np.searchsorted(row[order], [start, start + len(block)])
            at = order[first:last]
            found.append(np.stack([table[row[at] - start, item[at]] for table in self._tables(block)], axis=1))
        n_columns = 3 + 2 * len(self._values)
        out = np.empty((len(row), n_columns), np.float32)
        out[order] = np.concatenate([*found, np.empty((0, n_columns), np.float32)])
        return out

    def _tables(self, queries: Queries) -> Iterator[Floats]:
        """(B, n_items) each: the columns of `_paired`."""
        W, history = self.state.similar, queries.history
        votes = kernels.histories.last_occurrence(history.offsets, history.values, W.shape[0]).astype(np.float32)
        rated = (
            np.zeros_like(votes)
            if queries.history_ratings is None
            else votes * np.float32(queries.history_ratings - self.state.prior)
        )
        late = np.where(ages(history) < RECENT, votes, np.float32(0))
        whole, latest, liked = (weighted_rows(W, history.offsets, history.values, v) for v in (votes, late, rated))
        yield whole / best_of(whole)
        yield latest / best_of(latest)
        yield liked / (np.maximum(whole, 0.0) + np.float32(0.1) * best_of(whole))
        for G in self._values:  # row = item, column = value, 1 in sum
            seen, liked = (weighted_rows(G, history.offsets, history.values, v) for v in (votes, rated))
            total = np.maximum(seen.sum(axis=1, keepdims=True), 1.0)
            for profile in (seen / total, liked / (seen + np.float32(1.0))):
                yield np.ascontiguousarray((G @ profile.T).T)

    def nearest(self, queries: Queries, n: int) -> Ints:
        """int32 (B, n): the items that resemble a history most, best first, of those that are neither in it nor
        excluded; -1 where there are fewer."""
        out = np.empty((len(queries), n), np.int32)
        for start, block in blocks(queries, len(self.state.count)):
            scores = next(self._tables(block))
            for seen in (block.history, block.exclude):
                kernels.ranking.mask_rows(0, len(block), seen.offsets, seen.values, scores)
            out[start : start + len(block)] = top_k(scores, n)[0]
        return out

    @cached_property
    def _values(self) -> list[csr_array]:
        """Of each list of the items csr (n_items, values): the item's values, 1 in sum."""
        from scipy.sparse import csr_array

        n = len(self.state.count)
        found = []
        lists = [(f, s) for f, s in zip(self.lists, self.spans, strict=True) if f.group == "item"]
        for (_, (start, stop)), bag in zip(lists, self.tables.items.bags, strict=True):
            known = bag.keep(bag.values >= start).slice(0, n)
            weight = 1.0 / np.repeat(np.maximum(known.lengths, 1), known.lengths)
            shape = n, stop - start
            found.append(
                csr_array((weight.astype(np.float32), known.values - np.int32(start), known.offsets), shape=shape)
            )
        return found


def best_of(scores: Floats) -> Floats:
    """float32 (B, 1): the largest of each row, by which rows are divided: else long histories would have bins of their
    own, and too few of them where the best items are told apart."""
    best: Floats = np.maximum(np.abs(scores).max(axis=1, keepdims=True, initial=0.0), np.float32(1e-9))
    return best


def moments_of(queries: Queries) -> NDArray[np.int64]:
    """int64 (B,): when each is asked, at the end of the history where nothing else is said; -1: nobody knows."""
    if queries.request_time is not None:
        return queries.request_time
    ends, there = queries.history.offsets[1:], queries.history.lengths > 0
    found = np.full(len(queries), -1, np.int64)
    if queries.history_times is not None:
        found[there] = queries.history_times[ends[there] - 1]
    return found


def since(
    offsets: NDArray[np.int64], times: NDArray[np.int64], row: Index, moment: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (n,) twice: days from the last of a row's times before the moment, and from the first of them all, to the
    moment; NaN where there is none. Times ascend within a row: times[offsets[r] : offsets[r + 1]]."""
    last, first = np.full(len(row), np.nan), np.full(len(row), np.nan)
    if not len(times):
        return last, first
    begin, span = times.min(), times.max() - times.min() + 2
    keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * span + (times - begin)
    found = np.searchsorted(keys, row * span + np.clip(moment - begin, 0, span - 1))
    start, stop = offsets[row], offsets[row + 1]
    some, any_ = found > start, stop > start
    last[some] = (moment[some] - times[found[some] - 1]) / DAY
    first[any_] = (moment[any_] - times[start[any_]]) / DAY
    return last, first
