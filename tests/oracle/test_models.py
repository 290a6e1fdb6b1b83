"""Models and kernels against slow, independent truths on asymmetric data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from matinee import kernels
from matinee.models import registry
from matinee.models.ease import gram
from oracle import model_checks, truths

ALL = [(name, check) for name, checks in model_checks.CHECKS.items() for check in checks]


def test_every_model_has_an_oracle() -> None:
    assert set(registry.names()) <= set(model_checks.CHECKS)


@pytest.mark.parametrize(("name", "check"), ALL, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_model_equals_its_slow_truth(name: str, check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gram_is_the_upper_triangle_of_the_product(dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(2)
    X = np.where(rng.random((60, 75)) < 0.2, rng.normal(size=(60, 75)), 0.0).astype(np.float32)
    X[:, 9] = 0.0
    found = gram(csr_array(X), dtype)
    assert found.dtype == dtype
    X64 = X.astype(np.float64)
    # float64 accumulates products that were rounded to float32 inputs only
    np.testing.assert_allclose(found, np.triu(X64.T @ X64), rtol=1e-4, atol=1e-5 if dtype == np.float32 else 1e-6)


def test_gram_of_a_log_counts_exactly() -> None:
    X = truths.dense(model_checks.LOG, model_checks.N_ITEMS)
    assert (gram(csr_array(X.astype(np.float32))) == np.triu(X.T @ X)).all()


def test_full_gram_rows_at_an_offset() -> None:
    rng = np.random.default_rng(3)
    X = csr_array(np.where(rng.random((31, 20)) < 0.3, rng.normal(size=(31, 20)), 0.0).astype(np.float32))
    T = X.T.tocsr()
    out = np.zeros((6, 20), np.float32)
    kernels.linear.gram_rows_full(9, 15, X.indptr, X.indices, X.data, T.indptr, T.indices, T.data, out)
    np.testing.assert_allclose(out, (X.T @ X).toarray()[9:15], rtol=1e-4, atol=1e-6)


def test_mirror_copies_the_upper_triangle() -> None:
    A = np.triu(np.random.default_rng(4).normal(size=(150, 150)).astype(np.float32))
    wanted = A + np.triu(A, 1).T
    kernels.parallel(lambda a, b: kernels.linear.mirror_upper(a, b, A), 150, chunk=70)
    assert (wanted == A).all()


def test_dense_and_sparse_weights_score_alike() -> None:
    rng = np.random.default_rng(5)
    W = np.where(rng.random((40, 33)) < 0.2, rng.normal(size=(40, 33)), 0.0).astype(np.float32)
    from matinee.models.families.item_item import weighted_rows

    rows = [rng.integers(0, 40, n).astype(np.int32) for n in rng.integers(0, 9, 200)]
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    values = np.concatenate(rows)
    votes = rng.random(len(values)).astype(np.float32)
    truth = [
        (votes[offsets[b] : offsets[b + 1], None] * W[rows[b]].astype(np.float64)).sum(axis=0) for b in range(len(rows))
    ]
    for weights in (W, csr_array(W)):
        # float32 sums of at most nine terms of order one
        np.testing.assert_allclose(weighted_rows(weights, offsets, values, votes), truth, rtol=1e-4, atol=1e-6)


def test_parallel_covers_every_row_once_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads in (1, 3):
        monkeypatch.setattr(kernels.threads, "n_threads", lambda threads=threads: threads)
        for n in (0, 1, 9, 10, 11, 35):
            seen = np.zeros(n, np.int64)

            def run(start: int, stop: int, seen: np.ndarray[tuple[int], np.dtype[np.int64]] = seen) -> None:
                seen[start:stop] += 1

            kernels.parallel(run, n, chunk=10)
            assert (seen == 1).all()


def test_parallel_passes_an_error_on() -> None:
    def run(start: int, stop: int) -> None:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        kernels.parallel(run, 100, chunk=10)
