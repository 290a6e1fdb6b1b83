"""What every model promises about fitting. A check fits anew only where its promise is about that fit."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from contract.logs import last_hidden, log, one_query, renamed
from contract.shared import Case, keeps, n_threads, refuses, same_answers
from matinee import store
from matinee.data.dataset import Dataset
from matinee.errors import MatineeError
from matinee.rank import recommend


def check_fit_returns_self(case: Case) -> None:
    fit = case.refitted
    assert fit.returned is fit.model
    assert fit.model.is_fitted
    assert fit.model.data is case.data


def check_refit_ignores_earlier_fit(case: Case) -> None:
    assert case.refitted.scores.tobytes() == case.scores.tobytes()


def check_same_seed_same_bytes(case: Case) -> None:
    assert case.refitted.scores.tobytes() == case.scores.tobytes()


def check_shuffled_rows_give_the_same_bytes(case: Case) -> None:
    assert case.rearranged.tobytes() == case.scores.tobytes()


def check_ids_renamed_in_order_and_weights_of_one_give_the_same_bytes(case: Case) -> None:
    assert case.rearranged.tobytes() == case.scores.tobytes()


def check_weights_count_where_the_model_says_so(case: Case) -> None:
    few, plain = case.few, case.scores_on_few
    weight = np.random.default_rng(8).choice([1.0, 2.0, 4.0], len(few)).astype(np.float32)
    found = case.weighed(replace(few, weight=weight))
    if case.make().uses_weights():
        known = np.isfinite(plain) & (few.user_counts() > 0)[:, None]
        assert (np.isfinite(found) == np.isfinite(plain)).all()
        if not case.make().member_fields:  # a first stage that retrieves everything changes nothing
            assert np.abs(found[known] - plain[known]).max() > 1e-3 * np.abs(plain[known]).max()
    else:
        assert found.tobytes() == plain.tobytes()


def check_ids_renamed_at_will_give_the_same_scores(case: Case) -> None:
    if not keeps(case.make(), "renamed_ids"):
        return
    same, user, item = renamed(case.data, 9)
    found = case.fresh(same).score(same.queries())
    # sums of a few hundred float32 terms in another order; scores are of order one
    np.testing.assert_allclose(found[user][:, item], case.scores, rtol=1e-5, atol=1e-6)


def check_threads_do_not_matter(case: Case) -> None:
    # enough queries for several chunks
    many = case.data.queries_of(np.tile(np.arange(case.data.n_users, dtype=np.int32), 4))
    found = []
    for n, model in ((1, case.refitted.model), (4, case.model)):
        with n_threads(n):
            found.append((model.score(many).tobytes(), recommend(model, many, 7)))
    assert found[0][0] == found[1][0]
    same_answers(found[0][1], found[1][1])


def check_inputs_stay_as_they_were(case: Case) -> None:
    recommend(case.model, case.queries, 5)
    assert case.inputs_untouched()


def check_nothing_to_learn_from_is_refused(case: Case) -> None:
    refuses(lambda: case.short().fit(case.data.rows(np.zeros(0, np.int64))), "no events")


def check_ratings_and_times_missing_work_or_are_refused(case: Case) -> None:
    bare = Dataset(case.few.users, case.few.items, case.few.user, case.few.item)
    try:
        model = case.short().fit(bare)
    except MatineeError:
        refuses(lambda: case.short().fit(bare), "timestamp|rating")
        return
    assert (recommend(model, bare.queries(), 3).item[0] >= 0).all()


def check_a_valid_holdout_may_be_given(case: Case) -> None:
    train, valid = last_hidden(case.few)
    model = case.short().fit(train, valid=valid, seed=3)
    assert (recommend(model, valid.queries, 3).item >= 0).all()


def check_not_fitted_is_refused(case: Case) -> None:
    refuses(lambda: case.make().score(case.queries), "not fitted")
    refuses(lambda: recommend(case.make(), case.queries), "not fitted")
    with tempfile.TemporaryDirectory() as folder:
        refuses(lambda: store.save_model(case.make(), Path(folder) / "model"), "not fitted")


def check_one_user(case: Case) -> None:
    alone = log(["a"] * 4, [1, 2, 3, 5], [10, 20, 30, 40], [1, 2, 3, 4], more_items=[4])
    model = case.short().fit(alone)
    recs = recommend(model, alone.queries(), 3)
    assert (recs.item == -1).all()
    assert (recommend(model, one_query([0]), 2).item >= 0).all()


def check_one_item(case: Case) -> None:
    only = log(["a", "b", "c"], ["x"] * 3, [10, 20, 30], [1, 2, 3])
    model = case.short().fit(only)
    assert recommend(model, only.queries(), 2).item.tolist() == [[-1, -1]] * 3
    assert recommend(model, only.queries(exclude_seen=False), 2).item.tolist() == [[0, -1]] * 3


def check_duplicate_events(case: Case) -> None:
    rows = np.arange(len(case.few))
    twice = case.few.rows(np.concatenate([rows, rows[::2], rows[::5]]))
    model = case.short().fit(twice)
    recs = recommend(model, twice.queries(), 20)
    assert np.isfinite(recs.score).all()
    for row, seen in zip(recs.item, (twice.histories()[b] for b in range(len(recs))), strict=True):
        assert len(set(row.tolist())) == len(row)
        assert not np.isin(row, seen).any()
