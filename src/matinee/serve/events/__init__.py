"""What people did and what they were shown, kept in SQLite or PostgreSQL: nothing acknowledged is lost.

`records.py` has what is kept, `store.py` the store, `database.py` what differs between the two databases, `tables.py`
the tables and their version.

The store is imported when it is first used: it loads SQLAlchemy, which a service without events does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matinee.errors import no_attribute
from matinee.serve.events.records import Answer, Event, KeyReused, Kind, Shown, StoreUnavailable

if TYPE_CHECKING:
    from matinee.serve.events.store import EventStore as EventStore

__all__ = ["Answer", "Event", "EventStore", "KeyReused", "Kind", "Shown", "StoreUnavailable"]


def __getattr__(name: str) -> Any:
    if name != "EventStore":
        raise no_attribute(__name__, name, __all__)
    from matinee.serve.events.store import EventStore

    return EventStore
