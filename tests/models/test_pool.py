"""Choosing members from a pool, and what each member adds, against ensembles made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from contract.logs import groups, last_hidden
from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError
from matinee.evaluate.evaluate import evaluate
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.markov import Markov
from matinee.models.pool import member_contributions, select_members
from matinee.models.popularity import Popularity
from matinee.rank import recommend

pytestmark = pytest.mark.filterwarnings("ignore:.*falls inside a tie:matinee.errors.MatineeWarning")


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return last_hidden(groups())


@pytest.fixture(scope="module")
def pool(hidden: tuple[Dataset, Holdout]) -> dict[str, Model]:
    models = {"popular": Popularity(), "linear": EASE(l2=20.0), "chain": Markov()}
    return {label: model.fit(hidden[0]) for label, model in models.items()}


def quality(model: Model, holdout: Holdout, k: int = 5) -> float:
    found = evaluate(recommend(model, holdout.queries, k), holdout, k=k, metrics=["recall"], label="x")
    return found.mean("recall", k).value


def test_the_best_alone_comes_first_and_no_step_is_missed(
    pool: dict[str, Model], hidden: tuple[Dataset, Holdout]
) -> None:
    train, valid = hidden
    found = select_members(pool, valid, metric="recall@5", steps=4)
    alone = {label: quality(model, valid) for label, model in pool.items()}
    assert found.steps[0].label == max(alone, key=lambda label: alone[label])
    assert found.steps[0].quality == pytest.approx(max(alone.values()))
    counts = dict.fromkeys(pool, 0)
    for step in found.steps:
        counts[step.label] += 1
        joined = Ensemble(members=list(pool.values()), weights=list(counts.values())).fit(train)
        assert step.quality == pytest.approx(quality(joined, valid))
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert list(found.weights.values()) == sorted(found.weights.values(), reverse=True)
    best = max(step.quality for step in found.steps)
    joined = Ensemble(members=[pool[label] for label in found.weights], weights=list(found.weights.values()))
    assert quality(joined.fit(train), valid) == pytest.approx(best)
    assert f"recall@5 {best:.4f} with {found.steps[0].label}" in str(found)


def test_what_each_member_adds(pool: dict[str, Model], hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    members, weights = [pool["linear"], pool["chain"], pool["popular"]], [3.0, 2.0, 1.0]
    model = Ensemble(members=members, weights=weights).fit(train)
    for number, found in enumerate(member_contributions(model, valid, metric="recall@5")):
        rest = [each for place, each in enumerate(members) if place != number]
        others = [weight for place, weight in enumerate(weights) if place != number]
        without = quality(Ensemble(members=rest, weights=others).fit(train), valid)
        assert found.member == ["ease", "markov", "popularity"][number]
        assert found.weight == pytest.approx(weights[number] / 6)
        assert (found.alone, found.without) == pytest.approx((quality(members[number], valid), without))
        assert found.adds == pytest.approx(quality(model, valid) - without)
        assert found.ci_low <= found.adds <= found.ci_high
        assert 0 < found.p <= 1


def test_of_groups_and_of_quotas(pool: dict[str, Model], hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    members = [pool["linear"], pool["chain"]]
    by_quota = Ensemble(members=members, quotas=[3, 2]).fit(train)
    assert [found.weight for found in member_contributions(by_quota, valid, metric="recall@5")] == [None, None]
    one, other = member_contributions(by_quota, valid, metric="recall@5")
    assert one.without == pytest.approx(quality(pool["chain"], valid))
    assert other.without == pytest.approx(quality(pool["linear"], valid))
    grouped = Ensemble(members=members, weights=[[1, 0], [0, 1]], grouped_by="history", edges=[4.0]).fit(train)
    first, last = member_contributions(grouped, valid, metric="recall@5")
    assert first.weight is None
    assert first.without == pytest.approx(quality(pool["chain"], valid))  # where it had all weight, the other gets it
    assert last.without == pytest.approx(quality(pool["linear"], valid))


def test_two_of_one_kind_are_told_apart(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    model = Ensemble(members=[EASE(l2=5.0), EASE(l2=500.0), Popularity()], weights=[1, 1, 1]).fit(train)
    assert [each.member for each in member_contributions(model, valid)] == ["ease 1", "ease 2", "popularity"]


def test_what_cannot_be_chosen_or_left_out_is_refused(pool: dict[str, Model], hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    with pytest.raises(MatineeError, match="no models to choose from"):
        select_members({}, valid)
    with pytest.raises(MatineeError, match="linear is not fitted"):
        select_members({"chain": pool["chain"], "linear": EASE()}, valid)
    with pytest.raises(MatineeError, match="was fitted on another log"):
        select_members({"chain": pool["chain"], "other": EASE().fit(groups())}, valid)
    with pytest.raises(MatineeError, match="rmse is no metric of ranked lists"):
        select_members(pool, valid, metric="rmse")
    with pytest.raises(MatineeError, match="one member"):
        member_contributions(Ensemble(members=[pool["chain"]]).fit(train), valid)
    assert np.isfinite(
        member_contributions(Ensemble(members=list(pool.values()), weights=[0, 1, 0]).fit(train), valid)[1].without
    )
