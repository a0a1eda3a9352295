"""One connection to the simulator: RTSP 1.0 (RFC 2326) with media inside it."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from citybrain.demo.rtsp_channel import Channel, Datagrams, Viewer
from citybrain.demo.rtsp_faults import CameraFault, faults_of
from citybrain.demo.rtsp_login import Login
from citybrain.demo.rtsp_packets import description

_STATUS = {
    200: "OK",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    454: "Session Not Found",
    461: "Unsupported Transport",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_Headers = Mapping[str, str | list[str]]
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"


class City(Protocol):
    """What a connection asks its simulator."""

    login: Login

    async def channel(self, name: str) -> Channel | None: ...

    def faults(self, name: str) -> list[CameraFault]: ...

    def is_dark(self, name: str) -> bool: ...

    def play(self, channel: Channel, viewer: Viewer, name: str) -> None: ...

    def now_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        path = unquote(urlsplit(self.url).path).strip("/")
        return path.removesuffix("/trackID=0").removesuffix("/trackID=1").removesuffix(".mp4")

    @property
    def sound(self) -> bool:
        """Whether the track of the description's sound is meant, of which nothing is ever sent."""
        return urlsplit(self.url).path.endswith("/trackID=1")


class _Over(Exception):
    """This connection is to be closed."""


@dataclass(slots=True)
class Session:
    """Serves one connection until it ends."""

    city: City
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    interleaved: int = 0
    datagrams: Datagrams | None = None
    begun_s: float = 0.0
    faults: list[CameraFault] = field(default_factory=list)
    channel: Channel | None = None
    viewer: Viewer | None = None

    async def serve(self) -> None:
        try:
            while (request := await self._request()) is not None:
                await self._answer(request)
                await self.writer.drain()
        except (_Over, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnicodeDecodeError):
            pass
        finally:
            if self.channel is not None and self.viewer is not None:
                self.channel.leave(self.viewer)
            if self.datagrams is not None:
                self.datagrams.close()
            self.writer.close()
            with suppress(ConnectionError):
                await self.writer.wait_closed()

    async def _request(self) -> _Request | None:
        while True:
            first = await self.reader.read(1)
            if not first:
                return None
            if first == b"$":
                head = await self.reader.readexactly(3)  # the viewer's own reports, which nobody reads
                await self.reader.readexactly(int.from_bytes(head[1:], "big"))
                continue
            text = (first + await self.reader.readuntil(b"\r\n\r\n")).decode()
            if self.viewer is not None:
                self.viewer.heard_s = self.city.now_s()
            if not text.startswith("RTSP/"):  # an answer to what a talkative camera asked
                break
        line, *rest = text.strip().split("\r\n")
        pairs = (each.partition(":") for each in rest)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if length := int(headers.get("content-length", "0") or 0):
            await self.reader.readexactly(length)
        method, _, remainder = line.partition(" ")
        return _Request(method, remainder.partition(" ")[0], headers)

    async def _answer(self, request: _Request) -> None:
        if request.url != "*":
            self.faults = self.city.faults(request.name) + faults_of(urlsplit(request.url).query) or self.faults
            if self.city.is_dark(request.name):
                raise _Over
        if self._is("silent"):
            await self.reader.read()  # until the other side gives up
            raise _Over
        if self._is("garbage"):
            self.writer.write(random.randbytes(2048))
            return
        for status in (404, 503):
            if self._is(str(status)) and request.method != "OPTIONS":
                self._reply(request, status)
                return
        login, given = self._word("login"), request.headers.get("authorization", "")
        if request.method == "OPTIONS":
            self._reply(request, 200, {"Public": _METHODS})
        elif self._is("401") or not self.city.login.admits(request.method, given, only=login):
            self._reply(request, 401, {"WWW-Authenticate": self.city.login.asking(login)})
        else:
            if login == "stale":
                self.city.login.forget()
            await self._carry_out(request)

    async def _carry_out(self, request: _Request) -> None:
        if request.method == "DESCRIBE":
            channel = await self.city.channel(request.name)
            if channel is None:
                self._reply(request, 404)
                return
            if elsewhere := self._word("redirect"):
                here = urlsplit(request.url)
                there = elsewhere if "://" in elsewhere else f"rtsp://{here.netloc}/{elsewhere}"
                self._reply(request, 302, {"Location": there})
                return
            host = str(self.writer.get_extra_info("sockname")[0])
            path = request.url.split("?")[0].rstrip("/") + "/"
            headers: _Headers = {"Content-Type": "application/sdp", "Content-Base": path}
            only: Literal["", "jpeg", "audio"] = "jpeg" if self._is("jpeg") else "audio" if self._is("audio") else ""
            told = description(channel.clip, host, sets=not self._is("inband"), only=only)
            self._reply(request, 200, headers, body=told)
        elif request.method == "SETUP":
            await self._set_up(request)
        elif request.method == "PLAY":
            if self.channel is None:
                self._reply(request, 454)
                return
            self._reply(request, 200, {"Session": self.id, "Range": "npt=now-"})
            draw = random.Random(1)
            self.viewer = Viewer(self.writer.transport, self.interleaved, self.faults, draw, self.datagrams)
            self.begun_s = self.city.now_s()
            self.city.play(self.channel, self.viewer, request.name)
        elif request.method in ("GET_PARAMETER", "SET_PARAMETER"):
            forgets = self._fault("session")
            forgotten = forgets is not None and self.city.now_s() - self.begun_s >= forgets.amount
            self._reply(request, 454 if forgotten else 200, {"Session": self.id})
        elif request.method == "TEARDOWN":
            self._reply(request, 200, {"Session": self.id})
            raise _Over
        else:
            self._reply(request, 501)

    async def _set_up(self, request: _Request) -> None:
        offered = request.headers.get("transport", "")
        if self._is("notcp" if "TCP" in offered else "noudp"):
            self._reply(request, 461)
            return
        self.channel = await self.city.channel(request.name)
        if self.channel is None:
            self._reply(request, 404)
            return
        if request.sound:
            self._reply(request, 200, {"Session": f"{self.id};timeout=60", "Transport": offered})
            return
        if "TCP" in offered:
            numbers = offered.partition("interleaved=")[2].partition("-")[0]
            self.interleaved = int(numbers) if numbers.isdigit() else 0
            transport = f"RTP/AVP/TCP;unicast;interleaved={self.interleaved}-{self.interleaved + 1}"
            transport += f";ssrc={self.channel.track.ssrc:08X}"
        else:
            ports = re.search(r"client_port=(\d+)-(\d+)", offered)
            if ports is None:
                self._reply(request, 461)
                return
            self.datagrams = self._datagrams(int(ports[1]), int(ports[2]))
            ours = [each.getsockname()[1] for each in (self.datagrams.media, self.datagrams.reports)]
            transport = f"RTP/AVP;unicast;client_port={ports[1]}-{ports[2]};server_port={ours[0]}-{ours[1]}"
        limit = self._fault("timeout")
        timeout = f"{self.id};timeout={int(limit.amount) if limit else 60}"
        self._reply(request, 200, {"Session": timeout, "Transport": transport})

    def _datagrams(self, *ports: int) -> Datagrams:
        here, there = self.writer.get_extra_info("sockname")[0], self.writer.get_extra_info("peername")[0]
        pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for each in pair:
            each.setblocking(False)
            each.bind((here, 0))
        return Datagrams(*pair, there, (ports[0], ports[1]))

    def _fault(self, kind: str) -> CameraFault | None:
        return next((each for each in self.faults if each.kind == kind), None)

    def _word(self, kind: str) -> str:
        found = self._fault(kind)
        return found.other if found else ""

    def _is(self, kind: str) -> bool:
        return any(each.kind == kind for each in self.faults)

    def _reply(self, request: _Request, status: int, headers: _Headers | None = None, *, body: bytes = b"") -> None:
        lines = [f"RTSP/1.0 {status} {_STATUS[status]}", f"CSeq: {request.headers.get('cseq', '0')}"]
        for name, value in (headers or {}).items():
            lines += [f"{name}: {each}" for each in ([value] if isinstance(value, str) else value)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        end = "\r\n"
        if self._is("odd"):
            first, _, *rest = lines
            lines, end = [first.replace("RTSP", "rtsp"), *filter(None, map(_oddly, rest))], "\n"
        self.writer.write((end.join(lines) + end + end).encode() + body)


def _oddly(header: str) -> str:
    """A header as some devices write it."""
    name, _, value = header.partition(": ")
    return "" if name == "CSeq" else f"{name.upper()}  :\t{value} "
