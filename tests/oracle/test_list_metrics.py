"""Metrics of what lists are like, against plain loops on a log in which no two users, items or lists are alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.data.dataset import Holdout
from matinee.data.ids import IdMap
from matinee.errors import MatineeError
from matinee.evaluate import paired_test
from matinee.evaluate.lists import OF_LISTS, OF_MODELS
from oracle.list_log import ACTIVE, COUNTS, HOLDERS, N_ITEMS, POPULAR, TRAIN, B, K, asked, values_of


def mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def cosine_of_values(column: str) -> Callable[[int, int], float | None]:
    def cosine(i: int, j: int) -> float | None:
        one, other = set(values_of(i, column)), set(values_of(j, column))
        return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else None

    return cosine


def cosine_of_users(i: int, j: int) -> float | None:
    one, other = HOLDERS[i], HOLDERS[j]
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else None


def unlike(listed: list[int], cosine: Callable[[int, int], float | None]) -> float:
    pairs = [cosine(i, j) for i, j in combinations(listed, 2)]
    return mean([1 - value for value in pairs if value is not None])


def shares(items: list[int], column: str) -> dict[str, float]:
    known = [values_of(item, column) for item in items if values_of(item, column)]
    out: dict[str, float] = {}
    for names in known:
        for name in names:
            out[name] = out.get(name, 0.0) + 1 / len(names) / len(known)
    return out


def divergence(history: list[int], listed: list[int], column: str) -> float:
    p, q = shares(history, column), shares(listed, column)
    if not p or not q:
        return math.nan
    return math.fsum(share * math.log(share / (0.99 * q.get(name, 0.0) + 0.01 * share)) for name, share in p.items())


def weight(item: int) -> float:
    return math.sqrt(max(COUNTS) / max(COUNTS[item] if item < N_ITEMS else 0, 1))


def debiased_ndcg(listed: list[int], truth: list[int], k: int) -> float:
    gained = math.fsum(weight(item) / math.log2(r + 2) for r, item in enumerate(listed[:k]) if item in truth)
    best = sorted(map(weight, truth), reverse=True)[:k]
    return gained / math.fsum(gain / math.log2(r + 2) for r, gain in enumerate(best))


def expected_by_popularity(b: int, holdout: Holdout, k: int) -> list[int]:
    candidates = holdout.queries.candidates
    allowed = set(range(N_ITEMS)) if candidates is None else {int(code) for code in candidates[b] if code >= 0}
    order = POPULAR if candidates is None else sorted(allowed, key=lambda item: (-COUNTS[item], item))
    return [item for item in order if item in allowed and item not in holdout.queries.exclude[b]][:k]


def credited(listed: list[int], truth: list[int], column: str) -> float:
    n = len(set(truth))
    mine, theirs = (
        {name for item in items if item < N_ITEMS for name in values_of(item, column)} for items in (listed[:n], truth)
    )
    return (len(set(listed[:n]) & set(truth)) + len(mine & theirs) / 4) / n if n else math.nan


def place(item: int) -> float:
    return sorted(range(N_ITEMS), key=lambda code: (COUNTS[code], code)).index(item) / (N_ITEMS - 1)


Slow = Callable[[list[int], list[int], int, int, Holdout], float]
"""Of the first k of a list, the answers, k, the number of the query, and the holdout."""
SLOW: dict[str, Slow] = {
    "recall_debiased": lambda top, truth, k, b, h: (
        math.fsum(weight(item) for item in top if item in truth) / math.fsum(map(weight, truth))
    ),
    "ndcg_debiased": lambda top, truth, k, b, h: debiased_ndcg(top, truth, k),
    "serendipity": lambda top, truth, k, b, h: (
        len([item for item in top if item in truth and item not in expected_by_popularity(b, h, k)]) / k
    ),
    "novelty": lambda top, truth, k, b, h: mean([-math.log2(max(len(HOLDERS[i]), 1) / ACTIVE) for i in top]),
    "r_precision_credit:directors": lambda top, truth, k, b, h: credited(top, truth, "directors"),
    "mean_popularity": lambda top, truth, k, b, h: mean([place(item) for item in top]),
    "head_share": lambda top, truth, k, b, h: mean([float(item in POPULAR[: -(-len(POPULAR) // 5)]) for item in top]),
    "head_share:3": lambda top, truth, k, b, h: mean([float(item in POPULAR[:3]) for item in top]),
    "diversity": lambda top, truth, k, b, h: unlike(top, cosine_of_values("genres")),
    "diversity:directors": lambda top, truth, k, b, h: unlike(top, cosine_of_values("directors")),
    "diversity_cooccurrence": lambda top, truth, k, b, h: unlike(top, cosine_of_users),
    "calibration_error": lambda top, truth, k, b, h: divergence(h.queries.history[b].tolist(), top, "genres"),
    "calibration_error:directors": lambda top, truth, k, b, h: divergence(
        h.queries.history[b].tolist(), top, "directors"
    ),
}


@pytest.mark.parametrize("candidates", [False, True])
@pytest.mark.parametrize("cells", [1, 1 << 21])
def test_every_metric_of_lists_follows_its_definition(
    candidates: bool, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matinee.evaluate.lists._CELLS", cells)  # block by block, as on a large log
    assert {name.partition(":")[0] for name in SLOW} == set(OF_LISTS)
    holdout, recs, lists = asked(candidates)
    found = mt.evaluate(recs, holdout, k=[2, 5, K], metrics=[*SLOW, *OF_MODELS], train=TRAIN)
    for name, slow in SLOW.items():
        for k in (2, 5, K):
            truth = [holdout.truth[b].tolist() for b in range(B)]
            wanted = [slow(lists[b][:k], truth[b], k, b, holdout) if truth[b] else math.nan for b in range(B)]
            np.testing.assert_allclose(found.values["model", name, k], wanted, atol=2e-6, err_msg=f"{name}@{k}")
            known = [value for value in wanted if value == value]
            assert len(set(known)) > 1, f"{name}@{k} tells lists apart"
            assert found.mean(name, k).value == pytest.approx(mean(known), abs=1e-6)


def test_numbers_of_models_are_of_all_their_lists() -> None:
    holdout, recs, lists = asked()
    found = mt.evaluate(recs, holdout, k=[1, 4], metrics=["recall", *OF_MODELS], train=TRAIN)
    for k in (1, 4):
        given = [item for row in lists for item in row[:k]]
        catalogue = [item for item in range(N_ITEMS) if COUNTS[item] or item in given]
        times = [given.count(item) for item in catalogue]
        apart = sum(abs(a - b) for a in times for b in times) / len(times) ** 2
        assert found.mean("coverage", k).value == len(set(given)) / len(POPULAR)
        assert found.mean("gini", k).value == pytest.approx(apart / (2 * sum(times) / len(times)))
        assert found.mean("gini", k).n_queries == B
        assert math.isnan(found.mean("gini", k).low)
    assert found.columns == [("recall", 1), ("recall", 4), ("coverage", 1), ("coverage", 4), ("gini", 1), ("gini", 4)]
    rows = found.to_frame().filter(pl.col("metric") == "coverage")
    assert rows["value"].to_list() == [found.mean("coverage", k).value for k in (1, 4)]
    assert "coverage" not in found.per_query()["metric"]
    assert f"{found.mean('coverage', 4).value:.4f}" in str(found)


def test_what_is_missing_is_said() -> None:
    holdout, recs, _ = asked()
    with pytest.raises(MatineeError, match=r"need the log that was learned from\n.*pass train="):
        mt.evaluate(recs, holdout, k=2, metrics=["novelty"])
    bare = replace(TRAIN, item_features=None)
    with pytest.raises(MatineeError, match="no table of items, so no column 'genres'"):
        mt.evaluate(recs, holdout, k=2, metrics=["diversity"], train=bare)
    with pytest.raises(MatineeError, match="no column 'director'"):
        mt.evaluate(recs, holdout, k=2, metrics=["calibration_error:director"], train=TRAIN)
    with pytest.raises(MatineeError, match="not told apart, so none is 'genres'"):
        mt.evaluate(recs, holdout, k=2, metrics=["recall:genres"], train=TRAIN)
    with pytest.raises(MatineeError, match="'head_share:many' names no number"):
        mt.evaluate(recs, holdout, k=2, metrics=["head_share:many"], train=TRAIN)
    with pytest.raises(MatineeError, match="unknown metric 'coverag'"):
        mt.evaluate(recs, holdout, k=2, metrics=["coverag"], train=TRAIN)
    fewer = IdMap.from_series(pl.Series(np.arange(N_ITEMS - 1)))
    with pytest.raises(MatineeError, match="other items than the log"):
        mt.evaluate(replace(recs, items=fewer), holdout, k=2, metrics=["novelty"], train=TRAIN)
    both = mt.evaluate({"a": recs, "b": recs}, holdout, k=2, metrics=["recall", "gini"], train=TRAIN)
    with pytest.raises(MatineeError, match="one number of all lists"):
        paired_test(both, "a", "b", metric="gini")
