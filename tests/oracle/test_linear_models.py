"""What the linear models promise beside their oracles (linear_checks): rating mode, sparsity, the truncated SVD."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from contract.checks import CHECKS, Check
from contract.shared import Case
from matinee.data.arrays import Ragged
from matinee.data.dataset import Pairs, Queries
from matinee.errors import MatineeError
from matinee.models import registry
from matinee.models.admm_slim import AdmmSLIM
from matinee.models.slim import SLIM
from matinee.models.svd import DENSE, SVD, truncated_svd
from oracle import truths
from oracle.linear_checks import DATA, HISTORIES, N_ITEMS, N_USERS, close, rated

# The contract's log has ratings drawn at random: what a model of ratings calls good is not what was watched together.
NOT_OF_RATINGS = {"it_beats_popularity_where_taste_is_plain", "similar_items"}


@pytest.fixture(scope="module")
def centred() -> Iterator[Case]:
    case = Case(lambda: registry.create("svd", {"n_factors": 6, "centred": True}))
    yield case
    case.assert_untouched()


@pytest.mark.xdist_group("centred svd")
@pytest.mark.parametrize("check", [c for name, c in CHECKS.items() if name not in NOT_OF_RATINGS])
def test_centred_svd_keeps_the_contract(centred: Case, check: Check) -> None:
    check(centred)


def test_centred_svd_predicts_what_it_scores() -> None:
    data, R = rated(6)
    model = SVD(n_factors=3, centred=True).fit(data)
    user, item = (index.astype(np.int32) for index in np.nonzero(R == 0))
    pairs = Pairs(user, item, np.zeros(len(user), np.int32))
    found = model.predict(pairs)
    close(found, np.clip(model.score(data.queries())[user, item], 1.0, 5.0))
    asked = data.queries()
    given = model.predict(Pairs(np.full(len(user), -1, np.int32), item, user), asked)
    close(given, found)  # the history answers, whoever asks


def test_centred_svd_finds_taste_in_ratings() -> None:
    data, R = rated(6)
    hidden = np.random.default_rng(1).random(len(data)) < 0.2
    train = data.rows(~hidden)
    held = Pairs(data.user[hidden], data.item[hidden], np.zeros(hidden.sum(), np.int32))
    label = R[held.user, held.item]
    biases, taste = (SVD(n_factors=k, centred=True).fit(train).predict(held) for k in (40, 1))
    mean = train.value.mean() if train.value is not None else np.nan
    errors = [float(np.sqrt(((label - guess) ** 2).mean())) for guess in (mean, biases, taste)]
    assert errors[2] < errors[1] < errors[0]  # at full rank V V' = 1 gives back the zeros: biases alone


def test_pure_svd_predicts_no_ratings() -> None:
    model = SVD(n_factors=3).fit(DATA)
    with pytest.raises(MatineeError, match="rating"):
        model.predict(Pairs(np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32)))


def test_a_history_without_ratings_counts_as_liked() -> None:
    data, _ = rated(6)
    model = SVD(n_factors=3, centred=True).fit(data)
    history = Ragged.from_lists(HISTORIES)
    user = np.full(len(history), -1, np.int32)
    bare = Queries(user, history, Ragged.empty(len(history)))
    rated_five = Queries(user, history, bare.exclude, history_ratings=np.full(len(history.values), 5.0, np.float32))
    assert model.score(bare).tobytes() == model.score(rated_five).tobytes()


def test_sparse_weights_stay_sparse() -> None:
    for model in (SLIM(l1=3.0, l2=5.0), AdmmSLIM(l1=3.0, l2=5.0, rho=20.0, nonnegative=True)):
        W = model.fit(DATA).fitted.learned.W
        assert isinstance(W, csr_array)
        assert (W.data != 0).all()
        assert W.nnz < 0.4 * N_ITEMS**2
        assert (W.diagonal() == 0).all()
    assert isinstance(AdmmSLIM(l1=0.0, rho=20.0).fit(DATA).fitted.learned.W, np.ndarray)


def test_slim_that_does_not_settle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from matinee.models import slim

    monkeypatch.setattr(slim, "MAX_SWEEPS", 2)
    with pytest.raises(MatineeError, match="did not settle"):
        SLIM(l1=0.1, l2=0.01, tolerance=1e-12).fit(DATA)


def test_truncated_svd_large_and_small() -> None:
    rng = np.random.default_rng(3)
    for rows, columns in ((DENSE + 300, DENSE + 100), (DENSE + 100, DENSE + 300), (90, 30)):
        X = csr_array(random_array((rows, columns), density=0.05, rng=rng, data_sampler=rng.random))
        for k in (1, 7):
            U, s, V = truncated_svd(X, k)
            full = np.linalg.svd(X.toarray())
            np.testing.assert_allclose(s, full[1][:k], rtol=1e-9)
            np.testing.assert_allclose(V @ V.T, full[2][:k].T @ full[2][:k], atol=1e-7)
            np.testing.assert_allclose(X.toarray() @ V, U * s, atol=1e-7)
            assert (V[np.abs(V).argmax(axis=0), np.arange(k)] > 0).all()
            again = truncated_svd(X, k)
            assert all(a.tobytes() == b.tobytes() for a, b in zip(again, (U, s, V), strict=True))


def test_truncated_svd_keeps_no_direction_that_is_rounding() -> None:
    X = csr_array(np.outer(np.arange(1.0, 9.0), np.arange(1.0, 6.0)))
    U, s, V = truncated_svd(X, 4)
    assert (U.shape, s.shape, V.shape) == ((8, 1), (1,), (5, 1))


def test_pure_svd_at_full_rank_gives_the_history_back() -> None:
    model = SVD(n_factors=N_USERS).fit(DATA)
    given = model.score(truths.histories([[3, 8]]))[0]
    # twins: items 0 and 39, and 1 and 40, have the same watchers, so the space of rows cannot tell them apart
    wanted = np.zeros(N_ITEMS)
    wanted[[3, 8]] = 1.0
    np.testing.assert_allclose(given, wanted, atol=1e-5)
