"""The key that everything which may be the same problem shares: of what a camera sees in a zone, and of what is reported.

A report has no camera. It meets the cameras' cases because it is kept where the nearest zone of a camera keeps its own:

    report ──► a zone within reach? ──yes──► the nearest one's locality
                     │no
                     ├──► its grid cell      cell:530111001001003
                     └──► else its square    spot:102.741,25.014     of some hundred metres
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from citybrain.domain.camera import Camera, Zone, ZoneKind
from citybrain.domain.geometry import Point, metres_between, metres_to_area


def locality_of(camera: Camera, zone: Zone) -> str:
    """The shared place, the grid cell, or the camera."""
    if zone.place:
        return f"place:{zone.place}"
    return f"cell:{camera.grid_cell}" if camera.grid_cell else f"camera:{camera.id}"


class Kept(NamedTuple):
    """Where what was reported is kept, and the grid cell that it lies in, as far as one is known."""

    locality: str
    grid_cell: str | None


def kept_at(
    location: Point | None, grid_cell: str | None, *, cameras: Iterable[Camera], kind: ZoneKind, reach_m: float
) -> Kept:
    """Where a problem that was reported there is kept; `kind` is what its scene looks at, `reach_m` how far a report reaches.

    A problem at the border of two localities, seen from one and reported nearest to the other, is two cases: nothing that
    is keyed by locality can know both. Raises ValueError when neither location nor cell is given.
    """
    if location is not None:
        near = [
            (metres, camera.id, zone.id, Kept(locality_of(camera, zone), grid_cell or camera.grid_cell))
            for camera in cameras
            for zone in camera.zones_of(kind)
            if (metres := metres_to(camera, zone, location)) is not None and metres <= reach_m
        ]
        if near:
            return min(near)[-1]
    if grid_cell:
        return Kept(f"cell:{grid_cell}", grid_cell)
    if location is None:
        raise ValueError("a report says where: expected a location or a grid cell")
    return Kept(f"spot:{location[0]:.3f},{location[1]:.3f}", None)


def spot_of(camera: Camera, kind: ZoneKind) -> Point | None:
    """About where on the ground the camera sees such things: the middle of its first surveyed zone, else where it stands."""
    surveyed = [zone for zone in camera.zones_of(kind) if zone.ground is not None]
    if not surveyed:
        return camera.location
    corners = _corners(surveyed[0])
    return sum(lon for lon, _ in corners) / len(corners), sum(lat for _, lat in corners) / len(corners)


def metres_to(camera: Camera, zone: Zone, location: Point) -> float | None:
    """How far the location lies from what the zone shows, or from the camera where the zone was not surveyed."""
    if zone.ground is not None:
        return metres_to_area(location, _corners(zone))
    return None if camera.location is None else metres_between(camera.location, location)


def _corners(zone: Zone) -> list[Point]:
    return [zone.ground.ground(point) for point in zone.polygon.points] if zone.ground is not None else []
