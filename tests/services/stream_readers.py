"""Clients of the event streams that count bytes, so that they can be cut between any two."""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import Protocol
from urllib.parse import urlsplit


class Reader(Protocol):
    """What both kinds have: the events seen whole within the first bytes, and the cursor to resume with."""

    raw: bytearray
    socket: socket.socket

    def bytes(self, at_least: int) -> bool: ...
    def events(self, upto: int | None = None) -> tuple[list[str], str | None]: ...
    def wait_for(self, count: int) -> list[str]: ...
    def close(self) -> None: ...


class _Connection:
    def __init__(self, url: str, target: str, headers: dict[str, str], *, receive_buffer: int | None = None) -> None:
        where = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer is not None:  # before connecting: it bounds the window that is offered
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        lines = [f"GET {target} HTTP/1.1", *(f"{k}: {v}" for k, v in ({"Host": where.netloc} | headers).items())]
        try:
            self.socket.connect((where.hostname or "", where.port or 0))
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        except OSError:
            self.socket.close()
            raise
        self.raw = bytearray()

    def bytes(self, at_least: int) -> bool:
        """Read on until so many bytes are there; false at the end."""
        while len(self.raw) < at_least:
            arrived = self.socket.recv(65536 if at_least > 5000 else 512)
            if not arrived:
                return False
            self.raw += arrived
        return True

    def close(self) -> None:
        self.socket.close()


class EventStreamReader(_Connection):
    """Reads server-sent events."""

    def __init__(self, url: str, query: str = "", *, last: str | None = None, **more: int | None) -> None:
        super().__init__(url, f"/v1/events/stream{query}", {} if last is None else {"Last-Event-ID": last}, **more)

    def events(self, upto: int | None = None) -> tuple[list[str], str | None]:
        """Case versions seen whole within the first bytes, and the id a browser would resume with."""
        body = _unchunked(bytes(self.raw[:upto]).partition(b"\r\n\r\n")[2])
        seen, last = [], None
        for block in body.split(b"\n\n")[:-1]:  # what has no empty line behind it has not arrived yet
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            last = fields[b"id"].decode() if b"id" in fields else last
            if b"data" in fields:
                seen.append(json.loads(fields[b"data"])["id"])
        return seen, last

    def wait_for(self, count: int) -> list[str]:
        while self.raw.count(b"\ndata: ") < count or len(self.events()[0]) < count:
            assert self.bytes(len(self.raw) + 1), "the stream ended"
        return self.events()[0]


class EventSocketReader(_Connection):
    """Reads a WebSocket's frames."""

    def __init__(
        self,
        url: str,
        query: str = "",
        *,
        last: str | None = None,
        headers: dict[str, str] | None = None,
        **more: int | None,
    ) -> None:
        resume = "" if last is None else f"{'&' if query else '?'}after={last}"
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        super().__init__(url, f"/v1/events/ws{query}{resume}", upgrade | (headers or {}), **more)

    def messages(self, upto: int | None = None) -> list[tuple[int, bytes]]:
        """Frames that are there whole: opcode and payload."""
        data, found = bytes(self.raw[:upto]).partition(b"\r\n\r\n")[2], []
        while len(data) >= 2:
            length, head = data[1] & 0x7F, 2
            if length > 125:
                head = 4 if length == 126 else 10
                if len(data) < head:
                    break
                length = int.from_bytes(data[2:head])
            if len(data) < head + length:
                break
            found.append((data[0] & 0x0F, data[head : head + length]))
            data = data[head + length :]
        return found

    def events(self, upto: int | None = None) -> tuple[list[str], str | None]:
        seen, last = [], None
        for opcode, payload in self.messages(upto):
            if opcode == 1:
                message = json.loads(payload)
                last = message["cursor"]
                if "event" in message:
                    seen.append(message["event"]["id"])
        return seen, last

    def wait_for(self, count: int) -> list[str]:
        while self.raw.count(b'"event":{') < count or len(self.events()[0]) < count:
            assert self.bytes(len(self.raw) + 1), "the stream ended"
        return self.events()[0]

    def closed_with(self) -> int:
        """Read to the end; the code of the close frame."""
        while self.bytes(len(self.raw) + 1):
            if self.messages() and self.messages()[-1][0] == 8:
                break
        return int.from_bytes(self.messages()[-1][1][:2])

    def send(self, text: str) -> None:
        while b"\r\n\r\n" not in self.raw:  # nothing may be said before the socket is open
            assert self.bytes(len(self.raw) + 1), "the socket was refused"
        payload, mask = text.encode(), os.urandom(4)
        assert len(payload) < 126
        masked = bytes(each ^ mask[n % 4] for n, each in enumerate(payload))
        self.socket.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)


def _unchunked(raw: bytes) -> bytes:
    body, at = bytearray(), 0
    while (end := raw.find(b"\r\n", at)) > at:
        length = int(raw[at:end], 16)
        body += raw[end + 2 : end + 2 + length]
        at = end + 2 + length + 2
    return bytes(body)
