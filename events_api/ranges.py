"""Byte ranges of what is served (RFC 9110 §14): one range a request, which is what players of video ask for."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import Response

from events_api.problems import Problem

_ONE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


def whole_or_part(request: Request, content: bytes, *, media_type: str, etag: str, headers: dict[str, str]) -> Response:
    """The content, or the part that was asked for. Raises Problem 416 for a part that lies beyond its end.

    Several ranges at once, or what is no range, is answered with the whole, as the standard allows.
    """
    headers = {**headers, "accept-ranges": "bytes", "etag": etag}
    asked = _ONE.fullmatch(request.headers.get("range", ""))
    if asked is None or not _is_range(asked[1], asked[2]) or request.headers.get("if-range", etag) != etag:
        return Response(content, media_type=media_type, headers=headers)
    first, last = _bounds(asked[1], asked[2], len(content))
    if first >= len(content):
        raise Problem(
            416,
            "range-beyond-end",
            f"expected a range within {len(content)} bytes, got {request.headers['range'][:80]!r}",
            headers={"content-range": f"bytes */{len(content)}"},
        )
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, media_type=media_type, headers=headers)


def _is_range(first: str, last: str) -> bool:
    return int(first) <= int(last) if first and last else bool(first or last)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and last byte; a range without its beginning counts from the end."""
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (size, size - 1)
    return int(first), min(int(last), size - 1) if last else size - 1
