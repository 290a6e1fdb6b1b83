"""What stands before every route: who may come in, how much, how many at once, and one line in the log for each."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from matinee.serve.limits import BODY, Limits
from matinee.serve.problems import Problem, Reply, too_busy
from matinee.serve.telemetry import RequestIds, Telemetry, now

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[bytes, str], Awaitable[Reply]]
"""(body, request id) -> the answer: for the routes that are asked most, past the router."""
OPEN = {"/live", "/ready"}
"""Without a token, and whatever waits."""
UNQUEUED = OPEN | {"/metrics"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
logger = logging.getLogger("matinee.serve")


@dataclass
class Seen:
    """What is known of a request while it is answered."""

    route: str
    request_id: str
    status: int = 500
    noted: dict[str, Any] = field(default_factory=dict)


class Guard:
    """ASGI around the routes. Bodies are counted while they come in, and read before a route is called."""

    def __init__(
        self, app: Any, *, limits: Limits, telemetry: Telemetry, token: str | None, hosts: Iterable[str],
        fast: dict[tuple[str, str], Handler], ids: RequestIds,
    ) -> None:  # fmt: skip
        """hosts: names of this service, as in the header Host; "*": any. fast: method and path -> what answers."""
        self.app, self.limits, self.telemetry, self.fast, self.ids = app, limits, telemetry, fast, ids
        self.token = None if token is None else _digest(token)
        self.hosts = {host.lower() for host in hosts}
        self.active = 0
        telemetry.active.set_function(lambda: self.active)
        self.receiving = 0
        self.buffered = 0  # bytes of bodies that are not yet answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        seen = Seen("unknown", self.ids.new())
        scope["matinee"] = seen
        body = bytearray()
        try:
            reply = await self._admit(scope, receive, send, body, seen)
        except Problem as problem:
            problem.more["request_id"] = seen.request_id
            reply = problem.reply()
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("request %s failed", seen.request_id)
            reply = Problem(500, "the service failed: its log has more", request_id=seen.request_id).reply()
        finally:
            self.buffered -= len(body)
        if reply is not None:
            seen.status, seen.noted = reply.status, reply.noted
            await _send(send, reply, seen.request_id)
        self._tell(scope, seen, time.perf_counter() - start)

    async def _admit(self, scope: Scope, receive: Receive, send: Send, body: bytearray, seen: Seen) -> Reply | None:
        """The answer; None where the router gave it. Raises Problem."""
        path, method, headers = scope["path"], scope["method"], scope["headers"]
        given = {name: value for name, value in headers if name in _READ}
        self._check_host(given)
        if path not in OPEN:
            self._check_token(given)
        await self._read(given, receive, body)
        handler = self.fast.get((method, path))
        if path in UNQUEUED:
            await self._route(scope, send, bytes(body), seen)
            return None
        if self.active >= self.limits.queue:
            raise too_busy("too many requests are waiting: come again in a moment")
        if method == "POST" and body and not _is_json(given.get(b"content-type", b"")):
            raise Problem(415, "the body must be JSON: send Content-Type: application/json")
        self.active += 1
        try:
            if handler is not None:
                seen.route = path
                return await handler(bytes(body), seen.request_id)
            await self._route(scope, send, bytes(body), seen)
            return None
        finally:
            self.active -= 1

    def _check_host(self, given: dict[bytes, bytes]) -> None:
        host = given.get(b"host", b"").decode("latin-1").lower()
        name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
        if "*" not in self.hosts and name not in self.hosts:
            raise Problem(421, "this service has another name: start it with --allowed-host and the one you use")

    def _check_token(self, given: dict[bytes, bytes]) -> None:
        """In a time that does not depend on how much of the token is right."""
        if self.token is None:
            return
        kind, _, token = given.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(_digest(token.strip()), self.token):
            hint = "send the header Authorization: Bearer TOKEN"
            raise Problem(401, hint, headers=(("www-authenticate", "Bearer"),))

    async def _read(self, given: dict[bytes, bytes], receive: Receive, body: bytearray) -> None:
        """The whole body, counted while it comes in. Raises Problem."""
        length = given.get(b"content-length")
        if length is None and b"transfer-encoding" not in given:
            return
        if length is not None and (not length.isdigit() or int(length) > BODY):
            raise _too_long()
        limits = self.limits
        if self.receiving >= limits.receiving or self.buffered >= limits.buffered:
            raise too_busy("too many bodies are coming in: come again in a moment")
        self.receiving += 1
        try:
            async with asyncio.timeout(limits.body_seconds):
                while await self._more(receive, body):
                    if self.buffered > limits.buffered:
                        raise too_busy("too many bodies are coming in: come again in a moment")
        except TimeoutError:
            what = f"the body did not come within {limits.body_seconds:g} seconds"
            raise Problem(408, what, headers=_CLOSE) from None
        finally:
            self.receiving -= 1

    async def _more(self, receive: Receive, body: bytearray) -> bool:
        """Take the next part of a body; whether there are more. Raises Problem."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the request ended before its body", headers=_CLOSE)
        part = message.get("body", b"")
        body += part
        self.buffered += len(part)
        if len(body) > BODY:
            raise _too_long()
        return bool(message.get("more_body", False))

    async def _route(self, scope: Scope, send: Send, body: bytes, seen: Seen) -> None:
        """Let the router answer."""

        async def received() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", seen.request_id.encode()), *_SAFE]
            await send(message)

        await self.app(scope, received, sent)
        seen.route = getattr(scope.get("route"), "path", seen.route).replace(":path", "")

    def _tell(self, scope: Scope, seen: Seen, seconds: float) -> None:
        self.telemetry.answered(seen.route, seen.status, seconds)
        if seen.route in UNQUEUED:
            return
        line = {
            "time": round(now(), 3), "request_id": seen.request_id, "method": scope["method"], "route": seen.route,
            "status": seen.status, "ms": round(seconds * 1e3, 2),
        }  # fmt: skip
        self.telemetry.log(line | seen.noted)


_READ = {b"host", b"authorization", b"content-length", b"content-type", b"transfer-encoding"}
_CLOSE = (("connection", "close"),)
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


def _too_long() -> Problem:
    return Problem(413, f"a body has at most {BODY:,} bytes", headers=_CLOSE)


def _is_json(kind: bytes) -> bool:
    return kind.partition(b";")[0].strip().lower() == b"application/json"


def _digest(token: str | bytes) -> bytes:
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


async def _send(send: Send, reply: Reply, request_id: str) -> None:
    headers = [
        (b"content-type", reply.media_type.encode()), (b"content-length", str(len(reply.body)).encode()),
        (b"x-request-id", request_id.encode()), *_SAFE,
        *((name.encode(), value.encode()) for name, value in reply.headers),
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
