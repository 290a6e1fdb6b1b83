"""Two stages: what is brought, in whose order, and what follows when that is not enough."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from contract.logs import groups, last_hidden, one_query
from matinee import rank
from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError
from matinee.models.base import Model
from matinee.models.ease import EASE
from matinee.models.ensemble import Ensemble
from matinee.models.item_knn import ItemKNN
from matinee.models.markov import Markov
from matinee.models.popularity import Popularity
from matinee.models.rerank import Rerank
from matinee.rank import recommend


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return last_hidden(groups())


@pytest.fixture(scope="module")
def stages(hidden: tuple[Dataset, Holdout]) -> tuple[Model, Model]:
    return EASE(l2=20.0).fit(hidden[0]), ItemKNN(k=20).fit(hidden[0])


@pytest.mark.parametrize("n", [3, 12, 500])
def test_the_seconds_order_of_the_firsts_best_then_the_firsts(
    n: int, hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]
) -> None:
    train, valid = hidden
    first, second = stages
    found = recommend(Rerank(first=first, second=second, n=n).fit(train), valid.queries, train.n_items)
    firsts = recommend(first, valid.queries, train.n_items).item
    orders, behind = second.score(valid.queries), first.score(valid.queries)
    for b, (got, brought) in enumerate(zip(found.item, firsts, strict=True)):
        brought, got = brought[brought >= 0], got[got >= 0]
        best = np.sort(brought[:n])
        assert got[:n].tolist() == best[np.argsort(-orders[b, best], kind="stable")].tolist()
        assert sorted(got) == sorted(brought)
        # moved below the second's least, scores that float32 cannot tell apart there may change places
        rounding = 4 * np.finfo(np.float32).eps * max(1.0, float(np.abs(found.score[b, : len(got)]).max()))
        assert (np.diff(behind[b, got[n:]]) <= rounding).all()


def test_excluded_items_take_no_place_and_get_none(
    hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]
) -> None:
    train, valid = hidden
    model = Rerank(first=stages[0], second=stages[1], n=5).fit(train)
    scores = model.score(valid.queries)
    for b in range(len(valid)):
        assert (scores[b, valid.queries.exclude[b]] == -np.inf).all()
    assert (recommend(model, valid.queries, 5).item >= 0).all()
    one = valid.queries.slice(0, 1)
    best = recommend(model, one, 5).item[0]
    without = one_query(one.history[0].tolist(), exclude=[*one.exclude[0], *best[:2]], user=int(one.user[0]))
    kept = recommend(model, without, 5).item[0]
    assert set(best[2:]) <= set(kept.tolist()), "two more were brought in the place of those excluded"


def test_among_candidates_the_first_chooses_from_these(
    hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]
) -> None:
    train, valid = hidden
    first, second = stages
    rng = np.random.default_rng(3)
    codes = rng.integers(-1, train.n_items, (len(valid), 20)).astype(np.int32)
    asked = replace(valid.queries, candidates=codes)
    got = recommend(Rerank(first=first, second=second, n=4).fit(train), asked, 4)
    brought = recommend(first, asked, 4).item
    wanted = recommend(second, replace(asked, candidates=brought), 4)
    assert (got.item == wanted.item).all()


def test_a_list_of_what_is_allowed_is_filled(hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]) -> None:
    train, valid = hidden
    first, second = stages
    worst = recommend(first, valid.queries.slice(0, 1), train.n_items).item[0]
    allowed = worst[worst >= 0][-6:]
    model = Rerank(first=first, second=second, n=3).fit(train)
    found = recommend(model, valid.queries.slice(0, 1), 6, allow=train.items.decode(allowed)).item[0]
    assert found.tolist() == allowed.tolist()


def test_blocks_do_not_matter(hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]) -> None:
    train, valid = hidden
    model = Rerank(first=stages[0], second=stages[1], n=7).fit(train)
    whole = model.score(valid.queries)
    with mock.patch.object(rank, "BLOCK_BYTES", 11 * 4 * train.n_items):
        np.testing.assert_allclose(model.score(valid.queries), whole, rtol=1e-6)


def test_fitted_stages_are_taken_over_and_foreign_ones_refused(
    hidden: tuple[Dataset, Holdout], stages: tuple[Model, Model]
) -> None:
    train, _ = hidden
    fresh = Markov()
    model = Rerank(first=stages[0], second=fresh).fit(train)
    assert model.stages[0] is stages[0]
    assert not fresh.is_fitted
    with pytest.raises(MatineeError, match=r"member 1 of the rerank \(ease\) was fitted on another log"):
        Rerank(first="popularity", second=EASE().fit(groups())).fit(train)


def test_popularity_is_an_answer_only_where_the_other_has_none(hidden: tuple[Dataset, Holdout]) -> None:
    train, _ = hidden
    nothing, something = one_query([]), one_query([int(train.item[0])])
    for first, second in (("popularity", "ease"), ("ease", "popularity")):
        model = Rerank(first=first, second=second).fit(train)
        assert model.fallback(nothing).tolist() == [True]
        assert model.fallback(something).tolist() == [False]
    assert Rerank(first=Popularity(), second="popularity").fit(train).fallback(nothing).tolist() == [False]


def test_a_refit_has_both_stages_anew_and_parts_replace_the_first(hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    model = Rerank(first="ease", second=Ensemble(members=["ease", "markov"]), n=9).fit(train, valid=valid)
    again = model.for_refit()
    assert again.n == 9
    assert not any(stage.is_fitted for stage in again.submodels())
    assert again.second.model_dump()["weights"] == tuple(model.stages[1].fitted.learned.weights)
    first = EASE(l2=3.0).fit(train)
    parts = again.with_submodels([first])
    assert (parts.first, parts.second, parts.n) == (first, again.second, 9)
