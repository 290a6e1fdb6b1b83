"""Ranges over the threads that stay: each once, within one another, with errors told, and after a fork."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator

import pytest

from matinee import kernels
from matinee.kernels import threads


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the machine has."""
    monkeypatch.setattr(threads, "n_threads", lambda: 3)
    threads._helpers.cache_clear()
    yield
    threads._helpers.cache_clear()


def counted(n: int, chunk: int) -> list[int]:
    seen = [0] * n

    def run(start: int, stop: int) -> None:
        for i in range(start, stop):
            seen[i] += 1

    kernels.parallel(run, n, chunk=chunk)
    return seen


@pytest.mark.parametrize(("n", "chunk"), [(0, 4), (1, 4), (4, 4), (5, 4), (97, 4), (97, 96), (97, 97)])
def test_every_row_once(n: int, chunk: int) -> None:
    assert counted(n, chunk) == [1] * n


def test_this_thread_and_others_work_at_once() -> None:
    """Three chunks that wait for one another end only where three threads run them."""
    together = threading.Barrier(3, timeout=20)
    kernels.parallel(lambda start, stop: together.wait() and None, 3, chunk=1)


def test_small_work_stays_on_this_thread() -> None:
    names: list[str] = []
    kernels.parallel(lambda start, stop: names.append(threading.current_thread().name), 4, chunk=4)
    assert names == [threading.current_thread().name]


def test_work_within_work_does_not_wait_for_itself() -> None:
    """All helpers are busy with the outer work while the inner asks for them."""
    done: list[int] = []

    def outer(start: int, stop: int) -> None:
        kernels.parallel(lambda a, b: done.extend(range(a, b)), 8, chunk=1)

    worker = threading.Thread(target=kernels.parallel, args=(outer, 12), kwargs={"chunk": 1}, daemon=True)
    worker.start()
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert sorted(done) == sorted(list(range(8)) * 12)


def test_an_error_in_any_chunk_is_told() -> None:
    for bad in range(6):

        def run(start: int, stop: int, bad: int = bad) -> None:
            if start == bad:
                raise ValueError(str(bad))

        with pytest.raises(ValueError, match=str(bad)):
            kernels.parallel(run, 6, chunk=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_fork_has_threads_of_its_own() -> None:
    assert counted(50, 1) == [1] * 50  # the helpers are there
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(counted, (50, 1)).get(timeout=20) == [1] * 50
