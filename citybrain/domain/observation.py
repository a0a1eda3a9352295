"""One scene's verdict at one place, there and then: the thing is there, is not there, or could not be told."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"
