"""Whether an address can be listened on."""

from __future__ import annotations

import errno
import socket

from matinee.errors import MatineeError


def is_free(host: str, port: int) -> bool:
    """True where a server could be bound to the port now. Raises MatineeError where it could not for another reason:
    an address that this machine does not have, a port that needs rights."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        what = f"{host}, port {port}, cannot be listened on: {error.strerror}"
        raise MatineeError(what, hint="choose another address with --host, or another port with --port") from None
    return True


def refuse_taken(host: str, port: int) -> None:
    """Raises MatineeError where something else listens on the port."""
    if not is_free(host, port):
        raise MatineeError(f"port {port} is taken", hint="choose another with --port")
