"""The weights of an ensemble's members: found on valid, for all queries or for groups of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Ints, Ragged
from matinee.data.dataset import Holdout, Queries, Scorer
from matinee.evaluate.metrics import ranking
from matinee.evaluate.stopping import StoppingMetric
from matinee.models.families.fusion import MemberScores, PrecomputedScorer, Weights
from matinee.models.families.mixture import GroupedBy, OneEach, group_of, grouped_value
from matinee.models.families.shortlists import Shortlists
from matinee.rank import blocks, recommend

Search = Literal["shares", "greedy"]

SHARES = np.linspace(0.0, 1.0, 21)
"""What a member's weight is tried at, of the weight of all."""
SWEEPS = 2
GREEDY_STEPS = 20
QUERIES = 10_000
"""At most so many of valid choose the weights: the standard error of their ndcg is below .005 then."""
LEAST = 100
"""Queries with an answer that a group needs for weights of its own."""
REMEMBERED = 1 << 30
"""Bytes of members' scores that are kept while weights are sought; beyond them members are asked again."""


class Mixing(Scorer, Protocol):
    """An ensemble whose members are fitted."""

    def member_scores(self, queries: Queries) -> MemberScores: ...


class AnsweredBlock(NamedTuple):
    """Queries, what they hide, what the members make of all items, and of the few that can lead a list (None: all)."""

    queries: Queries
    truth: Ragged
    known: MemberScores
    shortlists: Shortlists | None

    @property
    def nbytes(self) -> int:
        return self.known.nbytes + (0 if self.shortlists is None else self.shortlists.nbytes)

    def best(self, model: Scorer, weights: Weights, k: int) -> Ints:
        """int32 (B, k): the k best items of each query under these weights."""
        if self.shortlists is None:
            return self._of_all(model, weights, k)
        found, sure = self.shortlists.best(weights, k)
        if not sure.all():
            rows = np.flatnonzero(~sure)
            part = AnsweredBlock(self.queries.take(rows), self.truth.take(rows), self.known.take(rows), None)
            found[rows] = part._of_all(model, weights, k)
        return found

    def _of_all(self, model: Scorer, weights: Weights, k: int) -> Ints:
        """int32 (B, k): the same, by ranking all items."""
        return recommend(PrecomputedScorer(model, self.known.mixed(weights)), self.queries, k).item


@dataclass
class Answers:
    """The members' scores of some queries of a holdout, block by block. As much of them is remembered as fits."""

    model: Mixing
    queries: Queries
    truth: Ragged
    n: int  # members
    k: int  # items of the lists that are asked for
    _kept: list[AnsweredBlock] = field(default_factory=list)

    @classmethod
    def of(cls, model: Mixing, holdout: Holdout, n: int, k: int) -> Answers:
        """Of at most QUERIES, evenly spread."""
        rows = holdout.spread(QUERIES)
        return cls(model, holdout.queries.take(rows), holdout.truth.take(rows), n, k)

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """Of these queries."""
        return Answers(self.model, self.queries.take(rows), self.truth.take(rows), self.n, self.k)

    def __iter__(self) -> Iterator[AnsweredBlock]:
        n_items, kept = len(self.model.items), 0
        for number, (start, block) in enumerate(blocks(self.queries, n_items)):
            if number < len(self._kept):
                found = self._kept[number]
            else:
                answers = self.truth.slice(start, start + len(block))
                known = self.model.member_scores(block)
                short = Shortlists.of(known, block.exclude, self.k) if block.candidates is None else None
                found = AnsweredBlock(block, answers, known, short)
                if kept <= REMEMBERED and number == len(self._kept):
                    self._kept.append(found)
            kept += found.nbytes
            yield found


def tuned(answers: Answers, metric: StoppingMetric, start: Weights | None = None) -> Weights:
    """float64 (members,), 1 in sum: the weights with the best mean metric, found member by member.

    From equal weights (or `start`) on, each member in turn is given each of SHARES, the others keeping their
    proportions; what is no better than the present weights does not replace them. Two members need one turn, more need
    SWEEPS each.
    """
    n = answers.n
    weights = np.full(n, 1.0 / n) if start is None else start
    # Coordinate ascent over shares: two members have one free share, more take turns.
    for member in [0] if n == 2 else [*range(n)] * SWEEPS:
        tried = [weights, *(shared(weights, member, share) for share in SHARES)]
        weights = tried[int(np.argmax(qualities(answers, tried, metric)))]
    return weights


class Step(NamedTuple):
    """One step of `greedy`: the member that was added, and the mean metric with it."""

    member: int
    quality: float


def greedy(answers: Answers, metric: StoppingMetric, steps: int = GREEDY_STEPS) -> tuple[Weights, list[Step]]:
    """float64 (members,), 1 in sum: how often each member was added where the mean metric was best, and the steps to
    there and beyond. Each step adds the member with which the metric is best, of equal ones the first; a member may be
    added again (ensemble selection with replacement: Caruana et al., ICML 2004)."""
    counts, path = np.zeros(answers.n), list[Step]()
    for _ in range(steps):
        tried = [(counts + one) / (counts.sum() + 1) for one in np.eye(answers.n)]
        found = qualities(answers, tried, metric)
        best = int(np.argmax(found))
        counts[best] += 1
        path.append(Step(best, float(found[best])))
    until = int(np.argmax([step.quality for step in path])) + 1
    weights = np.bincount([step.member for step in path[:until]], minlength=answers.n) / until
    return weights, path


def shared(weights: Weights, member: int, share: float) -> Weights:
    """float64 (members,): this share for one member, the rest in proportion (equally where it was nothing)."""
    others = np.delete(weights, member)
    others = others / others.sum() if others.any() else np.full(len(others), 1.0 / len(others))
    return np.insert(others * (1.0 - share), member, share)


def qualities(answers: Answers, tried: Sequence[Weights], metric: StoppingMetric) -> NDArray[np.float64]:
    """float64 (len(tried),): the mean metric under each of the weights; 0 where no query has an answer.

    Members are asked once about a block of queries, whatever the number of weights.
    """
    name, k = metric.formula, metric.k
    total, asked = np.zeros(len(tried)), 0
    for block in answers:
        # Members are asked once; every weighting is a sum of the same comparable scores.
        for t, weights in enumerate(tried):
            item = block.best(answers.model, weights, k)
            total[t] += np.nansum(ranking(item, block.truth, k=[k], metrics=[name])[name, k])
        asked += int(np.count_nonzero(block.truth.lengths))
    return total / max(asked, 1)


# --- groups -----------------------------------------------------------------------------------------------------------


def edges_of(queries: Queries, by: GroupedBy, groups: int) -> NDArray[np.float64]:
    """float64 (at most groups - 1,): where groups of about equal size begin, ascending."""
    values = grouped_value(queries, by)
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return np.empty(0)
    edges: NDArray[np.float64] = np.unique(values[[len(values) * g // groups for g in range(1, groups)]])
    first = int(edges[0] <= values[0])  # nothing would be below it
    return edges[first:]


@dataclass(frozen=True)
class Groups:
    """Queries with weights of their own. edges: float64 (E,), where each group after the first begins."""

    by: GroupedBy
    edges: NDArray[np.float64]

    @classmethod
    def of(cls, queries: Queries, by: GroupedBy, n: int, edges: OneEach | None) -> Groups:
        """With these edges, or n groups of about equal size."""
        return cls(by, edges_of(queries, by, n) if edges is None else np.array(edges, np.float64))


class Found(NamedTuple):
    """weights, edges and path, see ensemble.Mixture."""

    weights: Weights
    edges: NDArray[np.float64]
    path: NDArray[np.float64]


def found(answers: Answers, metric: StoppingMetric, search: Search, groups: Groups | None) -> Found:
    """The weights with the best mean metric: of all queries, then of each group from these on. A group of which fewer
    than LEAST queries have an answer keeps those of all."""
    path = list[Step]()
    if search == "greedy":
        whole, path = greedy(answers, metric)
    else:
        whole = tuned(answers, metric)
    steps = np.array(path, np.float64).reshape(-1, 2)
    if groups is None or not len(groups.edges):
        return Found(whole, np.empty(0), steps)
    group = group_of(answers.queries, groups.by, groups.edges)
    weights = np.tile(whole, (len(groups.edges) + 1, 1))
    for number in range(len(weights)):
        rows = np.flatnonzero(group == number)
        if np.count_nonzero(answers.truth.lengths[rows]) >= LEAST:
            weights[number] = tuned(answers.take(rows), metric, whole)
    return Found(weights, groups.edges, steps)
