"""The event store as requests use it: on threads of its own, with a limit of time, and left alone while it is down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from matinee.serve.events import Answer, Event, EventStore, StoreUnavailable
from matinee.serve.limits import Limits

T = TypeVar("T")
AGAIN = 1.0
"""Seconds after a failure in which nothing is read: requests would wait for what is not there."""
WAITING = 20_000  # answers that wait to be kept; further ones are dropped, and counted
EACH = 0.2  # seconds between two writes of answers
logger = logging.getLogger("matinee.serve")


class Stored:
    """An EventStore that may be down. on_failure() is called each time it is."""

    def __init__(self, url: str, limits: Limits, on_failure: Callable[[], None]) -> None:
        """Raises MatineeError for a URL that no store can have; a store that is down is opened later."""
        self._url, self._seconds, self._on_failure = url, limits.store_seconds, on_failure
        self._threads = ThreadPoolExecutor(3, "store")
        self._store: EventStore | None = None
        self._down_until = 0.0
        self._answers: list[Answer] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = False
        self.dropped = 0
        try:
            self._opened()
        except StoreUnavailable as error:
            self._failed(error)

    @property
    def up(self) -> bool:
        return time.monotonic() >= self._down_until

    async def history(self, person: str) -> Sequence[Event] | None:
        """The events of a person, oldest first; None where they cannot be had now."""
        if not self.up:
            return None
        try:
            return await self._run(lambda: self._opened().history(person))
        except StoreUnavailable:
            return None

    async def add(self, events: Sequence[Event]) -> list[bool]:
        """Raises StoreUnavailable and KeyReused. What was written after the limit of time is known by its key."""
        return await self._run(lambda: self._opened().add(events))

    async def delete(self, person: str) -> int:
        """Raises StoreUnavailable."""
        self._answers = [answer for answer in self._answers if answer.person != person]
        return await self._run(lambda: self._opened().delete(person))

    def keep_answer(self, answer: Answer) -> None:
        """Keep what somebody was shown, soon: answers do not wait for it."""
        if len(self._answers) >= WAITING:
            self.drop(1)
            return
        self._answers.append(answer)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    def drop(self, n: int) -> None:
        """Count answers that are not kept."""
        if not self.dropped:
            logger.warning("answers come faster than they can be recorded: some are left out, see /metrics")
        self.dropped += n

    async def close(self) -> None:
        """Write what is waiting."""
        self._closing = True
        if self._writing is not None:
            await self._writing
        await self._write()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    async def _write_soon(self) -> None:
        while self._answers and not self._closing:
            await asyncio.sleep(EACH)
            if self.up:
                await self._write()

    async def _write(self) -> None:
        taken, self._answers = self._answers, []
        try:
            if taken:
                await self._run(lambda: self._opened().add_answers(taken))
        except StoreUnavailable:
            self._answers = [*taken, *self._answers][:WAITING]

    def _opened(self) -> EventStore:
        if self._store is None:
            self._store = EventStore.open(self._url, timeout=self._seconds)
        return self._store

    async def _run(self, work: Callable[[], T]) -> T:
        """On a thread. Raises StoreUnavailable, also where it takes too long."""
        if self._down_until and self.up:
            self._down_until = time.monotonic() + AGAIN  # this call finds out; the others do not wait with it
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            found = await asyncio.wait_for(done, self._seconds + 1.0)
        except (StoreUnavailable, TimeoutError) as error:
            self._failed(error)
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable("the event store takes too long", hint="try again later") from None
        self._down_until = 0.0
        return found

    def _failed(self, error: Exception) -> None:
        if not self._down_until:
            logger.warning("the event store is not available: %s", error)
        self._down_until = time.monotonic() + AGAIN
        self._on_failure()
