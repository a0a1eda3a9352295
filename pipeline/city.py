"""What the pipeline knows of the city: its scenes, cameras and routes, and whether it still watches a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from citybrain.domain.camera import Camera
from pipeline.camera_flow import locality_of
from pipeline.dispatch import Routes
from pipeline.scene import Scene, Status


@dataclass(frozen=True, slots=True)
class City:
    """Scenes, cameras, routes, and a hash of that configuration."""

    scenes: Mapping[str, Scene]
    cameras: Mapping[str, Camera]
    routes: Routes
    revision: str


def unwatched(city: City, scene: str, place: str, *, locality: str) -> str:
    """Why nobody can tell any more how a scene stands at a place (`camera/zone…`) of this locality; empty when somebody can."""
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
    return "" if locality_of(camera, zone) == locality else "place changed"
