"""Numbers for Prometheus, and one line of JSON for each request."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from typing import IO, Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """Each service has a registry of its own: two may live in one process."""

    def __init__(self, log: IO[bytes] | None = None) -> None:
        """log: where the lines go; None: nowhere."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "matinee_requests", "Answers by route and status", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "matinee_request_seconds",
            "From the first byte to the answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "matinee_batch_requests",
            "Requests answered as one block",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.fallbacks = Counter("matinee_fallbacks", "Answers by popularity", ["model"], registry=registry)
        self.events = Counter("matinee_events", "Stored events", ["kind"], registry=registry)
        self.store_failures = Counter("matinee_store_failures", "Times the event store failed", registry=registry)
        self.not_recorded = Gauge(
            "matinee_answers_not_recorded", "Answers that too much waited before to be kept", registry=registry
        )
        self.reloads = Counter("matinee_reloads", "Models loaded again", ["model", "result"], registry=registry)
        self.active = Gauge("matinee_requests_active", "Requests that are worked on or wait", registry=registry)
        self.cached = Gauge("matinee_cached_users", "Users whose history is in memory", registry=registry)
        self.serving = Gauge("matinee_model", "Models that serve", ["model", "version", "kind"], registry=registry)
        self._log = log
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        found = self._children.get((route, status))
        if found is None:  # looking labels up costs more than counting
            found = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._children[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def log(self, line: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.write(orjson.dumps(line) + b"\n")
            self._log.flush()

    def text(self) -> bytes:
        return generate_latest(self.registry)


def standard_error() -> IO[bytes]:
    return sys.stderr.buffer


def now() -> float:
    return time.time()


class RequestIds:
    """Ids that no other request of any service has: a random start, and a number."""

    def __init__(self) -> None:
        self._start, self._last, self._lock = secrets.token_hex(6), 0, threading.Lock()

    def new(self) -> str:
        with self._lock:
            self._last += 1
            return f"{self._start}-{self._last:x}"
