"""When a picture was captured, written into the JPEG itself: a picture and its instant are never torn apart."""

from __future__ import annotations

from datetime import datetime

from citybrain.clock import instant, iso

_START = b"\xff\xd8"
_COMMENT = b"\xff\xfe"
_SAYS = b"captured_at="


def stamped(image: bytes, captured_at: datetime) -> bytes:
    """The JPEG with its instant as its first segment, a comment."""
    said = _SAYS + iso(captured_at).encode()
    return _START + _COMMENT + (len(said) + 2).to_bytes(2, "big") + said + image[2:]


def stamp_of(image: bytes) -> datetime | None:
    """The instant that `stamped` wrote; None when it wrote none."""
    if image[:4] != _START + _COMMENT:
        return None
    said = image[6 : 4 + int.from_bytes(image[4:6], "big")]
    try:
        return instant(said.removeprefix(_SAYS).decode("ascii")) if said.startswith(_SAYS) else None
    except ValueError:
        return None
