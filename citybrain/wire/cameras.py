"""Topic `cameras`: which cameras there are, each as the file says it; the newest message of a key is the camera's entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from citybrain.wire.fields import VERSION, dumps, loads, need, versioned

CAMERAS = "cameras"


@dataclass(frozen=True, slots=True)
class Registered:
    """A camera's entry with its secrets as ${NAMES}, and the file, from the configuration folder, in which it stands: the
    variables beside that file are its own."""

    file: str
    entry: Mapping[str, Any]


def write_registered(camera: Registered) -> bytes:
    return dumps({"v": VERSION, "file": camera.file, "entry": camera.entry})


def read_registered(raw: bytes) -> Registered:
    """Raises Unreadable."""
    fields = versioned(loads(raw))
    return Registered(need(fields, "file", str), need(fields, "entry", dict))
