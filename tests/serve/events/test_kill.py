"""No acknowledged event is lost, and none counts twice: writers are killed, and PostgreSQL is, again and again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import matinee
from matinee.serve.events import Event, EventStore, StoreUnavailable
from serve.events.postgres import Cluster
from serve.world import until

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(matinee.__file__).parents[1])}


def acknowledged(url: str, name: str, draw: random.Random) -> set[str]:
    """The keys that a process said were kept, before it was killed in the middle of its work."""
    command = [sys.executable, str(HERE / "killed_adding.py"), url, name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(draw.randint(1, 60))]
    process.kill()
    rest, _ = process.communicate(timeout=30)
    lines = [*told, *rest.splitlines(keepends=True)]
    return {line.strip() for line in lines if line.endswith("\n")}


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing(url: str, kills: int) -> None:
    """kill -9 at a random moment, each time on the store that the one before left behind."""
    draw, kept = random.Random(kills), set[str]()
    for number in range(kills):
        kept |= acknowledged(url, f"p{number}", draw)
        with EventStore.open(url) as store:
            found = Counter(event.key for event in store.events())
        assert kept <= set(found), f"lost after {number + 1} kills: {sorted(kept - set(found))[:5]}"
        assert set(found.values()) == {1}
    assert len(kept) >= kills
    batches = Counter(key.rsplit("-", 1)[0] for key in found)
    assert all(n == 1 + int(batch.rsplit("-", 1)[1]) % 3 for batch, n in batches.items())  # none is half there


@pytest.mark.parametrize("stops", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_postgres_is_stopped_and_started_under_load(cluster: Cluster, stops: int) -> None:
    """Four threads add events all the time and send again what was refused; each refusal is a StoreUnavailable."""
    url, stopped = cluster.new_database(), threading.Event()
    sent: list[list[str]] = [[] for _ in range(4)]
    refused, added_after = Counter[int](), Counter[int]()
    failures: list[BaseException] = []

    def add(store: EventStore, who: int) -> None:
        n = 0
        try:
            while not stopped.wait(0.002):
                event = Event(f"u{who}", str(n), "watch", float(n), None, f"{who}-{n}")
                try:
                    store.add([event])
                except StoreUnavailable:
                    refused[who] += 1
                    stopped.wait(0.05)
                    continue
                sent[who].append(event.key)
                added_after[who] += running.is_set()
                n += 1
        except BaseException as error:  # noqa: BLE001 - the thread's, which the test then tells
            failures.append(error)

    running = threading.Event()
    with EventStore.open(url, timeout=2.0) as store:
        threads = [threading.Thread(target=add, args=[store, who]) for who in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(stops):
                until(lambda: failures or min(map(len, sent)) >= 5)
                cluster.stop()
                until(lambda: failures or min(refused[who] for who in range(4)) >= 1)
                cluster.start()
                added_after.clear()
                running.set()
                until(lambda: failures or min(added_after[who] for who in range(4)) >= 5)
                running.clear()
                refused.clear()
                assert not failures, failures
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        found = Counter(event.key for event in store.events())
    assert not failures
    assert set(found.values()) == {1}
    assert {key for keys in sent for key in keys} <= set(found)
