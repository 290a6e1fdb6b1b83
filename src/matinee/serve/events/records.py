"""What an event store keeps: events of people, and the answers they were given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from matinee.errors import MatineeError, listed

Kind = Literal["watch", "rating", "dislike"]
KINDS: tuple[str, ...] = get_args(Kind)
LONGEST = 256
"""Characters of an id or a key: PostgreSQL's index takes no entry over 2,700 bytes."""


class StoreUnavailable(MatineeError):  # noqa: N818 - a state, which the caller waits out
    """The event store cannot be reached, or cannot write: nothing of this call was kept. Try it again later."""


class KeyReused(MatineeError):  # noqa: N818
    """A key came again with other content: nothing of this call was kept. The client has to use another key."""


@dataclass(frozen=True)
class Event:
    """One thing a person did. person: a user id or a session id, as text. time: seconds since 1970; None: when it
    arrives. rating: of the kind "rating" alone. key: the client's own, by which a repetition is known.

    Raises MatineeError for what cannot be kept."""

    person: str
    item: str
    kind: Kind
    time: float | None
    rating: float | None
    key: str

    def __post_init__(self) -> None:
        for name in ("person", "item", "key"):
            _check_text(name, getattr(self, name))
        if self.kind not in KINDS:
            raise MatineeError(f"there is no event of the kind {self.kind!r}", hint=f"use one of {listed(KINDS)}")
        _check_number("time", self.time)
        _check_number("rating", self.rating)
        if (self.kind == "rating") != (self.rating is not None):
            what = "a rating needs a number" if self.rating is None else f"a {self.kind} has no rating"
            raise MatineeError(what, where="rating", hint='give rating with the kind "rating", and with no other')


@dataclass(frozen=True)
class Shown:
    """One item of an answer. position: from 1. probability: with which this item stood there, over routing and the
    randomised share (`serve.exploration`)."""

    item: str
    position: int
    probability: float

    def __post_init__(self) -> None:
        _check_text("item", self.item)
        if self.position < 1:
            raise MatineeError(f"position is {self.position}", where="shown", hint="positions count from 1")
        if not 0 < self.probability <= 1:
            what = f"probability is {self.probability}: what was shown had one above 0 and at most 1"
            raise MatineeError(what, where="shown", hint="record what `exploration.explored` returned")


@dataclass(frozen=True)
class Answer:
    """One list that somebody was shown. request: an id of the request, never used again. person: as of an `Event`.
    arm: which of the routed models answered. share: of randomised answers, when it was given. candidates: how many
    items a randomised list was, or would have been, drawn from; 0 where the request had rules of its own,
    and where nothing was left to chance."""

    request: str
    time: float
    person: str
    model: str
    version: str
    arm: str
    items: tuple[Shown, ...]
    share: float = 0.0
    candidates: int = 0

    def __post_init__(self) -> None:
        for name in ("request", "person", "model", "version", "arm"):
            _check_text(name, getattr(self, name))
        _check_number("time", self.time)
        positions = [shown.position for shown in self.items]
        if len(set(positions)) < len(positions):
            raise MatineeError("two items stand at one position", where=f"answer {self.request}", hint="count from 1")


def _check_text(name: str, value: object) -> None:
    """Raise MatineeError unless a database can keep it: text of 1 to LONGEST characters."""
    if not isinstance(value, str):
        raise MatineeError(f"{name} is no text: {value!r}", where=name, hint="ids are text in the event store")
    if not 1 <= len(value) <= LONGEST:
        raise MatineeError(f"{name} has {len(value):,} characters", where=name, hint=f"use 1 to {LONGEST}")
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise MatineeError(f"{name} holds a sign that is no text: {value!r}", where=name, hint="leave it out")


def _check_number(name: str, value: float | None) -> None:
    """Raise MatineeError for a number that is not finite."""
    if value is not None and (isinstance(value, bool) or not math.isfinite(value)):
        raise MatineeError(f"{name} is no finite number: {value!r}", where=name, hint="correct it or leave it out")
