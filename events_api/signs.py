"""Signs of life: what processes leave in the hot store, read with suspicion, for it may be lost or torn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from citybrain.clock import instant
from citybrain.ports import HotStore

FRESH = timedelta(seconds=15)  # how old a role's last heartbeat may be; they come at least each 5 s
_MISSED = 5
"""After so many heartbeats that did not come others may have taken over what a process did: its figures count no more."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process's last sign of life: `name` is role and number.

    `every` is how often it comes, when it says so. Of several processes the figures are summed, but for the `greatest`.
    """

    name: str
    role: str
    at: datetime
    figures: Mapping[str, float]
    every: timedelta | None = None
    greatest: frozenset[str] = frozenset()


def heartbeats(hot: HotStore) -> list[Heartbeat]:
    """Every process that reports, as far as its report can be read."""
    found = []
    for key, value in hot.scan("heartbeat/"):
        fields = hot_fields(value)
        role = key.split("/")[1]
        figures = fields.get("figures")
        try:
            at = instant(str(fields.get("at")))
        except ValueError:
            continue
        numbers = {
            str(name): float(figure)
            for name, figure in (figures if isinstance(figures, dict) else {}).items()
            if isinstance(figure, int | float)
        }
        every_s, greatest = fields.get("every_s"), fields.get("greatest")
        every = timedelta(seconds=every_s) if isinstance(every_s, int | float) and 0 < every_s < 3600 else None
        names = frozenset(map(str, greatest)) if isinstance(greatest, list) else frozenset[str]()
        found.append(Heartbeat(key.removeprefix("heartbeat/"), role, at, numbers, every, names))
    return found


def added_up(beats: Sequence[Heartbeat], now: datetime) -> dict[str, float]:
    """Figures by `role.figure`, over a role's processes: what a dead one had, another has by now, and is counted once."""
    found: dict[str, float] = {}
    for beat in beats:
        if _is_succeeded(beat, beats, now):
            continue
        for name, figure in beat.figures.items():
            if not math.isfinite(figure):
                continue
            key = f"{beat.role}.{name}"
            before = found.get(key)
            if before is None:
                found[key] = figure
            else:
                found[key] = max(before, figure) if name in beat.greatest else before + figure
    return found


def _is_succeeded(beat: Heartbeat, beats: Sequence[Heartbeat], now: datetime) -> bool:
    """Whether the process is silent while another one of its role is not."""

    def silent(each: Heartbeat) -> bool:
        return each.every is not None and now - each.at > each.every * _MISSED

    return silent(beat) and any(each.role == beat.role and not silent(each) for each in beats)


def is_fresh(role: str, beats: Sequence[Heartbeat], now: datetime) -> bool | None:
    """Whether any process of the role has reported lately; None when none ever has."""
    of_role = [beat.at for beat in beats if beat.role == role]
    return None if not of_role else now - max(of_role) <= FRESH


def hot_fields(value: bytes | None) -> dict[str, Any]:
    """What is hot may be lost or torn: then it says nothing."""
    if value is None:
        return {}
    try:
        fields = json.loads(value)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
