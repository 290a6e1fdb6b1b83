"""Milliseconds of `matinee serve` at given rates: requests arrive when they are due, whether or not others are done.

.venv/bin/python benchmarks/load.py --data-dir ../shared/data --models ease,markov --rates 50,200,400,600

The service and this script share the machine, on loopback alone. A request's time runs from when it was due. Each is
for a random user of the log, with k items, on one of a few connections that stay open.
--peer PYTHON serves implicit's ALS behind the plainest FastAPI application with an interpreter that has both.
--memory N asks N requests, each as soon as one before is answered, and prints what the service holds after each 10,000.
A third of them is for users, a third for sessions that bring a history, a third filters; no two of these are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.models import registry
from timing import environment

MOST_SECONDS = 120.0
MOST_REQUESTS = 250_000
SAMPLE = 10_000
"""Requests between two looks at the memory."""
PEER = Path(__file__).with_name("load_peer.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"), help="holds ml-1m")
    parser.add_argument("--data", default="ml-1m", help="a named set; default: %(default)s")
    parser.add_argument("--models", default="ease,markov", help="fitted with defaults; default: %(default)s")
    parser.add_argument("--folder", type=Path, help="a fitted model, in place of --models")
    parser.add_argument("--rates", default="50,200,400,600", help="requests a second; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each rate; default: %(default)s")
    parser.add_argument("--connections", type=int, default=32, help="default: %(default)s")
    parser.add_argument("-k", type=int, default=10, help="items; default: %(default)s")
    parser.add_argument("--where", help="an expression in every request: filters")
    parser.add_argument("--events", default="none", help="the service's event store; default: %(default)s")
    parser.add_argument("--peer", type=Path, help="an interpreter with implicit, fastapi and uvicorn")
    parser.add_argument("--memory", type=int, metavar="N", help="memory over N requests, in place of rates")
    parser.add_argument("--out", type=Path, help="JSON lines")
    given = parser.parse_args()
    if given.memory is not None and not SAMPLE <= given.memory <= MOST_REQUESTS:
        parser.error(f"--memory is from {SAMPLE:,} to {MOST_REQUESTS:,} requests")
    if given.seconds > MOST_SECONDS:
        parser.error(f"--seconds is at most {MOST_SECONDS:g}")
    machine = environment()
    print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_at_start']:.2f}; {machine['when']}")
    with tempfile.TemporaryDirectory() as temp:
        for name, command, users in servers(given, Path(temp)):
            with started(name, command) as service:
                for row in rows(service, given, users):
                    print(line(name, row), flush=True)
                    if given.out is not None:
                        with given.out.open("a", encoding="utf-8", newline="\n") as file:
                            file.write(json.dumps({"model": name, **row, **machine}) + "\n")


def rows(service: Service, given: argparse.Namespace, users: list[int | str]) -> Iterator[dict[str, Any]]:
    """What is measured of a service, a row at a time."""
    if given.memory is not None:
        yield from held(service, given, users)
        return
    for rate in map(float, given.rates.split(",")):
        yield measured(service, rate, given, users)


def servers(given: argparse.Namespace, temp: Path) -> Iterator[tuple[str, list[str], list[int | str]]]:
    """Name, command but for its port, and the users that are asked about."""
    serve = [sys.executable, "-m", "matinee", "serve", "--quiet", "--events", given.events]
    if given.folder is not None:
        yield given.folder.name, [*serve, str(given.folder)], mt.load_model(given.folder).users.ids.tolist()
        return
    data = mt.load(given.data, data_dir=given.data_dir)
    users = data.users.ids.tolist()
    for name in given.models.split(","):
        folder = mt.save_model(registry.create(name, {}).fit(data), temp / name)
        yield name, [*serve, str(folder)], users
    if given.peer is not None:
        pairs = temp / "pairs.npz"
        np.savez(pairs, user=data.user, item=data.item, ids=data.users.ids)
        yield "implicit's ALS", [str(given.peer), str(PEER), str(pairs)], users


# --- the service ----------------------------------------------------------------------------------------------------


@dataclass
class Service:
    pid: int
    port: int
    ready: float
    "Seconds from the start of the process to the first answer of /ready."

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> float:
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="utf-8").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def started(name: str, command: list[str]) -> Iterator[Service]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
                break
            if process.poll() is not None or time.perf_counter() - start > 120:
                raise SystemExit(f"{name} does not start")
            time.sleep(0.01)
        service = Service(process.pid, port, time.perf_counter() - start)
        print(f"{name}: ready after {service.ready:.2f} s and {service.cpu():.2f} s of processor time, "
              f"{service.megabytes():,.0f} MB")  # fmt: skip
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


# --- the load -------------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Times in seconds since a request was due; wait: requests for which no connection was free."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    free: list[Connection] = field(default_factory=list)

    def send(self, due: float, request: bytes) -> None:
        if self.free:
            self.free.pop().send(due, request)
        else:
            self.waiting.append((due, request))

    def answered(self, connection: Connection, due: float, *, good: bool) -> None:
        self.seconds.append(time.perf_counter() - due)
        self.errors += not good
        if self.waiting:
            connection.send(*self.waiting.popleft())
        else:
            self.free.append(connection)


class Connection(asyncio.Protocol):
    """One request at a time; an answer ends where its Content-Length says."""

    def __init__(self, load: Load) -> None:
        self.load, self.due, self.buffer, self.length = load, 0.0, bytearray(), -1

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.load.free.append(self)

    def send(self, due: float, request: bytes) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.length < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end]).lower()
            self.length = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self.buffer) >= self.length:
            good = self.buffer.startswith(b"HTTP/1.1 200")
            self.buffer.clear()
            self.length = -1
            self.load.answered(self, self.due, good=good)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.errors += self.length >= 0


def measured(service: Service, rate: float, given: argparse.Namespace, users: list[int | str]) -> dict[str, Any]:
    """One rate for a while; a second of it before, which is not counted."""
    chance = random.Random(round(rate))
    n = min(round(rate * given.seconds), MOST_REQUESTS)
    more = {} if given.where is None else {"where": given.where}
    requests = [request({"user": chance.choice(users), "k": given.k} | more) for _ in range(n)]
    asyncio.run(ask(service.port, requests[: round(rate)], rate, given.connections, chance))
    cpu, own, start = service.cpu(), time.process_time(), time.perf_counter()
    load = asyncio.run(ask(service.port, requests, rate, given.connections, chance))
    took, cpu, own = time.perf_counter() - start, service.cpu() - cpu, time.process_time() - own
    p50, p90, p99 = (1e3 * float(np.quantile(load.seconds, q)) for q in (0.5, 0.9, 0.99))
    return {
        "rate": rate, "requests": n, "answered": round(len(load.seconds) / took, 1), "errors": load.errors, "p50": p50,
        "p90": p90, "p99": p99, "cpu_ms": 1e3 * cpu / n, "load_cpu_ms": 1e3 * own / n, "mb": service.megabytes(),
        "ready": service.ready,
    }  # fmt: skip


def held(service: Service, given: argparse.Namespace, users: list[int | str]) -> Iterator[dict[str, Any]]:
    """The service's memory before the first request and after each SAMPLE of them."""
    chance, errors, step = random.Random(0), 0, min(SAMPLE, 1000)
    yield {"requests": 0, "errors": 0, "mb": service.megabytes()}
    for done in range(0, given.memory, step):
        requests = [varied(done + n, chance, given.k, users) for n in range(step)]
        errors += asyncio.run(ask(service.port, requests, math.inf, given.connections, chance)).errors
        if (done + step) % SAMPLE == 0:
            yield {"requests": done + step, "errors": errors, "mb": service.megabytes()}


def varied(number: int, chance: random.Random, k: int, users: list[int | str]) -> bytes:
    """One of three kinds of requests; what could be kept for the next one (session, history, expression) is new."""
    if number % 3 == 0:
        return request({"user": chance.choice(users), "k": k})
    if number % 3 == 1:
        history = [{"item": chance.randrange(1, 3000), "time": number} for _ in range(chance.randrange(1, 40))]
        return request({"session_id": f"s{number}", "history": history, "k": k})
    return request({"user": chance.choice(users), "k": k, "where": f"year < {1930 + number % 71} or year > {number}"})


def request(asked: dict[str, Any]) -> bytes:
    body = json.dumps(asked).encode()
    head = "POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def ask(port: int, requests: list[bytes], rate: float, connections: int, chance: random.Random) -> Load:
    """Send them at exponential intervals, or (math.inf) as soon as they are answered; wait while answers come."""
    loop, load = asyncio.get_running_loop(), Load()
    opened = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", port) for _ in range(connections)]
    due = time.perf_counter() + 0.01
    for each in requests:
        while (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        load.send(due, each)
        due += 0.0 if rate == math.inf else chance.expovariate(rate)
    done, end = 0, time.perf_counter() + 30
    while len(load.seconds) < len(requests) and time.perf_counter() < end:
        await asyncio.sleep(0.01)
        if len(load.seconds) > done:
            done, end = len(load.seconds), time.perf_counter() + 30
    load.errors += len(requests) - len(load.seconds)
    for transport, _ in opened:
        transport.close()
    return load


def line(name: str, row: dict[str, Any]) -> str:
    if "rate" not in row:
        return f"{name:14} {row['requests']:8,} requests  {row['errors']} errors  {row['mb']:7.1f} MB"
    return (
        f"{name:14} {row['rate']:6.0f}/s  p50 {row['p50']:7.2f}  p90 {row['p90']:7.2f}  p99 {row['p99']:7.2f} ms  "
        f"{row['errors']} errors  {row['answered']:6.1f} answered/s  {row['cpu_ms']:5.2f} ms processor time "
        f"(+ {row['load_cpu_ms']:4.2f} of the load)  {row['mb']:,.0f} MB"
    )


if __name__ == "__main__":
    main()
