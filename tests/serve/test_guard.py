"""What stands before the routes: tokens, names, lengths, times, how many wait; and what is told of none of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import matinee as mt
from matinee.serve.limits import BODY, Limits
from matinee.serve.server import check_token, hosts_of
from serve.world import App, started

TOKEN = "0123456789abcdef-token"
JSON = (b"content-type", b"application/json")


async def call(
    app: Any, parts: Iterable[bytes], headers: list[tuple[bytes, bytes]], *, wait: float = 0.0
) -> tuple[int, dict[str, Any], int]:
    """Status and JSON of a POST to /v1/recommend whose body comes in parts; how many of them were taken."""
    rest, sent, taken = list(parts), list[dict[str, Any]](), 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        await asyncio.sleep(wait)
        if not rest:
            return {"type": "http.disconnect"}
        taken += 1
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/recommend", "raw_path": b"/v1/recommend", "query_string": b"",
        "headers": [(b"host", b"localhost"), *headers], "http_version": "1.1", "scheme": "http", "root_path": "",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]), taken


def test_a_body_that_says_it_is_too_long_is_not_read(plain: App) -> None:
    status, _, taken = asyncio.run(call(plain.app, [b"{}"], [JSON, (b"content-length", str(BODY + 1).encode())]))
    assert (status, taken) == (413, 0)
    assert asyncio.run(call(plain.app, [b"{}"], [JSON, (b"content-length", b"-3")]))[0] == 413


def test_a_body_in_chunks_is_counted_while_it_comes(plain: App) -> None:
    chunk = b" " * 65_536
    status, problem, taken = asyncio.run(call(plain.app, [chunk] * 1000, [JSON, (b"transfer-encoding", b"chunked")]))
    assert (status, taken) == (413, BODY // len(chunk) + 1)
    assert "1,048,576 bytes" in problem["detail"]
    assert _guard(plain).buffered == 0
    body = json.dumps({"user": 100, "k": 2}).encode()
    status, answer, _ = asyncio.run(call(plain.app, [body[:5], body[5:]], [JSON, (b"transfer-encoding", b"chunked")]))
    assert (status, len(answer["items"])) == (200, 2)


def test_a_body_that_comes_too_slowly_is_not_waited_for(folders: dict[str, Path]) -> None:
    with started(mt.create_app(folders["ease"], limits=Limits(body_seconds=0.1))) as running:
        status, problem, _ = asyncio.run(call(running.app, [b" "] * 50, [JSON, (b"content-length", b"50")], wait=0.02))
        assert (status, problem["detail"]) == (408, "the body did not come within 0.1 seconds")


def test_all_bodies_together_are_bounded(folders: dict[str, Path]) -> None:
    chunk = b" " * 50_000

    async def many(app: Any) -> list[int]:
        calls = (call(app, [chunk] * 4, [JSON, (b"transfer-encoding", b"chunked")], wait=0.001) for _ in range(30))
        return [status for status, _, _ in await asyncio.gather(*calls)]

    with started(mt.create_app(folders["ease"], limits=Limits(buffered=500_000))) as running:
        statuses = asyncio.run(many(running.app))
        assert 503 in statuses
        assert _guard(running).buffered == 0


def test_a_client_that_leaves_gets_no_answer_that_counts(plain: App) -> None:
    assert asyncio.run(call(plain.app, [], [JSON, (b"content-length", b"5")]))[0] == 400


def _guard(running: App) -> Any:
    layer: Any = running.app.middleware_stack
    while type(layer).__name__ != "Guard":
        layer = layer.app
    return layer


def test_more_than_the_queue_holds_are_told_to_come_again(folders: dict[str, Path]) -> None:
    with started(mt.create_app(folders["ease"], limits=Limits(queue=2))) as running:
        _guard(running).active = 2
        answer = running.client.post("/v1/recommend", json={"user": 100})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert [running.client.get(path).status_code for path in ("/live", "/ready", "/metrics")] == [200, 200, 200]
        _guard(running).active = 1
        running.ask(user=100)
        assert _guard(running).active == 1


def test_a_token_is_asked_for_everywhere_but_of_health(folders: dict[str, Path]) -> None:
    log = io.BytesIO()
    with started(mt.create_app(folders["ease"], token=TOKEN, log=log)) as running:
        paths = ["/v1/models", "/metrics", "/openapi.json", "/v1/similar/7", "/nothing"]
        wrong = [
            {},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": "Bearer \xe9"},
        ]
        for headers in wrong:
            for path in paths:
                answer = running.client.get(path, headers={k: v.encode("latin-1") for k, v in headers.items()})
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert running.client.get("/live").status_code == running.client.get("/ready").status_code == 200
        right = {"authorization": f"bearer {TOKEN}"}
        assert [running.client.get(path, headers=right).status_code for path in paths] == [200, 200, 200, 200, 404]
    assert TOKEN.encode() not in log.getvalue()


def test_other_names_than_the_services_are_refused(folders: dict[str, Path]) -> None:
    """A page in a browser may have its own name lead to 127.0.0.1."""
    with started(mt.create_app(folders["ease"], allowed_hosts=["films.example", "::1"])) as running:
        for host, status in [
            ("films.example", 200), ("FILMS.example:8000", 200), ("[::1]:80", 200), ("evil.example", 421), ("", 421),
            ("films.example.evil.example", 421), ("localhost", 421),
        ]:  # fmt: skip
            assert running.client.get("/live", headers={"host": host}).status_code == status, host


def test_a_body_must_be_json_and_say_so(plain: App) -> None:
    """A form of another site cannot say so."""
    for kind, status in [("text/plain", 415), ("", 415), ("application/json; charset=utf-8", 200)]:
        answer = plain.client.post("/v1/recommend", content=b'{"user": 100}', headers={"content-type": kind})
        assert answer.status_code == status
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"user": "\\ud800"}', b"[" * 100_000, b'{"user": 1e400}'):
        answer = plain.client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, body[:20]
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_fails_inside_is_not_told_outside(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret /etc/passwd")

    with started(mt.create_app(folders["ease"])) as running:
        monkeypatch.setattr("matinee.rank.recommend", failing)
        monkeypatch.setattr("matinee.rank.similar_to", failing)
        for answer in (running.client.post("/v1/recommend", json={"user": 100}), running.client.get("/v1/similar/7")):
            assert answer.status_code == 500
            assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}
            assert "secret" not in answer.text
            assert answer.json()["request_id"] in caplog.text
    assert "secret" in caplog.text


def test_the_log_has_a_line_for_each_request_and_no_history(folders: dict[str, Path], tmp_path: Path) -> None:
    log = io.BytesIO()
    app = mt.create_app(folders, log=log, routing={"ease": 1}, events=str(tmp_path / "e.db"))
    with started(app) as running:
        ids = [
            running.ask(user=100, history=["Film 31 é"])["request_id"],
            running.ask("/v1/events", events=[{"user": 100, "item": 317, "key": "key-77"}])["request_id"],
            running.client.delete("/v1/users/100").json()["request_id"],
            running.client.get("/v1/similar/317").json()["request_id"],
            running.client.post("/v1/recommend", json={"user": "100", "k": 0}).json()["request_id"],
        ]
        running.client.get("/live")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["request_id"] for line in lines] == ids
    assert [line["status"] for line in lines] == [200, 200, 200, 200, 422]
    assert lines[0] | {"time": 0, "ms": 0, "request_id": "", "version": ""} == {
        "time": 0, "request_id": "", "method": "POST", "route": "/v1/recommend", "status": 200, "ms": 0,
        "model": "ease", "version": "", "arm": "ease", "fallback": False,
    }  # fmt: skip
    assert lines[2]["route"] == "/v1/users/{id}"
    rest = json.dumps([line | {"time": 0, "ms": 0, "request_id": "", "version": ""} for line in lines])
    for personal in ("100", "317", "Film", "key-77"):
        assert personal not in rest


def test_binding_beyond_loopback_needs_a_token_and_a_name() -> None:
    assert "localhost" in hosts_of("127.0.0.1", None, ())
    assert "films" in hosts_of("::1", None, ["films"])
    for host in ("0.0.0.0", "10.1.2.3", "example.org", "::"):
        with pytest.raises(mt.MatineeError, match="there is no token"):
            hosts_of(host, None, ["x"])
    with pytest.raises(mt.MatineeError, match="does not know its name"):
        hosts_of("0.0.0.0", TOKEN, ())
    assert hosts_of("0.0.0.0", TOKEN, ["films"]) == ("films",)
    assert hosts_of("10.1.2.3", TOKEN, ()) == ("10.1.2.3",)
    assert check_token(f" {TOKEN}\n") == TOKEN
    for weak in ("", "short", "x" * 15, "é" * 20, "a b" * 10):
        with pytest.raises(mt.MatineeError):
            check_token(weak)
