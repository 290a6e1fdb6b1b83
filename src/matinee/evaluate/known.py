"""What metrics of lists ask beside the lists: the log that was learned from, the queries, and the hidden answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints, Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.attributes import Attribute, attribute_of
from matinee.kernels import parallel

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Found = TypeVar("Found")
HEAD = 300  # items that count as the most popular; at most a fifth of those with an event
PROPENSITY_POWER = 0.5
_CHUNK = 4096  # queries a thread takes at once


@dataclass(frozen=True)
class Known:
    """Facts about the items of lists, each found when it is first asked for and then kept for all models.

    train: the log that the models were fitted on. queries, truth: as in Holdout, B rows.
    """

    train: Dataset
    queries: Queries
    truth: Ragged
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """int64 (n_items,): training events of each item."""
        return self.train.item_counts()

    @cached_property
    def by_popularity(self) -> Ints:
        """int32 (n,): the items with a training event, the most popular first; of equal ones the lower code."""
        order = np.argsort(-self.counts, kind="stable")
        return order[: int(np.count_nonzero(self.counts))].astype(np.int32)

    def head(self, n: int | None = None) -> NDArray[np.bool_]:
        """bool (n_items,): the n items with the most training events. None: 300, but at most a fifth of the items."""
        n = head_size(self.counts) if n is None else n
        return np.isin(np.arange(len(self.counts)), self.by_popularity[:n])

    @cached_property
    def popularity_rank(self) -> NDArray[np.float64]:
        """float64 (n_items,): an item's place by training events, from 0, the least, to 1, the most popular."""
        place = np.argsort(np.argsort(self.counts, kind="stable"), kind="stable")
        return np.asarray(place / max(len(place) - 1, 1), np.float64)

    @cached_property
    def users_of(self) -> csr_array:
        """csr float32 (n_items, n_users): rows of Euclidean length 1 with equal entries, one for each user of an item,
        so that dot products are cosines; empty for an item without."""
        rows = self.train.matrix().T.tocsr()
        lengths = np.diff(rows.indptr)
        rows.data[:] = np.repeat(np.maximum(lengths, 1) ** -0.5, lengths)
        return rows

    @cached_property
    def self_information(self) -> NDArray[np.float64]:
        """float64 (n_items,): -log2 of the share of users who have an item; an item of nobody counts as of one."""
        pairs = self.train.matrix()
        users = max(int(np.count_nonzero(np.diff(pairs.indptr))), 1)
        holders = np.bincount(pairs.indices, minlength=self.train.n_items)
        return np.asarray(-np.log2(np.maximum(holders, 1) / users), np.float64)

    @cached_property
    def inverse_propensity(self) -> NDArray[np.float64]:
        """float64 (n_items + 1,): (largest count / count)^.5; an item without an event counts as with one, and so do
        items that the log does not know, for which the last entry stands."""
        counts = np.append(np.maximum(self.counts, 1), 1)
        return np.asarray((counts.max() / counts) ** PROPENSITY_POWER, np.float64)

    @cached_property
    def answer_weight(self) -> NDArray[np.float64]:
        """float64 (number of answers,): the inverse propensity of each value of `truth`."""
        return self.inverse_propensity[np.minimum(self.truth.values, self.train.n_items)]

    def attribute(self, column: str) -> Attribute:
        """A column of the item table. Raises MatineeError where there is none."""
        return self._keep(("attribute", column), lambda: attribute_of(self.train, column))

    def popular_lists(self, k: int) -> Ints:
        """int32 (B, k): the k most popular items that a query does not exclude, of its candidates; -1 = no more."""
        return self._keep(("popular", k), lambda: self._popular_lists(k))

    def ideal_dcg(self, k: int) -> NDArray[np.float64]:
        """float64 (B,): the sum over ranks of answer weights / log2(rank + 1), the k heaviest answers first."""
        return self._keep(("ideal", k), lambda: self._ideal_dcg(k))

    def _popular_lists(self, k: int) -> Ints:
        """int32 (B, k)."""
        from matinee.kernels.lists import first_allowed

        exclude, n = self.queries.exclude, self.train.n_items
        found = np.full((len(self.queries), k), -1, np.int32)
        if self.queries.candidates is None:
            arrays = (self.by_popularity, exclude.offsets, exclude.values, n, found)
            parallel(lambda start, stop: first_allowed(start, stop, *arrays), len(found), chunk=_CHUNK)
            return found
        for row, candidates in enumerate(self.queries.candidates):
            left = np.setdiff1d(candidates[candidates >= 0], exclude[row])
            best = left[np.argsort(-self.counts[left], kind="stable")][:k]
            found[row, : len(best)] = best
        return found

    def _ideal_dcg(self, k: int) -> NDArray[np.float64]:
        """float64 (B,)."""
        rows = self.truth.rows
        order = np.lexsort((-self.answer_weight, rows))
        place = np.arange(len(order)) - self.truth.offsets[:-1][rows]
        first = place < k
        gain = self.answer_weight[order][first] / np.log2(place[first] + 2)
        return np.bincount(rows[first], gain, minlength=len(self.truth)).astype(np.float64)

    def _keep(self, key: tuple[str, Any], find: Callable[[], Found]) -> Found:
        if key not in self._kept:
            self._kept[key] = find()
        found: Found = self._kept[key]
        return found


def head_size(counts: NDArray[np.integer[Any]]) -> int:
    """How many items count as the most popular: 300, but at most a fifth of those with an event."""
    return min(HEAD, -(-int(np.count_nonzero(counts)) // 5))
