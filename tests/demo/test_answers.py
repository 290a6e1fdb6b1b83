"""The lists of the page, against the library's own, and what is counted from them."""

from __future__ import annotations

import pytest

import matinee as mt
from demo.films import log
from matinee.data.items import ItemCard
from matinee.demo.answers import Answer, Film, Reason, agreed, answer, answers, because, favourites, genres, overlap
from matinee.demo.answers import similar as alike
from matinee.demo.asking import Asked
from matinee.demo.opened import Opened, opened

DATA = log()


@pytest.fixture(scope="module")
def shown() -> Opened:
    return opened({"ease": mt.models.EASE(l2=10).fit(DATA), "knn": mt.models.ItemKNN(k=5).fit(DATA)})


def test_lists_are_those_of_the_library(shown: Opened) -> None:
    for label in ("ease", "knn"):
        model = shown.model(label).model
        titles = ["Heat (1995)", "Fargo (1996)"]
        picked = tuple(DATA.items.codes([101, 104]).tolist())
        expected = mt.recommend(model, mt.query(model, history=titles), 5)
        found = answer(shown, label, Asked(picked=picked, k=5))
        assert list(found.codes) == expected.item[0].tolist()
        assert [film.score for film in found.films] == expected.score[0].tolist()
        own = answer(shown, label, Asked(user=9, k=5))
        assert list(own.codes) == mt.recommend(model, mt.query(model, user=9), 5).item[0].tolist()


def test_reasons_are_those_of_the_library(shown: Opened) -> None:
    found = answer(shown, "ease", Asked(user=9, k=4))
    for film in found.films:
        frame = mt.reasons(shown.model("ease").model, mt.query(DATA, user=9), film.card.item_id, k=3)
        assert DATA.items.decode([reason.code for reason in film.reasons[:3]]) == frame["item_id"].to_list()
        assert [reason.push for reason in film.reasons[:3]] == pytest.approx(frame["push"].to_list())


def test_a_like_changes_the_list_and_a_dislike_leaves_it(shown: Opened) -> None:
    before = answer(shown, "ease", Asked(picked=(1,), k=6))
    liked, disliked = before.codes[3], before.codes[0]
    after = answer(shown, "ease", Asked(picked=(1,), liked=(liked,), disliked=(disliked,), k=6))
    assert liked not in after.codes
    assert disliked not in after.codes
    assert set(after.codes) != set(before.codes) - {liked, disliked}


def test_diversity_is_maximal_marginal_relevance(shown: Opened) -> None:
    asked = Asked(user=9, k=5, diversity=0.6)
    model = mt.models.MMR(base=mt.models.EASE(l2=10), lam=0.6, places=5, n=100).fit(DATA)
    expected = mt.recommend(model, mt.query(DATA, user=9), 5).item[0].tolist()
    assert list(answer(shown, "ease", asked).codes) == expected
    assert expected != list(answer(shown, "ease", Asked(user=9, k=5)).codes)


def test_weights_of_a_blend_are_those_that_were_set(shown: Opened) -> None:
    only = answer(shown, "Blend", Asked(user=9, k=5, weights=(("Blend", (0.0, 1.0)),)))
    assert only.codes == answer(shown, "knn", Asked(user=9, k=5)).codes


def test_popularity_is_told_and_gives_no_reasons(shown: Opened) -> None:
    found = answer(shown, "ease", Asked(title="noir", k=3))
    assert found.fallback
    assert all(film.reasons == () for film in found.films)


def test_similar_items_are_those_of_the_library(shown: Opened) -> None:
    found = alike(shown, "knn", 4, 3)
    assert (
        list(found.codes) == mt.similar_items(shown.model("knn").model, DATA.items.decode([4])[0], 3).item[0].tolist()
    )


def test_what_lists_share_is_counted(shown: Opened) -> None:
    one, two = shown.shown[:2]
    card = ItemCard(0)
    lists = [
        Answer(one, tuple(Film(code, card, 0.0) for code in (5, 6, 7)), False),
        Answer(two, tuple(Film(code, card, 0.0) for code in (7, 8, 5)), False),
        Answer(shown.shown[2], tuple(Film(code, card, 0.0) for code in (7, 9)), False),
    ]
    assert overlap(lists) == [[3, 2, 1], [2, 3, 1], [1, 1, 2]]
    assert agreed(lists) == [(7, 3), (5, 2)]
    marked = answers(shown, ["ease", "knn"], Asked(user=9, k=5))
    for film in marked[0].films:
        assert film.also == (("knn",) if film.code in marked[1].codes else ())


def test_reasons_that_are_named_raise_the_score() -> None:
    def film(*pushes: float | None) -> Film:
        return Film(0, ItemCard(0), 1.0, tuple(Reason(at, push) for at, push in enumerate(pushes)))

    assert because(film(0.8, 0.5, 0.4)) == [0, 1]
    assert because(film(0.8, 0.1)) == [0]  # far weaker
    assert because(film(-0.1)) == []
    assert because(film(None)) == [0]
    assert because(film()) == []


def test_genres_are_shares() -> None:
    found = genres([ItemCard(1, genres=("Drama", "War")), ItemCard(2, genres=("Drama",)), ItemCard(3)], 2)
    assert found == [("Drama", 0.75), ("War", 0.25)]
    assert genres([ItemCard(1)]) == []


def test_favourites_are_the_best_rated_then_the_latest(shown: Opened) -> None:
    query = mt.query(DATA, user=9)
    assert query.history_ratings is not None
    rows = list(zip(query.history_ratings.tolist(), range(99), query.history[0].tolist(), strict=False))
    expected = [item for _, _, item in sorted(rows, reverse=True)]
    assert list(favourites(shown, DATA.users.code(9), 4)) == expected[:4]
