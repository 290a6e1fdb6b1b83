"""What the tests of the service share: a log, a service in this process, and one in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from fastapi import FastAPI

import matinee as mt
from matinee.serve.service import Service

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of httpx, which it would have replaced by another package
    warnings.simplefilter("ignore", UserWarning)
    from fastapi.testclient import TestClient

N_USERS, N_ITEMS = 40, 60
GENRES = ("Drama", "Comedy", "War", "Romance")
SRC = Path(mt.__file__).parents[1]


def made_log(rng: np.random.Generator) -> mt.Dataset:
    """40 users of tastes that differ, 60 items with titles, years and genres, ratings and times; ids are no codes."""
    rows = []
    for user in range(N_USERS):
        taste = rng.dirichlet(np.full(4, 0.3))
        weight = taste[np.arange(N_ITEMS) % 4] / (1 + np.arange(N_ITEMS))
        n = int(rng.integers(4, 18))
        items = rng.choice(N_ITEMS, n, replace=False, p=weight / weight.sum())
        times = 1_000_000_000 + np.sort(rng.integers(0, 10**7, n))
        rows += [
            (100 + user, 10 * int(i) + 7, int(rng.integers(1, 6)), int(t)) for i, t in zip(items, times, strict=True)
        ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    table = pl.DataFrame(
        {
            "item_id": [10 * i + 7 for i in range(N_ITEMS)],
            "title": ["Twins" if i in (3, 5) else f"Film {i:02d} é" for i in range(N_ITEMS)],
            "year": [1950 + i for i in range(N_ITEMS)],
            "genres": [[GENRES[i % 4], GENRES[(i // 4) % 4]] for i in range(N_ITEMS)],
        }
    )
    return mt.read(log, items=table, rating="rating", timestamp="timestamp")


@dataclass(frozen=True)
class App:
    """A service in this process. client follows no redirects and shows no exception of the inside."""

    app: FastAPI
    client: TestClient

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def ask(self, path: str = "/v1/recommend", **body: Any) -> dict[str, Any]:
        """The answer to a body that fits."""
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, status: int, path: str = "/v1/recommend", **body: Any) -> str:
        """What a problem says."""
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["request_id"] == answer.headers["x-request-id"]
        return str(problem["detail"])


@contextlib.contextmanager
def started(app: FastAPI) -> Iterator[App]:
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False, follow_redirects=False) as client:
        yield App(app, client)


def ids(answer: dict[str, Any]) -> list[Any]:
    return [item["item_id"] for item in answer["items"]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(*arguments: str | Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`matinee serve ARGUMENTS --port P` and P; killed at the end where it still runs."""
    port = free_port()
    command = [sys.executable, "-m", "matinee", "serve", *map(str, arguments), "--port", str(port)]
    env = os.environ | {"PYTHONPATH": str(SRC), "MATINEE_NUM_THREADS": "1"} | environment
    running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        if not line.startswith(b"serving on"):
            _, told = running.communicate(timeout=20)
            raise AssertionError(told.decode())
        yield running, port
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate(timeout=20)


def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
