"""What arrives together is answered together; what takes long does not hold up the loop; what fails is told to all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from matinee.serve.batching import Batcher


def doubled(asks: Sequence[int]) -> list[int]:
    return [2 * ask for ask in asks]


def test_each_gets_its_own_answer_and_those_of_one_turn_are_one_batch() -> None:
    sizes: list[int] = []

    async def many() -> list[int]:
        batcher = Batcher(doubled, sizes.append, most=10)
        found = await asyncio.gather(*(batcher.ask(n) for n in range(25)))
        batcher.close()
        return found

    assert asyncio.run(many()) == [2 * n for n in range(25)]
    assert sizes == [10, 10, 5]


def test_the_loop_goes_on_while_a_long_answer_is_made_and_the_next_ones_come_together() -> None:
    sizes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(asks: Sequence[int]) -> list[int]:
        begun.set()
        assert go_on.wait(5)
        return doubled(asks)

    async def many() -> list[int]:
        batcher = Batcher(slow, sizes.append)
        first = asyncio.create_task(batcher.ask(1))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(batcher.ask(n)) for n in range(5)]
        await asyncio.sleep(0.01)
        go_on.set()
        return [await first, *await asyncio.gather(*rest)]

    assert asyncio.run(many()) == [2, 0, 2, 4, 6, 8]
    assert sizes == [1, 5]


def test_short_answers_are_made_on_the_loops_thread_and_long_ones_beside() -> None:
    threads: list[str] = []
    pause = 0.0

    def answer(asks: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        start = time.thread_time()
        while time.thread_time() - start < pause:
            pass
        return doubled(asks)

    async def many() -> None:
        nonlocal pause
        batcher = Batcher(answer, lambda n: None)
        for n in range(40):
            await batcher.ask(n)
        pause = 0.03
        for n in range(20):
            await batcher.ask(n)

    asyncio.run(many())
    assert threads[0].startswith("answers")
    assert threads[39] == "MainThread"
    assert threads[-1].startswith("answers")


@pytest.mark.parametrize("many", [1, 3])
def test_what_fails_is_raised_where_it_is_waited_for_and_the_next_is_answered(many: int) -> None:
    failing = True

    def answer(asks: Sequence[int]) -> list[int]:
        if failing:
            raise RuntimeError("no")
        return doubled(asks)

    async def ask() -> Any:
        nonlocal failing
        batcher = Batcher(answer, lambda n: None)
        errors = await asyncio.gather(*(batcher.ask(n) for n in range(many)), return_exceptions=True)
        failing = False
        return errors, await batcher.ask(4)

    errors, found = asyncio.run(ask())
    assert [str(error) for error in errors] == ["no"] * many
    assert found == 8


def test_a_request_whose_client_left_is_not_answered() -> None:
    seen: list[int] = []

    def answer(asks: Sequence[int]) -> list[int]:
        seen.extend(asks)
        return doubled(asks)

    async def leave() -> int:
        batcher = Batcher(answer, lambda n: None)
        gone = asyncio.create_task(batcher.ask(1))
        stays = asyncio.create_task(batcher.ask(2))
        await asyncio.sleep(0)  # both wait now
        gone.cancel()
        return await stays

    assert asyncio.run(leave()) == 4
    assert 1 not in seen
