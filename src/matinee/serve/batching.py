"""Requests that arrive while one is answered are answered together, as one block of queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
MOST = 64


class Batcher(Generic[A, B]):
    """Calls answer(asks) on one thread, with all that came since the last call began. Nothing waits for others to
    come. on_batch(n) is told the size of each."""

    def __init__(
        self, answer: Callable[[Sequence[A]], list[B]], on_batch: Callable[[int], None], *, most: int = MOST
    ) -> None:
        self._answer, self._on_batch, self._most = answer, on_batch, most
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._thread = ThreadPoolExecutor(1, "answers")
        self._running = False

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
            self._running = bool(self._waiting)
            if self._running:
                loop.call_soon(self._next, loop)
            return
        self._on_batch(len(taken))
        work = loop.run_in_executor(self._thread, self._answer, [ask for ask, _ in taken])
        work.add_done_callback(lambda done: self._told(loop, [future for _, future in taken], done))

    def _told(
        self, loop: asyncio.AbstractEventLoop, futures: list[asyncio.Future[B]], done: asyncio.Future[list[B]]
    ) -> None:
        error = done.exception()
        for row, future in enumerate(futures):
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result()[row])
        self._next(loop)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
