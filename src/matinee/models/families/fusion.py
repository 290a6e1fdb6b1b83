"""What an ensemble is made of: scores of several models made comparable and added, and the search for its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee import kernels
from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Holdout, Queries, Scorer
from matinee.data.ids import IdMap
from matinee.evaluate.metrics import ranking
from matinee.evaluate.stopping import StoppingMetric
from matinee.rank import blocks, of_candidates, recommend

Method = Literal["rank", "zscore", "softmax"]
Weights = NDArray[np.float64]

SHARES = np.linspace(0.0, 1.0, 21)
"""What a member's weight is tried at, of the weight of all."""
SWEEPS = 2
QUERIES = 10_000
"""At most so many of valid choose the weights: the standard error of their ndcg is below .005 then."""


@dataclass(frozen=True)
class MemberScores:
    """The scores of M members for B queries. scores: M arrays float32 (B, n_items), comparable and finite.

    able: (B, n_items), whether any member can score the item.
    """

    scores: Sequence[Floats]
    scorable: Bools

    def mixed(self, weights: Weights) -> Floats:
        """float32 (B, n_items): the weighted sum; -inf where no member can score."""
        total = np.zeros(self.scorable.shape, np.float32)
        for scores, weight in zip(self.scores, weights, strict=True):
            total += scores * np.float32(weight)
        total[~self.scorable] = -np.inf
        return total


def member_scores(members: Sequence[Scorer], queries: Queries, method: Method) -> MemberScores:
    """Ask every member, for the whole catalogue, and make their scores comparable."""
    found = [member.score(queries) for member in members]
    scorable = np.any([scores != -np.inf for scores in found], axis=0)
    for scores in found:
        make_comparable(scores, queries.exclude, method)
    return MemberScores(found, scorable)


def make_comparable(scores: Floats, exclude: Ragged, method: Method) -> None:
    """Replace scores (B, n_items), in place, by numbers that mean the same whichever model they are from.

    What a query excludes moves nothing else. -inf becomes the least of the row (rank, softmax: 0); NaN stays.
    """
    rows = {
        "rank": kernels.fusion.reciprocal_rank_rows,
        "zscore": kernels.fusion.standard_rows,
        "softmax": kernels.fusion.softmax_rows,
    }[method]
    kernels.parallel(lambda a, b: rows(a, b, exclude.offsets, exclude.values, scores), len(scores), chunk=64)


# --- weights ----------------------------------------------------------------------------------------------------------


class Mixing(Scorer, Protocol):
    """An ensemble whose members are fitted."""

    def member_scores(self, queries: Queries) -> MemberScores: ...


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


def tuned(model: Mixing, valid: Holdout, n: int, metric: StoppingMetric) -> Weights:
    """float64 (n,), 1 in sum: the weights of n members with the best mean metric on valid, found member by member.

    From equal weights on, each member in turn is given each of SHARES, the others keeping their proportions; what is
    no better than the present weights does not replace them. Two members need one turn, more need SWEEPS each.
    """
    weights = np.full(n, 1.0 / n)
    rows = np.unique(np.linspace(0, len(valid) - 1, min(len(valid), QUERIES)).astype(np.int64))
    queries, truth = valid.queries.take(rows), valid.truth.take(rows)
    # Coordinate ascent over shares: two members have one free share, more take turns.
    for member in [0] if n == 2 else [*range(n)] * SWEEPS:
        tried = [weights, *(shared(weights, member, share) for share in SHARES)]
        weights = tried[int(np.argmax(qualities(model, queries, truth, tried, metric)))]
    return weights


def shared(weights: Weights, member: int, share: float) -> Weights:
    """float64 (members,): this share for one member, the rest in proportion (equally where it was nothing)."""
    others = np.delete(weights, member)
    others = others / others.sum() if others.any() else np.full(len(others), 1.0 / len(others))
    return np.insert(others * (1.0 - share), member, share)


def qualities(
    model: Mixing, queries: Queries, truth: Ragged, tried: Sequence[Weights], metric: StoppingMetric
) -> NDArray[np.float64]:
    """float64 (len(tried),): the mean metric under each of the weights; 0 where no query has an answer.

    Members are asked once about a block of queries, whatever the number of weights.
    """
    name, k = metric.name, metric.k
    total, asked = np.zeros(len(tried)), 0
    for start, block in blocks(queries, len(model.items)):
        answers = truth.slice(start, start + len(block))
        # Members are asked once; every weighting is a sum of the same comparable scores.
        known = model.member_scores(block)
        for t, weights in enumerate(tried):
            recs = recommend(PrecomputedScorer(model, known.mixed(weights)), block, k)
            total[t] += np.nansum(ranking(recs.item, answers, k=[k], metrics=[name])[name, k])
        asked += int(np.count_nonzero(answers.lengths))
    return total / max(asked, 1)
