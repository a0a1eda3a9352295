"""What is assumed of a city of 11,000 cameras: how often each is looked at, what it sees, and how much of that changes.

    class     cameras   looked at each   judged for                  in view of each look
    key         1,100   2 s              fire (pavement zones)       3 passing
    water       3,300   10 s             water on the roadway        4 passing
    kerb        6,600   20 s             vehicles that stay          6 passing, 1 parked on average

The rhythm is the shipped scenes' own `patience`. Three in a hundred cameras cannot be judged by at any time and say so each 5 s.
Of the looks 30 % find the view unchanged, as `citybrain bench windows` found of streets, and repeat what was seen there. Open
questions are looked at four times a second for six seconds; how many there are is what is scheduled.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bench.imagined import Class

CAMERAS = 11_000
SCENES: Mapping[str, Mapping[str, Any]] = {
    # In any view, as shipped, each of the cameras would be in the hurry that a fire is in: that takes five times the machines.
    "fire_risk": {"zone_kind": "pavement"},
    "waterlogging": {},
    "illegal_parking": {},
}
_UNCHANGED, _UNUSABLE = 0.3, 0.03


def classes(cameras: int = CAMERAS) -> list[Class]:
    """The city, or one of another size that is made up alike."""
    key, water = round(cameras * 0.1), round(cameras * 0.3)
    more: dict[str, Any] = {"unchanged": _UNCHANGED, "unusable": _UNUSABLE}
    return [
        Class("key", key, timedelta(seconds=2), "pavement", "fire", passing=3, **more),
        Class("water", water, timedelta(seconds=10), "roadway", "water", passing=4, **more),
        Class("kerb", cameras - key - water, timedelta(seconds=20), "no_parking", "car", passing=6, parked=1, **more),
    ]
