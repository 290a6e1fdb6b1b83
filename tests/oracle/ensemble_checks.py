"""The ensemble against its formulas in plain Python: query by query, item by item, every other item looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Bools, Floats, Ragged
from matinee.data.dataset import Holdout, Protocol, Queries
from matinee.data.ids import IdMap
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.families import fusion, fusion_weights
from matinee.models.families.stacked import StackedFeatures, stacked_examples
from matinee.models.popularity import Popularity
from matinee.models.user_knn import UserKNN
from oracle import truths

N_USERS, N_ITEMS = 83, 41
DATA = truths.as_dataset(truths.random_log(4, N_USERS, N_ITEMS), N_ITEMS)
HISTORIES = [[3], [0, 5, 9], [9, 5, 0], [7, 7, 2, 7, 11], [1, 2, 3, 4, 5, 6, 7, 8], [40, 39, 1, 1]]
EXCLUDED = [[3], [], [9, 5, 0, 12, 12], [7, 2, 11], list(range(1, 41)), list(range(41))]
NOTHING = float("-inf")


def slow_rank(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    found = []
    for j, score in enumerate(scores):
        others = [scores[i] for i in kept if i != j and scores[i] > NOTHING]
        rank = 1 + sum(other > score for other in others) + sum(other == score for other in others) / 2
        found.append(0.0 if score == NOTHING else 1 / (60 + rank))
    return found


def slow_zscore(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    used = [scores[i] for i in kept if scores[i] > NOTHING]
    if not used or min(used) == max(used):
        return [0.0] * len(scores)
    mean = math.fsum(used) / len(used)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in used) / len(used))
    found = []
    for j, score in enumerate(scores):
        known = used if j in kept else [x for x in scores if x > NOTHING]
        found.append(((min(known) if score == NOTHING else score) - mean) / deviation)
    return found


def slow_softmax(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    found = []
    for j, score in enumerate(scores):
        others = [scores[i] for i in kept if i != j and scores[i] > NOTHING]
        found.append(0.0 if score == NOTHING else 1 / (1 + math.fsum(math.exp(other - score) for other in others)))
    return found


def slow_minmax(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    used = [scores[i] for i in kept if scores[i] > NOTHING]
    if not used or min(used) == max(used):
        return [0.0] * len(scores)
    found = []
    for j, score in enumerate(scores):
        known = used if j in kept else [x for x in scores if x > NOTHING]
        least = min(known) if score == NOTHING else score
        found.append((least - min(used)) / (max(used) - min(used)))
    return found


def slow_borda(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    found = []
    for j, score in enumerate(scores):
        others = [scores[i] for i in kept if i != j and scores[i] > NOTHING]
        behind = sum(other < score for other in others) + sum(other == score for other in others) / 2
        share = behind / len(others) if others else 1.0
        found.append(0.0 if score == NOTHING else share)
    return found


def slow_raw(scores: Sequence[float], kept: Sequence[int]) -> list[float]:
    least = min((score for score in scores if score > NOTHING), default=0.0)
    return [max(score, least) for score in scores]


SLOW: dict[fusion.Method, Callable[[Sequence[float], Sequence[int]], list[float]]] = {
    "rank": slow_rank,
    "zscore": slow_zscore,
    "softmax": slow_softmax,
    "minmax": slow_minmax,
    "borda": slow_borda,
    "raw": slow_raw,
}


def slow_fusion(
    scores: Sequence[NDArray[Any]], excluded: Sequence[int], weights: Sequence[float], method: fusion.Method
) -> list[float]:
    """Of one query: the members' scores, one row each -> the ensemble's."""
    rows = [row.astype(np.float64).tolist() for row in scores]
    kept = [j for j in range(len(rows[0])) if j not in excluded]
    parts = [SLOW[method](row, kept) for row in rows]
    return [
        NOTHING
        if all(row[j] == NOTHING for row in rows)
        else math.fsum(w / sum(weights) * part[j] for w, part in zip(weights, parts, strict=True))
        for j in range(len(rows[0]))
    ]


def asked() -> Queries:
    return replace(truths.histories(HISTORIES), exclude=Ragged.from_lists(EXCLUDED))


def check_ensemble() -> None:
    members = EASE(l2=20.0).fit(DATA), UserKNN(k=4).fit(DATA), Popularity().fit(DATA)
    queries = asked()
    scores = [member.score(queries) for member in members]
    assert any(len(np.unique(row)) < N_ITEMS for row in scores[1]), "equal scores are to be seen"
    for method in SLOW:
        for weights in ([0.2, 0.5, 1.3], [0.0, 1.0, 3.0]):
            model = Ensemble(members=members, weights=weights, method=method).fit(DATA)
            rows = range(len(queries))
            wanted = [slow_fusion([s[b] for s in scores], EXCLUDED[b], weights, method) for b in rows]
            found = model.score(queries)
            # a float32 sum of three terms
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
            plain = model.score(truths.histories(HISTORIES))
            wanted = [slow_fusion([s[b] for s in scores], [], weights, method) for b in rows]
            np.testing.assert_allclose(plain, wanted, rtol=1e-5, atol=1e-6)
            same = method == "raw"  # scores as they are know nothing of what is excluded
            assert np.allclose(plain, found, rtol=1e-3) == same, "what is excluded must matter to the rest"


@dataclass(frozen=True)
class Fixed:
    """A Scorer of given scores."""

    scores: Floats

    @property
    def users(self) -> IdMap:
        return DATA.users

    @property
    def items(self) -> IdMap:
        return DATA.items

    def score(self, queries: Queries) -> Floats:
        return self.scores.copy()

    def fallback(self, queries: Queries) -> Bools:
        return np.zeros(len(queries), np.bool_)


def check_members_that_cannot_score_every_item() -> None:
    """One scores even items alone, one few, one nothing of a query; item 40 is nobody's. Scores are of all sizes."""
    rng = np.random.default_rng(8)
    shape = (len(HISTORIES), N_ITEMS)
    scores = [(10.0**power * rng.normal(size=shape)).astype(np.float32) for power in (-3, 0, 2)]
    scores[0][:, 1::2] = scores[1][:, 5:30] = NOTHING
    scores[2][1] = NOTHING
    scores[0][2, ::4] = 0.0
    scores[0][2, 2::4] = -0.0
    scores[1][4] = 0.25
    for member in scores:
        member[:, 40] = NOTHING
    for method in SLOW:
        weights = np.array([0.25, 0.25, 0.5])
        parts = fusion.member_scores([Fixed(s) for s in scores], asked(), method)
        found = parts.mixed(weights)
        wanted = [
            slow_fusion([s[b] for s in scores], EXCLUDED[b], weights.tolist(), method) for b in range(len(HISTORIES))
        ]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        nobody = (found == NOTHING).sum(axis=1)
        assert (nobody == [1, 14, 1, 1, 1, 1]).all(), "item 40, and of query 1 the odd ones from 5 to 29"


def slow_turns(scores: Sequence[Sequence[float]], quotas: Sequence[int], excluded: Sequence[int]) -> list[float]:
    """Fill a list place by place; the place in it, with a minus, is the score."""
    orders = [[j for _, j in sorted((-s[j], j) for j in range(N_ITEMS) if s[j] > NOTHING)] for s in scores]
    taken: list[int] = []
    for group in ([j for j in range(N_ITEMS) if j not in excluded], sorted(set(excluded))):
        left = [[j for j in order if j in group] for order in orders]
        used = [0] * len(quotas)
        while any(set(own) - set(taken) for own, quota in zip(left, quotas, strict=True) if quota):
            if sum(used) == sum(quotas):
                used = [0] * len(quotas)
            place = sum(used) + 1
            behind = [quota * place - u * sum(quotas) for quota, u in zip(quotas, used, strict=True)]
            member = behind.index(max(behind))
            used[member] += 1
            taken += [j for j in left[member] if j not in taken][:1]
    return [-float(taken.index(j)) if j in taken else NOTHING for j in range(N_ITEMS)]


def check_quotas() -> None:
    """One member scores few items, so its places go to the others once these are used up."""
    rng = np.random.default_rng(5)
    scores = [rng.normal(size=(len(HISTORIES), N_ITEMS)).astype(np.float32) for _ in range(3)]
    scores[1][:, 6:] = scores[2][:, ::3] = NOTHING
    for member in scores:
        member[:, 40] = NOTHING
    for quotas in ([7, 3, 1], [1, 1, 1], [0, 2, 5], [3, 3, 0]):
        found = fusion.by_quotas([Fixed(s) for s in scores], asked(), quotas)
        wanted = [slow_turns([s[b].tolist() for s in scores], quotas, EXCLUDED[b]) for b in range(len(HISTORIES))]
        np.testing.assert_array_equal(found, wanted)
    assert fusion.turns([7, 3]).tolist().count(1) == 3


def check_groups() -> None:
    """Users of long histories watch what the first member likes, others what the second does."""
    members = [EASE(l2=20.0).fit(DATA), UserKNN(k=4).fit(DATA)]
    queries = DATA.queries()
    lengths = queries.history.lengths
    many = lengths >= np.median(lengths)
    one, other = liked_by(members[0], 0.9), liked_by(members[1], 0.9)
    answers = [(one if many[b] else other).truth[b] for b in range(len(queries))]
    valid = Holdout(queries, Ragged.from_lists(answers), one.protocol)
    least, fusion_weights.LEAST = fusion_weights.LEAST, 20
    try:
        model = Ensemble(members=members, grouped_by="history", n_groups=2).fit(DATA, valid=valid)
    finally:
        fusion_weights.LEAST = least
    learned = model.fitted.learned
    assert learned.edges.tolist() == [float(np.sort(lengths)[len(lengths) // 2])]
    for group, rows in enumerate((np.flatnonzero(lengths < learned.edges[0]), np.flatnonzero(many))):
        part = Holdout(queries.take(rows), valid.truth.take(rows), valid.protocol)
        start = slow_weights(members, valid)
        np.testing.assert_allclose(learned.weights[group], slow_weights(members, part, start), atol=1e-9)
        same = Ensemble(members=members, weights=learned.weights[group].tolist()).fit(DATA)
        assert model.score(part.queries).tobytes() == same.score(part.queries).tobytes()
    assert learned.weights[0, 0] < 0.5 < learned.weights[1, 0]
    again = model.for_refit().fit(DATA)
    assert again.score(queries).tobytes() == model.score(queries).tobytes()


def check_greedy() -> None:
    members = [EASE(l2=20.0).fit(DATA), UserKNN(k=4).fit(DATA), Popularity().fit(DATA)]
    valid = liked_by(members[1], 0.6)
    model = Ensemble(members=members, search="greedy").fit(DATA, valid=valid)
    counts, steps = [0, 0, 0], []
    for _ in range(fusion_weights.GREEDY_STEPS):
        tried = [[c + (m == added) for m, c in enumerate(counts)] for added in range(3)]
        found = [slow_quality(members, weights, valid) for weights in tried]
        best = max(range(3), key=lambda m: (round(found[m], 12), -m))
        counts = tried[best]
        steps.append((best, found[best], counts))
    np.testing.assert_allclose(model.fitted.learned.path, [step[:2] for step in steps], rtol=1e-9)
    best = max(range(len(steps)), key=lambda s: (round(steps[s][1], 12), -s))
    np.testing.assert_allclose(model.fitted.learned.weights, np.array(steps[best][2]) / (best + 1))


def check_stacked_rows() -> None:
    """Candidates, columns and labels of the rows that trees learn from, one item at a time."""
    rng = np.random.default_rng(6)
    scores = [rng.normal(size=(len(HISTORIES), N_ITEMS)).astype(np.float32) for _ in range(2)]
    scores[0][:, 30:] = scores[1][2] = NOTHING
    for member in scores:
        member[:, 40] = NOTHING
    popularity = rng.integers(0, 50, N_ITEMS).astype(np.float32)
    features = StackedFeatures([Fixed(s) for s in scores], popularity, 7)
    found = features.of(asked())
    rows = found.X.reshape(len(HISTORIES), 7, 6)
    examples, groups = [], []
    truth = [[3, 8], [0, 1, 2, 3, 4], [1], [4, 9, 13], [39], [2]]
    for b, history in enumerate(HISTORIES):
        kept = [j for j in range(N_ITEMS) if j not in EXCLUDED[b]]
        ranks = [slow_rank(s[b].tolist(), kept) for s in scores]
        standard = [slow_zscore(s[b].tolist(), kept) for s in scores]
        best = {j: max(rank[j] for rank in ranks) for j in kept if any(s[b, j] > NOTHING for s in scores)}
        order = sorted(best, key=lambda j: (-np.float32(best[j]), j))[:7]
        assert found.candidates[b].tolist() == order + [-1] * (7 - len(order))
        wanted = [
            [
                ranks[0][j],
                standard[0][j],
                ranks[1][j],
                standard[1][j],
                math.log1p(popularity[j]),
                math.log1p(len(history)),
            ]
            for j in order
        ]
        np.testing.assert_allclose(rows[b, : len(order)], np.reshape(wanted, (-1, 6)), rtol=1e-5, atol=1e-6)
        if set(order) & set(truth[b]):
            examples += [(row, float(j in truth[b])) for row, j in zip(wanted, order, strict=True)]
            groups.append(len(order))
    holdout = Holdout(asked(), Ragged.from_lists(truth), Protocol("synthetic", "any", "valid", "train", "train"))
    learned = stacked_examples(features, holdout, N_ITEMS)
    assert 1 < len(groups) < len(HISTORIES)
    assert learned.group.tolist() == groups
    assert learned.label.tolist() == [label for _, label in examples]
    np.testing.assert_allclose(learned.X, [row for row, _ in examples], rtol=1e-5, atol=1e-6)


def slow_quality(members: Sequence[Model], weights: Sequence[float], valid: Holdout) -> float:
    """Mean ndcg@10 with one answer a query: 1 / log2(1 + its rank), ties to the lower code."""
    model = Ensemble(members=members, weights=weights).fit(DATA)
    total = 0.0
    for b, scores in enumerate(model.score(valid.queries).tolist()):
        (answer,) = valid.truth[b].tolist()
        codes = [j for j in range(N_ITEMS) if j not in valid.queries.exclude[b]]
        place = sorted(codes, key=lambda j: (-scores[j], j)).index(answer)
        total += 1 / math.log2(2 + place) if place < 10 else 0.0
    return total / len(valid)


def slow_weights(members: Sequence[Model], valid: Holdout, begin: Sequence[float] | None = None) -> list[float]:
    weights = list(begin or [1 / len(members)] * len(members))
    for turn in range(1 if len(members) == 2 else 2 * len(members)):
        start, best, member = weights, slow_quality(members, weights, valid), turn % len(members)
        others = sum(start) - start[member]
        for step in range(21):
            share = step / 20
            tried = [w * (1 - share) / others if others else (1 - share) / (len(members) - 1) for w in start]
            tried[member] = share
            quality = slow_quality(members, tried, valid)
            if quality > best + 1e-12:
                best, weights = quality, tried
    return weights


def check_weights_are_found_on_valid() -> None:
    """Hidden answers are what the second member likes, mostly: a search must find that, and by how much."""
    members = [EASE(l2=20.0).fit(DATA), UserKNN(k=4).fit(DATA), Popularity().fit(DATA)]
    valid = liked_by(members[1], 0.6)
    for asked in (members[:2], members):
        found = Ensemble(members=asked).fit(DATA, valid=valid).fitted.learned.weights
        np.testing.assert_allclose(found, slow_weights(asked, valid), atol=1e-9)
        assert found[1] > 0.5
        assert found.max() < 1.0


def liked_by(model: Model, share: float) -> Holdout:
    """For every user of the log one hidden item: in `share` of the cases among the model's five best, else anyone's."""
    rng = np.random.default_rng(3)
    queries = DATA.queries()
    scores = model.score(queries)
    answers = []
    for b in range(len(queries)):
        codes = np.setdiff1d(np.arange(N_ITEMS), queries.exclude[b])
        best = codes[np.argsort(-scores[b, codes], kind="stable")[:5]]
        answers.append([int(rng.choice(best if rng.random() < share else codes))])
    return Holdout(queries, Ragged.from_lists(answers), Protocol("synthetic", "liked", "valid", "train", "train"))


CHECKS: dict[str, list[Callable[[], None]]] = {
    "ensemble": [
        check_ensemble,
        check_members_that_cannot_score_every_item,
        check_weights_are_found_on_valid,
        check_quotas,
        check_groups,
        check_greedy,
    ],
    "stacking": [check_stacked_rows],
}
