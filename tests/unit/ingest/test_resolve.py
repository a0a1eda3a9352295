"""Names to addresses: a number needs nobody, and a resolver that stays silent holds nobody up."""

from __future__ import annotations

import socket
import threading

import pytest

from citybrain.errors import CameraGone
from ingest import resolve


async def test_a_number_is_itself_and_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert await resolve.address_of("10.1.2.3") == "10.1.2.3"
    assert await resolve.address_of("fe80::1") == "fe80::1"
    assert await resolve.resolved("rtsp://u:p@10.1.2.3:8554/x") == "rtsp://u:p@10.1.2.3:8554/x"


async def test_a_name_is_looked_up_and_ipv4_comes_first(monkeypatch):
    found = [(socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("10.1.2.3", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert await resolve.address_of("camera.example") == "10.1.2.3"
    assert await resolve.resolved("rtsp://u:p@camera.example:8554/x?y=1") == "rtsp://u:p@10.1.2.3:8554/x?y=1"
    assert await resolve.resolved("https://camera.example/x") == "https://camera.example/x"


async def test_a_resolver_that_stays_silent_is_not_waited_for(monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.wait(30))
    monkeypatch.setattr(resolve, "LIMIT_S", 0.05)
    try:
        with pytest.raises(CameraGone, match="unresolvable: the resolver does not answer"):
            await resolve.address_of("camera.example")
    finally:
        answers.set()
