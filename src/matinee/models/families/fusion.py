"""What an ensemble is made of: scores of several models made comparable and added, or lists filled in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Queries, Scorer
from matinee.data.ids import IdMap
from matinee.rank import of_candidates

Method = Literal["rank", "zscore", "softmax", "minmax", "borda", "raw"]
Weights = NDArray[np.float64]
FEW_ROWS = 16  # of scores, which stay in the cache from one pass over them to the next


@dataclass(frozen=True)
class MemberScores:
    """The scores of M members for B queries. scores: M arrays float32 (B, n_items), comparable and finite.

    scorable: (B, n_items), whether any member can score the item.
    """

    scores: Sequence[Floats]
    scorable: Bools

    @property
    def nbytes(self) -> int:
        return sum(scores.nbytes for scores in self.scores) + self.scorable.nbytes

    def take(self, rows: NDArray[np.int64]) -> MemberScores:
        """Of these queries."""
        return MemberScores([scores[rows] for scores in self.scores], self.scorable[rows])

    def mixed(self, weights: Weights) -> Floats:
        """float32 (B, n_items): the weighted sum; -inf where no member can score. weights: (M,), or (B, M)."""
        total, weight_of = np.empty(self.scorable.shape, np.float32), _by_member(weights, len(self.scorable))

        def mix(start: int, stop: int) -> None:
            _mix_rows(start, stop, self.scores, weight_of, self.scorable[start:stop], total)

        kernels.parallel(mix, len(total), chunk=FEW_ROWS)
        return total


def member_scores(members: Sequence[Scorer], queries: Queries, method: Method) -> MemberScores:
    """Ask every member, for the whole catalogue, and make their scores comparable."""
    found = [member.score(queries) for member in members]
    scorable = scorable_rows(found, 0, len(queries))
    for scores in found:
        make_comparable(scores, queries.exclude, method)
    return MemberScores(found, scorable)


def mixed_scores(members: Sequence[Scorer], queries: Queries, method: Method, weights: Weights) -> Floats:
    """What `member_scores` and `mixed` find, in one go over few rows at a time, which stay in the processor's cache."""
    found = [member.score(queries) for member in members]
    total, weight_of = np.empty(found[0].shape, np.float32), _by_member(weights, len(queries))
    exclude, rows = queries.exclude, comparable_rows(method)

    def mix(start: int, stop: int) -> None:
        scorable = scorable_rows(found, start, stop)
        for scores in found:
            rows(start, stop, exclude.offsets, exclude.values, scores)
        _mix_rows(start, stop, found, weight_of, scorable, total)

    kernels.parallel(mix, len(total), chunk=FEW_ROWS)
    return total


def make_comparable(scores: Floats, exclude: Ragged, method: Method) -> None:
    """Replace scores (B, n_items), in place, by numbers that mean the same whichever model they are from.

    What a query excludes moves nothing else. -inf becomes the least of the row (rank, borda, softmax: 0); NaN stays.
    "raw" only does this.
    """
    rows = comparable_rows(method)
    kernels.parallel(lambda a, b: rows(a, b, exclude.offsets, exclude.values, scores), len(scores), chunk=FEW_ROWS)


def comparable_rows(method: Method) -> Callable[..., None]:
    """rows(start, stop, offsets and values of what is excluded, scores): makes these rows comparable."""
    by_name: dict[Method, Callable[..., None]] = {
        "rank": partial(kernels.fusion.rank_rows, borda=False),
        "borda": partial(kernels.fusion.rank_rows, borda=True),
        "zscore": kernels.fusion.standard_rows,
        "minmax": kernels.fusion.unit_rows,
        "softmax": kernels.fusion.softmax_rows,
        "raw": _raw_rows,
    }
    return by_name[method]


def _raw_rows(start: int, stop: int, offsets: object, excluded: object, scores: Floats) -> None:
    rows = scores[start:stop]
    unknown = rows == -np.inf
    if unknown.any():
        least = np.min(rows, axis=1, initial=np.inf, where=np.isfinite(rows), keepdims=True)
        np.copyto(rows, np.where(np.isinf(least), 0.0, least), where=unknown)


def _by_member(weights: Weights, queries: int) -> Floats:
    """float32 (M, queries), from (M,) or (queries, M)."""
    return np.broadcast_to(weights, (queries, weights.shape[-1])).T.astype(np.float32)


def scorable_rows(scores: Sequence[Floats], start: int, stop: int) -> Bools:
    """bool (stop - start, n_items): whether any member can score the item."""
    found: Bools = scores[0][start:stop] != -np.inf
    for other in scores[1:]:
        found |= other[start:stop] != -np.inf
    return found


def _mix_rows(
    start: int, stop: int, scores: Sequence[Floats], weight_of: Floats, scorable: Bools, total: Floats
) -> None:
    """Write the weighted sums of these rows into total (B, n_items). scorable: bool (stop - start, n_items)."""
    for number, member in enumerate(scores):
        kernels.fusion.add_rows(start, stop, member, weight_of[number], number == 0, total)
    if not scorable.all():
        np.copyto(total[start:stop], -np.inf, where=~scorable)


def by_quotas(members: Sequence[Scorer], queries: Queries, quotas: Sequence[int]) -> Floats:
    """float32 (B, n_items): minus the place of an item in a list where of each sum(quotas) places as many are a
    member's as its quota says, each with its best item that is not yet there; -inf where no member can score."""
    scores = np.stack([member.score(queries) for member in members])
    places, exclude = turns(quotas), queries.exclude
    out = np.empty(scores.shape[1:], np.float32)
    nan = np.isnan(scores).any(axis=0)
    kernels.parallel(
        lambda a, b: kernels.fusion.quota_rows(a, b, exclude.offsets, exclude.values, scores, places, out),
        len(out),
        chunk=64,
    )
    out[nan] = np.nan  # ranking refuses it
    return out


def check_quotas(quotas: Sequence[int], n: int) -> None:
    """Raise ValueError for quotas that are not those of n members."""
    if len(quotas) != n or min(quotas) < 0 or not 0 < sum(quotas) <= 1000:
        raise ValueError(f"quotas {list(quotas)}: one for each member, none negative, 1 to 1,000 in sum")


def turns(quotas: Sequence[int]) -> NDArray[np.int32]:
    """int32 (sum(quotas),): whose turn each place is, spread evenly: each goes to the member that is furthest behind
    its share of the places so far, of equal ones the first. [7, 3] -> 0 1 0 0 1 0 0 0 1 0."""
    total, used, found = sum(quotas), [0] * len(quotas), []
    for place in range(1, total + 1):
        member = max(range(len(quotas)), key=lambda m: (quotas[m] * place - used[m] * total, -m))
        used[member] += 1
        found.append(member)
    return np.array(found, np.int32)


@dataclass(frozen=True)
class PrecomputedScorer(Scorer):
    """A model about the one block of queries for which its scores, float32 (B, n_items), are known."""

    model: Scorer
    scores: Floats

    @property
    def users(self) -> IdMap:
        return self.model.users

    @property
    def items(self) -> IdMap:
        return self.model.items

    def fallback(self, queries: Queries) -> Bools:
        return self.model.fallback(queries)

    def score(self, queries: Queries) -> Floats:
        return self.scores.copy() if queries.candidates is None else of_candidates(self.scores, queries.candidates)
