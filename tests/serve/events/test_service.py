"""The service while its PostgreSQL is stopped and started: events wait, recommendations go on, nothing is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import matinee as mt
from matinee.serve.events import EventStore
from matinee.serve.limits import Limits
from serve.events.postgres import Cluster
from serve.world import App, started, until


class Clients:
    """Two that ask for recommendations, and one that sends events and sends again what was not acknowledged."""

    def __init__(self, running: App) -> None:
        self.running, self.stop = running, threading.Event()
        self.answers: list[int] = []
        self.events: list[int] = []
        self.acknowledged: list[str] = []
        self.threads = [threading.Thread(target=work) for work in (self.ask, self.ask, self.send)]
        for thread in self.threads:
            thread.start()

    def ask(self) -> None:
        user = 0
        while not self.stop.is_set():
            user += 1
            answer = self.running.client.post("/v1/recommend", json={"user": 100 + user % 40, "k": 3})
            self.answers.append(answer.status_code)
            time.sleep(0.005)

    def send(self) -> None:
        number = 0
        while not self.stop.is_set():
            event: dict[str, Any] = {"user": 100 + number % 40, "item": 7, "key": f"key-{number}"}
            status = self.running.client.post("/v1/events", json={"events": [event]}).status_code
            self.events.append(status)
            if status == 200:
                self.acknowledged.append(event["key"])
                number += 1
            time.sleep(0.01)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


def test_a_database_that_stops_and_starts_under_load(cluster: Cluster, folders: dict[str, Path]) -> None:
    url = cluster.new_database()
    with started(mt.create_app(folders["ease"], events=url, limits=Limits(store_seconds=1.0))) as running:
        clients = Clients(running)
        try:
            until(lambda: len(clients.acknowledged) > 5)
            cluster.stop()
            try:
                until(lambda: clients.events.count(503) > 2, 20)
                asked = len(clients.answers)
                until(lambda: len(clients.answers) > asked + 20, 20)
            finally:
                cluster.start()
            before = len(clients.acknowledged)
            until(lambda: len(clients.acknowledged) > before + 5, 20)
        finally:
            clients.end()
    assert set(clients.answers) == {200}
    assert set(clients.events) == {200, 503}
    with EventStore.open(url) as store:
        kept = [event.key for event in store.events()]
    assert len(kept) == len(set(kept))
    assert set(clients.acknowledged) <= set(kept)
