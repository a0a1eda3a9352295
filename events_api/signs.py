"""Signs of life: what processes leave in the hot store, read with suspicion, for it may be lost or torn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from citybrain.clock import instant
from citybrain.ports import HotStore

FRESH = timedelta(seconds=15)  # how old a role's last heartbeat may be; they come at least each 5 s


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process's last sign of life: `name` is role and number."""

    name: str
    role: str
    at: datetime
    figures: Mapping[str, float]


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
        found.append(Heartbeat(key.removeprefix("heartbeat/"), role, at, numbers))
    return found


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
