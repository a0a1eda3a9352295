"""The least of S3 that a broker needs to keep its log in: objects in memory, with conditional writes, in a process of its own.

python -m bench.objects PORT      GET, HEAD, PUT (If-Match, If-None-Match), DELETE, and ListObjectsV2, below /BUCKET/

What the broker wrote outlives the broker; nothing outlives this process. Signatures are not checked: it listens on loopback.
"""

from __future__ import annotations

import hashlib
import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import uvicorn

from citybrain.clock import Clock, SystemClock

_MOST_LISTED = 100_000
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stored:
    body: bytes
    etag: str
    written_at: datetime
    line: str
    """As a listing shows it: the broker lists a whole partition for each fetch."""


class Objects:
    """One bucket. Keys are kept in order, so that a page of a listing costs what it holds."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._written_at = self._clock.now()
        self._stored: dict[str, _Stored] = {}
        self._keys: list[str] = []
        self._versions = count()

    def put(self, key: str, body: bytes, *, if_match: str | None = None, if_none_match: str | None = None) -> Answer:
        before = self._stored.get(key)
        if (if_none_match == "*" and before is not None) or (if_match and (before is None or before.etag != if_match)):
            return _fault(412, "PreconditionFailed")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}-{next(self._versions)}"'
        if before is None:
            insort(self._keys, key)
        # The broker takes the object written last for the end of a log: no two may be written at one instant.
        self._written_at = max(self._clock.now(), self._written_at + timedelta(microseconds=1))
        self._stored[key] = _Stored(body, etag, self._written_at, _line(key, etag, self._written_at, len(body)))
        return Answer(200, headers={"etag": etag})

    def get(self, key: str, *, part: str | None = None) -> Answer:
        """`part` is a Range header: `bytes=first-last`."""
        found = self._stored.get(key)
        if found is None:
            return _fault(404, "NoSuchKey")
        headers = {
            "etag": found.etag,
            "last-modified": format_datetime(found.written_at, usegmt=True),
            "accept-ranges": "bytes",
        }
        if part is None:
            return Answer(200, found.body, headers)
        first, _, last = part.removeprefix("bytes=").partition("-")
        begin = int(first) if first else max(0, len(found.body) - int(last))
        end = min(len(found.body) - 1, int(last)) if first and last else len(found.body) - 1
        headers["content-range"] = f"bytes {begin}-{end}/{len(found.body)}"
        return Answer(206, found.body[begin : end + 1], headers)

    def delete(self, key: str) -> Answer:
        if self._stored.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]
        return Answer(204)

    def list(self, *, prefix: str, delimiter: str = "", after: str = "", most: int = _MOST_LISTED) -> Answer:
        """A page of keys, and of prefixes up to the delimiter, that come after `after`."""
        begin = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        if delimiter:
            lines, last = self._folded(prefix, delimiter, after=after, begin=begin, most=most)
        else:
            end = min(bisect_left(self._keys, prefix + _LAST), begin + most) if prefix else begin + most
            keys = self._keys[begin:end]
            lines = [self._stored[key].line for key in keys]
            last = keys[-1] if keys and end < len(self._keys) and self._keys[end].startswith(prefix) else ""
        more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if last else ""
        cut = "true" if last else "false"
        body = f"<ListBucketResult><IsTruncated>{cut}</IsTruncated>{''.join(lines)}{more}</ListBucketResult>"
        return Answer(200, body.encode(), {"content-type": "application/xml"})

    def _folded(self, prefix: str, delimiter: str, *, after: str, begin: int, most: int) -> tuple[Sequence[str], str]:
        """The page's lines, and the last key of it when there are more."""
        lines: list[str] = []
        last = ""
        while begin < len(self._keys) and self._keys[begin].startswith(prefix):
            if len(lines) == most:
                return lines, last
            key = self._keys[begin]
            folder, found, _ = key[len(prefix) :].partition(delimiter)
            if not found:
                lines.append(self._stored[key].line)
                last, begin = key, begin + 1
                continue
            shared = prefix + folder + delimiter
            if shared > after:
                lines.append(f"<CommonPrefixes><Prefix>{escape(shared)}</Prefix></CommonPrefixes>")
            last, begin = shared, bisect_left(self._keys, shared + _LAST)
        return lines, ""


def answer(objects: Objects, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """One request; `target` is /BUCKET?query or /BUCKET/KEY, as it came."""
    path, _, query = target.partition("?")
    key = unquote(path).removeprefix("/").partition("/")[2]
    if method == "GET" and not key:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        after = max(asked.get("continuation-token", ""), asked.get("start-after", ""))
        most = int(asked.get("max-keys", _MOST_LISTED))
        return objects.list(
            prefix=asked.get("prefix", ""), delimiter=asked.get("delimiter", ""), after=after, most=most
        )
    if method in ("GET", "HEAD"):
        return objects.get(key, part=headers.get("range"))
    if method == "PUT":
        return objects.put(key, body, if_match=headers.get("if-match"), if_none_match=headers.get("if-none-match"))
    if method == "DELETE":
        return objects.delete(key)
    return _fault(405, "MethodNotAllowed")


class Server:
    """The objects as an ASGI application."""

    def __init__(self) -> None:
        self._objects = Objects()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        found = answer(self._objects, scope["method"], target, headers=headers, body=body)
        told = {"content-length": str(len(found.body)), "content-type": "application/octet-stream", **found.headers}
        raw = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": found.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else found.body})


def _line(key: str, etag: str, written_at: datetime, size: int) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{written_at:%Y-%m-%dT%H:%M:%S.%fZ}</LastModified>"
        f"<ETag>{escape(etag)}</ETag><Size>{size}</Size></Contents>"
    )


def _fault(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {"content-type": "application/xml"})


if __name__ == "__main__":
    uvicorn.run(
        Server(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_keep_alive=3600,
    )
