"""RTSP messages as cameras really write them (RFC 2326), told apart from the packets that travel between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from citybrain.errors import CameraGone

DOLLAR = 0x24  # the first byte of a packet inside the connection
_LONGEST_HEAD, _LONGEST_BODY, _LONGEST_EARLY = 64 * 1024, 1024 * 1024, 8 * 1024 * 1024
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"RTSP/\d\.\d\s+(\d{3})\b\s*(.*)", re.IGNORECASE)
_ASKED = re.compile(r"([A-Z_]{3,20})\s+(\S+)\s+RTSP/\d\.\d", re.IGNORECASE)
_BEGINS = re.compile(rb"(?i)R(T(S(P(/.*)?)?)?)?$|[A-Z_]{1,20}( .*)?$")


@dataclass(frozen=True, slots=True)
class Request:
    """What we ask. The one who sends it adds CSeq and the login."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, sequence: int, authorization: str | None) -> bytes:
        lines = [f"{self.method} {self.url} RTSP/1.0", f"CSeq: {sequence}"]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        lines += ["User-Agent: citybrain", *(f"{name}: {value}" for name, value in self.headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answers. Header names in lower case; a name may have come several times."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes = b""

    def header(self, name: str) -> str:
        return self.headers.get(name, ("",))[0]

    @property
    def sequence(self) -> int | None:
        """The CSeq; cameras forget it."""
        text = self.header("cseq").strip()
        return int(text) if text.isdecimal() and len(text) < 10 else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server asks of us."""

    method: str
    sequence: str


Message = Response | Asked


def read_message(data: bytes | bytearray | memoryview, start: int, end: int) -> tuple[Message, int] | None:
    """The message at `start` and where it ends; None when more must come. Raises CameraGone("garbage")."""
    found = bytes(data[start : min(end, start + _LONGEST_HEAD)])
    blank = len(found) - len(found.lstrip(b"\r\n\t \0"))
    found = found[blank:]
    if not found:
        return None
    head_end = _HEAD_ENDS.search(found)
    first = found.split(b"\n", 1)[0][:400].rstrip(b"\r")
    if b"\n" not in found and _BEGINS.match(first) is None:
        raise CameraGone("garbage", "what it answers is not RTSP")
    if b"\n" in found and not (_STATUS.match(_text(first)) or _ASKED.match(_text(first))):
        raise CameraGone("garbage", "what it answers is not RTSP")
    if head_end is None:
        if len(found) + blank >= _LONGEST_HEAD:
            raise CameraGone("garbage", "a message without an end")
        return None
    headers = _headers(_text(found[: head_end.start()]))
    length = _length(headers)
    body_start = start + blank + head_end.end()
    if end - body_start < length:
        return None
    body = bytes(data[body_start : body_start + length])
    return _message(_text(first), headers, body), body_start + length


def _message(first: str, headers: Mapping[str, tuple[str, ...]], body: bytes) -> Message:
    answer = _STATUS.match(first)
    if answer is not None:
        return Response(int(answer[1]), headers, body)
    asked = _ASKED.match(first)
    if asked is None:
        raise CameraGone("garbage", "what it answers is not RTSP")
    return Asked(asked[1].upper(), headers.get("cseq", ("0",))[0])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _headers(head: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in re.split(r"\r?\n", head)[1:]:
        if line[:1] in (" ", "\t") and name:
            *before, last = found[name]
            found[name] = (*before, f"{last} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and name:
            found[name] = (*found.get(name, ()), value.strip())
        else:
            name = ""
    return found


def _length(headers: Mapping[str, tuple[str, ...]]) -> int:
    text = headers.get("content-length", ("",))[0]
    if not text.isdecimal():
        return 0
    if len(text) > 9 or int(text) > _LONGEST_BODY:
        raise CameraGone("garbage", "a message too long to be one")
    return int(text)


class Inbox:
    """What a server sends while a session is being opened: messages, and packets that are in more of a hurry."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._early = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> Message | None:
        """The next message, or None when more must come. Raises CameraGone("garbage")."""
        data = self._data
        while len(data) >= 1 and data[0] == DOLLAR:
            size = 4 + int.from_bytes(data[2:4], "big")
            if len(data) < 4 or len(data) < size:
                return None
            if len(self._early) + size > _LONGEST_EARLY:
                raise CameraGone("garbage", "packets instead of an answer")
            self._early += data[:size]
            del data[:size]
        found = read_message(data, 0, len(data))
        if found is None:
            return None
        message, end = found
        del data[:end]
        return message

    def rest(self) -> bytes:
        """Packets that came before the last answer, and everything that came after it."""
        return bytes(self._early + self._data)
