"""What people did and what they were shown, kept in SQLite or PostgreSQL: nothing acknowledged is lost.

`records.py` has what is kept, `store.py` the store, `database.py` what differs between the two databases, `tables.py`
the tables and their version.
"""

from matinee.serve.events.records import Answer, Event, KeyReused, Kind, Shown, StoreUnavailable
from matinee.serve.events.store import EventStore

__all__ = ["Answer", "Event", "EventStore", "KeyReused", "Kind", "Shown", "StoreUnavailable"]
