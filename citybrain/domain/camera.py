"""What the rest of the system knows of a camera: where it stands and which parts of its view mean something."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from citybrain.domain.geometry import WHOLE_VIEW, Homography, Point, Polygon


class ZoneKind(StrEnum):
    NO_PARKING = "no_parking"
    ROADWAY = "roadway"
    PAVEMENT = "pavement"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Zone:
    """A named polygon on one camera.

    `place` names what it shows when another camera shows it too; `ground` maps the picture to the street when the zone's
    corners were surveyed.
    """

    id: str
    kind: ZoneKind
    polygon: Polygon
    place: str | None = None
    ground: Homography | None = None


VIEW = Zone("view", ZoneKind.ANY, WHOLE_VIEW)


@dataclass(frozen=True, slots=True)
class Text:
    """A name in the two languages operators read."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as cases know it; `location` is (longitude, latitude), EPSG:4326. Its address and password stay in ingest."""

    id: str
    name: Text
    location: Point | None = None
    grid_cell: str | None = None
    zones: tuple[Zone, ...] = ()

    def zones_of(self, kind: ZoneKind) -> tuple[Zone, ...]:
        """The zones a scene looks at; `any` is the whole view."""
        return (VIEW,) if kind is ZoneKind.ANY else tuple(zone for zone in self.zones if zone.kind is kind)
