"""What CVAE promises beyond the contract, and the contract on a log with side tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from contract.checks import CHECKS
from contract.logs import N_GROUPS, groups, one_query
from contract.shared import Case
from matinee import store
from matinee.data.arrays import Ragged
from matinee.data.dataset import Dataset, Queries
from matinee.data.features.content import Contents
from matinee.data.read.log import read
from matinee.errors import MatineeError
from matinee.models.cvae import CVAE
from matinee.models.multi_vae import MultiVAE
from matinee.rank import recommend
from oracle import cvae_checks

SMALL: dict[str, Any] = {"hidden": 16, "latent": 8, "epochs": 40, "batch_size": 20, "learning_rate": 0.01}
CONDITIONS = ["users", "history", "both"]
KNOWS_WHO_ASKS = "a_known_users_history_answers_like_the_user"


@lru_cache(maxsize=1)
def described() -> Dataset:
    """The contract log with tables: a user's group as a town, that of an item's viewers as a genre, with gaps."""
    data = groups()
    group = np.arange(data.n_users) % N_GROUPS
    town = [None if u % 7 == 3 else "ABCD"[g] for u, g in enumerate(group.tolist())]
    views = np.zeros((data.n_items, N_GROUPS))
    np.add.at(views, (data.item, group[data.user]), 1.0)
    genre = [None if i % 9 == 2 else ["wxyz"[g], "all"] for i, g in enumerate(views.argmax(axis=1).tolist())]
    year = [None if i % 5 == 4 else 1950 + i for i in range(data.n_items)]
    return replace(
        data,
        user_features=pl.DataFrame({"town": town}),
        item_features=pl.DataFrame({"genres": genre, "year": year}, schema_overrides={"year": pl.Int64}),
    )


def cvae(condition: str, **more: Any) -> CVAE:
    return CVAE.model_validate({"condition": condition, "min_count": 2, **SMALL, **more})


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    found = Case(lambda: cvae("both"), described)
    yield found
    found.assert_untouched()


@pytest.mark.xdist_group("cvae with side tables")
@pytest.mark.parametrize("name", [name for name in CHECKS if name != KNOWS_WHO_ASKS])
def test_contract_with_side_tables(name: str, case: Case) -> None:
    CHECKS[name](case)


def test_only_the_table_of_users_tells_a_known_user_from_nobody() -> None:
    CHECKS[KNOWS_WHO_ASKS](Case(lambda: cvae("history"), described))
    with pytest.raises(AssertionError):
        CHECKS[KNOWS_WHO_ASKS](Case(lambda: cvae("users"), described))


@pytest.mark.parametrize("check", [check for each in cvae_checks.CHECKS.values() for check in each])
def test_oracle(check: Any) -> None:
    check()


def test_without_side_tables_it_is_multi_vae() -> None:
    data = groups()
    wanted = MultiVAE(**SMALL).fit(data, seed=3).score(data.queries())
    for condition in CONDITIONS:
        assert cvae(condition).fit(data, seed=3).score(data.queries()).tobytes() == wanted.tobytes()
    untold = replace(data, item_features=pl.DataFrame({"title": [f"film {i}" for i in range(data.n_items)]}))
    assert cvae("both").fit(untold, seed=3).score(data.queries()).tobytes() == wanted.tobytes()


def test_who_asks_decides_where_the_history_says_little() -> None:
    """The same short history, asked by people of two towns: each is given more of what their town watches."""
    data = described()
    model = cvae("users", hidden_share=0.1).fit(data, seed=3)
    popular = int(data.item_counts().argmax())
    row = Ragged.from_lists([[popular]] * 2)
    towns = pl.DataFrame({"town": ["A", "C"]})
    recs = recommend(model, Queries(np.full(2, -1, np.int32), row, row, user_features=towns), 5)
    group = np.arange(data.n_users) % N_GROUPS
    liked = [np.bincount(data.item[group[data.user] == g], minlength=data.n_items) for g in (0, 2)]
    assert liked[0][recs.item[0]].sum() > 2 * liked[0][recs.item[1]].sum()
    assert liked[1][recs.item[1]].sum() > 2 * liked[1][recs.item[0]].sum()


def test_side_vectors_are_hidden_by_the_steps_seed() -> None:
    data = described()
    one, same, other = (
        cvae("both", hidden_share=share).fit(data, seed=3).score(data.queries()) for share in (0.5, 0.5, 0.0)
    )
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_the_history_vector_tells_nothing_of_what_was_dropped_out() -> None:
    """The net is shown half of a history; what it is told beside is the mean over that half."""
    data = described()
    model = cvae("history", hidden_share=0.0, epochs=1).fit(data)
    known = model.net.side_tables[1].rows.toarray()
    rows = model.training_rows(data)(np.arange(30))
    model.net.train()
    seen = model.seen(model.net, rows)
    left = (seen.value > 0).numpy()
    assert 0 < left.sum() < len(left)
    for row in range(30):
        items = seen.item.numpy()[left & (seen.row.numpy() == row)]
        wanted = known[items].mean(axis=0) if len(items) else np.zeros(known.shape[1])
        np.testing.assert_allclose(seen.side[row].numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_somebody_unknown_is_answered_better_when_training_hid_some() -> None:
    """Their own histories, asked as by nobody: what training never showed it answers worse."""
    data = described()
    queries = replace(data.queries(), user=np.full(data.n_users, -1, np.int32))
    watched = data.matrix().toarray() > 0

    def surprise(share: float) -> float:
        scores = cvae("users", hidden_share=share, epochs=80).fit(data, seed=3).score(queries).astype(np.float64)
        scores = np.where(np.isfinite(scores), scores, -1e9)[data.user_counts() > 0]
        log_share = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return -float(log_share[watched[data.user_counts() > 0]].mean())

    assert surprise(0.3) < surprise(0.0)


def with_tables(user_rows: slice, item_rows: slice, unknown: int) -> Dataset:
    """The contract log as read from dataframes: these rows of its tables, and rows for ids that the log has not."""
    data = described()
    assert data.user_features is not None
    assert data.item_features is not None
    users, items = (
        table.insert_column(0, pl.Series(column, np.arange(len(table))))
        for column, table in (("user_id", data.user_features.clone()), ("item_id", data.item_features.clone()))
    )
    more = [table.head(unknown).with_columns(pl.first() + 10_000) for table in (users, items)]
    log = pl.DataFrame({"user_id": data.user, "item_id": data.item})
    return read(log, users=pl.concat([users[user_rows], more[0]]), items=pl.concat([items[item_rows], more[1]]))


def test_rows_that_tables_lack_and_rows_of_unknown_ids_are_ordinary(tmp_path: Path) -> None:
    """Somebody undescribed has a side vector of zeros, and is answered as before when their row says nothing."""
    data = with_tables(slice(4, None), slice(3, None), unknown=12)
    bare = groups()  # has some without an event itself
    absent = [int((counts == 0).sum()) for counts in (bare.user_counts(), bare.item_counts())]
    assert [each.ids for each in data.unmatched] == [12 + n for n in absent]
    model = cvae("both").fit(data, seed=3)
    rows = model.training_rows(data)(np.array([1, 30]))
    who, watched = (part.numpy() for part in model.side(model.net, rows))
    assert not who[0].any()
    assert who[1].any()
    assert watched.any(axis=1).all()
    recs = recommend(model, data.queries(), 5)
    assert np.isfinite(recs.score[recs.item >= 0]).all()
    assert data.item_counts()[recs.item[recs.item >= 0]].min() > 0, "a film that only the table has is not recommended"
    known = data.queries([1])
    nobody = replace(known, user=np.array([-1], np.int32))
    np.testing.assert_array_equal(model.score(nobody), model.score(known))
    loaded = store.load_model(store.save_model(model, tmp_path / "model"))
    assert loaded.score(data.queries()).tobytes() == model.score(data.queries()).tobytes()


def test_tables_of_other_ids_altogether_say_nothing() -> None:
    data = with_tables(slice(0, 0), slice(0, 0), unknown=30)
    model = cvae("both").fit(data, seed=3)
    rows = model.training_rows(data)(np.arange(20))
    assert not any(part.any() for part in model.side(model.net, rows))
    assert np.isfinite(recommend(model, data.queries(), 5).score[:20]).all()


def test_loaded_without_histories_it_answers_alike(tmp_path: Path) -> None:
    data = described()
    model = cvae("both").fit(data, seed=3)
    loaded = store.load_model(store.save_model(model, tmp_path / "model", histories=False))
    queries = replace(data.queries(), user_features=pl.DataFrame({"town": ["B", None, "Q"] * 30 + ["A"]}))
    assert loaded.score(queries).tobytes() == model.score(queries).tobytes()


def test_a_refit_that_fails_leaves_the_model_as_it_was() -> None:
    data = described()
    model = cvae("both").fit(data, seed=3)
    before = model.score(data.queries())
    with pytest.raises(MatineeError):
        model.fit(groups().rows(np.zeros(0, np.int64)))
    assert model.score(data.queries()).tobytes() == before.tobytes()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pl.DataFrame({"town": ["A", "B"]}), "user_features has 2 rows, not 1"),
        (pl.DataFrame({"city": ["A"]}), "none of the columns town"),
        (pl.DataFrame({"town": [["A"]]}), "column 'town' has the type List"),
    ],
)
def test_what_a_request_brings_is_checked(table: pl.DataFrame, said: str) -> None:
    model = cvae("users", epochs=1).fit(described())
    with pytest.raises(MatineeError, match=said):
        model.score(replace(one_query([0, 1]), user_features=table))


@pytest.mark.parametrize("decoder_hidden", [0, 6])
def test_items_without_an_event_get_what_their_features_say(decoder_hidden: int, tmp_path: Path) -> None:
    """Outputs by scikit-learn's ridge, one number at a time."""
    data = described()
    new = [1, 4, 11]
    genres = data.item_features["genres"].to_list() if data.item_features is not None else []
    genres[4] = None
    table = pl.DataFrame({"genres": genres})
    kept = replace(data.rows(~np.isin(data.item, new)), item_features=table)
    named = {"item_features": ("genres",), "feature_l2": 2.0, "decoder_hidden": decoder_hidden}
    model = cvae("both", **named).fit(kept)
    w = model.fitted.learned.weights
    last = "decoder.2" if decoder_hidden else "decoder"
    watched = kept.item_counts() > 0
    features = Contents.fit(table.filter(watched), ("genres",)).rows(table).toarray()
    assert set(new) < set(np.flatnonzero(~watched).tolist()), "two more are in no list of the log"
    for output in (w[f"{last}.weight"], w[f"{last}.bias"][:, None]):
        mean = output[watched].mean(axis=0)
        ridge = Ridge(alpha=2.0, fit_intercept=False).fit(features[watched], output[watched] - mean)
        wanted = mean + ridge.predict(features[~watched]).reshape(-1, len(mean))
        np.testing.assert_allclose(output[~watched], wanted, rtol=1e-3, atol=1e-4)
    scores = model.score(kept.queries_of(np.arange(2, dtype=np.int32)))
    assert (scores[:, [4, 11]] == -np.inf).all(), "nothing is known of them"
    assert np.isfinite(np.delete(scores, [4, 11], axis=1)).all()
    loaded = store.load_model(store.save_model(model, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.score(kept.queries_of(np.arange(2, dtype=np.int32))), scores)
    plain = cvae("both", decoder_hidden=decoder_hidden).fit(kept)
    assert (plain.score(kept.queries_of(np.arange(1, dtype=np.int32)))[:, new] == -np.inf).all()
