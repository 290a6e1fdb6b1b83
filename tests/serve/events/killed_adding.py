"""A process that adds events until it is killed: python killed_adding.py URL NAME. Each key is on stdout once it is
acknowledged, and never before."""

from __future__ import annotations

import itertools
import os
import sys
import threading

from matinee.serve.events import Event, EventStore


def add(store: EventStore, name: str) -> None:
    """Batches of one, two and three events, each batch sent twice, as by a client that did not hear."""
    for n in itertools.count():
        batch = [Event(f"u{n % 7}", str(n), "watch", float(n), None, f"{name}-{n}-{at}") for at in range(1 + n % 3)]
        for _ in range(1 + (n % 4 == 0)):
            store.add(batch)
            os.write(1, "".join(f"{event.key}\n" for event in batch).encode())


if __name__ == "__main__":
    with EventStore.open(sys.argv[1]) as opened:
        threads = [threading.Thread(target=add, args=[opened, f"{sys.argv[2]}-{thread}"]) for thread in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
