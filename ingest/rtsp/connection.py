"""Opens a session over the network: connects, says what the conversation says, follows redirects, within time limits."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass, field
from typing import cast

from citybrain.errors import CameraGone
from ingest.resolve import address_of
from ingest.rtsp.address import Address
from ingest.rtsp.conversation import NotSpoken, Opened, Redirected, opening
from ingest.rtsp.datagrams import Datagrams
from ingest.rtsp.login import Login
from ingest.rtsp.messages import Asked, Inbox, Response

CONNECT_S = 5.0
"""How long a camera may take to be connected to, and then for each answer."""

OPEN_S = 15.0
"""How long it may take in all: recorders fetch a stream from elsewhere before they answer."""

_MOST_REDIRECTS = 4


@dataclass(slots=True)
class Connection:
    """A session that plays, and its sockets. `early` is what came behind the last answer already."""

    socket: socket.socket
    opened: Opened
    login: Login
    url: str
    sequence: int
    early: bytes = b""
    datagrams: Datagrams | None = None

    def close(self) -> None:
        self.socket.close()
        if self.datagrams is not None:
            self.datagrams.close()


async def connect(address: Address) -> Connection:
    """Raises CameraGone, or NotSpoken when the stream is there and somebody else must read it."""
    try:
        async with asyncio.timeout(OPEN_S):
            for _ in range(1 + _MOST_REDIRECTS):
                try:
                    return await _opened(address)
                except Redirected as elsewhere:
                    address = address.redirected(elsewhere.location)
                    if address.scheme != "rtsp":
                        raise NotSpoken(address.scheme) from None
    except TimeoutError:
        raise CameraGone("silent", "it takes too long to answer") from None
    raise CameraGone("rejected", "sent on from one address to the next")


async def _opened(address: Address) -> Connection:
    host = await address_of(address.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    talk = _Talk(socket.socket(family, socket.SOCK_STREAM), host, family)
    try:
        return await talk.open(address)
    except TimeoutError:
        raise CameraGone("silent") from None
    except OSError as error:
        raise gone_by(error) from None
    finally:
        if not talk.handed_over:
            talk.close()


def gone_by(error: OSError) -> CameraGone:
    """A socket's error in our words."""
    said = errno.errorcode.get(error.errno or 0, type(error).__name__)
    if isinstance(error, ConnectionRefusedError):
        return CameraGone("refused", said)
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return CameraGone("unreachable", said)
    return CameraGone("silent" if isinstance(error, TimeoutError) else "broken", said)


def answer_to(asked: Asked) -> bytes:
    """What we answer to a server that asks: that we are here, or that we cannot."""
    status = "200 OK" if asked.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER") else "501 Not Implemented"
    return f"RTSP/1.0 {status}\r\nCSeq: {asked.sequence}\r\n\r\n".encode("utf-8", "replace")


@dataclass(slots=True)
class _Talk:
    """One connection while its session is being opened."""

    socket: socket.socket
    host: str
    family: int
    inbox: Inbox = field(default_factory=Inbox)
    datagrams: Datagrams | None = None
    handed_over: bool = False

    async def open(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        self.socket.setblocking(False)
        async with asyncio.timeout(CONNECT_S):
            await loop.sock_connect(self.socket, (self.host, address.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        login = Login(address.user, address.password)
        conversation = opening(address.url, login, udp=address.udp, ports=self._ports)
        request, authorization = next(conversation)
        sequence, opened = 0, None
        while opened is None:
            sequence += 1
            await loop.sock_sendall(self.socket, request.encoded(sequence, authorization))
            answer = await self._answer(sequence)
            try:
                request, authorization = conversation.send(answer)
            except StopIteration as end:
                opened = cast(Opened, end.value)
        if opened.udp and self.datagrams is not None:
            self.datagrams.expect(self.host, opened.server_ports)
        elif self.datagrams is not None:
            self.datagrams.close()
            self.datagrams = None
        self.handed_over = True
        return Connection(self.socket, opened, login, address.url, sequence, self.inbox.rest(), self.datagrams)

    async def _answer(self, sequence: int) -> Response:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            while True:
                message = self.inbox.next()
                if isinstance(message, Response):
                    # An answer to something asked before is passed over; one without a number is taken as meant.
                    if message.status >= 200 and (message.sequence is None or message.sequence >= sequence):
                        return message
                elif message is not None:
                    await loop.sock_sendall(self.socket, answer_to(message))
                else:
                    data = await loop.sock_recv(self.socket, 65_536)
                    if not data:
                        raise CameraGone("ended", "it hung up before it played")
                    self.inbox.feed(data)

    def _ports(self) -> tuple[int, int]:
        if self.datagrams is None:
            self.datagrams = Datagrams(self.family)
        return self.datagrams.ports

    def close(self) -> None:
        self.socket.close()
        if self.datagrams is not None:
            self.datagrams.close()
