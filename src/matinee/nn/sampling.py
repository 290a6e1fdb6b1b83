"""Negative sampling: items that a user did not watch. numpy in, int64 codes out; torch is not needed.

All draws are functions of the Generator, so a training that seeds one from its step (`Step.seed`) has new negatives in
each epoch, and the same ones when it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError

Codes = NDArray[np.integer[Any]]
Drawn = NDArray[np.int64]

ROUNDS = 12
"""How often a collision is drawn again before the user's unwatched items are listed instead."""


@dataclass(frozen=True)
class Sampler:
    """Draws items with replacement, item i with probability exp(log_q[i]).

    log_q: float32 (n_items,), -inf for items that are never drawn. Subtracted from the logits of a sampled softmax it
    removes the sampling's bias (logQ correction: Bengio & Senécal, 2008; in batches: Yi et al., RecSys 2019).
    items: int64 (S,), the codes that can be drawn. keep float64 and other int64 (S,): their alias table; None where
    all are equally likely.
    """

    log_q: Floats
    items: Drawn
    keep: NDArray[np.float64] | None = None
    other: Drawn | None = None

    @classmethod
    def of(cls, data: Dataset, kind: Literal["uniform", "popularity"] = "uniform", alpha: float = 0.75) -> Sampler:
        """By name, over the items of a log. Only "popularity" reads `alpha`."""
        return cls.uniform(data.n_items) if kind == "uniform" else cls.popularity(data.item_counts(), alpha)

    @classmethod
    def uniform(cls, n_items: int) -> Sampler:
        """Every item with the same probability, also those without a training event."""
        if n_items < 1:
            raise MatineeError("there are no items to draw from", hint="pass a log that has items")
        return cls(np.full(n_items, -np.log(n_items), np.float32), np.arange(n_items))

    @classmethod
    def popularity(cls, counts: ArrayLike, alpha: float = 0.75) -> Sampler:
        """p_i ~ counts_i ** alpha; items without an event are never drawn. counts: (n_items,), events of each item.

        alpha 1: as often as watched, as in batches; .75: word2vec's (Mikolov et al., NeurIPS 2013); 0: uniform over
        those watched. Raises MatineeError where nothing was watched, a count is negative, or a number is not finite.
        """
        counts = np.asarray(counts, np.float64)
        if not (np.isfinite(counts) & (counts >= 0)).all() or not np.isfinite(alpha):
            raise MatineeError(
                f"counts or alpha = {alpha} are not numbers from 0 up", hint="pass Dataset.item_counts()"
            )
        items = np.flatnonzero(counts)
        if not len(items):
            raise MatineeError("no item has a training event, so none can be drawn", hint="draw uniformly, or train")
        log_p = alpha * np.log(counts[items])
        log_p -= log_p.max()
        log_p -= np.log(np.exp(log_p).sum())
        log_q = np.full(len(counts), -np.inf, np.float32)
        log_q[items] = log_p
        keep, other = np.empty(len(items)), np.empty(len(items), np.int64)
        kernels.sampling.alias_table(np.exp(log_p), keep, other)
        return cls(log_q, items, keep, items[other])

    def draw(self, size: int, rng: Generator) -> Drawn:
        """int64 (size,) item codes."""
        place = rng.integers(0, len(self.items), size)
        if self.keep is None or self.other is None:
            return self.items[place]
        return np.where(rng.random(size) < self.keep[place], self.items[place], self.other[place])

    def distinct(self, size: int, rng: Generator) -> Drawn:
        """int64 (size,): different items, uniform whatever log_q is; all items where there are fewer than `size`.

        Where a batch shares its negatives, thousands of states push away the same items, an item drawn twice twice as
        far: without repeats the gradient has far less noise.
        """
        return rng.permutation(self.items)[:size]


@dataclass(frozen=True)
class Positives:
    """What each user watched. items: row = user, distinct item codes in ascending order, all below n_items.

    A membership test is a binary search in the user's row: a million pairs of ML-1M take about .05 s on one core, and
    no memory beyond the log's own codes.
    """

    items: Ragged
    n_items: int

    @classmethod
    def of(cls, data: Dataset) -> Positives:
        """Every pair of a log, whatever its rating."""
        X = data.matrix()
        return cls(Ragged(X.indptr.astype(np.int64), X.indices.astype(np.int32)), data.n_items)

    def contain(self, users: Codes, items: Codes) -> Bools:
        """bool (n,): whether users[p] watched items[p]. An unknown user (-1) watched nothing.

        Raises MatineeError for other user codes than those of the log, and arrays of different lengths.
        """
        self.check_users(users)
        if users.shape != items.shape:
            raise MatineeError(f"{users.shape} users and {items.shape} items are not pairs", hint="pass one of each")
        out = np.empty(len(users), np.bool_)
        offsets, values = self.items.offsets, self.items.values

        def run(start: int, stop: int) -> None:
            kernels.sampling.rows_contain(start, stop, offsets, values, users, items, out)

        kernels.parallel(run, len(users), chunk=1 << 16)
        return out

    def unwatched(self, user: int, items: Drawn) -> Drawn:
        """int64 (m,): those of these items that one user did not watch."""
        return items if user < 0 else items[~np.isin(items, self.items[user])]

    def check_users(self, users: Codes) -> None:
        """Raise MatineeError for user codes that are not those of the log, nor -1."""
        if users.size and not -1 <= users.min() <= users.max() < len(self.items):  # compiled loops index by them
            raise MatineeError(
                f"the user codes are not in -1..{len(self.items) - 1}", hint="make them from the log of the positives"
            )


@dataclass(frozen=True)
class Disliked:
    """What each user disliked, as negatives. items: row = user, codes in ascending order, one for each dislike. share:
    of the negatives of a user who disliked anything, from 0 to 1."""

    items: Ragged
    share: float

    @classmethod
    def of(cls, data: Dataset, share: float, among: Bools | None = None) -> Disliked | None:
        """The dislikes of a log's users; None where none is to be drawn. among: bool (n_items,), items that may be."""
        if not share or data.dislikes is None:
            return None
        kept = data.dislikes if among is None else data.dislikes.rows(among[data.dislikes.item])
        if not len(kept):
            return None
        order = np.lexsort((kept.item, kept.user))
        lengths = np.bincount(kept.user, minlength=data.n_users)
        return cls(Ragged.of_lengths(lengths, kept.item[order]), share)

    def put(self, users: Codes, drawn: Drawn, rng: Generator) -> Drawn:
        """int64 (B, n): the negatives `drawn` of users (B,), each with probability `share` one of its user's dislikes
        instead, if there is any. An unknown user (-1) has none."""
        many = np.where(users < 0, 0, self.items.lengths[users])[:, None]
        instead = (rng.random(drawn.shape) < self.share) & (many > 0)
        place = self.items.offsets[users][:, None] + rng.integers(0, np.maximum(many, 1), drawn.shape)
        return np.where(instead, self.items.values[np.where(instead, place, 0)], drawn)


def negatives(users: Codes, n: int, sampler: Sampler, positives: Positives, rng: Generator) -> Drawn:
    """int64 (len(users), n): n items for each row that its user did not watch; an item may come twice.

    They follow the sampler's distribution, restricted to what the user did not watch; -1 where only watched items can
    be drawn. Only collisions are drawn again. Where they persist, because a user watched nearly everything, the
    draws come from the list of the user's unwatched items.
    """
    if n < 0 or len(sampler.log_q) != positives.n_items:
        raise MatineeError(
            f"n = {n}, a sampler of {len(sampler.log_q)} items and positives of {positives.n_items} do not fit",
            hint="make the sampler and the positives from one log, and ask for 0 negatives or more",
        )
    # rejection: draw for all, then again only where the user watched the item
    user = np.repeat(users, n)
    drawn = sampler.draw(len(user), rng)
    again = np.flatnonzero(positives.contain(user, drawn))
    for _ in range(ROUNDS):
        if not len(again):
            break
        drawn[again] = sampler.draw(len(again), rng)
        again = again[positives.contain(user[again], drawn[again])]
    for one in np.unique(user[again]):
        rows = again[user[again] == one]
        drawn[rows] = _from_unwatched(int(one), len(rows), sampler, positives, rng)
    return drawn.reshape(len(users), n)


def _from_unwatched(user: int, size: int, sampler: Sampler, positives: Positives, rng: Generator) -> Drawn:
    """int64 (size,): draws from the list of what a user did not watch; -1 where the list is empty."""
    # inverse transform sampling on the restricted distribution
    there = positives.unwatched(user, sampler.items)
    if not len(there):
        return np.full(size, -1)
    log_p = sampler.log_q[there].astype(np.float64)
    up_to = np.cumsum(np.exp(log_p - log_p.max()))
    drawn: Drawn = there[np.searchsorted(up_to, rng.random(size) * up_to[-1], side="right")]
    return drawn


def hardest(
    users: Codes,
    n: int,
    of: int,
    score: Callable[[Drawn], NDArray[Any]],
    sampler: Sampler,
    positives: Positives,
    rng: Generator,
) -> Drawn:
    """int64 (len(users), n): each the highest-scored of `of` negatives of its own (Zhang et al., SIGIR 2013, dynamic
    negative sampling). -1 as in `negatives`; of equal scores the first drawn.

    score(items): items int64 (len(users), n * of) -> the score of each for its row's user, finite or -inf. Raises
    MatineeError when a score is NaN or their shape is another.
    """
    if of < 1:
        raise MatineeError(f"the highest-scored of {of} candidates", hint="draw 1 or more for each negative")
    # `of` candidates for each negative, all scored at once; -1 has no score and never wins
    drawn = negatives(users, n * of, sampler, positives, rng)
    scores = np.asarray(score(np.maximum(drawn, 0)))
    if scores.shape != drawn.shape or np.isnan(scores).any():
        raise MatineeError(
            f"the scores of {drawn.shape} candidates have shape {scores.shape}, or one is NaN",
            hint="give one number for each; lower the learning rate where a net has diverged",
        )
    groups = drawn.reshape(len(users), n, of)
    best = np.where(drawn < 0, -np.inf, scores).reshape(groups.shape).argmax(axis=2)
    chosen: Drawn = np.take_along_axis(groups, best[:, :, None], axis=2)[:, :, 0]
    return chosen


def in_batch(users: Codes, items: Codes, positives: Positives) -> Bools:
    """bool (B, B): true where items[c], the positive of row c, may stand as a negative of row r.

    False on the diagonal, where items[c] equals the item of row r, and where the user of row r watched it. An item is
    such a negative as often as it is watched: correct the logits by `Sampler.popularity(counts, 1.0).log_q`.
    Memory: B x B, and B x the distinct items of the batch, in bytes.
    """
    positives.check_users(users)
    codes, column = np.unique(items, return_inverse=True)
    if len(codes) and not 0 <= codes[0] <= codes[-1] < positives.n_items:
        raise MatineeError(f"the item codes are not in 0..{positives.n_items - 1}", hint="make them from the same log")
    place = np.full(positives.n_items, -1)
    place[codes] = np.arange(len(codes))
    watched = np.zeros((len(users), len(codes)), np.bool_)
    known = np.flatnonzero(users >= 0)
    theirs = positives.items.take(users[known])
    at = place[theirs.values]
    watched[known[theirs.rows[at >= 0]], at[at >= 0]] = True
    watched[np.arange(len(users)), column] = True
    return ~watched[:, column]
