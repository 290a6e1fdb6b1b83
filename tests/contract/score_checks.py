"""What every model promises about scores and recommendations."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from contract.logs import IDLE_USER, UNWATCHED, one_query
from contract.shared import Case, keeps, refuses, rounding, scores_unknown_items, without_users
from matinee import rank
from matinee.data.arrays import Floats
from matinee.data.dataset import Dataset
from matinee.data.dislikes import Dislikes
from matinee.models.base import Model
from matinee.models.popularity import Popularity
from matinee.rank import recommend, similar_items

# --- score ------------------------------------------------------------------------------------------------------------


def check_scores_have_their_shape(case: Case) -> None:
    model = case.model
    found = model.score(case.queries)
    assert found.shape == (case.data.n_users, case.data.n_items)
    assert found.dtype == np.float32
    assert not np.isnan(found).any()
    kept = found.copy()
    found[:] = 0.0  # ranking masks in place: the next call must not see it
    assert model.score(case.queries).tobytes() == kept.tobytes()
    assert model.score(case.data.queries([])).shape == (0, case.data.n_items)


def check_unwatched_items_score_minus_infinity(case: Case) -> None:
    model = case.model
    watched = case.data.item_counts() > 0
    found = model.score(case.data.queries(exclude_seen=False))  # a re-ranker scores no excluded item
    assert watched.sum() == case.data.n_items - len(UNWATCHED)
    assert np.isfinite(found[:, watched]).all()
    if not scores_unknown_items(model):
        assert (found[:, ~watched] == -np.inf).all()
        given = recommend(model, case.queries, 100).item
        assert watched[given[given >= 0]].all()


def check_batch_equals_single(case: Case) -> None:
    model, queries = case.model, case.queries
    together = case.scores
    for b in (0, 3, 63, 64, 65, 89, 90):
        alone = model.score(queries.slice(b, b + 1))[0]
        np.testing.assert_allclose(alone, together[b], rtol=1e-5, atol=rounding(together[b]))
    whole = recommend(model, queries, 10)
    with mock.patch.object(rank, "BLOCK_BYTES", 13 * 4 * case.data.n_items):
        blocked = recommend(model, queries, 10)
    np.testing.assert_array_equal(blocked.fallback, whole.fallback)
    np.testing.assert_allclose(blocked.score, whole.score, rtol=1e-5, atol=1e-7)


def check_a_known_users_history_answers_like_the_user(case: Case) -> None:
    model, nobody = case.model, without_users(case.queries)
    if keeps(model, "history_alone"):
        known, unknown = recommend(model, case.queries, 5), recommend(model, nobody, 5)
        np.testing.assert_array_equal(unknown.item, known.item)
        np.testing.assert_allclose(unknown.score, known.score, rtol=1e-5)
    elif keeps(model, "taste"):
        train, _ = case.split
        asked = train.queries()
        scores = case.learned.score(asked), case.learned.score(without_users(asked))
        near = np.sum(tastes(train, scores[0]) * tastes(train, scores[1]), axis=1)
        assert near.mean() > 0.7, "a newcomer with the same history gets other answers"


def tastes(data: Dataset, scores: Floats) -> NDArray[np.float64]:
    """float64 (users with events, watched items): scores without the means of users and items, rows of length 1."""
    rows = scores[data.user_counts() > 0][:, data.item_counts() > 0].astype(np.float64)
    rows -= rows.mean(axis=0)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows


def check_an_unseen_user_is_answered_from_history(case: Case) -> None:
    model = case.model
    history = case.data.histories()[0][:3]
    for user in (-1, case.data.users.code(IDLE_USER)):
        recs = recommend(model, one_query(history.tolist(), user=user), 10)
        assert not recs.fallback.any()
        assert (recs.item >= 0).all()
        assert np.isfinite(recs.score).all()
        assert not np.isin(recs.item, history).any()


def check_an_empty_history_falls_back_to_popularity(case: Case) -> None:
    model = case.model
    personal = keeps(model, "personal")
    unknown = [case.data.items.code(i) for i in UNWATCHED]
    for history in ([], unknown, unknown * 3):
        for user in (-1, case.data.users.code(IDLE_USER)):
            recs = recommend(model, one_query(history, user=user), 10)
            assert recs.fallback.tolist() == [personal]
            assert (recs.item >= 0).all()
            if personal:
                assert recs.item[0].tolist() == np.argsort(-case.data.item_counts(), kind="stable")[:10].tolist()
    mixed = recommend(model, case.queries, 3)
    nothing_seen = case.data.user_counts() == 0
    assert mixed.fallback.tolist() == (nothing_seen & personal).tolist()


def check_a_history_may_hold_items_nobody_watched(case: Case) -> None:
    model = case.model
    history = [*case.data.histories()[4].tolist(), case.data.items.code(UNWATCHED[0])]
    recs = recommend(model, one_query(history), 10)
    assert not recs.fallback.any()
    assert np.isfinite(recs.score).all()
    assert not np.isin(recs.item, history).any()


def check_codes_the_model_does_not_have_are_refused(case: Case) -> None:
    model = case.model
    n = case.data.n_items
    refuses(lambda: model.score(one_query([0, n])), str(n))
    refuses(lambda: model.score(one_query([-1])), "-1")
    refuses(lambda: model.score(one_query([0], user=case.data.n_users)), "user")
    refuses(lambda: recommend(model, one_query([0], exclude=[n + 7])), str(n + 7))


def check_candidates_score_as_in_the_whole_catalogue(case: Case) -> None:
    model, queries = case.model, case.queries
    rng = np.random.default_rng(1)
    candidates = rng.integers(-1, case.data.n_items, (len(queries), 25)).astype(np.int32)
    candidates[:, 5] = candidates[:, 4]
    candidates[3] = -1
    asked = replace(queries, candidates=candidates)
    found, whole = model.score(asked), case.scores
    assert found.shape == candidates.shape
    for some, row, every in zip(found, candidates, whole, strict=True):
        wanted = np.where(row >= 0, every[row], -np.inf)
        finite = np.isfinite(wanted)
        assert (np.isfinite(some) == finite).all()
        if not keeps(model, "alone"):
            continue
        assert (some[~finite] == wanted[~finite]).all()
        apart = np.abs(some[finite] - wanted[finite])
        assert (apart <= 1e-5 * np.abs(wanted[finite]) + rounding(every)).all()
    recs = recommend(model, asked, 30)
    for b, row in enumerate(recs.item):
        given = row[row >= 0].tolist()
        allowed = set(candidates[b].tolist()) - {-1} - set(queries.exclude[b].tolist())
        assert len(set(given)) == len(given)
        assert set(given) <= allowed
        assert set(given) == {c for c in allowed if whole[b, c] > -np.inf}


# --- recommend --------------------------------------------------------------------------------------------------------


def check_excluded_items_are_never_recommended(case: Case) -> None:
    model, queries = case.model, case.queries
    recs = recommend(model, queries, 20)
    for b in range(len(queries)):
        assert not np.isin(recs.item[b], queries.exclude[b]).any()
    history = case.data.histories()[2].tolist()
    free = recommend(model, one_query(history, exclude=[]), 5).item[0].tolist()
    assert free[0] in recommend(model, one_query(history, exclude=free[1:]), 5).item[0].tolist()
    assert not set(free[:3]) & set(recommend(model, one_query(history, exclude=free[:3]), 20).item[0].tolist())


def check_disliked_items_are_never_recommended(case: Case) -> None:
    model, users = case.model, np.arange(case.data.n_users, dtype=np.int32)
    best = recommend(model, case.queries, 1).item[:, 0]
    data = replace(case.data, dislikes=Dislikes(users, best))
    assert not (recommend(model, data.queries(), 20).item == best[:, None]).any()
    allowed = recommend(model, data.queries(exclude_dislikes=False), 1).item[:, 0]
    np.testing.assert_array_equal(allowed, best)


def check_k_may_exceed_the_catalogue(case: Case) -> None:
    model, queries = case.model, case.queries
    recs = recommend(model, queries, case.data.n_items + 9)
    assert recs.item.shape == recs.score.shape == (len(queries), case.data.n_items + 9)
    able = model.score(queries) > -np.inf
    for b in range(len(queries)):
        able[b, queries.exclude[b]] = False
        n = int(able[b].sum())
        assert sorted(recs.item[b, :n].tolist()) == np.flatnonzero(able[b]).tolist()
        assert (recs.item[b, n:] == -1).all()
        assert (recs.score[b, n:] == -np.inf).all()
        assert (np.diff(recs.score[b, :n]) <= 0).all()


def check_equal_scores_go_to_the_lower_code(case: Case) -> None:
    model = case.model
    recs = recommend(model, case.data.queries(exclude_seen=False), case.data.n_items)
    equal = (recs.score[:, 1:] == recs.score[:, :-1]) & (recs.item[:, 1:] >= 0)
    assert (recs.item[:, 1:] > recs.item[:, :-1])[equal].all()


def check_similar_items(case: Case) -> None:
    model, (train, _) = case.learned, case.split
    watched = np.flatnonzero(train.item_counts() >= 5)
    ids = train.items.decode(watched)
    recs = similar_items(model, ids, 5)
    assert recs.item.shape == (len(ids), 5)
    assert not (recs.item == watched[:, None]).any()
    if keeps(model, "taste"):
        together = train.matrix().toarray()
        shared = together.T @ together
        nearer = np.mean(
            [shared[i, row].mean() > np.median(shared[i]) for i, row in zip(watched, recs.item, strict=True)]
        )
        assert nearer > 0.9, "what it calls similar is not watched together"


def check_it_beats_popularity_where_taste_is_plain(case: Case) -> None:
    """A constant scorer, or one that ranks at random, must not look good: neither by hits nor by lucky ties."""
    train, test = case.split
    model = case.learned

    def recall(model: Model) -> float:
        recs = recommend(model, test.queries, 10)
        assert not keeps(model, "personal") or recs.tied.mean() <= 0.05, "the cut-off lies inside a tie"
        assert len({row.tobytes() for row in recs.item}) > 1
        hits = sum(len(np.intersect1d(recs.item[b], test.truth[b])) for b in range(len(test)))
        return hits / len(test.truth.values)

    found = recall(model)
    if keeps(model, "taste"):
        assert found > 1.5 * recall(Popularity().fit(train))
    elif not keeps(model, "personal"):
        assert found > 1.2 * 10 / case.data.n_items, "no better than items drawn at random"
