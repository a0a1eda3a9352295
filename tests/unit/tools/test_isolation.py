"""A test cannot reach beyond this machine, even by mistake."""

from __future__ import annotations

import socket

import pytest

ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: leads nowhere, should the guard ever fail


def test_a_connection_to_another_machine_is_refused_before_it_is_tried() -> None:
    with socket.socket() as line, pytest.raises(PermissionError, match=r"this machine only, not to 192\.0\.2\.1"):
        line.connect(ELSEWHERE)
    with socket.socket(type=socket.SOCK_DGRAM) as line, pytest.raises(PermissionError, match="this machine only"):
        line.sendto(b"", ELSEWHERE)


def test_a_connection_within_this_machine_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as line:
        assert line.getpeername() == server.getsockname()
