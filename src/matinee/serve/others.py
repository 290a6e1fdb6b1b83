"""What the other routed models would have shown. They are asked after the answer, so that nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from matinee.data.arrays import Ints
from matinee.errors import MatineeError
from matinee.serve import asking
from matinee.serve.asking import Ask, Ranked
from matinee.serve.events.records import Answer, Shown
from matinee.serve.exploration import Arm, probabilities
from matinee.serve.live import Live
from matinee.serve.problems import Problem
from matinee.serve.states import State

WAITING = 4_000  # answers that wait for the other models; further ones are dropped, and counted
WAITING_BYTES = 32 << 20  # of their requests and histories, roughly
BLOCK = 64  # answers that are worked on at once
EACH = 0.05  # seconds in which answers gather to a block
CLOSING = 2.0  # seconds for what waits when the service ends
CATALOGUES = 16  # pairs of catalogues whose translation is kept
logger = logging.getLogger("matinee.serve")


@dataclass(frozen=True)
class Other:
    """A model that might have answered. state: the person as it knows them, from the same events. weight: its share."""

    live: Live
    state: State
    weight: float


@dataclass(frozen=True, eq=False)
class Chosen:
    """An answer that was given. own: the arm that gave it, with the list it would show when nothing is drawn. shown:
    the list that was shown. answer: what is kept, still without items."""

    ask: Ask
    own: Arm
    shown: Ints
    answer: Answer
    others: tuple[Other, ...]

    @cached_property
    def size(self) -> int:
        """Bytes that wait with it, roughly, the models apart."""
        request, states = self.ask.request, [self.ask.state, *(other.state for other in self.others)]
        listed = len(request.history) + len(request.deny) + len(request.allow or ())
        texts = (request.rules, request.context, request.user_features) if self.ask.alone else ()
        asked = 100 * listed * (1 + len(self.others)) + sum(10 * len(str(text)) for text in texts)
        return 2_000 + asked + sum(24 * len(state.item) for state in states)


class Others:
    """Asks the models that might have answered, on a thread of its own, and keeps the answers with the probabilities
    over routing. An answer is kept whole or not at all: when too much waits, it is dropped and counted.

    A model that cannot answer a request (a title that two of its items have, say) would have shown nothing: its list is
    empty, and the probability is right. Where it fails for a passing reason, such as a lack of memory, its list is
    empty as well, and the probability is a lower bound: the answer then weighs too much in an estimate."""

    def __init__(self, keep: Callable[[Answer], None], drop: Callable[[int], None]) -> None:
        """keep(answer) and drop(how many) are called on the loop's thread."""
        self._keep, self._drop = keep, drop
        self._thread = ThreadPoolExecutor(1, "others")
        self._waiting: deque[Chosen] = deque()
        self._bytes = 0
        self._block: list[Chosen] = []  # is worked on
        self._working: asyncio.Task[None] | None = None
        self._closing = False
        self._codes: dict[tuple[str, str], Ints] = {}

    def add(self, chosen: Chosen) -> None:
        if len(self._waiting) >= WAITING or self._bytes + chosen.size > WAITING_BYTES:
            self._drop(1)
            return
        self._waiting.append(chosen)
        self._bytes += chosen.size
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    def forget(self, person: str) -> None:
        """Keep nothing of a person that is still waiting."""
        self._block = [chosen for chosen in self._block if chosen.answer.person != person]
        self._waiting = deque(chosen for chosen in self._waiting if chosen.answer.person != person)
        self._bytes = sum(chosen.size for chosen in self._waiting)

    async def close(self) -> None:
        """Finish what waits, as far as there is time."""
        self._closing = True
        if self._working is not None:
            await asyncio.wait({self._working}, timeout=CLOSING)
            self._working.cancel()
        if left := len(self._waiting) + len(self._block):
            self._drop(left)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            if not self._closing:
                await asyncio.sleep(EACH)
            self._block = [self._waiting.popleft() for _ in range(min(BLOCK, len(self._waiting)))]
            block = list(self._block)
            self._bytes -= sum(chosen.size for chosen in block)
            try:
                answers = await loop.run_in_executor(self._thread, self._recorded, block)
            except Exception:  # the next block may do
                logger.exception("%d answers are not recorded", len(block))
                answers = []
                self._drop(len(block))
            for chosen, answer in zip(block, answers, strict=False):
                if chosen in self._block:  # nobody asked to forget it
                    self._keep(answer)
            self._block = []

    def _recorded(self, block: Sequence[Chosen]) -> list[Answer]:
        """The answers with their items. A model that fails is an arm that shows nothing."""
        pairs = [(chosen, other) for chosen in block for other in chosen.others]
        lists = iter(_lists(pairs))
        arms = [[self._arm(chosen, other, next(lists)) for other in chosen.others] for chosen in block]
        return [recorded(_counted(chosen), others) for chosen, others in zip(block, arms, strict=True)]

    def _arm(self, chosen: Chosen, other: Other, found: Ranked | None) -> Arm:
        """In the codes of the model that answered."""
        if found is None:
            return Arm(np.empty(0, np.int32), np.empty(0, np.int32), other.weight)
        codes = self._translation(other.live, chosen.ask.live)
        candidates = candidates_of(found.ask) if chosen.answer.share else np.empty(0, np.int32)
        return Arm(codes[np.array(found.item, np.int32)], codes[candidates], other.weight)

    def _translation(self, of: Live, to: Live) -> Ints:
        """int32 (n_items of one model,): their codes in the other's catalogue, -1 where it does not have them."""
        key = of.version, to.version
        if key not in self._codes:
            if len(self._codes) >= CATALOGUES:
                self._codes.clear()
            known = {str(item): code for code, item in enumerate(to.ids)}
            self._codes[key] = np.array([known.get(str(item), -1) for item in of.ids], np.int32)
        return self._codes[key]


def recorded(chosen: Chosen, others: Sequence[Arm]) -> Answer:
    """What is kept: the items at their positions, with their probabilities over these arms and the draw."""
    answer, ids = chosen.answer, chosen.ask.live.ids
    found = probabilities(chosen.shown, [chosen.own, *others], answer.share, chosen.ask.request.k)
    items = zip(chosen.shown.tolist(), found.tolist(), strict=True)
    return replace(answer, items=tuple(Shown(str(ids[code]), at, value) for at, (code, value) in enumerate(items, 1)))


def _counted(chosen: Chosen) -> Chosen:
    """With the number of candidates, also where nothing was drawn: lists with rules of their own have none."""
    if chosen.ask.alone or chosen.answer.candidates:
        return chosen
    return replace(chosen, answer=replace(chosen.answer, candidates=len(candidates_of(chosen.ask))))


def _lists(pairs: Sequence[tuple[Chosen, Other]]) -> list[Ranked | None]:
    """What each model would have shown for the request; None where it cannot answer."""
    asks = [_asked(chosen, other) for chosen, other in pairs]
    there = [ask for ask in asks if ask is not None]
    try:
        found: Sequence[Any] = asking.answer(there)
    except Exception:  # noqa: BLE001 - one of them: which, is found by asking each alone
        found = [_alone(ask) for ask in there]
    lists = iter(found)
    answers = [None if ask is None else next(lists) for ask in asks]
    return [None if isinstance(answer, Problem) else answer for answer in answers]


def _asked(chosen: Chosen, other: Other) -> Ask | None:
    try:
        return asking.ready(other.live, other.state, chosen.ask.request)
    except (MatineeError, Problem):
        return None


def _alone(ask: Ask) -> Ranked | Problem | None:
    try:
        return asking.answer([ask])[0]
    except Exception as error:  # noqa: BLE001 - the answer was given long ago
        logger.warning("%s would not have answered a request: %s", ask.live.name, type(error).__name__)
        return None


def candidates_of(ask: Ask) -> Ints:
    """int32 (C,): what the model may recommend to this person."""
    model, state = ask.live.model, ask.state
    may = np.ones(len(model.items), np.bool_) if model.scores_unknown_items() else model.fitted.popularity > 0
    if ask.request.exclude_seen:
        may[state.item] = False
    may[state.disliked] = False
    return np.flatnonzero(may).astype(np.int32)
