"""The process: a socket, uvicorn, and how it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Iterable
from typing import Any

import uvicorn
from fastapi import FastAPI

from matinee.errors import MatineeError
from matinee.serve.guard import LOOPBACK, Guard, Receive, Scope, Send
from matinee.serve.limits import Limits

HEADERS = 32 << 10
"""Bytes of a request's line and headers, after which no more are read."""
OPEN_CONNECTIONS = 1_000


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str, token: str | None, allowed: Iterable[str]) -> tuple[str, ...]:
    """The names by which a service bound to this address may be addressed. Raises MatineeError where others could reach
    it and nothing asks them who they are."""
    named = tuple(allowed)
    if is_loopback(host):
        return (*LOOPBACK, *named)
    if token is None:
        hint = "write a token to a file and pass --token-file FILE, and --allowed-host NAME; or bind to 127.0.0.1"
        raise MatineeError(f"{host} can be reached from other machines, and there is no token", hint=hint)
    if not named and host in ("0.0.0.0", "::"):
        hint = "pass --allowed-host NAME, the name by which clients call it; * allows any"
        raise MatineeError(f"a service on {host} does not know its name", hint=hint)
    return named or (host,)


def check_token(token: str) -> str:
    """A token, without the line's end of its file. Raises MatineeError for one that can be guessed."""
    token = token.strip()
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        hint = 'make one: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        raise MatineeError("the token has fewer than 16 letters, or others than ASCII has", hint=hint)
    return token


def run(app: FastAPI, *, host: str, port: int, limits: Limits | None = None) -> None:
    """Serve until SIGTERM or SIGINT; answers under way are given up to `drain_seconds`."""
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them once more when all is done
        signal.signal(number, lambda *_: None)
    Server(_config(app, host, port, limits or Limits())).run()


def front(app: FastAPI) -> Any:
    """ASGI: the routes that are asked most go straight to the guard. FastAPI's layers before it do nothing for them,
    and take a tenth of the time."""
    app.middleware_stack = guard = app.build_middleware_stack()
    while not isinstance(guard, Guard):
        guard = guard.app  # type: ignore[attr-defined]

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        near = scope["type"] == "http" and (scope["method"], scope["path"]) in guard.fast
        await (guard if near else app)(scope, receive, send)

    return asked


def _config(app: FastAPI, host: str, port: int, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        front(app), host=host, port=port, http=_protocol(limits), ws="none", log_level="warning", access_log=False,
        timeout_keep_alive=30, timeout_graceful_shutdown=round(limits.drain_seconds), proxy_headers=False,
        server_header=False,
    )  # fmt: skip


class Server(uvicorn.Server):
    """uvicorn's, which says where it listens."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for socket in server.sockets:
                address = socket.getsockname()
                shown = f"[{address[0]}]" if ":" in address[0] else address[0]
                print(f"serving on http://{shown}:{address[1]}", flush=True)


def _protocol(limits: Limits) -> Any:
    """A connection that is closed where headers come too slowly, or are too long; uvicorn's own waits for ever."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # without httptools; h11 limits the length of headers itself
        return "h11"

    class Connection(HttpToolsProtocol):
        _waiting: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > OPEN_CONNECTIONS:
                transport.close()
                return
            self._waiting = self.loop.call_later(limits.header_seconds, self._close)

        def data_received(self, data: bytes) -> None:
            if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
                self._waiting = self.loop.call_later(limits.header_seconds, self._close)
            if self._waiting is not None:
                if self._received > HEADERS:
                    self._close()
                    return
                self._received += len(data)
            super().data_received(data)

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None
            self._received = 0

        def _close(self) -> None:
            if not self.transport.is_closing():
                self.transport.close()

    return Connection
