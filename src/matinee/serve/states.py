"""What is known of people: the model's log, then stored events; and the last few thousand of them in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matinee.data.arrays import Floats, Ints
from matinee.data.ids import Id
from matinee.serve.limits import SESSION
from matinee.serve.live import Live

VERSIONS = 8  # of models, of which a person's states are kept


class Stored(Protocol):
    """An event of the store."""

    @property
    def item(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def time(self) -> float | None: ...
    @property
    def rating(self) -> float | None: ...


@dataclass(frozen=True)
class State:
    """Someone's history, oldest first. user: their code, -1 = not of the log. item: int32 (n,). rating float32 (n,),
    time int64 (n,) and weight float32 (n,) where the model's log has them. disliked: int32 (m,), never recommended.
    known: whether the log or the store knows them. read: whether the store could be read."""

    user: int
    item: Ints
    rating: Floats | None
    time: NDArray[np.int64] | None
    weight: Floats | None
    disliked: Ints
    title: str | None
    known: bool
    read: bool = True


def person_of(live: Live, user: Id | None, session: str | None) -> str | None:
    """Who somebody is for the store and for routing; None: nobody in particular. A user of the log has one spelling."""
    if session is not None:
        return SESSION + session
    if user is None:
        return None
    code = live.model.users.find(user)
    return str(live.model.users.ids[code]) if code >= 0 else str(user)


def state_of(live: Live, person: str | None, events: Sequence[Stored] | None) -> State:
    """What a model's log and the events of the store say. events: oldest first; None: the store could not be read."""
    data = live.data
    code = -1 if person is None or person.startswith(SESSION) else live.model.users.find(person)
    # a model that was saved without histories knows its users by name alone
    logged = data.queries_of(np.array([max(code, 0)], np.int32)) if code >= 0 and data.n_users else None
    item = np.empty(0, np.int32) if logged is None else logged.history.values
    parts: dict[str, Any] = {
        "rating": None if data.value is None else np.empty(0, np.float32),
        "time": None if data.timestamp is None else np.empty(0, np.int64),
        "weight": None if data.weight is None else np.empty(0, np.float32),
    }
    if logged is not None:
        parts = {
            "rating": logged.history_ratings, "time": logged.history_times, "weight": logged.history_weights,
        }  # fmt: skip
    seen = item
    disliked = np.empty(0, np.int32) if logged is None else logged.exclude.values[len(seen) :]
    title = None if logged is None or logged.title is None else logged.title[0]
    state = State(code, item, **parts, disliked=disliked, title=title, known=code >= 0, read=events is not None)
    return with_events(live, state, events) if events else state


def with_events(live: Live, state: State, events: Iterable[Stored]) -> State:
    """A state with further events, in the order of their times where the log has times. Events of the store that the
    log has already, from a refit, count once."""
    new: list[tuple[int, float, int]] = []  # item, rating, time
    disliked: dict[int, None] = dict.fromkeys(state.disliked.tolist())
    logged = _pairs(state)
    some = False
    for event in events:
        some = True
        code = live.model.items.find(event.item)
        if code < 0:
            continue
        if event.kind == "dislike":
            disliked[code] = None
            continue
        disliked.pop(code, None)  # what someone says last holds
        time = int(event.time or 0)
        if (code, time if state.time is not None else 0) not in logged:
            new.append((code, live.typical_rating if event.rating is None else live.rating(event.rating), time))
    disliked_codes = np.array(list(disliked), np.int32)
    return _extended(state, new, disliked_codes, known=state.known or some)


def _pairs(state: State) -> set[tuple[int, int]]:
    times = np.zeros(len(state.item), np.int64) if state.time is None else state.time
    return set(zip(state.item.tolist(), times.tolist(), strict=True))


def _extended(state: State, new: list[tuple[int, float, int]], disliked: Ints, *, known: bool) -> State:
    codes, ratings, times = (np.array(column) for column in zip(*new, strict=True)) if new else (np.empty(0),) * 3
    item = np.concatenate([state.item, codes.astype(np.int32)])
    rating = None if state.rating is None else np.concatenate([state.rating, ratings.astype(np.float32)])
    weight = None if state.weight is None else np.concatenate([state.weight, np.ones(len(new), np.float32)])
    time = None if state.time is None else np.concatenate([state.time, times.astype(np.int64)])
    if time is not None:
        order = np.argsort(time, kind="stable")
        item, time = item[order], time[order]
        rating = None if rating is None else rating[order]
        weight = None if weight is None else weight[order]
    return State(state.user, item, rating, time, weight, disliked, state.title, known, state.read)


class StateCache:
    """The states of the people who asked last, by person and model version.

    `forget` is called when an event of a person is stored. A state that was read before that, and arrives after it, is
    not kept: `reading` says which reads are under way.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._states: OrderedDict[str, dict[str, State]] = OrderedDict()
        self._reading: dict[str, set[Reading]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._states)

    def get(self, person: str, version: str) -> State | None:
        with self._lock:
            found = self._states.get(person)
            if found is None:
                return None
            self._states.move_to_end(person)
            return found.get(version)

    def reading(self, person: str) -> Reading:
        """Begins a read; `put` or `drop` ends it."""
        with self._lock:
            begun = Reading(person)
            self._reading.setdefault(person, set()).add(begun)
            return begun

    def put(self, reading: Reading, states: Mapping[str, State]) -> None:
        """Keep what was read, for each model version, unless the person was forgotten meanwhile."""
        with self._lock:
            self._end(reading)
            if reading.stale or not self.most:
                return
            kept = self._states.setdefault(reading.person, {})
            if len(kept) > VERSIONS:  # of models that serve no more
                kept.clear()
            kept.update(states)
            self._states.move_to_end(reading.person)
            while len(self._states) > self.most:
                self._states.popitem(last=False)

    def drop(self, reading: Reading) -> None:
        with self._lock:
            self._end(reading)

    def forget(self, persons: Iterable[str]) -> None:
        with self._lock:
            for person in persons:
                self._states.pop(person, None)
                for reading in self._reading.get(person, ()):
                    reading.stale = True

    def _end(self, reading: Reading) -> None:
        under_way = self._reading.get(reading.person)
        if under_way is not None:
            under_way.discard(reading)
            if not under_way:
                del self._reading[reading.person]


@dataclass(eq=False)
class Reading:
    """A read of somebody's events that is under way. stale: they were forgotten since it began."""

    person: str
    stale: bool = False
