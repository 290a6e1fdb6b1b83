"""How much memory and disk a model needs, before any of it is taken: sizes, estimates, and the refusal of what cannot.

The numbers that a model needs follow from its hyper-parameters and the size of the log. A family says them once, in
`fit_bytes` (what a fit holds at its peak, beyond the log) and `learned_bytes` (what it leaves behind). Memory of the
libraries themselves is not counted: PyTorch takes some 300 MB, which a process takes once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from typing import Any, Protocol

from matinee.errors import MatineeError, listed
from matinee.models.names import locations
from matinee.profiling import available_memory

IGNORE = "MATINEE_IGNORE_MEMORY"
"""With this environment variable set to anything but 0, no fit is refused for want of memory."""
LARGE = 10**9
"""Bytes on disk from which on a model is announced before it is fitted."""
SORTING = 40
"""Bytes an event, at most, to sort a log by user and time and to make its matrix."""
FLOAT = 4
"""Bytes of a float32."""
TRAINED = 20
"""Bytes that a training holds for each weight of a net: itself, its gradient, the optimiser's two moments, and the best
weights so far."""
EVENT_ON_DISK, ID_ON_DISK, HEADERS_ON_DISK = 20, 6, 3_500
"""Bytes of a saved log: of an event with its rating and time, of an id, and of headers and manifests."""


@dataclass(frozen=True)
class Needs:
    """memory_bytes: the peak of a fit, beyond the log itself. disk_bytes: of the saved folder, its log included."""

    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class LogSize:
    """How large a log is: all that an estimate knows of it."""

    users: int
    items: int
    events: int

    @property
    def mean_length(self) -> float:
        """Events of a user, on average."""
        return self.events / max(self.users, 1)

    @property
    def log_bytes(self) -> float:
        """Of the saved log."""
        return EVENT_ON_DISK * self.events + ID_ON_DISK * (self.users + self.items) + HEADERS_ON_DISK

    @property
    def item_pairs(self) -> float:
        """Ordered pairs of items that some user has both of. The squares of users' lengths add up to about twice what
        they would if all were alike."""
        return self.different_pairs(2.0 * self.events * self.mean_length)

    def different_pairs(self, drawn: float) -> float:
        """How many different pairs of items so many drawn ones are. Popular items meet again and again: on MovieLens,
        Amazon and news logs the share that is drawn at all grows as 1 - (1 + draws a pair)^-0.5."""
        pairs = max(float(self.items) ** 2, 1.0)
        return pairs * (1.0 - 1.0 / sqrt(1.0 + drawn / pairs))


class Sized(Protocol):
    """A model, as far as its size is concerned."""

    def needs(self, n_users: int, n_items: int, n_events: int) -> Needs: ...
    def check(self, data: Any) -> None: ...


def readable(n_bytes: float) -> str:
    """ "38.5 GB", "7.2 MB", "19 kB"."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:,.0f} kB"
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def refuse_too_large(model: Sized, data: Any) -> None:
    """Raise MatineeError where a fit of the model on this Dataset needs more memory than there is, with the figures and
    models that can. Nothing is refused where it is unknown how much there is, or MATINEE_IGNORE_MEMORY is set."""
    if os.environ.get(IGNORE, "0") not in ("", "0"):
        return
    needed, free = model.needs(data.n_users, data.n_items, len(data)).memory_bytes, available_memory()
    if free is None or needed <= free:
        return
    sizes = f"{data.n_items:,} items, {data.n_users:,} users and {len(data):,} events"
    what = f"{type(model).__name__} at {sizes}: {readable(needed)} of memory needed, {readable(free)} free"
    others = list(instead(data, free))
    say = f"try {listed(others)}; " if others else ""
    raise MatineeError(what, hint=f"{say}with {IGNORE}=1 in the environment it is tried all the same")


def instead(data: Any, free: int) -> Iterator[str]:
    """Names of models that fit into so many bytes, can learn from this Dataset, and answer people differently: of each
    family the first, with its defaults."""
    families = set()
    for name, cls in classes():
        family = family_of(cls)
        if family in families or cls.member_fields or "personal" in cls.exemptions:
            continue
        model = cls()
        try:
            model.check(data)
        except MatineeError:
            continue
        if model.needs(data.n_users, data.n_items, len(data)).memory_bytes <= free:
            families.add(family)
            yield name


def classes() -> Iterable[tuple[str, Any]]:
    """The registry's names and classes; without those whose packages are not installed."""
    for name, location in locations().items():
        module, _, attribute = location.partition(":")
        try:
            yield name, getattr(import_module(module), attribute)
        except ImportError:
            continue


def family_of(cls: type) -> str:
    """The name of the nearest class above that is of models/families, or Model."""
    above = (base for base in cls.__mro__[1:] if ".families." in base.__module__ or base.__name__ == "Model")
    return next(above).__name__
