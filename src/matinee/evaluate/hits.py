"""Which recommended items are relevant: one pass over the lists, which every metric of a ranking starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints, Ragged
from matinee.errors import MatineeError, option, suggestion
from matinee.evaluate.known import Known
from matinee.kernels import parallel

Values = NDArray[np.float64]

_CHUNK = 65_536  # queries a thread takes at once


@dataclass(frozen=True)
class Hits:
    """Which of the recommended items are relevant, for B queries and K ranks.

    hit: bool (B, K); padding never hits, and an item that is in a list twice hits once, at its first rank.
    relevant: int64 (B,), distinct relevant items. listed: int64 (B,), recommended items before the padding. disliked:
    bool (B, K), as hit, true for items that the user dislikes; None where no dislikes are known. item: int32 (B, K),
    the lists, -1 = padding. known: what metrics of lists ask beside them; None where it was not given. kinds: the
    relevant items by how they were hidden, as in Holdout.
    """

    hit: NDArray[np.bool_]
    relevant: NDArray[np.int64]
    listed: NDArray[np.int64]
    disliked: NDArray[np.bool_] | None = None
    item: Ints | None = None
    known: Known | None = None
    kinds: Mapping[str, Ragged] = field(default_factory=dict)

    def of_kind(self, kind: str) -> Hits:
        """The same lists, with only the answers of one kind relevant. Raises MatineeError where there is no such."""
        refuse_kind(kind, self.kinds)
        assert self.item is not None  # `find_hits` keeps the lists
        return find_hits(self.item, self.kinds[kind])

    def count(self, k: int) -> NDArray[np.int64]:
        """int64 (B,): relevant items among the first k."""
        return np.asarray(np.count_nonzero(self.hit[:, :k], axis=1), np.int64)

    def first(self, k: int) -> NDArray[np.bool_]:
        """bool (B, min(k, K)): the hits among the first |rel| of a query, at most k."""
        return self.hit[:, :k] & (np.arange(min(k, self.hit.shape[1])) < self.relevant[:, None])


def refuse_kind(kind: str, kinds: Mapping[str, Ragged]) -> None:
    """Raise MatineeError where no answers are of this kind, naming those that there are."""
    if kind not in kinds:
        if not kinds:
            hint = f"split with {option('strategy', 'mixed')}, or leave ':{kind}' away"
            raise MatineeError(f"the hidden items are not told apart, so none is {kind!r}", hint=hint)
        raise MatineeError(f"no hidden items are of the kind {kind!r}", hint=suggestion(kind, list(kinds)))


def find_hits(
    item: NDArray[np.integer[Any]], truth: Ragged, *, k: int | None = None, dislikes: Ragged | None = None,
    known: Known | None = None, kinds: Mapping[str, Ragged] | None = None,
) -> Hits:  # fmt: skip
    """item: (B, K) codes, best first, -1 = padding; truth, dislikes: B rows of relevant and of disliked codes; k: ranks
    looked at, default K; known: of the same queries; kinds: parts of truth by name."""
    from matinee.kernels.ranking import mark_hits

    if dislikes is not None:
        found = find_hits(item, truth, k=k, known=known, kinds=kinds)
        return replace(found, disliked=find_hits(item, dislikes, k=k).hit)
    if item.ndim != 2 or len(item) != len(truth):
        hint = "pass one row a query"
        raise MatineeError(f"{item.shape} recommendations do not answer {len(truth)} queries", hint=hint)
    item = codes = np.ascontiguousarray(item[:, :k], dtype=np.int32)
    if len(truth.values) and truth.values.min() < 0:
        hint = "give unknown items a code of their own"
        raise MatineeError("the hidden answers hold a negative item code", hint=hint)
    n_items = 1 + max(int(item.max(initial=0)), int(truth.values.max(initial=0)))
    hit, relevant = np.zeros(item.shape, np.bool_), np.empty(len(item), np.int64)

    arrays = (item, truth.offsets, truth.values, n_items, hit, relevant)
    parallel(lambda start, stop: mark_hits(start, stop, *arrays), len(item), chunk=_CHUNK)
    return Hits(hit, relevant, np.count_nonzero(item >= 0, axis=1), None, codes, known, kinds or {})
