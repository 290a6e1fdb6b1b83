"""MMCF on collections that are odd: no titles, one emoji, empty and long lists, newcomers, no attributes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import matinee as mt
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError

SMALL: dict[str, Any] = {
    "hidden": 16,
    "filters": 8,
    "letter_dim": 8,
    "batch_size": 16,
    "learning_rate": 0.02,
    "epochs": 30,
}
KINDS = ["rock", "jazz", "동요", "🎄"]
N_KIND = 12  # items of a kind; the last one of each is in no list


def collection(n_lists: int = 80, seed: int = 0) -> Dataset:
    """Lists of one kind each, called by it or by something near; a kind's items are by two artists of its own."""
    rng = np.random.default_rng(seed)
    user, item, titles = [], [], []
    for u in range(n_lists):
        kind = u % len(KINDS)
        chosen = rng.choice(N_KIND - 1, rng.integers(3, 9), replace=False) + kind * N_KIND
        user += [u] * len(chosen)
        item += chosen.tolist()
        titles.append([KINDS[kind], f"my {KINDS[kind]} {u}", None][u % 3])
    n = len(KINDS) * N_KIND
    items = pl.DataFrame({"item": range(n), "artist": [f"{KINDS[i // N_KIND]} {i % 2}" for i in range(n)]})
    items = items.with_columns(title=pl.Series([f"Song {i}" for i in range(n)]))
    lists = pl.DataFrame({"user": range(n_lists), "title": titles})
    return mt.read({"user": user, "item": item}, users=lists, items=items)


DATA = collection()


@pytest.fixture(scope="module")
def model() -> mt.models.MMCF:
    return mt.models.MMCF(**SMALL).fit(DATA)


def kinds(recs: Any, row: int = 0, k: int = 8) -> list[str]:
    return [KINDS[code // N_KIND] for code in recs.item[row][:k].tolist() if code >= 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_title_alone_finds_its_kind(model: mt.models.MMCF, kind: str) -> None:
    recs = mt.recommend(model, mt.history([], DATA, title=f"{kind.upper()}!"), 8)
    assert not recs.fallback[0]
    assert kinds(recs).count(kind) >= 7
    found = mt.recommend_attributes(model, mt.query(DATA, title=kind), "artist", k=2)
    assert set(found["value"]) == {f"{kind} 0", f"{kind} 1"}
    assert found["rank"].to_list() == [1, 2]


def test_an_item_that_no_list_has_is_scored_by_its_artist(model: mt.models.MMCF) -> None:
    new = 2 * N_KIND - 1
    assert DATA.item_counts()[new] == 0
    history = Queries(np.array([-1], np.int32), Ragged.from_lists([[N_KIND, N_KIND + 2]]), Ragged.empty(1))
    scores = model.score(history)[0]
    others = [scores[code] for code in range(4 * N_KIND) if code % N_KIND == N_KIND - 1 and code != new]
    assert scores[new] > 3 * max(others), "the newcomer of the list's own kind"
    alone = Queries(np.array([-1], np.int32), Ragged.from_lists([[new]]), Ragged.from_lists([[new]]))
    assert kinds(mt.recommend(model, alone, 8)).count("jazz") >= 7, "what a newcomer goes with"
    assert not model.fallback(alone)[0]


def test_titles_that_say_nothing_are_answered_by_popularity(model: mt.models.MMCF) -> None:
    asked = mt.query(DATA, title="¿¿")
    assert model.fallback(asked)[0]
    assert model.score(asked)[0].argmax() == DATA.item_counts().argmax()
    with_items = mt.history([0, 1], DATA, title="¿¿")
    np.testing.assert_array_equal(model.score(with_items), model.score(replace(with_items, title=None)))


def test_queries_of_a_log_carry_their_titles(model: mt.models.MMCF, tmp_path: Path) -> None:
    queries = DATA.queries([0, 1, 2])
    assert queries.title == ("rock", "my jazz 1", None)
    other = replace(queries, title=("jazz", "jazz", "jazz"))
    assert not np.array_equal(model.score(queries)[0], model.score(other)[0])
    loaded = mt.load_model(mt.save_model(model, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.score(queries), model.score(queries))
    without = mt.load_model(mt.save_model(model, tmp_path / "other", histories=False))
    asked = mt.history([3], DATA, title="동요")
    np.testing.assert_array_equal(without.score(asked), model.score(asked))


def test_no_titles_at_all_and_no_attributes_are_ordinary_cases() -> None:
    plain = replace(DATA, user_features=None, item_features=None)
    model = mt.models.MMCF(**SMALL).fit(plain)
    assert model.net.title is None
    assert not model.scores_unknown_items()
    assert kinds(mt.recommend(model, mt.history([0, 4, 6], plain), 6)).count("rock") >= 5
    assert model.fallback(mt.query(plain, title="rock"))[0]
    with pytest.raises(MatineeError, match="'artist' is no attribute of this model, which knows nothing"):
        mt.recommend_attributes(model, plain.queries([1]), "artist")


@pytest.mark.parametrize(
    "changed",
    [
        {"letters": "lstm"},
        pytest.param({"sampled": 3}, marks=pytest.mark.slow),
        pytest.param({"tied_epochs": 60}, marks=pytest.mark.slow),
        pytest.param({"attributes": ("artist",)}, marks=pytest.mark.slow),
        pytest.param({"precision": "bfloat16"}, marks=pytest.mark.slow),
    ],
)
def test_variants_learn_too(changed: dict[str, Any]) -> None:
    model = mt.models.MMCF(**{**SMALL, "epochs": 60, **changed}).fit(DATA)
    right = [kinds(mt.recommend(model, mt.query(DATA, title=kind), 6)).count(kind) for kind in KINDS]
    assert sum(right) >= 18
    assert kinds(mt.recommend(model, mt.history([13, 15], DATA), 6)).count("jazz") >= 4


def test_a_list_of_five_hundred_items_beside_one_of_none() -> None:
    rng = np.random.default_rng(1)
    user = [0] * 500 + [1, 1, 2, 2, 3]
    log = {"user": user, "item": [*rng.permutation(700)[:500].tolist(), 3, 4, 3, 5, 3]}
    titles = pl.DataFrame({"user": [0, 1, 2, 3, 9], "title": ["all", "🎄", "🎄", None, "🎄🎄"]})
    data = mt.read(log, users=titles)
    model = mt.models.MMCF(**{**SMALL, "epochs": 3}).fit(data)
    recs = mt.recommend(model, data.queries([0, 9]), 5)
    assert recs.fallback.tolist() == [False, False], "an empty list has its title"
    assert (recs.item >= 0).sum() > 5


def test_attributes_that_are_not_there() -> None:
    with pytest.raises(MatineeError, match="has no column 'artists'"):
        mt.models.MMCF(**SMALL, attributes=("artists",)).fit(DATA)
    with pytest.raises(MatineeError, match="EASE predicts no attributes of items"):
        mt.recommend_attributes(mt.models.EASE().fit(DATA), DATA.queries([1]), "artist")


def test_each_net_answers_alone(model: mt.models.MMCF, tmp_path: Path) -> None:
    asked = replace(DATA.queries([0, 1, 2]), title=("jazz", None, "동요"))
    untitled = replace(asked, title=(None, None, None))
    items, title = model.part("items"), model.part("title")
    np.testing.assert_array_equal(items.score(asked), model.score(untitled))
    np.testing.assert_array_equal(title.score(asked)[1], model.score(untitled)[1])
    alone = mt.query(DATA, title="jazz")
    np.testing.assert_allclose(title.score(asked)[0], model.score(alone)[0], rtol=1e-5)
    assert not np.array_equal(items.score(alone), model.score(alone)), "what an empty list holds is not its title"
    loaded = mt.load_model(mt.save_model(title, tmp_path / "title"))
    np.testing.assert_array_equal(loaded.score(asked), title.score(asked))
    with pytest.raises(MatineeError, match="MMCF has no part 'foo'") as error:
        model.part("foo")
    assert error.value.hint == 'use "items" or "title"'


@pytest.mark.parametrize("decoder", ["shared", "own"])
def test_log_odds_of_both_nets_are_joined(decoder: str) -> None:
    model = mt.models.MMCF(**{**SMALL, "epochs": 4, "title_decoder": decoder}).fit(DATA)
    model.net.title_share = np.array([1.0, 0.6, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1])
    queries = replace(DATA.queries([0, 1, 2, 3]), title=("jazz", None, "☂☂☂", "rock"))
    n = [len(set(queries.history[b].tolist())) for b in range(4)]
    assert [2 < each < 10 for each in n] == [True] * 4
    share = np.interp(np.log1p(n), np.log1p([2, 5, 10]), [0.5, 0.3, 0.2]) * [1, 0, 0, 1]

    def log_odds(one: mt.models.MMCF) -> NDArray[np.float64]:
        p = one.score(queries).astype(np.float64)[:, one.fitted.popularity > 0]
        return np.asarray(np.log(p / (1 - p)))

    wanted = share[:, None] * log_odds(model.part("title")) + (1 - share[:, None]) * log_odds(model.part("items"))
    np.testing.assert_allclose(log_odds(model), wanted, rtol=1e-4, atol=1e-4)


def test_an_ensemble_reads_titles_where_a_member_does() -> None:
    members = (mt.models.TitleMatch(), mt.models.EASE())
    model = mt.models.Ensemble(members=members, weights=(0.6, 0.4), method="zscore").fit(DATA)
    assert model.reads_titles()
    assert not mt.models.Ensemble(members=("ease", "popularity")).reads_titles()
    asked = mt.history([], DATA, title="jazz")
    assert not model.fallback(asked)[0]
    assert kinds(mt.recommend(model, asked, 8)).count("jazz") >= 7
    other = mt.recommend(model, mt.history([0, 4], DATA, title="jazz"), 16)
    assert {*kinds(other, k=16)} == {"rock", "jazz"}, "of the title and of the items"


def test_what_a_title_weighs_is_learned_on_valid() -> None:
    split = mt.split.lists(collection(160), valid=0.3, test=0.1, tasks=["title", "title + first 1", "title + first 2"])
    model = mt.models.MMCF(**SMALL).fit(split.train, valid=split.valid)
    share = model.fitted.learned.title_share
    assert share[0] == 1.0
    assert (np.diff(share) < 0).all()
    rule = mt.models.MMCF(**SMALL, join="rule").fit(split.train, valid=split.valid)
    assert rule.fitted.learned.title_share[1] == 0.5
