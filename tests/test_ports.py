"""Ports that are free, taken, or none."""

from __future__ import annotations

import socket

import pytest

from matinee.errors import MatineeError
from matinee.ports import is_free, refuse_taken


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        with pytest.raises(MatineeError, match=f"port {port} is taken"):
            refuse_taken("127.0.0.1", port)
    assert is_free("127.0.0.1", port)
    assert is_free("localhost", port)


def test_an_address_of_another_machine_is_named() -> None:
    """192.0.2.1 is of no machine (RFC 5737)."""
    with pytest.raises(MatineeError, match=r"192\.0\.2\.1, port 8000, cannot be listened on"):
        is_free("192.0.2.1", 8000)
