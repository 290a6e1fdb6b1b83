"""What a request may ask for, and how long it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from matinee.errors import MatineeError

MODEL_NAME = re.compile(r"[a-z0-9_-]{1,64}")
BODY = 1 << 20
"""Bytes of a body."""
K = 1_000
BATCH = 256
ALL_K = 25_600
"""Items of all lists of a batch."""
SLOW = 2 * BATCH
"""Questions with rules, lists or explanations that wait."""
HISTORY = 5_000
"""Events of a history."""
LISTED = 10_000
"""Items to allow or deny."""
TEXT = 500
"""Characters of a title or a query."""
IDENTITY = 200
"""Characters of an id or a key: the event store keeps 256, and SESSION is among them."""
SESSION = "session:"
"""Before the id of a session, where it stands for a person: a user may have the same id."""
EXPLAINED = 200
"""The newest items of a history that are left out in turn to explain an item."""


@dataclass(frozen=True)
class Limits:
    """queue: requests that are worked on or wait; the next ones are told to come again. body_seconds, header_seconds:
    for a whole body, and for what stands before it. receiving, buffered: bodies that are being received, and their
    bytes in all; more are told to come again. store_seconds: for a history of the event store, without which
    recommendations go on. drain_seconds: for the last answers when the service ends."""

    queue: int = 256
    body_seconds: float = 10.0
    header_seconds: float = 10.0
    receiving: int = 64
    buffered: int = 8 << 20
    store_seconds: float = 2.0
    drain_seconds: float = 8.0
    cached_users: int = 10_000


def check_name(name: str) -> str:
    """A model's name. Raises MatineeError for one that no path of a request may hold."""
    if not MODEL_NAME.fullmatch(name):
        hint = "use 1 to 64 of a-z, 0-9, _ and -: matinee serve --name ease=models/EASE"
        raise MatineeError(f"{name!r} is no name for a model of a service", hint=hint)
    return name
