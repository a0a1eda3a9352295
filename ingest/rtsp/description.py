"""What a camera says that it sends: session descriptions (RFC 4566) and the addresses in them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc"}
_FIXED = {26: "jpeg", 31: "h261", 32: "mpv", 33: "mp2t", 34: "h263"}  # RFC 3551
_LONGEST_SETS = 64 * 1024


@dataclass(slots=True)
class Media:
    """One m= section. `names` are encodings by payload type, `formats` their parameters."""

    kind: str
    protocol: str
    types: list[int]
    control: str = ""
    multicast: bool = False
    names: dict[int, str] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    formats: dict[int, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Video:
    """A video that we can take apart: its codec as libav names it, and its parameter sets as far as they are told."""

    codec: str
    type: int
    clock_hz: int
    control: str
    sets: tuple[bytes, ...]
    multicast: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """A session as described. `video` is the first one that we can take apart; `others` name those that we cannot."""

    control: str
    video: Video | None
    others: tuple[str, ...]


def read_description(body: bytes) -> Description:
    """Whatever stands in it that makes sense; nothing raises."""
    control, multicast = "", False
    sections: list[Media] = []
    for letter, value in _lines(body):
        if letter == "m":
            sections.append(_media(value, multicast=multicast))
        elif letter == "c":
            if sections:
                sections[-1].multicast = _is_multicast(value)
            else:
                multicast = _is_multicast(value)
        elif letter == "a" and sections:
            _attribute(sections[-1], value)
        elif letter == "a" and value.lower().startswith("control:"):
            control = value[8:].strip()
    videos = [each for each in sections if each.kind == "video"]
    found = next((video for each in videos if (video := _video(each)) is not None), None)
    return Description(control, found, tuple(_name(each) for each in videos))


def resolved(base: str, control: str) -> str:
    """The address that a control attribute means. As libav does it: put behind the base, query or not."""
    if control in ("", "*"):
        return base
    if re.match(r"(?i)rtspu?://", control):
        return control
    return base + ("" if base.endswith("/") else "/") + control.removeprefix("/")


def _lines(body: bytes) -> Iterator[tuple[str, str]]:
    for line in re.split(r"[\r\n]+", body.decode("utf-8", "replace")):
        letter, equals, value = line.strip().partition("=")
        if equals and len(letter) == 1:
            yield letter.lower(), value.strip()


def _media(value: str, *, multicast: bool) -> Media:
    words = value.split()
    types = [int(each) for each in words[3:] if each.isdecimal() and len(each) <= 3]
    return Media(words[0].lower() if words else "", words[2].upper() if len(words) > 2 else "", types, "", multicast)


def _attribute(media: Media, value: str) -> None:
    name, _, rest = value.partition(":")
    name, rest = name.strip().lower(), rest.strip()
    if name == "control":
        media.control = rest
        return
    number, _, rest = rest.partition(" ")
    if name not in ("rtpmap", "fmtp") or not number.isdecimal() or len(number) > 3:
        return
    if name == "rtpmap":
        encoding, _, clock = rest.strip().partition("/")
        media.names[int(number)] = encoding.strip().lower()
        clock = clock.partition("/")[0].strip()
        media.clocks[int(number)] = int(clock) if clock.isdecimal() and len(clock) < 10 else 0
    else:
        pairs = (each.partition("=") for each in rest.split(";"))
        media.formats[int(number)] = {key.strip().lower(): text.strip() for key, _, text in pairs if key.strip()}


def _video(media: Media) -> Video | None:
    for number in media.types:
        codec = _CODECS.get(media.names.get(number, ""))
        if codec is None or "SAVP" in media.protocol:
            continue
        options = media.formats.get(number, {})
        # Interleaved packetization: pictures travel out of their order. No camera was seen to do it.
        if options.get("packetization-mode") == "2" or options.get("sprop-max-don-diff", "0") != "0":
            continue
        clock = media.clocks.get(number) or 90_000
        return Video(codec, number, clock, media.control, tuple(_sets(codec, options)), media.multicast)
    return None


def _sets(codec: str, options: dict[str, str]) -> Iterator[bytes]:
    names = ("sprop-parameter-sets",) if codec == "h264" else ("sprop-vps", "sprop-sps", "sprop-pps")
    for name in names:
        for written in options.get(name, "")[:_LONGEST_SETS].split(","):
            text = written.strip().strip('"').rstrip("=")
            try:
                unit = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            except (binascii.Error, ValueError):
                continue
            unit = re.sub(rb"^\x00+\x01", b"", unit)  # some put a start code in front
            if len(unit) > 2:
                yield unit


def _name(media: Media) -> str:
    for number in media.types:
        if number in media.names or number in _FIXED:
            return media.names.get(number) or _FIXED[number]
    return "unknown"


def _is_multicast(value: str) -> bool:
    words = value.split()
    try:
        return len(words) > 2 and ipaddress.ip_address(words[2].partition("/")[0]).is_multicast
    except ValueError:
        return False
