"""A service in a process of its own: how it starts and ends, slow and endless clients, and its Python client."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.serve.client import ServiceProblem
from matinee.serve.limits import Limits
from matinee.serve.server import Server, _config
from serve.world import free_port, process, until

pytest.importorskip("httptools")
JSON = "Content-Type: application/json\r\n"
TOKEN = "a-token-of-the-tests-0123"


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def memory(pid: int) -> float:
    """Megabytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * 4096 / 1e6


@pytest.fixture(scope="module")
def running(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    at = tmp_path_factory.mktemp("server")
    (at / "token").write_text(TOKEN + "\n")
    with process(
        folders["ease"], "--name", f"other={folders['pop']}", "--events", at / "e.db", "--token-file", at / "token",
        "--allowed-host", "films", "--quiet",
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def client(running: tuple[Any, int]) -> Iterator[mt.Client]:
    with mt.Client(f"http://127.0.0.1:{running[1]}", token=TOKEN) as made:
        yield made


def test_the_client_asks_everything_that_there_is(client: mt.Client, ease: mt.models.Model) -> None:
    found = client.recommend(103, k=4)
    assert [(item.item_id, item.score) for item in found.items] == mt.recommend(
        ease, mt.query(ease, user=103), 4
    )._ranked(0)
    assert (found.model, found.arm, found.fallback, found.user_known) == ("ease", "ease", False, True)
    assert client.recommend(history=["Film 11 é", 4], k=2).unknown_items == (4,)
    one, wrong = client.recommend_batch([{"user": 103, "k": 4}, {"user": 103, "model": "none"}])
    assert one.items == found.items  # type: ignore[union-attr]
    assert isinstance(wrong, ServiceProblem)
    assert wrong.status == 404
    assert [item.item_id for item in client.similar("Film 11 é", 3)] == [
        i for i, _ in mt.similar_items(ease, 117, 3)._ranked(0)
    ]
    assert client.explain(117, 103, k=2)["reasons"]
    assert client.find_items("film 11")[0] == (117, "Film 11 é")
    assert client.add_events([{"user": 103, "item": found.items[0].item_id, "key": "c1"}]) == [True]
    assert client.recommend(103, k=4).items != found.items
    assert client.delete_user(103) == 1
    assert client.recommend(103, k=4).items == found.items
    assert (
        {model["name"]: model["version"] for model in client.models()}["ease"] == client.reload("ease") == found.version
    )


def test_the_client_says_what_is_wrong(running: tuple[Any, int], client: mt.Client) -> None:
    with pytest.raises(ServiceProblem, match="less than or equal to 1000"):
        client.recommend(1, k=5000)
    stranger = mt.Client(f"http://127.0.0.1:{running[1]}")
    with stranger, pytest.raises(ServiceProblem, match="Bearer") as refused:
        stranger.models()
    assert refused.value.status == 401
    with pytest.raises(mt.MatineeError, match="no answer"):
        mt.Client("http://127.0.0.1:9").models()
    with pytest.raises(mt.MatineeError, match="no address"):
        mt.Client("127.0.0.1:8000")


def test_headers_without_an_end_are_not_read_for_ever(running: tuple[Any, int]) -> None:
    with connected(running[1]) as endless, contextlib.suppress(ConnectionError):
        endless.sendall(b"GET /live HTTP/1.1\r\n")
        for _ in range(400):  # 4 MB, of which 32 KiB and what is on its way are taken
            endless.sendall(b"x-more: " + b"a" * 10_000 + b"\r\n")
            time.sleep(0.001)
        raise AssertionError("all of it was taken")


def test_memory_stays_where_it_is_under_slow_and_long_bodies(running: tuple[subprocess.Popen[bytes], int]) -> None:
    server, port = running
    before = memory(server.pid)
    head = f"POST /v1/recommend HTTP/1.1\r\nHost: films\r\nAuthorization: Bearer {TOKEN}\r\n{JSON}"
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(connected(port)) for _ in range(120)]
        for n, client in enumerate(clients):
            kind = "Transfer-Encoding: chunked" if n % 2 else "Content-Length: 1000000"
            client.sendall(f"{head}{kind}\r\n\r\n".encode())
        for _ in range(9):
            for n, client in enumerate(clients):
                part = b" " * 100_000
                with contextlib.suppress(ConnectionError):  # whoever was told to come again
                    client.sendall(b"%x\r\n%b\r\n" % (len(part), part) if n % 2 else part)
        time.sleep(0.2)
        assert memory(server.pid) - before < 50
        with connected(port) as other:
            other.sendall(b"GET /live HTTP/1.1\r\nHost: films\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_a_page_elsewhere_and_a_broken_line_are_refused(running: tuple[Any, int]) -> None:
    for line, status in [(b"GET /live HTTP/1.1\r\nHost: evil\r\n\r\n", b"421"), (b"NONSENSE\r\n\r\n", b"400")]:
        with connected(running[1]) as other:
            other.sendall(line)
            assert other.recv(100).split()[1] == status


def test_a_slow_client_is_let_go(folders: dict[str, Path]) -> None:
    """With the limits of a test: the real ones are ten seconds."""
    limits = Limits(header_seconds=0.2, body_seconds=0.2)
    with in_a_thread(mt.create_app(folders["ease"], limits=limits), limits) as port:
        for start in (b"", b"POST /v1/rec", b"GET /live HTTP/1.1\r\nHos"):
            with connected(port) as slow:
                slow.sendall(start)
                assert slow.recv(100) == b""
        head = f"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 9\r\n\r\n"
        with connected(port) as slow:
            slow.sendall(head.encode() + b"{")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


@contextlib.contextmanager
def in_a_thread(app: Any, limits: Limits) -> Iterator[int]:
    """A server of this process, and its port."""
    port = free_port()
    server = Server(_config(app, "127.0.0.1", port, limits))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield port
    finally:
        server.should_exit = True
        thread.join(timeout=15)


def test_sigterm_gives_the_answers_under_way_and_ends(folders: dict[str, Path]) -> None:
    with process(folders["ease"], "--events", "none") as (server, port), contextlib.ExitStack() as opened:
        content = json.dumps(
            {"requests": [{"user": 100 + n % 40, "where": "year > 1960"} for n in range(100)]}
        ).encode()
        head = f"POST /v1/recommend/batch HTTP/1.1\r\nHost: localhost\r\n{JSON}"
        asked = [opened.enter_context(connected(port)) for _ in range(3)]
        opened.enter_context(connected(port))  # one that is idle holds nothing up
        for client in asked:
            client.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        until(lambda: active(port) == len(asked))
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        for client in asked:
            response = http.client.HTTPResponse(client)
            response.begin()
            answers = json.loads(response.read())["answers"]
            assert (response.status, len(answers)) == (200, 100)
            assert all(answer["items"] for answer in answers)
        assert server.wait(timeout=15) == 0
        assert time.monotonic() - start < 10
        assert server.stderr is not None
        lines = [json.loads(line) for line in server.stderr.read().splitlines()]  # nothing else is told
        assert [line["requests"] for line in lines] == [100] * len(asked)


def active(port: int) -> int:
    """Requests that are worked on."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return int(float(text.partition("\nmatinee_requests_active ")[2].partition("\n")[0]))
