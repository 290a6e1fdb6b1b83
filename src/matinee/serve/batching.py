"""Requests that arrive while one is answered are answered together, as one block of queries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
MOST = 64
HERE = 0.004
"""Seconds of processor time that are spent on the loop's own thread: handing work over costs as much as doing it."""
RECENT = 0.1  # weight of the newest measurement


class Batcher(Generic[A, B]):
    """Calls answer(asks) with all that came since the last call began: nothing waits for others to come. What is
    expected to take long is done on a thread, and other routes are answered meanwhile. on_batch(n) is told each size.
    """

    def __init__(
        self, answer: Callable[[Sequence[A]], list[B]], on_batch: Callable[[int], None], *, most: int = MOST
    ) -> None:
        self._answer, self._on_batch, self._most = answer, on_batch, most
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._thread = ThreadPoolExecutor(1, "answers")
        self._running = False
        self._each = HERE  # seconds of a request, lately

    async def ask(self, ask: A) -> B:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[B] = loop.create_future()
        self._waiting.append((ask, future))
        if not self._running:
            self._running = True
            loop.call_soon(self._next, loop)  # those of this turn of the loop come along
        return await future

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        taken = [(ask, future) for ask, future in taken if not future.done()]  # whose client left
        if not taken:
            self._go_on(loop)
            return
        self._on_batch(len(taken))
        asks, futures = [ask for ask, _ in taken], [future for _, future in taken]
        if self._each * len(asks) < HERE:
            _tell(futures, self._timed(asks))
            self._go_on(loop)
            return
        work = loop.run_in_executor(self._thread, self._timed, asks)
        work.add_done_callback(partial(self._done, loop, futures))

    def _done(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: list[asyncio.Future[B]],
        work: asyncio.Future[list[B] | Exception],
    ) -> None:
        _tell(futures, work.result())
        self._next(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._running = bool(self._waiting)
        if self._running:
            loop.call_soon(self._next, loop)

    def _timed(self, asks: Sequence[A]) -> list[B] | Exception:
        start = time.thread_time()  # not what others on the machine take
        try:
            return self._answer(asks)
        except Exception as error:  # noqa: BLE001 - it is raised where the requests wait
            return error
        finally:
            each = (time.thread_time() - start) / len(asks)
            self._each += RECENT * (each - self._each)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _tell(futures: Sequence[asyncio.Future[B]], answers: list[B] | Exception) -> None:
    for row, future in enumerate(futures):
        if future.done():
            continue
        if isinstance(answers, Exception):
            future.set_exception(answers)
        else:
            future.set_result(answers[row])
