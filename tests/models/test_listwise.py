"""Lists chosen by more than accuracy: scores, candidates, what is left over, saving, and logs that know little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest

from contract.logs import groups, last_hidden, one_query
from contract.shared import n_threads
from matinee import explain, load_model, rank, save_model
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Holdout
from matinee.errors import MatineeError, MatineeWarning
from matinee.models import registry
from matinee.models.calibrated import Calibrated
from matinee.models.ease import EASE
from matinee.models.families.listwise import Listwise, apart, relevance
from matinee.models.popularity_discount import PopularityDiscount
from matinee.rank import recommend
from oracle import listwise_checks

HYPER: dict[str, dict[str, Any]] = {
    "mmr": {"similarity": "attributes", "lam": 0.4},
    "calibrated": {"lam": 0.5},
    "popularity_discount": {"lam": 0.5},
}


def described() -> tuple[Dataset, Holdout]:
    """The contract's log, with genres."""
    data = groups()
    rng = np.random.default_rng(3)
    genres = [rng.choice(["a", "b", "c", "d", "e"], rng.integers(0, 3), replace=False).tolist() for _ in data.items.ids]
    table = pl.DataFrame({"genres": pl.Series(genres, dtype=pl.List(pl.String))})
    return last_hidden(replace(data, item_features=table))


@pytest.fixture(scope="module")
def hidden() -> tuple[Dataset, Holdout]:
    return described()


@pytest.fixture(scope="module", params=HYPER)
def model(request: pytest.FixtureRequest, hidden: tuple[Dataset, Holdout]) -> Listwise:
    base = EASE(l2=20.0).fit(hidden[0])
    made = registry.create(request.param, {"base": base, "places": 6, "n": 20, **HYPER[request.param]})
    assert isinstance(made, Listwise)
    return made.fit(hidden[0])


def test_scores_keep_their_scale(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    queries = hidden[1].queries
    found, base = recommend(model, queries, 25), recommend(model.base_model, queries, 25)
    np.testing.assert_allclose(found.score, base.score, rtol=1e-6)
    assert (found.score[:, 1:21] < found.score[:, :20]).all(), "no two of them are equal"
    assert (found.item[:, 20:] == base.item[:, 20:]).all()
    assert (np.sort(found.item[:, :20], axis=1) == np.sort(base.item[:, :20], axis=1)).all()
    assert (found.item[:, :6] != base.item[:, :6]).any(axis=1).mean() > 0.5
    place = [[row.tolist().index(i) for i in some[:6]] for row, some in zip(base.item, found.item, strict=True)]
    assert all(at == sorted(at) for at in place), "the chosen stand in the base's order"


def test_the_order_of_choice_holds_the_same_items(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    queries = hidden[1].queries
    chosen = model.model_copy(update={"arrange": "choice", "base": model.base_model}).fit(hidden[0])
    found, other = recommend(model, queries, 6), recommend(chosen, queries, 6)
    assert (np.sort(found.item, axis=1) == np.sort(other.item, axis=1)).all()
    assert (found.item != other.item).any()


def test_candidates_are_chosen_among(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    codes = np.random.default_rng(1).integers(-1, train.n_items, (len(valid), 25)).astype(np.int32)
    asked = replace(valid.queries, candidates=codes)
    found, base = recommend(model, asked, 30), recommend(model.base_model, asked, 30)
    for mine, bases in zip(found.item, base.item, strict=True):
        assert sorted(mine) == sorted(bases)
    assert (found.item[:, :6] != base.item[:, :6]).any(axis=1).mean() > 0.4


def test_blocks_threads_and_neighbours_do_not_matter(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    queries = hidden[1].queries.take(np.tile(np.arange(len(hidden[1])), 3))
    whole = model.score(queries)
    with mock.patch.object(rank, "BLOCK_BYTES", 11 * 4 * hidden[0].n_items):
        assert model.score(queries).tobytes() == whole.tobytes()
    with n_threads(3):
        assert model.score(queries).tobytes() == whole.tobytes()
    assert model.score(queries.slice(40, 41)).tobytes() == whole[40:41].tobytes()


def test_saved_and_loaded_and_fitted_again(model: Listwise, hidden: tuple[Dataset, Holdout], tmp_path: Path) -> None:
    train, valid = hidden
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert loaded == model
    assert loaded.score(valid.queries).tobytes() == model.score(valid.queries).tobytes()
    again = model.for_refit()
    assert again == model
    assert not again.submodels()[0].is_fitted
    assert again.fit(train).score(valid.queries).tobytes() == model.score(valid.queries).tobytes()


def test_it_is_explained(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    queries = hidden[1].queries
    one = queries.slice(b := int(np.argmax(queries.history.lengths)), b + 1)
    item = int(recommend(model, one, 1).item[0, 0])
    found = explain.explain(model, one, item)
    free = replace(one, user=np.array([-1], np.int32), exclude=Ragged.empty(1))
    assert found.score == model.score(free)[0, item]
    assert np.isfinite(found.without).all()


def test_fewer_items_than_places(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    train, valid = hidden
    one = valid.queries.slice(2, 3)
    best = recommend(model.base_model, one, train.n_items).item[0]
    best = best[best >= 0]
    query = one_query(one.history[0].tolist(), exclude=[*one.exclude[0], *best[3:]], user=int(one.user[0]))
    found = recommend(model, query, 5).item[0]
    assert sorted(found[:3]) == sorted(best[:3])
    assert (found[3:] == -1).all()


def test_popularity_answers_an_empty_history(model: Listwise, hidden: tuple[Dataset, Holdout]) -> None:
    found = recommend(model, one_query([]), 5)
    assert found.fallback.tolist() == [True]
    assert found.item[0].tolist() == np.argsort(-hidden[0].item_counts(), kind="stable")[:5].tolist()


@pytest.mark.parametrize("name", ["mmr", "calibrated"])
def test_a_log_without_a_table_keeps_the_bases_lists_and_says_so(name: str) -> None:
    train, valid = last_hidden(groups())
    base = EASE(l2=20.0).fit(train)
    with pytest.warns(MatineeWarning, match=rf"has no table of items, so {name} knows no genres and leaves"):
        model = registry.create(name, {"base": base, "lam": 0.9, **HYPER[name]}).fit(train)
    assert (recommend(model, valid.queries, 20).item == recommend(base, valid.queries, 20).item).all()


@pytest.mark.parametrize("name", ["mmr", "calibrated"])
def test_a_column_that_is_not_there_is_refused(name: str, hidden: tuple[Dataset, Holdout]) -> None:
    with pytest.raises(MatineeError, match=r"no column 'genre'(.|\n)*did you mean genres\?"):
        registry.create(name, {"base": "ease", **HYPER[name], "column": "genre"}).fit(hidden[0])


def test_weights_of_events_count_in_the_target() -> None:
    data = listwise_checks.DATA
    base = EASE(l2=20.0).fit(data)
    model = Calibrated(base=base, lam=0.9, n=17).fit(data)
    asked = listwise_checks.asked().slice(1, 2)
    likes = [
        replace(asked, history_weights=np.array(weights, np.float32)) for weights in ([1, 1, 1], [9, 1, 1], [18, 2, 2])
    ]
    lists = [recommend(model, one, 10).item.tolist() for one in likes]
    assert lists[0] != lists[1]
    assert lists[1] == lists[2]


def test_what_is_sought_grows_with_lam() -> None:
    data, asked = listwise_checks.DATA, listwise_checks.asked()
    base = EASE(l2=20.0).fit(data)
    events = data.item_counts()
    mean = []
    for lam in (0.0, 0.4, 0.9):
        found = recommend(PopularityDiscount(base=base, lam=lam, places=5, n=17).fit(data), asked, 5).item
        mean.append(events[found[found >= 0]].mean())
    assert mean[0] > mean[1] > mean[2]


def test_relevance_and_apart_by_hand() -> None:
    score = np.array([[4, 3, 2, 2], [5, 5, 5, 5], [1, -np.inf, -np.inf, -np.inf], [-np.inf] * 4], np.float32)
    assert relevance(score).tolist() == [[1, 0.5, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    found = apart(score)
    assert found[0, :2].tolist() == [4, 3]
    assert found[0, 2] > found[0, 3] > 2
    assert (np.diff(found[1]) < 0).all()
    assert found[1, 3] > 5
    assert found[2].tolist() == score[2].tolist()
    assert found[3].tolist() == score[3].tolist()
    np.testing.assert_allclose(found, score, rtol=1e-6)
