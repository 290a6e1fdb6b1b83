"""What every model in the registry promises, one plain function a promise: check(make) fails by AssertionError.

`make()` returns a new, unfitted model. Nothing here knows a model by name, except where a promise cannot hold and the
reason is said: POPULARITY is the same for everyone by definition, CLOSED_FORM models have one right answer.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from pydantic import ValidationError

from contract.logs import IDLE_USER, UNWATCHED, groups, last_hidden, log, one_query, renamed
from matinee import kernels, rank, store
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.base import Model
from matinee.models.popularity import Popularity
from matinee.rank import Recommendations, recommend, similar_items

Make = Callable[[], Model]
Check = Callable[[Make], None]

CLOSED_FORM = {"popularity", "item_knn", "user_knn", "markov", "ease", "slim", "admm_slim", "svd", "svd_ae"}
"""Models whose scores are a formula of the log: no random start, so names of ids cannot matter."""

RATING = {"auto_rec", "biased_mf", "bayesian_mf"}
"""Models of how a watched item is rated, not of what is watched."""

NO_TASTE = {*RATING, "logistic"}
"""Models that cannot see who likes what in the suite's log: of ratings, which are noise there; and a sum of what user
and item say alone, which gives everybody one order."""

POINTWISE = {"gmf", "mlp", "neumf", "logistic", "fm", "deepfm", "autoint", "autoint_plus"}

OWN_VECTORS = {"auto_rec", "cdae", *POINTWISE}
"""Models that learn a vector of each user, which no function of the history gives back; others' are folded in."""

SHORT = {"dim": 8, "epochs": 15, "batch_size": 100, "learning_rate": 0.02}

SMALL_LOG: dict[str, dict[str, Any]] = {
    "slim": {"l1": 0.1, "l2": 1.0},
    "admm_slim": {"l1": 0.1, "l2": 5.0, "rho": 10.0, "iterations": 20},
    "svd": {"n_factors": 6},
    "auto_rec": {"hidden": 8, "epochs": 5},
    "dae": {"hidden": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "multi_dae": {"hidden": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "cdae": {"hidden": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "multi_vae": {"hidden": 16, "latent": 8, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "cvae": {"hidden": 16, "latent": 8, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "rec_vae": {"hidden": 16, "latent": 8, "epochs": 25, "batch_size": 20, "learning_rate": 0.01},
    **dict.fromkeys(("gmf", "fm"), SHORT),
    **{name: {**SHORT, "layers": (16, 8), "dropout": 0.0} for name in ("mlp", "neumf", "deepfm")},
    **{
        name: {**SHORT, "n_blocks": 1, "n_heads": 4, "init_std": 0.3, "epochs": 24, "batch_size": 50, "dropout": 0.0}
        for name in ("autoint", "autoint_plus")
    },
    "logistic": {"epochs": 10, "batch_size": 200},
    "gru4rec": {"dim": 16, "hidden": 24, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "narm": {"dim": 16, "hidden": 24, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "stamp": {"dim": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "sasrec": {"dim": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "bert4rec": {"dim": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "cl4srec": {"dim": 16, "epochs": 40, "batch_size": 20, "learning_rate": 0.01},
    "lightgbm": {"n_trees": 60, "min_rows": 5, "learning_rate": 0.1},
    "ensemble": {"members": ["ease", {"name": "item_knn", "k": 20}]},
    "rerank": {"first": {"name": "item_knn", "k": 20}, "second": "ease"},
}
"""Registry name -> hyper-parameters in place of defaults that are meant for logs a thousand times as large, or that
there are none.
"""


@lru_cache(maxsize=1)
def data() -> Dataset:
    return groups()


def personalised(model: Model) -> bool:
    return not isinstance(model, Popularity)


def fitted(make: Make, log: Dataset | None = None) -> Model:
    return make().fit(data() if log is None else log, seed=3)


def scores(model: Model, queries: Queries | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    return model.score(data().queries() if queries is None else queries)


def rounding(row: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """What float32 may lose where the terms of a score cancel: it rounds relative to the terms, which are of the size
    of the row's other scores."""
    return 1e-6 * float(np.abs(row[np.isfinite(row)]).max())


def refuses(act: Callable[[], Any], pattern: str) -> None:
    try:
        act()
    except MatineeError as error:
        said = str(error)
    else:
        raise AssertionError(f"no MatineeError about {pattern!r}")
    assert re.search(pattern, said), f"the message does not say {pattern!r}: {said}"


def refuses_values(name: str, field: str, *values: Any) -> None:
    for value in values:
        refuses(partial(registry.create, name, {field: value}), field)


def same_answers(one: Recommendations, other: Recommendations) -> None:
    assert one.item.tobytes() == other.item.tobytes()
    assert one.score.tobytes() == other.score.tobytes()
    assert one.fallback.tobytes() == other.fallback.tobytes()


# --- fit ------------------------------------------------------------------------------------------------------------


def check_fit_returns_self(make: Make) -> None:
    model = make()
    assert model.fit(data()) is model
    assert model.is_fitted
    assert model.data is data()


def check_refit_ignores_earlier_fit(make: Make) -> None:
    model = make()
    other = data().rows(np.arange(len(data())) % 3 != 0)
    model.fit(other, seed=11)
    model.fit(data(), seed=3)
    assert scores(model).tobytes() == scores(fitted(make)).tobytes()


def check_same_seed_same_bytes(make: Make) -> None:
    assert scores(fitted(make)).tobytes() == scores(fitted(make)).tobytes()


def check_shuffled_rows_give_the_same_bytes(make: Make) -> None:
    order = np.random.default_rng(5).permutation(len(data()))
    shuffled = fitted(make, data().rows(order))
    assert scores(shuffled).tobytes() == scores(fitted(make)).tobytes()


def check_ids_renamed_in_order_give_the_same_bytes(make: Make) -> None:
    same, _, _ = renamed(data(), None)
    assert scores(fitted(make, same), same.queries()).tobytes() == scores(fitted(make)).tobytes()


def check_ids_renamed_at_will_give_the_same_scores(make: Make) -> None:
    model = fitted(make)
    if registry.name_of(model) not in CLOSED_FORM:
        return
    same, user, item = renamed(data(), 9)
    found = scores(fitted(make, same), same.queries())
    # sums of a few hundred float32 terms in another order; scores are of order one
    np.testing.assert_allclose(found[user][:, item], scores(model), rtol=1e-5, atol=1e-6)


def check_threads_do_not_matter(make: Make) -> None:
    many = data().queries_of(np.tile(np.arange(data().n_users, dtype=np.int32), 4))  # enough for several chunks
    found = []
    for n in (1, 4):
        with mock.patch.object(kernels, "n_threads", lambda n=n: n):
            model = fitted(make)
            found.append((model.score(many).tobytes(), recommend(model, many, 7)))
    assert found[0][0] == found[1][0]
    same_answers(found[0][1], found[1][1])


def check_inputs_stay_as_they_were(make: Make) -> None:
    log = groups()
    queries = log.queries()
    arrays = [log.user, log.item, log.value, log.timestamp, queries.history.values, queries.exclude.values]
    before = [array.tobytes() for array in arrays if array is not None]
    recommend(make().fit(log), queries, 5)
    assert before == [array.tobytes() for array in arrays if array is not None]


def check_nothing_to_learn_from_is_refused(make: Make) -> None:
    refuses(lambda: make().fit(data().rows(np.zeros(0, np.int64))), "no events")


def check_ratings_and_times_missing_work_or_are_refused(make: Make) -> None:
    bare = Dataset(data().users, data().items, data().user, data().item)
    try:
        model = make().fit(bare)
    except MatineeError:
        refuses(lambda: make().fit(bare), "timestamp|rating")
        return
    assert (recommend(model, bare.queries(), 3).item[0] >= 0).all()


def check_a_valid_holdout_may_be_given(make: Make) -> None:
    train, valid = last_hidden(data())
    model = make().fit(train, valid=valid, seed=3)
    assert (recommend(model, valid.queries, 3).item >= 0).all()


def check_not_fitted_is_refused(make: Make) -> None:
    refuses(lambda: make().score(data().queries()), "not fitted")
    refuses(lambda: recommend(make(), data().queries()), "not fitted")
    with tempfile.TemporaryDirectory() as folder:
        refuses(lambda: store.save_model(make(), Path(folder) / "model"), "not fitted")


# --- score ----------------------------------------------------------------------------------------------------------


def check_scores_have_their_shape(make: Make) -> None:
    model = fitted(make)
    found = scores(model)
    assert found.shape == (data().n_users, data().n_items)
    assert found.dtype == np.float32
    assert not np.isnan(found).any()
    kept = found.copy()
    found[:] = 0.0  # ranking masks in place: the next call must not see it
    assert scores(model).tobytes() == kept.tobytes()
    assert model.score(data().queries([])).shape == (0, data().n_items)


def check_unwatched_items_score_minus_infinity(make: Make) -> None:
    model = fitted(make)
    watched = data().item_counts() > 0
    found = scores(model, data().queries(exclude_seen=False))  # a re-ranker gives what is excluded nothing
    assert watched.sum() == data().n_items - len(UNWATCHED)
    assert np.isfinite(found[:, watched]).all()
    if not model.scores_unknown_items:
        assert (found[:, ~watched] == -np.inf).all()
        given = recommend(model, data().queries(), 100).item
        assert watched[given[given >= 0]].all()


def check_batch_equals_single(make: Make) -> None:
    model = fitted(make)
    queries = data().queries()
    together = scores(model)
    for b in (0, 3, 63, 64, 65, 89, 90):
        alone = model.score(queries.slice(b, b + 1))[0]
        np.testing.assert_allclose(alone, together[b], rtol=1e-5, atol=rounding(together[b]))
    whole = recommend(model, queries, 10)
    with mock.patch.object(rank, "BLOCK_BYTES", 13 * 4 * data().n_items):
        blocked = recommend(model, queries, 10)
    np.testing.assert_array_equal(blocked.fallback, whole.fallback)
    np.testing.assert_allclose(blocked.score, whole.score, rtol=1e-5, atol=1e-7)


def check_a_known_users_history_answers_like_the_user(make: Make) -> None:
    model = fitted(make)
    if registry.name_of(model) in OWN_VECTORS:
        return
    queries = data().queries()
    nobody = Queries(
        np.full(len(queries), -1, np.int32),
        queries.history,
        queries.exclude,
        queries.history_ratings,
        queries.history_times,
    )
    known, unknown = recommend(model, queries, 5), recommend(model, nobody, 5)
    np.testing.assert_array_equal(unknown.item, known.item)
    np.testing.assert_allclose(unknown.score, known.score, rtol=1e-5)


def check_an_unseen_user_is_answered_from_history(make: Make) -> None:
    model = fitted(make)
    history = data().histories()[0][:3]
    for user in (-1, data().users.code(IDLE_USER)):
        recs = recommend(model, one_query(history.tolist(), user=user), 10)
        assert not recs.fallback.any()
        assert (recs.item >= 0).all()
        assert np.isfinite(recs.score).all()
        assert not np.isin(recs.item, history).any()


def check_an_empty_history_falls_back_to_popularity(make: Make) -> None:
    model = fitted(make)
    unknown = [data().items.code(i) for i in UNWATCHED]
    for history in ([], unknown, unknown * 3):
        for user in (-1, data().users.code(IDLE_USER)):
            recs = recommend(model, one_query(history, user=user), 10)
            assert recs.fallback.tolist() == [personalised(model)]
            assert (recs.item >= 0).all()
            if personalised(model):
                assert recs.item[0].tolist() == np.argsort(-data().item_counts(), kind="stable")[:10].tolist()
    mixed = recommend(model, data().queries(), 3)
    nothing_seen = data().user_counts() == 0
    assert mixed.fallback.tolist() == (nothing_seen & personalised(model)).tolist()


def check_a_history_may_hold_items_nobody_watched(make: Make) -> None:
    model = fitted(make)
    history = [*data().histories()[4].tolist(), data().items.code(UNWATCHED[0])]
    recs = recommend(model, one_query(history), 10)
    assert not recs.fallback.any()
    assert np.isfinite(recs.score).all()
    assert not np.isin(recs.item, history).any()


def check_codes_the_model_does_not_have_are_refused(make: Make) -> None:
    model = fitted(make)
    n = data().n_items
    refuses(lambda: model.score(one_query([0, n])), str(n))
    refuses(lambda: model.score(one_query([-1])), "-1")
    refuses(lambda: model.score(one_query([0], user=data().n_users)), "user")
    refuses(lambda: recommend(model, one_query([0], exclude=[n + 7])), str(n + 7))


def check_candidates_score_as_in_the_whole_catalogue(make: Make) -> None:
    model = fitted(make)
    queries = data().queries()
    rng = np.random.default_rng(1)
    candidates = rng.integers(-1, data().n_items, (len(queries), 25)).astype(np.int32)
    candidates[:, 5] = candidates[:, 4]
    candidates[3] = -1
    asked = Queries(
        queries.user,
        queries.history,
        queries.exclude,
        queries.history_ratings,
        queries.history_times,
        candidates=candidates,
    )
    found, whole = model.score(asked), scores(model)
    assert found.shape == candidates.shape
    for b, row in enumerate(candidates):
        for c, code in enumerate(row):
            wanted = whole[b, code] if code >= 0 else -np.inf
            assert found[b, c] == wanted or abs(found[b, c] - wanted) <= 1e-5 * abs(wanted) + rounding(whole[b])
    recs = recommend(model, asked, 30)
    for b, row in enumerate(recs.item):
        given = row[row >= 0].tolist()
        allowed = set(candidates[b].tolist()) - {-1} - set(queries.exclude[b].tolist())
        assert len(set(given)) == len(given)
        assert set(given) <= allowed
        assert set(given) == {c for c in allowed if whole[b, c] > -np.inf}


# --- recommend ------------------------------------------------------------------------------------------------------


def check_excluded_items_are_never_recommended(make: Make) -> None:
    model = fitted(make)
    queries = data().queries()
    recs = recommend(model, queries, 20)
    for b in range(len(queries)):
        assert not np.isin(recs.item[b], queries.exclude[b]).any()
    history = data().histories()[2].tolist()
    free = recommend(model, one_query(history, exclude=[]), 5).item[0].tolist()
    assert free[0] in recommend(model, one_query(history, exclude=free[1:]), 5).item[0].tolist()
    assert not set(free[:3]) & set(recommend(model, one_query(history, exclude=free[:3]), 20).item[0].tolist())


def check_k_may_exceed_the_catalogue(make: Make) -> None:
    model = fitted(make)
    queries = data().queries()
    recs = recommend(model, queries, data().n_items + 9)
    assert recs.item.shape == recs.score.shape == (len(queries), data().n_items + 9)
    able = model.score(queries) > -np.inf
    for b in range(len(queries)):
        able[b, queries.exclude[b]] = False
        n = int(able[b].sum())
        assert sorted(recs.item[b, :n].tolist()) == np.flatnonzero(able[b]).tolist()
        assert (recs.item[b, n:] == -1).all()
        assert (recs.score[b, n:] == -np.inf).all()
        assert (np.diff(recs.score[b, :n]) <= 0).all()


def check_equal_scores_go_to_the_lower_code(make: Make) -> None:
    model = fitted(make)
    recs = recommend(model, data().queries(exclude_seen=False), data().n_items)
    equal = (recs.score[:, 1:] == recs.score[:, :-1]) & (recs.item[:, 1:] >= 0)
    assert (recs.item[:, 1:] > recs.item[:, :-1])[equal].all()


def check_one_user(make: Make) -> None:
    alone = log(["a"] * 4, [1, 2, 3, 5], [10, 20, 30, 40], [1, 2, 3, 4], more_items=[4])
    model = make().fit(alone)
    recs = recommend(model, alone.queries(), 3)
    assert (recs.item == -1).all()
    assert (recommend(model, one_query([0]), 2).item >= 0).all()


def check_one_item(make: Make) -> None:
    only = log(["a", "b", "c"], ["x"] * 3, [10, 20, 30], [1, 2, 3])
    model = make().fit(only)
    assert recommend(model, only.queries(), 2).item.tolist() == [[-1, -1]] * 3
    assert recommend(model, only.queries(exclude_seen=False), 2).item.tolist() == [[0, -1]] * 3


def check_duplicate_events(make: Make) -> None:
    rows = np.arange(len(data()))
    twice = data().rows(np.concatenate([rows, rows[::2], rows[::5]]))
    model = make().fit(twice)
    recs = recommend(model, twice.queries(), 20)
    assert np.isfinite(recs.score).all()
    for row, seen in zip(recs.item, (twice.histories()[b] for b in range(len(recs))), strict=True):
        assert len(set(row.tolist())) == len(row)
        assert not np.isin(row, seen).any()


def check_similar_items(make: Make) -> None:
    model = fitted(make)
    watched = np.flatnonzero(data().item_counts() >= 5)
    ids = data().items.decode(watched)
    recs = similar_items(model, ids, 5)
    assert recs.item.shape == (len(ids), 5)
    assert not (recs.item == watched[:, None]).any()
    if personalised(model) and registry.name_of(model) not in NO_TASTE:
        together = data().matrix().toarray()
        shared = together.T @ together
        nearer = np.mean(
            [shared[i, row].mean() > np.median(shared[i]) for i, row in zip(watched, recs.item, strict=True)]
        )
        assert nearer > 0.9, "what it calls similar is not watched together"


def check_it_beats_popularity_where_taste_is_plain(make: Make) -> None:
    """A constant scorer, or one that ranks at random, must not look good: neither by hits nor by lucky ties."""
    train, test = last_hidden(data())

    def recall(model: Model) -> float:
        recs = recommend(model, test.queries, 10)
        assert not personalised(model) or recs.tied.mean() <= 0.05, "the cut-off lies inside a tie"
        assert len({row.tobytes() for row in recs.item}) > 1
        hits = sum(len(np.intersect1d(recs.item[b], test.truth[b])) for b in range(len(test)))
        return hits / len(test.truth.values)

    model = make().fit(train, seed=3)
    if registry.name_of(model) in NO_TASTE:
        recall(model)
    elif personalised(model):
        assert recall(model) > 1.5 * recall(Popularity().fit(train))
    else:
        uniform = 10 / data().n_items
        assert recall(model) > 1.2 * uniform


# --- hyper-parameters and files -------------------------------------------------------------------------------------


def check_save_and_load_keep_every_byte(make: Make) -> None:
    model = fitted(make)
    queries = data().queries()
    with tempfile.TemporaryDirectory() as folder:
        loaded = store.load_model(store.save_model(model, Path(folder) / "model"))
    assert loaded == model
    assert type(loaded) is type(model)
    assert loaded.score(queries).tobytes() == model.score(queries).tobytes()
    same_answers(recommend(loaded, queries, 10), recommend(model, queries, 10))
    empty = Queries(np.array([-1], np.int32), Ragged.empty(1), Ragged.empty(1))
    same_answers(recommend(loaded, empty, 10), recommend(model, empty, 10))
    assert loaded.users == model.users
    assert loaded.items == model.items
    assert loaded.data.fingerprint == model.data.fingerprint
    asked = loaded.data.queries(["u003"])
    assert asked.history.values.tolist() == data().queries(["u003"]).history.values.tolist()


def check_hyper_parameters_round_trip(make: Make) -> None:
    model = make()
    cls, name = type(model), registry.name_of(model)
    assert registry.model_class(name) is cls
    again = registry.create(name, model.model_dump(mode="json"))
    assert again == model
    assert cls.model_validate_json(model.model_dump_json()) == model
    assert fitted(make) == model, "equality is by hyper-parameters, fitted or not"
    assert model != registry.create("popularity" if name != "popularity" else "ease")


def check_hyper_parameters_are_frozen_and_checked(make: Make) -> None:
    model = make()
    name = registry.name_of(model)
    refuses(lambda: registry.create(name, {"no_such_thing": 1}), "no_such_thing")
    refuses(lambda: registry.create(name, {"seed": 1}), "seed")
    for field, info in type(model).model_fields.items():
        with contextlib.suppress(ValidationError):
            setattr(model, field, getattr(model, field))
            raise AssertionError(f"{field} can be set")
        refuses_values(name, field, {"wrong": "value"})
        if "float" in str(info.annotation):
            refuses_values(name, field, float("nan"), float("inf"), float("-inf"))
        for bound in info.metadata:
            if hasattr(bound, "ge"):
                refuses_values(name, field, bound.ge - 1)
            if hasattr(bound, "gt"):
                refuses_values(name, field, bound.gt)
            if hasattr(bound, "lt"):
                refuses_values(name, field, bound.lt)


def check_everything_is_documented(make: Make) -> None:
    cls = type(make())
    text = cls.__doc__ or ""
    if cls is not Popularity:  # counting has no paper
        assert re.search(r"\([^()]*\b(19|20)\d\d\b[^()]*\)", text), "the docstring cites no source"
    for field, info in cls.model_fields.items():
        assert info.description, f"{field} has no description"
        extra = info.json_schema_extra
        span = extra.get("tune") if isinstance(extra, dict) else None
        if isinstance(span, dict):
            listed = span.get("choices")
            for value in listed if isinstance(listed, list) else [span["low"], span["high"]]:
                hyper = {field: int(value) if info.annotation is int and isinstance(value, float) else value}
                registry.create(registry.name_of(make()), {**make().model_dump(), **hyper})


CHECKS: dict[str, Check] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}
