"""Metrics of one kind of hidden items: "recall:late" is recall of a holdout that has the late ones alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import matinee as mt
from contract.logs import groups
from matinee import split as splits
from matinee.data.dataset import Holdout
from matinee.errors import MatineeError
from matinee.evaluate import Evaluation
from matinee.evaluate.stopping import StoppingMetric, measure
from matinee.models import registry
from matinee.models.ensemble import Ensemble
from matinee.rank import Recommendations

PLAIN = ["recall", "recall_capped", "hit_rate", "precision", "ndcg", "mrr", "map"]


@pytest.fixture(scope="module")
def asked() -> tuple[Recommendations, Holdout]:
    split = splits.mixed(groups(), valid=0.2, test=0.5, seed=3)
    model = registry.create("ease", {}).fit(split.train)
    return mt.recommend(model, split.test.queries, 6), split.test


@pytest.mark.parametrize("kind", ["late", "random"])
def test_counts_the_answers_of_one_kind_alone(asked: tuple[Recommendations, Holdout], kind: str) -> None:
    recs, holdout = asked
    metrics = [f"{name}:{kind}" for name in PLAIN]
    found = mt.evaluate(recs, holdout, k=[3, 6], metrics=["recall", *metrics])
    alone = mt.evaluate(recs, replace(holdout, truth=holdout.kinds[kind]), k=[3, 6], metrics=PLAIN)
    for name in PLAIN:
        for k in (3, 6):
            mine, theirs = found.values["model", f"{name}:{kind}", k], alone.values["model", name, k]
            np.testing.assert_array_equal(mine, theirs)
            assert found.mean(f"{name}:{kind}", k) == alone.mean(name, k)
    assert found.protocol == mt.evaluate(recs, holdout, k=[3, 6], metrics=["recall"]).protocol


def test_hits_of_the_kinds_add_up_to_all(asked: tuple[Recommendations, Holdout]) -> None:
    recs, holdout = asked
    found = mt.evaluate(recs, holdout, k=6, metrics=["precision", "precision:late", "precision:random"])
    all_hits, late, random = (np.nan_to_num(found.values["model", name, 6]) for name, _ in found.columns)
    np.testing.assert_allclose(all_hits, late + random)
    assert late.sum() > 0
    assert random.sum() > 0


def test_a_conventions_weights_are_of_the_kind_too(asked: tuple[Recommendations, Holdout]) -> None:
    recs, holdout = asked
    found = mt.evaluate(recs, holdout, k=6, metrics=["precision:late"], convention="implicit")
    alone = mt.evaluate(
        recs, replace(holdout, truth=holdout.kinds["late"]), k=6, metrics=["precision"], convention="implicit"
    )
    assert found.mean("precision:late", 6).value == alone.mean("precision", 6).value


def test_values_per_query_bring_them_back(asked: tuple[Recommendations, Holdout]) -> None:
    recs, holdout = asked
    found = mt.evaluate(recs, holdout, k=6, metrics=["ndcg", "ndcg:random"])
    again = Evaluation.from_frame(found.per_query(), found.protocol, found.queries)
    assert again.mean("ndcg:random", 6).value == found.mean("ndcg:random", 6).value


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("recall:latest", "no hidden items are of the kind 'latest'"),
        ("recall:", "'recall:' is not a metric"),
        ("disliked:late", "disliked takes nothing after a colon"),
    ],
)
def test_refuses_kinds_that_are_not_there(asked: tuple[Recommendations, Holdout], metric: str, said: str) -> None:
    with pytest.raises(MatineeError, match=said):
        mt.evaluate(*asked, k=6, metrics=[metric])


def test_a_split_that_does_not_tell_them_apart_says_so() -> None:
    split = splits.leave_one_out(groups())
    recs = mt.recommend(registry.create("ease", {}).fit(split.train), split.test.queries, 6)
    with pytest.raises(MatineeError, match="not told apart, so none is 'late'"):
        mt.evaluate(recs, split.test, k=6, metrics=["recall:late"])


def test_fits_stop_and_ensembles_weigh_by_one_kind_of_answers() -> None:
    split = splits.mixed(groups(), valid=0.5, test=0.2, seed=3)
    members = [registry.create(name, {}).fit(split.train) for name in ("ease", "markov", "popularity")]
    late = StoppingMetric.parse("ndcg:late@5", split.valid)
    assert str(late) == "ndcg:late@5"
    alone = replace(split.valid, truth=split.valid.kinds["late"])
    plain = StoppingMetric.parse("ndcg@5")
    measured = [measure(model, split.valid, late) for model in members]
    assert measured == [measure(model, alone, plain) for model in members]
    assert measured != [measure(model, split.valid, plain) for model in members]
    mine = Ensemble(members=members).fit(split.train, valid=split.valid, metric="ndcg:late@5")
    theirs = Ensemble(members=members).fit(split.train, valid=alone, metric="ndcg@5")
    of_all = Ensemble(members=members).fit(split.train, valid=split.valid, metric="ndcg@5")
    assert mine.fitted.learned.weights.tolist() == theirs.fitted.learned.weights.tolist()
    assert mine.fitted.learned.weights.tolist() != of_all.fitted.learned.weights.tolist()


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("ndcg:lat@5", "did you mean late"),
        ("ndgc:late@5", "did you mean ndcg"),
        ("disliked:late@5", "counts no kind of answers"),
    ],
)
def test_a_kind_that_is_none_is_refused_before_a_fit(metric: str, says: str) -> None:
    split = splits.mixed(groups(), valid=0.5, test=0.2, seed=3)
    with pytest.raises(MatineeError, match=says):
        registry.create("ease", {}).fit(split.train, valid=split.valid, metric=metric)
    halves = splits.random(groups(), seed=0)
    with pytest.raises(MatineeError, match="not told apart"):
        registry.create("ease", {}).fit(halves.train, valid=halves.valid, metric="ndcg:late@5")
