"""References of evidence: camera, instant (UTC) and the start of the content's SHA-256, so that what they name can be checked.

gd-0001/20261121/080000.000Z-0123456789abcdef.jpg
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Unreadable

_CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_REF = re.compile(rf"({_CAMERA.pattern})/(\d{{8}})/(\d{{6}}\.\d{{3}})Z-([0-9a-f]{{16}})\.(?:jpg|mp4)")
_ENDINGS = {EvidenceKind.PICTURE: "jpg", EvidenceKind.CLIP: "mp4"}


def is_reference(text: str) -> bool:
    return _REF.fullmatch(text) is not None


def reference(camera: str, captured_at: datetime, content: bytes, kind: EvidenceKind) -> str:
    """Raises ValueError for a camera id that is no file name."""
    if not _CAMERA.fullmatch(camera):
        raise ValueError(f"a camera id must be letters, digits, '.', '_' and '-', got {camera!r}")
    at = captured_at.astimezone(UTC)
    instant = f"{at:%Y%m%d}/{at:%H%M%S}.{at.microsecond // 1000:03d}Z"
    return f"{camera}/{instant}-{hashlib.sha256(content).hexdigest()[:16]}.{_ENDINGS[kind]}"


def captured_at(ref: str) -> datetime:
    """The instant in a reference, to the millisecond."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise ValueError(f"expected a reference, got {ref!r}")
    return datetime.strptime(f"{match[2]}{match[3]}", "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)


def checked(ref: str, content: bytes) -> bytes:
    """The content, when it fits its reference. Raises Unreadable."""
    match = _REF.fullmatch(ref)
    expected, found = match[4] if match else "", hashlib.sha256(content).hexdigest()[:16]
    if found != expected:
        raise Unreadable(f"{ref}: expected sha256 {expected}…, got {found}…: it was altered")
    return content


def to_the_millisecond(at: datetime) -> datetime:
    """References carry milliseconds: what was captured within the same one is not yet before."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
