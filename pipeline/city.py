"""What the pipeline knows of the city: its scenes, cameras and routes, and whether it still watches a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from citybrain.domain.camera import Camera
from citybrain.domain.command import Silence
from citybrain.domain.locality import locality_of
from pipeline.areas import NO_AREAS, Areas
from pipeline.calendar import EVERY_HOUR, Calendar
from pipeline.codes import Allowed
from pipeline.routes import Routes
from pipeline.scene import Scene, Status
from pipeline.silences import Silences


@dataclass(frozen=True, slots=True)
class City:
    """Scenes, cameras, routes, areas, working hours, times allowed by category, and a hash of that configuration.

    `silences` are no part of it: people made them since.
    """

    scenes: Mapping[str, Scene]
    cameras: Mapping[str, Camera]
    routes: Routes
    revision: str
    areas: Areas = NO_AREAS
    calendar: Calendar = EVERY_HOUR
    allowed: Mapping[str, Allowed] = field(default_factory=dict)
    silences: Silences = field(default_factory=dict)

    @property
    def all_silences(self) -> tuple[Silence, ...]:
        """Those of routes.yaml and those made since."""
        return (*self.routes.kept_silent, *self.silences.values())


def unwatched(city: City, scene: str, place: str, *, locality: str | None) -> str:
    """Why nobody can tell any more how a scene stands at a place (`camera/zone…`) of this locality, or of whichever; empty
    when somebody can."""
    camera_id, zone_id, *_ = f"{place}/".split("/")
    camera, judged = city.cameras.get(camera_id), city.scenes.get(scene)
    if camera is None:
        return "camera removed"
    if judged is None or judged.file.status is Status.DRAFT:
        return "scene removed"
    zone = next((each for each in camera.zones_of(judged.file.zone_kind) if each.id == zone_id), None)
    if zone is None:
        return "zone removed"
    # What ends there is told under another key from now on, and would not find this case.
    return "" if locality in (None, locality_of(camera, zone)) else "place changed"
