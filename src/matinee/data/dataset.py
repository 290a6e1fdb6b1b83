"""The types of every interface: a log (Dataset), Queries about it, a Holdout of hidden answers, and a Scorer."""

from __future__ import annotations

import hashlib
import io
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ints, Ragged, binary_csr, summed_csr
from matinee.data.dislikes import Dislikes
from matinee.data.frames import LogFrames, sizes_of
from matinee.data.ids import Id, IdMap
from matinee.data.log_columns import LogColumns
from matinee.data.queries import BESIDE_HISTORY as BESIDE_HISTORY
from matinee.data.queries import Queries as Queries
from matinee.data.queries import at_index
from matinee.errors import MatineeError, counted, listed, offered, option
from matinee.notebook import html_notes, html_panel, html_table

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array

    from matinee.data.side import Unmatched

Duplicates = Literal["keep", "distinct", "last", "first", "sum", "error"]
"""What to do with a user's repeated events with one item, see assemble.deduplicated."""


@dataclass(frozen=True)
class Dataset(LogFrames):
    """A log of who watched what, with codes inside and external ids at the border. Rows keep the log's order.

    user, item: int32 (n,) codes. value: float32 (n,) ratings or strengths. timestamp: int64 (n,) Unix seconds.
    raw_rating: float32 (n,), the ratings from which the labels in value were made. context: n rows of further columns.
    user_features, item_features: row c describes code c (null where the table had none). unmatched: ids of side tables
    that the log as read did not have. Where users are lists (playlists, watch lists, tags), user_features has their
    names as `title`, and queries carry them. skipped_rows: rows of its file that cannot be read and were left out.
    weight: float32 (n,), above 0, what each event counts. dislikes: events that say no, no rows (see data/events.py).
    Parts of a split share IdMaps: one code, one item.
    Raises MatineeError naming the row for codes out of range, values that are not finite and negative times.

    Example: `data.matrix(), data.n_users, data.to_frame()`
    """

    users: IdMap
    items: IdMap
    user: Ints
    item: Ints
    value: Floats | None = None
    timestamp: NDArray[np.int64] | None = None
    context: pl.DataFrame | None = None
    user_features: pl.DataFrame | None = None
    item_features: pl.DataFrame | None = None
    name: str = "log"
    unmatched: tuple[Unmatched, ...] = ()
    raw_rating: Floats | None = None
    skipped_rows: int = 0
    weight: Floats | None = None
    dislikes: Dislikes | None = None

    def __post_init__(self) -> None:
        check = LogColumns(self.name)
        columns: dict[str, NDArray[Any]] = {
            "user": check.codes(self.user, "user", self.n_users),
            "item": check.codes(self.item, "item", self.n_items),
        }
        ratings = (("value", self.value), ("raw_rating", self.raw_rating))
        columns |= {name: check.numbers(numbers, name) for name, numbers in ratings if numbers is not None}
        if self.timestamp is not None:
            columns["timestamp"] = check.times(self.timestamp)
        if self.weight is not None:
            columns["weight"] = check.weights(self.weight)
        n = len(columns["user"])
        for name, column in columns.items():
            check.height(column, name, n)
            object.__setattr__(self, name, column)
        check.height(self.context, "context", n)
        check.height(self.user_features, "user_features", self.n_users)
        check.height(self.item_features, "item_features", self.n_items)
        if self.dislikes is not None:
            checked = self.dislikes.checked(f"{self.name}, dislikes", self.n_users, self.n_items)
            object.__setattr__(self, "dislikes", checked)

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Dataset({self.name}: {sizes_of(self)})"

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def rows(self, index: NDArray[Any]) -> Self:
        """The same data with only these rows (a mask or row numbers); IdMaps, tables and dislikes are shared."""
        if index.dtype == bool:
            index = np.flatnonzero(index)
        columns = ("user", "item", "value", "timestamp", "context", "raw_rating", "weight")
        return replace(self, **{name: at_index(getattr(self, name), index) for name in columns})

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """int64 (n,): row numbers sorted by user, then time; equal timestamps keep the log's order."""
        return np.lexsort((self.user,) if self.timestamp is None else (self.timestamp, self.user))

    def histories(self) -> Ragged:
        """int32 item codes of each user, (n_users rows), oldest first, repeats kept."""
        return self._histories

    @cached_property
    def _histories(self) -> Ragged:
        """int32 (n_users rows)."""
        return Ragged.of_lengths(np.bincount(self.user, minlength=self.n_users), self.item[self.order])

    def matrix(self, *, values: bool = False) -> csr_array:
        """csr float32 (n_users, n_items), row = user, column = item: 1 per distinct pair; last rating if `values`."""
        if not values:
            return binary_csr(self.user, self.item, (self.n_users, self.n_items))
        self.refuse_no_ratings()
        assert self.value is not None
        from scipy.sparse import csr_array

        order = self.order
        key = self.user[order].astype(np.int64) * self.n_items + self.item[order]
        by_pair = np.argsort(key, kind="stable")
        last = by_pair[np.diff(key[by_pair], append=self.n_users * self.n_items) > 0]  # holds for an empty log too
        key, value = key[last], self.value[order[last]]
        return csr_array((value, (key // self.n_items, key % self.n_items)), shape=(self.n_users, self.n_items))

    def strengths(self) -> csr_array:
        """csr float32 (n_users, n_items): summed weights of each pair's events; without weights, `matrix()`."""
        if self.weight is None:
            return self.matrix()
        at = self.order  # a sum's last bit depends on the order of its terms
        return summed_csr(self.user[at], self.item[at], self.weight[at], (self.n_users, self.n_items))

    def item_strengths(self) -> NDArray[np.float64]:
        """float64 (n_items,): the summed weights of each item's events; without weights their number."""
        at = self.order
        return np.bincount(self.item[at], at_index(self.weight, at), minlength=self.n_items).astype(np.float64)

    def relative_weights(self) -> Floats | None:
        """float32 (n,): the weights over their mean, so that a rate of learning keeps its meaning; None without."""
        if self.weight is None:
            return None
        return (self.weight / np.mean(self.weight[self.order], dtype=np.float64)).astype(np.float32)

    def refuse_no_ratings(self) -> None:
        """Raise MatineeError where the log has no ratings."""
        if self.value is None:
            hint = f"name its column of ratings where it is read: {option('rating', 'stars')}, or do what needs none"
            hint = hint if offered("rating") else "read a log with ratings, or do what needs none"
            raise MatineeError(f"{self.name} has no ratings", hint=hint)

    def item_counts(self) -> NDArray[np.int64]:
        """int64 (n_items,): events of each item."""
        return np.bincount(self.item, minlength=self.n_items)

    def user_counts(self) -> NDArray[np.int64]:
        """int64 (n_users,): events of each user."""
        return np.bincount(self.user, minlength=self.n_users)

    @property
    def labelled(self) -> bool:
        """True where values are labels: 0 and 1, both of them present."""
        return self.value is not None and np.array_equal(np.unique(self.value), [0.0, 1.0])

    def queries(
        self, users: Iterable[Id] | None = None, *, exclude_seen: bool = True, exclude_dislikes: bool = True
    ) -> Queries:
        """One query a user (external ids; None: everyone in code order), with their whole history. Excluded are the
        items of the history, and those that the user dislikes."""
        codes = np.arange(self.n_users, dtype=np.int32) if users is None else self.users.codes(users)
        return self.queries_of(codes, exclude_seen=exclude_seen, exclude_dislikes=exclude_dislikes)

    def queries_of(self, codes: Ints, *, exclude_seen: bool = True, exclude_dislikes: bool = True) -> Queries:
        """One query for each user code, in the order given. Raises MatineeError for codes that there are not."""
        codes = self._user_codes(codes)
        every = self.histories()
        at = every.positions(codes)
        history = Ragged.of_lengths(every.lengths[codes], every.values[at])
        exclude = history if exclude_seen else Ragged.empty(len(codes))
        if exclude_dislikes and self.dislikes is not None:
            exclude = exclude.join(self.dislikes.of(codes))
        return self.queries_at(self.order[at], codes, history, exclude)

    def _user_codes(self, codes: Ints) -> Ints:
        """int32 (n,), checked."""
        found = np.atleast_1d(np.asarray(codes))
        whole = found.ndim == 1 and (found.dtype.kind in "iu" or not found.size)
        if not whole or np.any((found < 0) | (found >= self.n_users)):
            given = listed(map(repr, found.ravel().tolist()))
            what = f"{given}: not all of them are codes of users, from 0 to {self.n_users - 1:,}"
            raise MatineeError(what, where=self.name, hint="data.queries([...]) takes ids")
        return found.astype(np.int32, copy=False)

    def queries_at(self, rows: NDArray[np.int64], user: Ints, history: Ragged, exclude: Ragged) -> Queries:
        """Queries whose histories are these rows of the log, in parallel with history.values."""
        ratings, times, weights = (at_index(column, rows) for column in (self.value, self.timestamp, self.weight))
        title = self.user_titles(user)
        return Queries(user, history, exclude, ratings, times, title=title, history_weights=weights)

    def pairs_at(self, rows: NDArray[np.int64], query: NDArray[np.integer[Any]]) -> Pairs:
        """These rows of the log as pairs to predict. query: (len(rows),), as in Pairs."""
        columns = (at_index(column, rows) for column in (self.timestamp, self.context, self.value))
        return Pairs(self.user[rows], self.item[rows], query.astype(np.int32), *columns)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the content: ids, rows and their order. Side tables and raw ratings do not change it: a
        model on disk may have the log without raw ratings, and it is the same log."""
        digest = hashlib.sha256()
        for ids in (self.users, self.items):
            digest.update(json.dumps(ids.ids.tolist(), ensure_ascii=False).encode())
        for array in (self.user, self.item, self.value, self.timestamp):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        if self.skipped_rows:
            digest.update(f"skipped {self.skipped_rows}".encode())
        if self.weight is not None:  # a log without has the fingerprint it had before there were weights
            digest.update(b"weight" + self.weight.tobytes())
        for part in () if self.dislikes is None else self.dislikes.content():
            digest.update(part)
        return digest.hexdigest()[:16]

    @cached_property
    def side_fingerprint(self) -> str:
        """16 hex digits of the side tables, the context and the raw ratings."""
        digest = hashlib.sha256()
        for table in (self.user_features, self.item_features, self.context):
            content = io.BytesIO(b"-")
            if table is not None:  # Parquet, unlike Arrow's own format, keeps no bytes below nulls and no chunks
                table.write_parquet(content, compression="uncompressed", statistics=False)
            digest.update(content.getvalue())
        if self.raw_rating is not None:
            digest.update(np.ascontiguousarray(self.raw_rating).tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Pairs:
    """Rows to predict. user, item: int32 (n,) codes. label: float32 (n,), a rating or 0/1; None where unknown.

    query: int32 (n,), the row of the holdout's queries whose history this row sees.
    """

    user: Ints
    item: Ints
    query: Ints
    timestamp: NDArray[np.int64] | None = None
    context: pl.DataFrame | None = None
    label: Floats | None = None

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Protocol:
    """The rules under which a number was made. Numbers with different fingerprints never share a table. The split's
    seed is not part of it: it varies within one protocol and is printed beside the number."""

    data: str
    split: str
    part: str
    history: str
    exclude: str
    candidates: str = "all items with training events"
    metrics: str = "matinee"

    @property
    def fingerprint(self) -> str:
        """12 hex digits over all words."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return (
            f"{self.part} of {self.split}; history = {self.history}; excluded = {self.exclude}; "
            f"candidates = {self.candidates}; metrics as {self.metrics} defines them"
        )


@dataclass(frozen=True)
class Holdout:
    """Queries and their hidden answers. truth: row b holds the relevant item codes of query b, each once. dislikes: row
    b holds what query b's user dislikes, also later than the query; None where the log knows no dislikes. kinds: name
    -> the part of truth that was hidden in this way, rows as in truth ("late" and "random" in a mixed split); an item
    that was hidden in two ways is in both. tasks: what each query is one of ("title + first 5"), in words, where
    numbers are wanted of each apart."""

    queries: Queries
    truth: Ragged
    protocol: Protocol
    pairs: Pairs | None = None
    dislikes: Ragged | None = None
    kinds: Mapping[str, Ragged] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: NDArray[np.integer[Any]]) -> Holdout:
        """Some of the queries with all that is hidden of them; without `pairs`, which are of no query."""
        kinds = {name: part.take(rows) for name, part in self.kinds.items()}
        dislikes = None if self.dislikes is None else self.dislikes.take(rows)
        tasks = tuple(self.tasks[row] for row in rows) if self.tasks else ()
        parts = self.queries.take(rows), self.truth.take(rows), self.protocol
        return Holdout(*parts, dislikes=dislikes, kinds=kinds, tasks=tasks)

    def spread(self, most: int) -> NDArray[np.int64]:
        """int64 (at most `most`,): rows of queries, evenly spread over all of them."""
        return np.unique(np.linspace(0, max(len(self) - 1, 0), min(len(self), most)).astype(np.int64))

    def __repr__(self) -> str:
        sizes = counted(len(self), "query", "queries"), counted(len(self.truth.values), "answer")
        return f"Holdout({', '.join(sizes)}: {self.protocol})"

    def _repr_html_(self) -> str:
        return html_panel(f"Holdout: {self._size()}", html_notes(f"{self.protocol}"))

    def _size(self) -> str:
        queries, answers = len(self), len(self.truth.values)
        return f"{counted(queries, 'query')}, {counted(answers, 'hidden answer')}"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the users, their histories and exclusions, the answers, weights and dislikes."""
        digest = hashlib.sha256(self.queries.user.tobytes())
        for rows in (self.queries.history, self.queries.exclude, self.truth, self.dislikes):
            if rows is not None:
                digest.update(rows.offsets.tobytes() + rows.values.tobytes())
        if self.queries.history_weights is not None:
            digest.update(b"weight" + self.queries.history_weights.tobytes())
        if self.queries.title is not None:  # a holdout without has the fingerprint it had before there were titles
            digest.update(b"title" + json.dumps(self.queries.title).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Split:
    """train to fit on, valid to choose on, test to touch once. All share the parent's IdMaps.

    train_valid: everything but the test, for `refit = true`, a last fit before the test (another protocol: see
    split.refitted). None where it is unknown (provided files). notes: what a reader of the numbers should know, a
    sentence each (such as answers left out because they repeat an excluded event).
    """

    train: Dataset
    valid: Holdout
    test: Holdout
    train_valid: Dataset | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Split(train={self.train!r}, valid={self.valid!r}, test={self.test!r})"

    def _repr_html_(self) -> str:
        rows = [
            ("train", f"{self.train.name}: {sizes_of(self.train)}"),
            ("valid", self.valid._size()),
            ("test", self.test._size()),
        ]
        words = f"{self.test.protocol}", "" if self.seed is None else f"seed {self.seed}", *self.notes
        return html_panel("Split", html_table((), rows, named=True), html_notes(*words))


class Scorer(typing.Protocol):
    """Anything that scores: fitted models and ensembles."""

    @property
    def users(self) -> IdMap: ...

    @property
    def items(self) -> IdMap: ...

    def score(self, queries: Queries) -> Floats:
        """float32 (B, n_items), or (B, C) where queries name candidates; -inf = cannot score."""
        ...

    def fallback(self, queries: Queries) -> Bools:
        """bool (B,): true where popularity answers, because the model knows nothing in the history."""
        ...
